// Settings > Engines: everything that can make a task, what it can take, its defaults, and whether it can work here.
import { api, button, el, errorWords, fmt, has, t } from "./core.js";
import { getById } from "./fetching.js";
import { facts, mark, trouble, waiting } from "./settings_parts.js";
import { engineName, taskName } from "./words_of.js";

export function drawEngines(root) {
  const list = el("div", { class: "l-models", role: "list", "aria-label": t("settings.engines") }, waiting());
  root.append(list);
  const look = async () => {
    try {
      list.replaceChildren(...(await api("GET", "/engines")).map(card));
    } catch (error) {
      list.replaceChildren(trouble(error, look));
    }
  };
  look();
}

function card(engine) {
  const { state } = engine.availability;
  const tags = [engine.draft ? t("generate.draft") : "", engine.costs_money ? t("generate.costs") : "", t(`engines.lane.${engine.lane}`)].filter(Boolean);
  return el("article", { class: "l-model l-engine", role: "listitem", dataset: { id: engine.id } },
    el("div", { class: "l-model-words" },
      el("div", { class: "l-model-name" }, el("b", {}, engineName(engine.id)), mark({ ready: "ok", unfit: "bad" }[state] || "wait", t(`engines.state.${state}`))),
      el("span", { class: "l-model-tasks" }, engine.tasks.map(taskName).join(" · ")),
      el("div", { class: "l-model-facts" }, el("span", { class: "l-hint" }, tags.join(" · ")))),
    el("span", { class: "l-model-fit" }),
    el("div", { class: "l-model-tools" }, state === "needs_download" ? button(t("models.get"), () => getById(engine.id), { iconName: "download" }) : null),
    el("div", { class: "l-model-said" }, why(engine)),
    el("details", { class: "l-model-details" }, el("summary", {}, t("engines.limits")), facts(limits(engine)), defaults(engine)));
}

function why({ id, availability: { state, reason, params, bytes, licence } }) {
  if (state === "unfit") return el("p", { class: "l-hint l-bad" }, reason ? errorWords({ code: reason, params }).message : t("generate.by_unfit", { engine: engineName(id) }));
  if (state === "needs_download") return el("p", { class: "l-hint" }, [fmt.bytes(bytes), licence].filter(Boolean).join(" · "));
  return null;
}

function limits({ limits: most, tasks }) {
  const spans = Object.entries(most.seconds).map(([task, [low, high]]) => `${tasks.length > 1 ? `${taskName(task)}: ` : ""}${fmt.number(low)}–${fmt.number(high)} s`);
  return [
    [t("form.resolution"), most.resolutions.join(", ")],
    [t("form.duration"), spans.join(" · ")],
    [t("gallery.fact.rate"), `${fmt.gigabytes(most.fps)} fps`],
    [t("form.ref_imgs"), tasks.includes("reference_to_video") ? `${most.references[0]}–${most.references[1]}` : ""],
    [t("engines.languages"), tasks.includes("speech") ? most.languages.join(", ") : ""],
    [t("form.end_image"), tasks.includes("image_to_video") ? t(most.end_image ? "engines.yes" : "engines.no") : ""],
  ];
}

/** Its knobs with what they are when nobody turns them. */
function defaults({ id, options }) {
  const knobs = Object.entries(options.properties || {}).filter(([, knob]) => knob.default !== undefined && knob.default !== null && knob.default !== "");
  if (!knobs.length) return null;
  const label = (name, knob) => (has(`form.option.${id}.${name}`) ? t(`form.option.${id}.${name}`) : knob.title || name);
  const value = (one) => (Array.isArray(one) ? one.join(", ") : typeof one === "boolean" ? t(one ? "engines.yes" : "engines.no") : String(one));
  return el("div", { class: "l-engine-defaults" }, el("h4", {}, t("engines.defaults")),
    facts(knobs.map(([name, knob]) => [label(name, knob), value(knob.default)])));
}
