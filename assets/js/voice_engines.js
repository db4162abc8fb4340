// Who speaks: a choice of engines with what each can do, what it costs to have it and what keeps it from this voice.
import { button, el, emit, fmt, t } from "./core.js";
import { mark, note, outside } from "./settings_parts.js";
import { languageName, obstacle } from "./voice_names.js";
import { engineOf, known } from "./voice_state.js";
import { engineName } from "./words_of.js";

const TONES = { ready: "ok", unfit: "bad", needs_download: "wait" };

export const openModels = () => emit("settings", "models");

/** A <select> of engines. `auto`: with "Automatic" first; `fits(engine)`: which ones are offered. */
export function engineSelect({ id, value, auto = true, fits = () => true, onchange }) {
  const node = el("select", { class: "l-select", id, onchange: () => onchange(node.value) });
  const fill = (chosen) => {
    const state = ({ availability }) => (availability.state === "ready" ? "" : ` · ${t(`engines.state.${availability.state}`)}`);
    node.replaceChildren(...(auto ? [el("option", { value: "auto", selected: chosen === "auto" }, t("form.engine.auto"))] : []),
      ...known.engines.filter(fits).map((engine) => el("option", { value: engine.id, selected: engine.id === chosen }, engineName(engine.id) + state(engine))),
      ...(chosen && chosen !== "auto" && !engineOf(chosen) ? [el("option", { value: chosen, selected: true }, `${chosen} · ${t("form.availability.unknown")}`)] : []));
  };
  fill(value);
  return { element: node, fill };
}

/** What an engine can do and what it takes, in a few lines; `voice`: what it would speak with. */
export function engineFacts(id, voice, language = "") {
  if (id === "auto") return el("div", { class: "l-vengine" }, el("p", { class: "l-hint" }, t("voice.engine.auto.about")), autoOf(voice, language));
  const engine = engineOf(id);
  if (!engine) return el("div", { class: "l-vengine" }, el("p", { class: "l-hint" }, t("voice.engine.unknown", { engine: id })));
  const { speaks, availability, limits } = engine;
  const model = known.models.get(id);
  const accents = (speaks.accents.length ? speaks.accents : limits.languages).map(languageName).join(", ");
  const can = [
    engine.draft ? t("voice.engine.draft") : t(speaks.clones ? "voice.engine.clones" : "voice.engine.no_clone"),
    speaks.clones ? t("voice.engine.sample", { least: fmt.gigabytes(speaks.sample[0]), most: fmt.gigabytes(speaks.sample[1]) }) : "",
    speaks.needs_transcript ? t("voice.engine.transcript") : "", speaks.streams ? t("voice.engine.streams") : "", engine.costs_money ? t("generate.costs") : "",
  ].filter(Boolean).join(" · ");
  const size = model?.bytes || availability.bytes;
  const licence = model ? outside(model.licence_url, model.licence) : el("span", {}, availability.licence);
  const takes = [size ? el("span", {}, fmt.bytes(size)) : null, model || availability.licence ? licence : null, el("span", {}, t(`engines.lane.${engine.lane}`)), model?.gated && availability.state !== "ready" ? el("span", {}, t("models.gated.short")) : null].filter(Boolean);
  const trouble = obstacle(engine, voice, language);
  return el("div", { class: "l-vengine", dataset: { engine: id } },
    el("div", { class: "l-vengine-head" }, mark(TONES[availability.state] || "wait", t(`engines.state.${availability.state}`)), ...takes),
    el("p", { class: "l-hint" }, can), el("p", { class: "l-hint" }, accents),
    trouble ? note(trouble.message, { tone: "warn", iconName: "triangle-alert", hint: trouble.hint,
      more: trouble.models ? [button(t("voice.engine.models"), openModels, { iconName: "download" })] : [] }) : null);
}

/** Who "Automatic" comes to for a voice, as the studio would choose. */
export function autoEngine(voice, language) {
  const able = known.engines.filter((engine) => !engine.draft && !engine.costs_money && !obstacle(engine, voice, language));
  return able[0] || known.engines.find((engine) => engine.draft) || null;
}

function autoOf(voice, language) {
  const engine = autoEngine(voice, language);
  if (!engine) return null;
  return el("p", { class: "l-hint" }, t("voice.engine.auto.now", { engine: engine.draft && voice.sample ? t("voice.draft_match") : engineName(engine.id) }));
}
