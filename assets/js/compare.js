// Two takes of one scene side by side, or one under the other with a line to wipe: one clock, one set of controls, the
// sound of either. Select, lock and rate from there. Knows takes by REST and how to keep two videos in step (sync.js).
import { api, el, fmt, iconButton, on, setAttr, setIcon, setText, t, toastError, urls } from "./core.js";
import { act } from "./queues.js";
import { focusOn } from "./review.js";
import { Pair } from "./sync.js";
import { stars } from "./takes_row.js";
import { engineName } from "./words_of.js";

const SPEEDS = [1, 2, 4, 0.5];
const NAMES = ["A", "B"];

export class Compare {
  #scene = null; // id
  #takes = []; // of the scene, newest first
  #chosen = [null, null]; // take ids
  #turn = 0;

  constructor() {
    this.sides = NAMES.map((name, i) => this.#side(name, i));
    this.pair = new Pair(this.sides[0].video, this.sides[1].video, { ontime: () => this.#paint() });
    this.mode = localStorage.getItem("lanterna_compare") === "wipe" ? "wipe" : "side";
    this.hears = 0;
    this.#build();
    on("q:cards", ({ changed }) => this.element.isConnected && !this.element.hidden && changed.includes(this.#scene) && this.#read());
  }

  // ---------------------------------------------------------------------------------------------- what is shown
  /** The take that is shown and the newest other one, or what was compared last in this scene. */
  async open(sceneId) {
    if (sceneId !== this.#scene) this.#chosen = [null, null];
    this.#scene = sceneId;
    await this.#read();
    this.#focus(0);
  }

  get sceneId() {
    return this.#scene;
  }

  close() {
    this.pair.videos.forEach((video) => video.pause());
    focusOn(null);
  }

  async #read() {
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const scene = await api("GET", `/scenes/${this.#scene}`);
      if (turn !== this.#turn) return;
      this.#takes = scene.take_list.filter((take) => take.kind !== "audio");
    } catch (error) {
      if (error.status !== 404) toastError(error);
      return;
    }
    const here = (id) => this.#takes.some((take) => take.id === id);
    const selected = this.#takes.find((take) => take.selected) || this.#takes[0];
    this.#chosen = this.#chosen.map((id) => (here(id) ? id : null));
    this.#chosen[0] ??= selected?.id ?? null;
    this.#chosen[1] ??= this.#takes.find((take) => take.id !== this.#chosen[0])?.id ?? null;
    this.#draw();
  }

  #take(side) {
    return this.#takes.find((take) => take.id === this.#chosen[side]) || null;
  }

  #draw() {
    this.sides.forEach((side, i) => {
      const take = this.#take(i);
      if (!take) return;
      if (side.id !== take.id) this.#load(side, take);
      side.choice.replaceChildren(...this.#takes.map((one) => el("option", { value: one.id, selected: one.id === take.id },
        [t("take.number", { n: one.number }), one.rating ? `${one.rating} ★` : ""].filter(Boolean).join(" · "))));
      side.choice.value = take.id;
      setText(side.facts, [t("scene.seed", { seed: take.seed }), engineName(take.engine), fmt.seconds(take.duration)].join(" · "));
      const mark = (marks) => act(() => api("PATCH", `/takes/${take.id}`, marks));
      side.tools.replaceChildren(
        stars(take, (rating) => mark({ rating })),
        iconButton(take.locked ? "lock" : "lock-open", t(take.locked ? "take.unlock" : "take.lock"), () => mark({ locked: !take.locked }), { "aria-pressed": String(take.locked) }),
        iconButton("check", t(take.selected ? "compare.selected" : "compare.select"), () => mark({ selected: true }), { "aria-pressed": String(take.selected) }));
    });
    this.#focus(this.focused);
    this.#hear(this.hears);
  }

  #load(side, take) {
    side.id = take.id;
    const still = take.kind === "image";
    side.picture.hidden = !still;
    side.video.hidden = still;
    if (still) setAttr(side.picture, "src", urls.file(take.id));
    else {
      const at = this.pair.time;
      side.video.poster = urls.poster(take.id);
      side.video.src = urls.file(take.id);
      side.video.addEventListener("loadedmetadata", () => this.pair.seek(at), { once: true });
      this.pair.frame = 1 / (take.fps || 24);
    }
    this.element.style.setProperty("--ratio", (take.width || 16) / (take.height || 9));
    setAttr(this.element, "data-still", still ? "" : null);
  }

  // ---------------------------------------------------------------------------------------------- verbs, as a player has
  toggle() {
    this.pair.toggle();
  }

  pause() {
    this.pair.pause();
  }

  seek(seconds) {
    this.pair.seek(seconds);
  }

  jump(seconds) {
    this.pair.jump(seconds);
  }

  step(frames) {
    this.pair.step(frames);
  }

  faster() {
    const next = this.pair.playing ? SPEEDS[(SPEEDS.indexOf(this.pair.rate) + 1) % SPEEDS.length] : 1;
    this.pair.speed(next);
    if (!this.pair.playing) this.pair.play();
    this.#paint();
  }

  /** The sound of the other one, then of none. */
  mute() {
    this.#hear(this.hears === 0 ? 1 : this.hears === 1 ? null : 0);
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.element.requestFullscreen();
  }

