// The scene menu, undo by name, and what the inspector says of a scene that was changed since its takes.
import { api, button, command, el, on, t, toast, typing } from "./core.js";
import { clearPicked, deleteScenes, picking } from "./picked.js";
import { act, card, isVisible, sceneVerbs, state } from "./queues.js";
import { askForScene } from "./sidebar.js";

const CONTINUED = ["text_to_video", "image_to_video", "talking_avatar", "single_shot_extension", "shot_switching_extension"];
const one = (id) => card(id ?? state.selected);
const there = (id) => Boolean(one(id));

command("scene.insert_before", { label: "scene.insert_before", icon: "arrow-up", menu: "scene", group: 10, when: there, run: (id) => askForScene(one(id).number - 1) });
command("scene.insert_after", { label: "scene.insert_after", icon: "arrow-down", menu: "scene", group: 10, when: there, run: (id) => askForScene(one(id).number) });
command("scene.duplicate", { label: "scene.duplicate", icon: "copy", menu: "scene", group: 10, when: there, run: (id) => sceneVerbs.duplicate(one(id).id) });
command("scene.continue", {
  label: "scene.continue", icon: "step-forward", menu: "scene", group: 20, when: (id) => CONTINUED.includes(one(id)?.task_type),
  enabled: (id) => one(id).number > 1 && one(id).state !== "running",
  run: (id) => act(() => api("POST", `/scenes/${one(id).id}/continue`), t("scene.continued")),
});
for (const layer of ["picture", "voice"])
  command(`scene.again_${layer}`, {
    label: `scene.again_${layer}`, icon: layer === "voice" ? "mic" : "refresh-cw", menu: "scene", group: 30,
    when: (id) => (layer === "voice" ? one(id)?.lines.length > 0 : one(id)?.task_type !== "speech") && one(id)?.takes > 0,
    enabled: (id) => !["running", "queued"].includes(one(id).state), run: (id) => again(one(id).id, layer),
  });
command("scene.delete", { label: "common.delete", icon: "trash-2", menu: "scene", group: 90, danger: true, when: there, enabled: (id) => one(id).state !== "running", run: (id) => deleteScenes([one(id).id]) });

for (const way of ["undo", "redo"])
  command(`queue.${way}`, {
    label: `edit.${way}`, icon: { undo: "undo-2", redo: "redo-2" }[way], menu: "queue", group: 3, keys: [way === "undo" ? "Ctrl Z" : "Ctrl ⇧ Z"],
    when: () => Boolean(state.queue?.[way]), params: () => ({ what: whatOf(state.queue?.[way]) }), run: () => step(way),
  });

const whatOf = (entry) => (entry ? t(`edit.verb.${entry.verb}`, { title: entry.title, count: entry.count }) : "");
const again = (id, layer) => act(() => api("POST", `/scenes/${id}/run`, { layers: [layer] }));

async function step(way) {
  const answer = await act(() => api("POST", `/queues/${state.queue.id}/${way}`));
  if (answer) toast(t(`edit.${way}.done`, { what: whatOf(answer.done) }), "", "ok");
}

document.addEventListener("keydown", (event) => {
  if (!isVisible() || document.querySelector("dialog[open], .l-menu")) return;
  if (event.key === "Escape" && picking()) {
    clearPicked();
    return;
  }
  const key = event.key.toLowerCase();
  if (!(event.ctrlKey || event.metaKey) || event.altKey || typing(event)) return;
  const way = key === "z" ? (event.shiftKey ? "redo" : "undo") : key === "y" ? "redo" : "";
  if (!way || !state.queue) return;
  event.preventDefault();
  if (state.queue[way]) step(way);
  else toast(t(`error.edit.nothing_to_${way}`));
});

on("q:open", clearPicked);

/** What was changed since the takes, each with the button that makes only that anew. */
export function changedNote(scene) {
  const layers = scene && !["running", "queued"].includes(scene.state) ? scene.changed || [] : [];
  return layers.map((layer) => el("div", { class: "l-trouble l-trouble-degraded l-changed" },
    el("span", {}, layer === "voice" ? t("scene.changed.voice") : scene.take ? t("scene.changed.picture", { n: scene.take.number }) : ""),
    button(t(layer === "voice" ? "scene.respeak" : "scene.rerender"), () => again(scene.id, layer), { iconName: layer === "voice" ? "mic" : "refresh-cw" })));
}

