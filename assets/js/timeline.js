// The timeline under the player: what the film of the open queue would be, on its clock. Asks the studio for it when
// something of the film was changed, patches what is near the screen, follows the player. Plays nothing by itself.
import { api, command, debounce, el, fmt, icon, iconButton, on, setAttr, t } from "./core.js";
import { openFilm } from "./film_dialog.js";
import { ordered, select, state } from "./queues.js";
import { Gestures } from "./timeline_drag.js";
import { openTransitions, saveTrim } from "./timeline_edits.js";
import { Lanes } from "./timeline_lanes.js";
import { Film } from "./timeline_model.js";

const RULER_STEPS = [0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];
const RULER_PX = 62;
const LEAST_PX = 30; // of an average clip where the whole film is shown: below that it scrolls
const MOST_PPS = 400; // pixels per second
const AHEAD = 0.5; // of a screen is drawn beyond both edges
const ZOOM = 1.5;

export class Timeline {
  /** onseek(sceneId, second of its take): play the film there. onframe(sceneId, second): show that frame. onpause(). */
  constructor({ onseek, onframe, onpause }) {
    Object.assign(this, { onseek, onframe, onpause, film: null, at: 0, zoomed: null, steady: null, known: "" });
    this.lanes = new Lanes({ redraw: () => this.drawSoon(), onmark: (node, id) => openTransitions(node, id), onmusic: () => openFilm("sound") });
    this.ruler = el("div", { class: "l-ruler", "aria-hidden": "true" });
    this.head = el("div", { class: "l-playhead", role: "slider", "aria-label": t("timeline.playhead"), "aria-valuemin": 0 });
    this.guide = el("div", { class: "l-guide", hidden: true });
    this.tip = el("div", { class: "l-tl-tip l-mono", hidden: true });
    this.inner = el("div", { class: "l-tl-inner" }, this.ruler, ...this.lanes.elements, this.guide, this.head, this.tip);
    this.scroll = el("div", { class: "l-tl-scroll", tabindex: 0, role: "group", "aria-label": t("timeline.title") }, this.inner);
    const head = (name, iconName) => el("div", { class: `l-tl-head l-tl-head-${name}`, title: t(`timeline.${name}`) }, icon(iconName), el("span", {}, t(`timeline.${name}`)));
    this.element = el("div", { class: "l-tl" },
      el("div", { class: "l-tl-heads" },
        el("div", { class: "l-tl-zoom" },
          iconButton("minus", t("timeline.zoom_out"), () => this.zoom(1 / ZOOM)),
          iconButton("move-horizontal", t("timeline.fit"), () => this.fit()),
          iconButton("plus", t("timeline.zoom_in"), () => this.zoom(ZOOM))),
        head("picture", "film"), head("voice", "mic"), head("effects", "audio-lines"), head("music", "music")),
      this.scroll);
    this.gestures = new Gestures(this);
    this.#listen();
  }

  #listen() {
    this.scroll.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.scroll.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    this.scroll.addEventListener("keydown", (event) => this.#keys(event));
    new ResizeObserver(() => this.draw()).observe(this.scroll);
    on("q:open", () => this.forget());
    on("q:cards", () => this.fill());
    on("q:list", () => this.fill()); // music, titles and frame belong to the queue
    on("q:progress", () => this.drawSoon());
    on("q:select", () => this.drawSoon());
  }

  // ---------------------------------------------------------------------------------------------- what is known
  forget() {
    Object.assign(this, { film: null, at: 0, zoomed: null, known: "" });
    this.scroll.scrollLeft = 0;
    this.draw();
  }

  get shown() {
    return !this.element.hidden;
  }

  /** Asks for the film again where something that it is made of was changed. */
  fill() {
    if (!this.shown || !state.queue) return;
    const known = madeOf();
    if (known !== this.known) this.ask();
  }

  ask = debounce(async () => {
    const { queue } = state;
    if (!queue || this.gestures.busy) return;
    const known = madeOf();
    try {
      const view = await api("GET", `/queues/${queue.id}/timeline`);
      if (queue.id !== state.queue?.id || this.gestures.busy) return;
      this.known = known;
      this.film = new Film(view);
      this.draw();
    } catch {
      // the studio is away, and the pulse says so: the next change asks again
    }
  }, 120);