  // ---------------------------------------------------------------------------------------------- inside
  #side(name, i) {
    const side = { id: null };
    side.video = el("video", { playsinline: true, preload: "auto", muted: i === 1 });
    side.picture = el("img", { alt: "", hidden: true });
    side.choice = el("select", { class: "l-select", "aria-label": t("compare.take", { name }), onchange: () => {
      this.#chosen[i] = side.choice.value;
      this.#draw();
    } });
    side.facts = el("span", { class: "l-mono l-compare-facts" });
    side.tools = el("span", { class: "l-compare-tools" });
    side.bar = el("div", { class: "l-compare-bar" }, el("b", {}, name), side.choice, side.facts, side.tools);
    side.frame = el("div", { class: "l-compare-frame", dataset: { side: name } }, side.video, side.picture, el("span", { class: "l-compare-name" }, name));
    side.frame.addEventListener("pointerdown", () => this.#focus(i));
    side.bar.addEventListener("pointerdown", () => this.#focus(i));
    return side;
  }

  #build() {
    const [a, b] = this.sides;
    this.line = el("div", { class: "l-wipe", role: "slider", tabindex: 0, "aria-label": t("compare.wipe"), "aria-valuemin": 0, "aria-valuemax": 100 }, el("i"));
    this.screens = el("div", { class: "l-compare-screens" }, a.frame, b.frame, this.line);
    this.clock = el("b");
    this.length = el("span");
    this.speedWords = el("span", { class: "l-mono l-speed" });
    this.bar = el("i");
    this.track = el("div", { class: "l-compare-track", role: "slider", tabindex: 0, "aria-label": t("player.seek"), "aria-valuemin": 0 }, this.bar);
    this.main = iconButton("play", t("player.play"), () => this.toggle(), { class: "l-ib l-ib-main" });
    this.kind = iconButton("square-split-horizontal", t("compare.wipe"), () => this.#arrange(this.mode === "wipe" ? "side" : "wipe"));
    this.sounds = this.sides.map((_, i) => el("button", { type: "button", onclick: () => this.#hear(this.hears === i ? null : i) }, NAMES[i]));
    const sound = el("div", { class: "l-seg l-compare-sound", role: "group", "aria-label": t("compare.sound") }, this.sounds);
    this.element = el("div", { class: "l-compare" }, this.screens,
      el("div", { class: "l-compare-bars" }, a.bar, b.bar),
      this.track,
      el("div", { class: "l-controls" },
        el("div", { class: "l-timecode l-mono" }, this.clock, " / ", this.length, this.speedWords),
        el("div", { class: "l-controls-mid" }, iconButton("skip-back", t("compare.back"), () => this.step(-1)), this.main,
          iconButton("skip-forward", t("compare.forth"), () => this.step(1))),
        el("div", { class: "l-controls-end" }, sound, this.kind, iconButton("maximize", t("player.fullscreen"), () => this.fullscreen()))));
    this.screens.addEventListener("click", (event) => event.target.closest(".l-wipe") || this.toggle());
    drag(this.track, (share) => this.seek(share * this.pair.total), (step) => this.step(step));
    drag(this.screens, (share) => this.#wipe(share), null, () => this.mode === "wipe", this.line);
    this.line.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      this.#wipe(this.share + step);
    });
    this.#arrange(this.mode);
    this.#wipe(0.5);
  }

  #arrange(mode) {
    this.mode = mode;
    localStorage.setItem("lanterna_compare", mode);
    setAttr(this.screens, "data-mode", mode);
    setAttr(this.kind, "aria-pressed", String(mode === "wipe"));
  }

  #wipe(share) {
    this.share = Math.min(1, Math.max(0, share));
    this.screens.style.setProperty("--wipe", `${(this.share * 100).toFixed(2)}%`);
    setAttr(this.line, "aria-valuenow", Math.round(this.share * 100));
  }

  #focus(i) {
    this.focused = i ?? 0;
    this.sides.forEach((side, at) => setAttr(side.bar, "data-focused", at === this.focused ? "" : null));
    focusOn(this.#take(this.focused));
  }

  #hear(i) {
    this.hears = i;
    this.sides.forEach((side, at) => (side.video.muted = at !== i));
    this.sounds.forEach((node, at) => setAttr(node, "aria-pressed", String(at === i)));
  }

  #paint() {
    const { pair } = this;
    setText(this.clock, fmt.time(pair.time));
    setText(this.length, fmt.time(pair.total));
    setText(this.speedWords, pair.rate === 1 ? "" : `${pair.rate}×`);
    this.bar.style.transform = `scaleX(${pair.total ? Math.min(1, pair.time / pair.total) : 0})`;
    setAttr(this.track, "aria-valuemax", pair.total.toFixed(1));
    setAttr(this.track, "aria-valuenow", pair.time.toFixed(1));
    setIcon(this.main.firstChild, pair.playing ? "pause" : "play");
    setAttr(this.main, "aria-label", t(pair.playing ? "player.pause" : "player.play"));
  }
}

/** Pointer and arrow keys on a bar: `to(share)` while it is dragged, `by(-1 | 1)` per key. */
function drag(box, to, by, may = () => true, grip = box) {
  const at = (event) => {
    const { left, width } = box.getBoundingClientRect();
    to((event.clientX - left) / width);
  };
  grip.addEventListener("pointerdown", (event) => {
    if (!may()) return;
    event.preventDefault();
    grip.setPointerCapture(event.pointerId);
    at(event);
    grip.onpointermove = at;
  });
  for (const name of ["pointerup", "pointercancel"]) grip.addEventListener(name, () => (grip.onpointermove = null));
  if (by) grip.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    by(step);
  });
}
