// What reviewers said of the selected scene, in the inspector: who approved its take, and their notes with the frame.
// Draws only what changed. The note that asks for a retake stands with the takes.
import { el, emit, on, t } from "./core.js";
import { fillComments, verdictLines } from "./comments.js";
import { card, select, state } from "./queues.js";

export class SceneNotes {
  constructor({ refresh }) {
    this.refresh = refresh;
    this.shown = false; // those that are dealt with, too
    this.drawn = "";
    this.list = el("ul", { class: "l-notes-list" });
    this.verdicts = el("div", { class: "l-verdicts" });
    this.element = el("section", { class: "l-notes", hidden: true, "aria-label": t("notes.title") });
    this.element.append(el("span", { class: "l-label" }, t("notes.title")), this.verdicts, this.list);
  }

  draw(scene) {
    const drawn = JSON.stringify([scene?.id, scene?.comments, scene?.verdicts, this.shown]);
    if (drawn === this.drawn) return;
    if (scene?.id !== this.scene?.id) this.shown = false;
    this.scene = scene;
    this.drawn = drawn;
    const { comments = [], verdicts = [] } = scene || {};
    this.element.hidden = !comments.length && !verdicts.length;
    this.verdicts.replaceChildren(...verdictLines(verdicts));
    fillComments(this.list, comments, {
      shown: this.shown, changed: this.refresh,
      toggle: () => {
        this.shown = !this.shown;
        this.draw(this.scene);
      },
    });
  }
}

/** What a retake note says besides the lines that its comments wrote: "Ana · 0:02.5: slower". */
export function ownWords(scene) {
  const theirs = (scene.comments || []).filter((one) => one.wish === "retake" && one.state === "open").map((one) => `${one.author} · `);
  return (scene.retake || "").split("\n").filter((line) => !theirs.some((begin) => line.startsWith(begin) && /^\d+:\d\d/.test(line.slice(begin.length)))).join("\n");
}

// the moment that a note is about, in the take that its scene shows now
on("comment:seek", (comment) => {
  const scene = card(comment.scene_id);
  if (comment.queue_id && comment.queue_id !== state.queue?.id) return;
  if (!scene?.take || comment.second === null || comment.second === undefined) return emit("version:play", { ...comment, paused: true });
  select(scene.id);
  return emit("stage:frame", { sceneId: scene.id, second: comment.second });
});
