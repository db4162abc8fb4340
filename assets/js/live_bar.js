// What can be done with a scene while it is being rendered: keep what is there so far, skip, cancel; and how fast it
// goes. Lies over the live picture; the same verbs are commands for menu and palette.
import { api, button, command, el, fmt, on, pulse, setText, t } from "./core.js";
import { stepTime } from "./plan.js";
import { act, sceneVerbs, state } from "./queues.js";

const PHASES = ["load", "text", "decode", "save"]; // what is done besides the steps that are counted

const SHORT_S = 0.5; // a step that takes less is no news

const asked = new Set(); // scenes that were told it is enough

/** Its engine can stop here, and something is there to be kept. */
export const canKeep = (sceneId, progress) => Boolean(progress?.stops_early) && progress.layer !== "voice" && progress.done > 0
  && !PHASES.includes(progress.phase) && !asked.has(sceneId);

export async function keepSoFar(sceneId) {
  asked.add(sceneId);
  if (!(await act(() => api("POST", `/scenes/${sceneId}/enough`), t("live.enough.asked")))) asked.delete(sceneId);
}

on("now", (now) => {
  for (const id of asked) if (!now.running.some((one) => one.scene_id === id)) asked.delete(id);
});

/** "step 19 / 30 · 4.2 s a step · 0:46 left" */
export function paceWords(progress) {
  if (PHASES.includes(progress?.phase)) return [t(`live.phase.${progress.phase}`), fmt.eta(progress.eta)].filter(Boolean).join(" · ");
  if (!progress?.total) return t("state.starting");
  return [t("stage.step", { done: progress.done, total: progress.total }),
    progress.step_seconds >= SHORT_S ? t("live.step", { time: stepTime(progress.step_seconds) }) : "", fmt.eta(progress.eta)].filter(Boolean).join(" · ");
}

export class LiveBar {
  #scene = "";

  constructor() {
    this.keep = button(t("live.enough"), () => keepSoFar(this.#scene), { iconName: "check", title: t("live.enough.about"), class: "l-btn l-live-keep" });
    const cancel = () => sceneVerbs.cancel(this.#scene);
    this.skip = button(t("live.skip"), cancel, { iconName: "skip-forward", title: t("live.skip.about"), class: "l-btn l-live-skip" });
    this.cancel = button(t("common.cancel"), cancel, { iconName: "square", title: t("live.cancel.about"), class: "l-btn l-live-cancel" });
    this.element = el("div", { class: "l-live-bar", role: "group", "aria-label": t("live.title"), hidden: true }, this.keep, this.skip, this.cancel);
  }

  /** `sceneId`: the scene on stage while it is being rendered, else null. */
  fill(sceneId, progress = null) {
    this.element.hidden = !sceneId;
    this.#scene = sceneId;
    if (!sceneId) return;
    this.keep.hidden = !canKeep(sceneId, progress) && !asked.has(sceneId);
    this.keep.disabled = asked.has(sceneId);
    setText(this.keep.querySelector(".l-btn-label"), t(asked.has(sceneId) ? "live.enough.asked" : "live.enough"));
    this.skip.hidden = !pulse.now?.waiting; // with nothing behind it, skipping is cancelling
    this.cancel.hidden = !this.skip.hidden;
  }
}

const target = (id) => id || state.selected;
command("scene.enough", { label: "live.enough", icon: "check", menu: "scene", group: 5, when: (id) => canKeep(target(id), state.progress[target(id)]), run: (id) => keepSoFar(target(id)) });
