// One scene in the list: thumbnail, title, state; opened, everything else. Writes only what differs.
import { el, errorWords, fmt, icon, iconButton, menuOf, openMenu, setAttr, setIcon, setText, t } from "./core.js";
import { deleteScenes, pickRange, picking, togglePick } from "./picked.js";
import { card, sceneVerbs, select, state } from "./queues.js";
import { lipsNode } from "./take_facts.js";
import { TASK_ICONS, mood, noteText, pictureOf, settingsText, standInText, stateText, taskName } from "./words_of.js";

export class SceneRow {
  constructor(id, expanded) {
    this.id = id;
    const p = (this.parts = {
      image: el("img", { loading: "lazy", decoding: "async", alt: "", hidden: true }),
      kind: icon("film"),
      number: el("span", { class: "l-thumb-n" }),
      bar: el("i"),
      title: el("span", { class: "l-scene-title" }),
      time: el("span", { class: "l-mono" }),
      said: el("span", { class: "l-state" }),
      notes: el("span", { class: "l-scene-notes", hidden: true }, icon("message-square"), el("span")),
      approved: el("span", { class: "l-scene-approved", hidden: true }, icon("check")),
      box: el("button", { type: "button", class: "l-pick-box", role: "checkbox", "aria-checked": "false", title: t("picked.pick"),
        "aria-label": t("picked.pick"), onclick: (event) => (event.shiftKey ? pickRange(id) : togglePick(id)) }, icon("check")),
    });
    p.progress = el("span", { class: "l-thumb-bar", hidden: true }, p.bar);
    p.main = el("button", { type: "button", class: "l-scene-main", onclick: (event) => this.pick(event) },
      el("span", { class: "l-thumb" }, p.image, p.kind, p.number, p.progress),
      el("span", { class: "l-scene-words" }, p.title, el("span", { class: "l-scene-meta" }, p.time, p.said, p.approved, p.notes)));
    p.toggle = iconButton("chevron-right", t("scene.details"), () => this.expand(!this.more), { class: "l-ib l-scene-toggle", "aria-expanded": "false" });
    this.element = el("div", { class: "l-scene", role: "listitem", draggable: "true", dataset: { id } }, p.main, p.box, p.toggle);
    this.element.addEventListener("contextmenu", (event) => {
      if (event.target.closest("p, .l-line, input, textarea")) return; // words may be copied
      event.preventDefault();
      openMenu(p.toggle, menuOf("scene", t, this.id));
    });
    this.more = null;
    if (expanded) this.expand(true);
  }

  pick(event) {
    if (event?.shiftKey) return pickRange(this.id);
    if (event?.ctrlKey || event?.metaKey || picking()) return togglePick(this.id);
    select(this.id);
    if (matchMedia("(max-width: 760px)").matches) document.getElementById("l-work").scrollTo({ top: 0 }); // the stage is up there
  }

  fill() {
    const scene = card(this.id);
    if (this.drawn === scene && this.place === state.waiting.get(this.id)) return;
    const p = this.parts;
    const fresh = this.drawn !== scene;
    this.drawn = scene;
    this.place = state.waiting.get(this.id);
    setAttr(this.element, "data-state", mood(scene));
    setText(p.number, fmt.shot(scene.number));
    setText(p.title, scene.title);
    const seconds = scene.take?.duration ?? scene.duration;
    setText(p.time, scene.take?.kind === "image" || seconds === null ? "" : fmt.seconds(seconds));
    setAttr(this.element, "data-draft", scene.take?.draft ? "" : null);
    setAttr(this.element, "data-review", scene.review || null);
    this.fillReview(scene);
    const poster = pictureOf(scene);
    setIcon(p.kind, TASK_ICONS[scene.task_type] || "film");
    if (poster) setAttr(p.image, "src", poster);
    p.image.hidden = !poster;
    this.tick();
    if (this.more && fresh) this.fillMore();
  }