  /** After a change that the studio refused: what it has counts. */
  refuse() {
    this.known = "";
    this.ask();
  }

  // ---------------------------------------------------------------------------------------------- drawing
  drawSoon() {
    if (this.due || !this.shown) return;
    this.due = requestAnimationFrame(() => {
      this.due = 0;
      this.draw();
    });
  }

  /** Half of what was drawn ahead may be scrolled through before more has to be drawn. */
  #scrolled() {
    if (Math.abs(this.scroll.scrollLeft - this.drawnAt) > (this.scroll.clientWidth * AHEAD) / 2) this.drawSoon();
  }

  draw() {
    if (!this.shown) return;
    const film = this.film || EMPTY;
    const room = this.scroll.clientWidth;
    this.seconds = film.seconds;
    const whole = film.seconds ? (room - 24) / film.seconds : 0;
    this.least = film.seconds ? Math.max(whole, (LEAST_PX * film.clips.length) / film.seconds / 4) : 0;
    this.fitting = Math.max(whole, film.seconds ? (LEAST_PX * film.clips.length) / film.seconds : 0);
    this.pps = this.steady ? this.steady : this.zoomed ? Math.min(MOST_PPS, Math.max(this.least, this.zoomed)) : this.fitting;
    const width = `${Math.max(room, Math.ceil(film.seconds * this.pps) + 24)}px`;
    if (this.inner.style.width !== width) this.inner.style.width = width;
    this.drawnAt = this.scroll.scrollLeft;
    const from = this.drawnAt / (this.pps || 1);
    const span = room / (this.pps || 1);
    setAttr(this.element, "data-effects", film.effects.length || this.awaiting ? "" : null);
    this.#ruler(from - span * AHEAD, from + span * (1 + AHEAD));
    this.lanes.draw(film, { pps: this.pps, from: from - span * AHEAD, to: from + span * (1 + AHEAD) });
    this.#place();
  }

  #ruler(from, to) {
    const step = RULER_STEPS.find((seconds) => seconds * this.pps >= RULER_PX) || 3600;
    const first = Math.max(0, Math.floor(from / step));
    const last = this.pps ? Math.min(Math.floor((this.seconds - RULER_PX / 2 / this.pps) / step), Math.ceil(to / step)) : -1;
    const key = `${step} ${this.pps} ${first} ${last}`;
    if (key === this.ruled) return;
    this.ruled = key;
    this.ruler.replaceChildren(...Array.from({ length: Math.max(0, last - first + 1) }, (_, n) => {
      const at = (first + n) * step;
      return el("span", { style: { transform: `translateX(${(at * this.pps).toFixed(1)}px)` } }, step < 1 ? fmt.time(at) : fmt.clock(at));
    }));
  }

  #place() {
    this.head.hidden = !this.film?.clips.length;
    this.head.style.transform = `translateX(${(this.at * this.pps).toFixed(1)}px)`;
    setAttr(this.head, "aria-valuemax", this.seconds?.toFixed(2));
    setAttr(this.head, "aria-valuenow", this.at.toFixed(2));
    setAttr(this.head, "aria-valuetext", fmt.time(this.at));
  }

  // ---------------------------------------------------------------------------------------------- the clock
  /** The player shows this second of a scene's take; `playing` keeps the playhead on the screen. */
  follow(sceneId, second, playing) {
    const clip = this.film?.clip(sceneId);
    if (!clip || this.gestures.busy) return;
    const within = Math.min(Math.max(0, second - clip.trim[0]), clip.duration);
    this.#go(clip.start + within, playing);
  }

  /** The player shows this second of the finished film. */
  followFilm(second, playing) {
    if (this.film) this.#go(second, playing);
  }

  #go(second, playing) {
    if (Math.abs(second - this.at) < 1e-3) return;
    this.at = second;
    this.#place();
    if (playing) this.reveal();
  }

  reveal() {
    const x = this.at * this.pps;
    const { scrollLeft, clientWidth } = this.scroll;
    if (x < scrollLeft || x > scrollLeft + clientWidth - 20) this.scroll.scrollLeft = x - clientWidth / 8;
  }

  /** To this second of the film: plays from there if it plays, shows the frame if not. */
  seek(second) {
    const { film } = this;
    if (!film) return;
    this.at = Math.min(Math.max(0, second), Math.max(0, film.seconds - 1 / film.fps));
    this.#place();
    const clip = film.at(this.at);
    if (clip && !clip.missing) this.onseek(clip.scene_id, this.at - clip.start + clip.trim[0]);
    else {
      this.onpause();
      if (clip) select(clip.scene_id);
    }
  }

  step(seconds) {
    this.onpause();
    this.seek(this.at + seconds);
    this.reveal();
  }

  /** Seconds of the film at a place on the screen. */
  secondAt(clientX) {
    return (clientX - this.inner.getBoundingClientRect().left) / this.pps;
  }

  // ---------------------------------------------------------------------------------------------- zoom
  fit() {
    this.zoomed = null;
    this.draw();
  }

  /** Keeps what is under `clientX` where it is; without it, the playhead. */
  zoom(by, clientX = null) {
    if (!this.film) return;
    const left = this.scroll.getBoundingClientRect().left;
    const x = clientX === null ? Math.min(Math.max(0, this.at * this.pps - this.scroll.scrollLeft), this.scroll.clientWidth) : clientX - left;
    const second = (this.scroll.scrollLeft + x) / this.pps;
    this.zoomed = Math.min(MOST_PPS, Math.max(this.least, this.pps * by));
    this.draw();
    this.scroll.scrollLeft = second * this.pps - x;
  }

  #wheel(event) {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 240), event.clientX);
    } else if (!event.deltaX && !event.shiftKey && this.scroll.scrollWidth > this.scroll.clientWidth) {
      event.preventDefault();
      this.scroll.scrollLeft += event.deltaY;
    }
  }

  // ---------------------------------------------------------------------------------------------- keyboard
  #keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const handle = event.target.closest(".l-trim");
    const frame = 1 / (this.film?.fps || 24);
    const by = (event.shiftKey ? 1 : frame) * ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] || 0);
    const done = () => {
      event.preventDefault();
      event.stopPropagation();
    };
    if (by && handle) this.gestures.nudge(handle, by);
    else if (by) this.step(by);
    else if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(Infinity);
    else if (event.key === "+" || event.key === "=") this.zoom(ZOOM);
    else if (event.key === "-") this.zoom(1 / ZOOM);
    else if (event.key === "Delete" || event.key === "Backspace") {
      if (!this.gestures.remove(event.target)) return;
    } else return;
    done();
    if (event.key === "Home" || event.key === "End") this.reveal();
  }

  /** Trims the clip under the playhead there: edge 0 begins with what is shown, edge 1 ends with it. */
  async trimHere(edge) {
    const clip = this.film?.at(this.at);
    if (!clip || clip.missing) return;
    const second = this.at - clip.start + clip.trim[0];
    this.film.trim(clip.scene_id, edge, second);
    this.at = edge ? clip.start + clip.duration - 1 / this.film.fps : clip.start;
    this.draw();
    if (!(await saveTrim(clip))) this.refuse();
  }
}

