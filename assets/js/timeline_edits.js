// What can be changed on the timeline, as the studio is asked for it. Every change is an edit that Ctrl+Z takes back.
// Knows REST and the queue, not how anything is drawn.
import { api, on, openMenu, t, toastError } from "./core.js";
import { act, card, sceneVerbs, state } from "./queues.js";

/** kind -> icon, in the order of the menus. */
export const TRANSITIONS = { cut: "transition-cut", dissolve: "transition-dissolve", fade: "transition-fade", dip: "transition-dip" };

const mine = new Map(); // scene id -> the version that our own change made: newer than what the timeline was drawn from
on("q:cards", () => {
  for (const [id, version] of mine) if (!card(id) || card(id).version > version) mine.delete(id); // somebody else's counts
});

/** PATCH of a scene that is refused when somebody else changed it meanwhile. Something true when it went well. */
export async function changeScene(sceneId, version, changes) {
  const known = String(Math.max(version, mine.get(sceneId) || 0));
  return act(async () => {
    const answer = await api("PATCH", `/scenes/${sceneId}`, changes, { headers: { "If-Match": known } });
    mine.set(sceneId, answer.version);
    return answer;
  });
}

export const saveTrim = (clip) => changeScene(clip.scene_id, clip.version, { trim_start: clip.trim[0], trim_end: clip.trim[1] });

/** The transition of a scene into the next one, chosen in a menu under `anchor`. */
export function openTransitions(anchor, sceneId, changed = () => {}) {
  const now = card(sceneId);
  openMenu(anchor, Object.entries(TRANSITIONS).map(([kind, icon]) => ({
    label: t(`form.transition.${kind}`), icon: kind === now.transition ? "check" : icon,
    onclick: async () => (await changeScene(sceneId, card(sceneId).version, { transition: kind })) && changed(),
  })));
}

/** Puts a clip of the film before `next` (a scene id, or null: at the end of the film). */
export function moveClip(sceneId, next) {
  const others = state.order.filter((id) => id !== sceneId);
  const last = others.findLastIndex((id) => card(id).in_cut);
  return sceneVerbs.place(sceneId, next ? others.indexOf(next) : last + 1);
}

/** Reads a scene's effects, changes them, writes them back. `change([effect]) -> [effect]`. */
export async function changeEffects(sceneId, change) {
  try {
    const { scene, version } = await api("GET", `/scenes/${sceneId}`);
    return await changeScene(sceneId, version, { effects: change(scene.effects) });
  } catch (error) {
    toastError(error);
    return null;
  }
}

export const removeEffect = (sceneId, index) => changeEffects(sceneId, (all) => all.filter((_, n) => n !== index));

/** To another second of its scene, or into another scene. */
export async function moveEffect(sceneId, index, target, at) {
  const second = Math.max(0, Math.round(at * 1000) / 1000);
  if (target === sceneId) return changeEffects(sceneId, (all) => all.map((effect, n) => (n === index ? { ...effect, at: second } : effect)));
  let moved = null;
  const taken = await changeEffects(sceneId, (all) => {
    moved = all[index];
    return all.filter((_, n) => n !== index);
  });
  return taken && changeEffects(target, (all) => [...all, { ...moved, at: second }]);
}

/** A sound from the desktop, laid under a scene. */
export async function addEffect(sceneId, file, at) {
  const body = new FormData();
  body.append("file", file);
  try {
    const asset = await api("POST", "/assets", body);
    if (asset.kind !== "audio") throw { code: "", message: t("film.music.wrong"), hint: "" };
    return await changeEffects(sceneId, (all) => [...all, { ref: asset.ref, at: Math.max(0, Math.round(at * 1000) / 1000) }]);
  } catch (error) {
    toastError(error);
    return null;
  }
}

export const isSound = (item) => item.kind === "file" && item.type.startsWith("audio/");
