// The lines of the selected scene in the inspector: hear each, choose one of its takes, have it spoken (again).
// Knows REST and the card; the form beside it writes the words.
import { api, el, errorWords, fmt, icon, iconButton, setAttr, t, urls } from "./core.js";
import { act } from "./queues.js";
import { engineName } from "./words_of.js";

/** One row per line, in order; nothing where a scene has no lines. */
export function lineRows(scene, refresh) {
  const lines = scene?.scene?.lines || [];
  const byLine = new Map(lines.map((line) => [line.id, []]));
  for (const take of scene?.voice_list || []) byLine.get(take.line_id)?.push(take);
  return lines.map((line) => lineRow(scene, line, byLine.get(line.id).sort((a, b) => a.number - b.number), refresh));
}

/** What a row shows, so that it is drawn again only where that changed. */
export const linesDrawn = (scene) => [
  (scene?.scene?.lines || []).map((line) => [line.id, line.character, line.text]),
  (scene?.voice_list || []).map((take) => [take.id, take.selected, take.locked]),
];

function lineRow(scene, line, takes, refresh) {
  const chosen = takes.find((take) => take.selected);
  const speak = () => act(() => api("POST", `/queues/${scene.queue_id}/speak`, { lines: [line.id] })).then(refresh);
  return el("div", { class: "l-line-card", role: "group", "aria-label": `${line.character || t("scene.voice")}: ${line.text}` },
    el("div", { class: "l-line l-line-take" },
      chosen ? playButton(chosen) : iconButton("mic", t("line.speak"), speak),
      el("b", {}, line.character || t("scene.voice")),
      el("span", { title: line.text }, line.text),
      el("span", { class: "l-mono" }, chosen ? fmt.seconds(chosen.duration) : ""),
      chosen ? iconButton("refresh-cw", t("line.again"), speak) : null),
    chosen ? el("div", { class: "l-line-facts" }, takes.length > 1 ? chips(takes, refresh) : null, ...facts(chosen))
      : el("div", { class: "l-line-facts" }, el("span", { class: "l-dim" }, t("line.unspoken"))));
}

function playButton(take) {
  const sound = el("audio", { src: urls.file(take.id), preload: "none" });
  const play = iconButton("play", t("player.play"), () => (sound.paused ? sound.play() : sound.pause()));
  for (const name of ["play", "pause", "ended"])
    sound.addEventListener(name, () => {
      play.firstChild.className = `l-ic l-ic-${sound.paused ? "play" : "pause"}`;
      setAttr(play, "aria-label", t(sound.paused ? "player.play" : "player.pause"));
    });
  return el("span", { class: "l-line-play" }, play, sound);
}

/** The takes of a line by number; pressing one lets it speak from now on. */
function chips(takes, refresh) {
  const choose = (take) => act(() => api("PATCH", `/takes/${take.id}`, { selected: true })).then(refresh);
  return el("span", { class: "l-line-chips", role: "radiogroup", "aria-label": t("line.takes") }, takes.map((take) => {
    const name = t("line.take", { n: take.number, seconds: fmt.seconds(take.duration), engine: engineName(take.engine) });
    return el("button", { type: "button", role: "radio", class: "l-line-chip l-mono", "aria-checked": String(take.selected), "aria-label": name, title: name, onclick: () => choose(take) },
      String(take.number), take.locked ? icon("lock") : null);
  }));
}

function facts(take) {
  const degraded = take.degraded ? errorWords(typeof take.degraded === "string" ? { code: take.degraded } : take.degraded).message : "";
  return [
    el("span", { class: "l-dim" }, take.draft ? t("take.draft") : engineName(take.engine)),
    degraded ? el("span", { class: "l-amber", title: degraded }, degraded) : null,
  ].filter(Boolean);
}