  /** What reviewers said: who approved the take, and how many notes nobody has dealt with. */
  fillReview({ comments, verdicts }) {
    const { approved, notes } = this.parts;
    const names = verdicts.filter((one) => one.approved).map((one) => one.author);
    approved.hidden = !names.length || names.length < verdicts.length; // somebody asks for a retake: the state says so
    setAttr(approved, "title", names.length ? t("notes.approved", { who: names.join(", ") }) : null);
    notes.hidden = !comments.open;
    setText(notes.lastChild, comments.open);
    setAttr(notes, "title", comments.open ? t("notes.open", { count: comments.open }) : null);
  }

  /** What moves every second while the scene is being rendered. */
  tick() {
    const scene = this.drawn;
    const progress = state.progress[this.id];
    const running = scene.state === "running";
    const words = stateText(scene, progress, this.place);
    setText(this.parts.said, words);
    setAttr(this.parts.said, "title", [running ? "" : words, noteText(scene)].filter(Boolean).join(" · ") || null);
    this.parts.progress.hidden = !running;
    if (running) this.parts.bar.style.transform = `scaleX(${progress ? progress.done / Math.max(1, progress.total) : 0})`;
  }

  mark(selected) {
    setAttr(this.element, "data-selected", selected ? "" : null);
    setAttr(this.parts.main, "aria-current", selected ? "true" : null);
  }

  expand(open) {
    if (Boolean(this.more) === open) return;
    setAttr(this.element, "data-open", open ? "" : null);
    setAttr(this.parts.toggle, "aria-expanded", String(open));
    if (!open) {
      this.more.remove();
      this.more = null;
      return;
    }
    this.more = el("div", { class: "l-scene-more" });
    this.element.append(this.more);
    if (card(this.id)) this.fillMore();
  }

  fillMore() {
    const scene = card(this.id);
    const trouble = scene.state === "failed" ? scene.error : scene.blocked;
    const { message, hint } = errorWords(trouble);
    const id = this.id;
    this.more.replaceChildren(
      el("div", { class: "l-scene-facts" }, el("span", { class: "l-tag" }, taskName(scene.task_type)),
        el("span", { class: "l-mono" }, settingsText(scene)), lipsNode(scene.take?.lipsync)),
      el("p", { class: "l-scene-prompt" }, scene.prompt),
      noteText(scene) && el("p", { class: "l-hint" }, noteText(scene)),
      trouble ? el("div", { class: `l-trouble l-trouble-${mood(scene)}` }, el("div", {}, message), hint && el("div", { class: "l-hint" }, hint)) : "",
      scene.retake ? el("div", { class: "l-trouble l-trouble-degraded" }, el("b", {}, t(`state.${scene.review}`)), " ", scene.retake) : "",
      scene.degraded ? el("div", { class: "l-trouble l-trouble-degraded" }, standInText(scene)) : "",
      ...scene.lines.map((line) => el("div", { class: "l-line" }, el("b", {}, line.character || t("scene.voice")), el("span", {}, line.text))),
      el("div", { class: "l-scene-tools" },
        scene.state === "running" || scene.state === "queued"
          ? iconButton("square", t("scene.cancel"), () => sceneVerbs.cancel(id))
          : iconButton(scene.takes ? "refresh-cw" : "play", t("scene.run"), () => sceneVerbs.run(id)),
        iconButton("arrow-up", t("scene.up"), () => sceneVerbs.move(id, -1)),
        iconButton("arrow-down", t("scene.down"), () => sceneVerbs.move(id, 1)),
        iconButton("copy", t("scene.duplicate"), () => sceneVerbs.duplicate(id)),
        iconButton("trash-2", t("common.delete"), () => deleteScenes([id])),
        iconButton("ellipsis", t("common.more"), (event) => openMenu(event.currentTarget, menuOf("scene", t, id)), { "aria-haspopup": "menu" })),
    );
  }
}
