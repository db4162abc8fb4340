// One take, large: the player, everything that made it, and what can be done with it.
import { api, button, el, fmt, has, icon, iconButton, openDialog, setAttr, t, toastError, typing, urls } from "./core.js";
import { copy } from "./copying.js";
import { useSettings } from "./generate.js";
import { OWNERS } from "./me.js";
import { Player, itemOf } from "./player.js";
import { openClip } from "./take_clip.js";
import { stepTime } from "./plan.js";
import { lipsNode, missingNode } from "./take_facts.js";
import { titleOf } from "./tiles.js";
import { engineName, standInText, taskName } from "./words_of.js";

/**
 * openTake(id, {trashed, queueName(take), after(id, step) -> id | undefined, remove(id) -> Promise<bool>, restore(id),
 * forever(id), changed(take)}).
 * Arrow keys go to the neighbours.
 */
export async function openTake(id, { trashed = false, queueName = (one) => one.queue, after = () => undefined, remove, restore, forever, changed = () => {} }) {
  const player = new Player({ onprev: () => go(-1), onnext: () => go(1) });
  const side = el("div", { class: "l-take-side" });
  const content = el("div", { class: "l-take l-host" }, el("div", { class: "l-take-stage" }, player.element), side);
  let take = null;
  let dialog = null;

  async function load(takeId) {
    try {
      take = await api("GET", `/takes/${takeId}`);
    } catch (error) {
      return toastError(error);
    }
    if (!dialog) {
      dialog = openDialog({ title: titleOf(take), content, className: "l-take-dialog", onclose: () => player.empty() });
      dialog.addEventListener("keydown", keys);
    }
    dialog.querySelector("h2").textContent = titleOf(take);
    player.load([itemOf(take, { title: titleOf(take) })], { play: take.kind !== "image" });
    side.replaceChildren(...aside());
  }

  function go(step) {
    const next = after(take.id, step);
    if (next) load(next);
  }

  function keys(event) {
    if (typing(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { ArrowLeft: () => go(-1), ArrowRight: () => go(1), " ": () => player.toggle(), f: () => player.fullscreen() }[event.key];
    if (!act || (event.key === " " && event.target.closest("button, a"))) return;
    event.preventDefault();
    act();
  }

  function aside() {
    const { settings = {} } = take;
    const shown = [
      ["gallery.fact.task", taskName(take.task_type)],
      ["gallery.fact.engine", engineName(take.engine)],
      ["gallery.fact.size", take.width ? `${take.width} × ${take.height}` : ""],
      ["gallery.fact.length", take.kind === "image" ? "" : fmt.seconds(take.duration)],
      ["gallery.fact.rate", take.kind === "video" && take.fps ? `${fmt.number(take.fps)} fps` : ""],
      ["gallery.fact.seed", String(take.seed ?? ""), () => copy(String(take.seed), "gallery.copied.seed"), "gallery.copy.seed"],
      ["gallery.fact.profile", has(`form.profile.${take.profile}`) ? t(`form.profile.${take.profile}`) : take.profile],
      ["gallery.fact.lips", lipsNode(take.facts?.lipsync, { id: "take-lips" })],
      ["gallery.fact.missing", missingNode(take.missing)],
      ...making(take.facts || {}),
      ["gallery.fact.queue", queueName(take)],
      ["gallery.fact.number", String(take.number ?? "")],
      ["gallery.fact.made", fmt.date(take.created)],
      ["gallery.fact.bytes", take.bytes ? fmt.bytes(take.bytes) : ""],
      ["gallery.fact.negative", settings.negative_prompt],
    ].filter(([, value]) => value);
    const prompt = settings.prompt ?? take.prompt;
    return [
      take.degraded ? el("p", { class: "l-take-degraded" }, icon("triangle-alert"), standInText(take)) : null,
      ...(take.facts?.notes || []).map((name) => el("p", { class: "l-take-degraded" }, icon("triangle-alert"), t(`gallery.note.${name}`))),
      prompt ? el("div", { class: "l-take-prompt" }, el("p", {}, prompt),
        iconButton("copy", t("gallery.copy.prompt"), () => copy(prompt, "gallery.copied.prompt"), { id: "take-copy-prompt" })) : null,
      settings.lines?.length ? el("div", { class: "l-take-lines" }, settings.lines.map((line) => el("p", {},
        line.character ? el("b", {}, line.character) : null, el("span", {}, line.text)))) : null,
      el("dl", { class: "l-take-facts" }, shown.map(([key, value, act, label]) => [
        el("dt", {}, t(key)), el("dd", {}, el("span", {}, value), act ? iconButton("copy", t(label), act) : null)])),
      el("details", { class: "l-take-all" }, el("summary", {}, t("gallery.all_settings")),
        el("pre", { class: "l-mono" }, JSON.stringify(settings, null, 1))),
      el("div", { class: "l-take-tools" }, ...tools()),
    ].filter(Boolean);
  }

  function tools() {
    if (trashed) {
      return [button(t("gallery.restore"), async () => (await restore(take.id)) && dialog.close(), { kind: "primary", iconName: "rotate-ccw", id: "take-restore" }),
        button(t("gallery.forever"), async () => (await forever(take.id)) && dialog.close(), { kind: "danger", iconName: "trash-2", id: "take-forever", ...OWNERS })];
    }
    const hide = iconButton(take.private ? "eye-off" : "eye", "", () => toggle(), { id: "take-private", "aria-pressed": String(take.private) });
    const name = t(take.private ? "gallery.make_open" : "gallery.make_private");
    setAttr(hide, "title", name);
    setAttr(hide, "aria-label", name);
    return [
      button(t("generate.use"), () => {
        dialog.close();
        useSettings(take);
      }, { kind: "primary", iconName: "sliders-horizontal", id: "take-use" }),
      el("a", { class: "l-btn", id: "take-download", href: urls.download(take.id), download: "" }, icon("download"),
        el("span", { class: "l-btn-label" }, t("generate.download"))),
      hide,
      take.kind === "audio" ? null : iconButton("image-play", t("clip.menu"), () => openClip(take), { id: "take-clip" }),
      iconButton("trash-2", t("gallery.delete"), async () => (await remove(take.id)) && dialog.close(), { id: "take-delete" }),
    ];
  }

  async function toggle() {
    try {
      const marked = await api("PATCH", `/takes/${take.id}`, { private: !take.private });
      take = { ...take, private: marked.private };
      changed(take);
      side.replaceChildren(...aside());
    } catch (error) {
      toastError(error);
    }
  }

  await load(id);
}

/** How it was made: the model's revision, its steps and their pace, the memory it took. */
const making = ({ revision, steps, stopped_at: early, step_seconds: pace, peak_bytes: peak, ram_peak_bytes: ram, phases = {} }) => [
  ["gallery.fact.revision", revision ? String(revision).slice(0, 12) : ""],
  ["gallery.fact.steps", steps ? (early === undefined ? String(steps) : t("gallery.fact.steps.early", { done: steps })) : ""],
  ["gallery.fact.pace", pace ? stepTime(pace) : ""],
  ["gallery.fact.peak", peak || ram ? fmt.bytes(peak || ram) : ""],
  ["gallery.fact.took", took(phases)],
];

const took = (phases) => {
  const seconds = Object.values(phases).reduce((sum, one) => sum + one, 0);
  return seconds ? fmt.rough(seconds) : "";
};
