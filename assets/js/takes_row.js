// The takes of the selected scene in the inspector: pick, lock, rate, throw away; the retake note; more seeds; compare.
// Draws only what changed. Knows REST and the verbs of review.js, not the form beside it.
import { api, el, emit, icon, iconButton, menuOf, openMenu, t, urls } from "./core.js";
import { lineRows, linesDrawn } from "./lines_row.js";
import { act } from "./queues.js";
import { askForRetake, askForSeeds, discardTake, rate } from "./review.js";
import { ownWords } from "./scene_notes.js";
import { lipsNode, missingNode } from "./take_facts.js";
import { engineName } from "./words_of.js";

const STARS = [1, 2, 3, 4, 5];

export class TakesRow {
  constructor({ refresh }) {
    this.refresh = refresh;
    this.element = el("div", { class: "l-takes", role: "list", "aria-label": t("take.title") });
    this.drawn = "";
  }

  draw(scene) {
    const takes = (scene?.take_list || []).filter((take) => take.layer === "picture" && !take.trashed);
    const drawn = JSON.stringify([scene?.id, scene?.retake, scene?.review, scene?.comments?.length, linesDrawn(scene),
      takes.map((take) => [take.id, take.selected, take.locked, take.rating, take.note])]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    takes.sort((a, b) => b.number - a.number);
    this.element.replaceChildren(
      ...(takes.length ? [this.#head(scene, takes)] : []),
      ...(takes.length && scene.retake ? [this.#note(scene)] : []),
      el("div", { class: "l-pick-row" }, takes.map((take) => this.#tile(take))),
      ...[lipsNode(takes.find((take) => take.selected)?.lipsync)].filter(Boolean),
      ...(scene?.voice_list?.length ? [el("div", { class: "l-label" }, t("scene.spoken")), ...lineRows(scene, this.refresh)] : []));
  }

  #head(scene, takes) {
    const more = (event) => openMenu(event.currentTarget, [
      { label: t("take.seeds"), icon: "dices", onclick: () => askForSeeds(scene.id) },
      { label: t(scene.retake ? "take.retake.edit" : "take.retake"), icon: "flag", onclick: () => askForRetake(scene.id) },
      null, ...menuOf("take", t, takes.find((take) => take.selected)),
    ]);
    return el("div", { class: "l-takes-head" }, el("span", { class: "l-label" }, t("take.title")),
      takes.length > 1 ? iconButton("columns-2", t("compare.title"), () => emit("compare", null)) : null,
      iconButton("flag", t("take.retake"), () => askForRetake(scene.id), { "aria-pressed": String(Boolean(scene.retake)), class: "l-ib l-flag" }),
      iconButton("ellipsis", t("common.more"), more, { "aria-haspopup": "menu" }));
  }

  #note(scene) {
    const answered = scene.review === "retaken";
    const withdraw = () => act(() => api("PUT", `/scenes/${scene.id}/retake`, { note: null })).then(this.refresh);
    return el("div", { class: "l-trouble l-trouble-degraded l-retake-note" },
      el("div", {}, el("b", {}, t(answered ? "state.retaken" : "state.retake")), " ", ownWords(scene) || t("notes.below")),
      el("div", { class: "l-retake-tools" },
        iconButton("pencil", t("take.retake.edit"), () => askForRetake(scene.id)),
        iconButton("x", t("take.retake.withdraw"), withdraw)));
  }

  #tile(take) {
    const mark = (marks) => act(() => api("PATCH", `/takes/${take.id}`, marks)).then(this.refresh);
    const facts = [t("take.number", { n: take.number }), t("scene.seed", { seed: take.seed }), engineName(take.engine), take.note].filter(Boolean).join(" · ");
    return el("div", { class: "l-pick", role: "listitem", "data-selected": String(take.selected), dataset: { id: take.id } },
      el("button", { type: "button", class: "l-pick-main", onclick: () => mark({ selected: true }), title: facts, "aria-label": facts, "aria-pressed": String(take.selected) },
        take.kind === "audio" ? icon("mic") : el("img", { src: urls.poster(take.id), alt: "", loading: "lazy" }),
        el("span", { class: "l-pick-n" }, String(take.number)),
        take.note ? el("span", { class: "l-pick-flag" }, icon("flag")) : null,
        take.draft ? el("span", { class: "l-stamp" }, t("take.draft")) : null),
      el("div", { class: "l-pick-facts l-mono" }, el("span", { title: facts }, String(take.seed)),
        iconButton(take.locked ? "lock" : "lock-open", t(take.locked ? "take.unlock" : "take.lock"), () => mark({ locked: !take.locked }), { "aria-pressed": String(take.locked) })),
      el("div", { class: "l-pick-facts" }, stars(take, (n) => rate(take.id, n).then(this.refresh)),
        iconButton("trash-2", t("gallery.delete"), () => discardTake(take).then(this.refresh))));
  }
}

/** Five buttons; pressing the present rating takes it away. */
export function stars(take, onrate) {
  const box = el("span", { class: "l-stars", role: "group", "aria-label": t("take.rating") });
  for (const n of STARS) {
    const on = n <= (take.rating || 0);
    box.append(iconButton("star", t("take.stars", { count: n }), () => onrate(n === take.rating ? 0 : n), { "aria-pressed": String(on) }));
  }
  return box;
}