const EMPTY = { seconds: 0, clips: [], lines: [], effects: [], between: () => [] };

/** What the film is made of, as far as the page knows: when this differs, the timeline may differ. */
function madeOf() {
  const { queue } = state;
  const cards = ordered().filter((scene) => scene.in_cut)
    .map((scene) => `${scene.id} ${scene.version} ${scene.take?.id} ${scene.duration} ${scene.state} ${scene.trim} ${scene.transition}`);
  return JSON.stringify([queue.id, queue.music, queue.cut, queue.frame, cards]);
}

/** Commands of the timeline `timeline()`, while it is shown. */
export function timelineCommands(timeline) {
  const here = () => timeline.shown && Boolean(timeline.film?.at(timeline.at)) && timeline.element.offsetParent !== null;
  command("timeline.trim_start", { label: "timeline.trim_start_here", icon: "scissors", group: 42, key: "[", keys: ["["], when: here, run: () => timeline.trimHere(0) });
  command("timeline.trim_end", { label: "timeline.trim_end_here", icon: "scissors", group: 42, key: "]", keys: ["]"], when: here, run: () => timeline.trimHere(1) });
  command("timeline.fit", { label: "timeline.fit", icon: "move-horizontal", group: 42, when: here, run: () => timeline.fit() });
}

