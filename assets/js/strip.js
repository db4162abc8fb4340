// The strip of shots under the player: pictures as long as their scenes, a ruler, a playhead. Knows no player.
import { el, fmt, on, setAttr, setText, t } from "./core.js";
import { shownSeconds as secondsOf } from "./film_items.js";
import { card, ordered, state } from "./queues.js";
import { mood, pictureOf } from "./words_of.js";

const LEAST_PX = 44; // of an average shot: below that the strip scrolls
const RULER_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800];
const RULER_PX = 62;

export class Strip {
  constructor({ onpick }) {
    this.onpick = onpick;
    this.shots = new Map(); // scene id -> element
    this.spans = new Map(); // scene id -> [start, seconds]
    this.ruler = el("div", { class: "l-ruler", "aria-hidden": "true" });
    this.clips = el("div", { class: "l-clips", role: "list", "aria-label": t("strip.title") });
    this.head = el("div", { class: "l-playhead", hidden: true });
    this.inner = el("div", { class: "l-strip-inner" }, this.ruler, this.clips, this.head);
    this.element = el("div", { class: "l-strip", tabindex: -1 }, this.inner);
    this.clips.addEventListener("click", (event) => {
      const shot = event.target.closest(".l-shot");
      if (!shot) return;
      const { left, width } = shot.getBoundingClientRect();
      this.onpick(shot.dataset.id, event.detail ? Math.min(1, Math.max(0, (event.clientX - left) / width)) : 0);
    });
    this.element.addEventListener("wheel", (event) => {
      if (this.element.scrollWidth <= this.element.clientWidth || event.deltaX || event.shiftKey) return;
      event.preventDefault();
      this.element.scrollLeft += event.deltaY;
    }, { passive: false });
    new ResizeObserver(() => this.fill()).observe(this.element);
    on("q:select", () => this.mark());
  }

  fill() {
    if (this.element.hidden) return;
    const scenes = ordered().filter((scene) => scene.in_cut);
    this.total = scenes.reduce((sum, scene) => sum + secondsOf(scene), 0);
    const room = this.element.clientWidth - 28;
    this.pps = this.total ? Math.max(room / this.total, (LEAST_PX * scenes.length) / this.total) : 0; // pixels per second
    this.inner.style.width = `${Math.max(0, Math.floor(this.total * this.pps))}px`;
    this.#ruler();
    const here = new Set(scenes.map((scene) => scene.id));
    for (const [id, shot] of this.shots) {
      if (here.has(id)) continue;
      shot.remove();
      this.shots.delete(id);
      this.spans.delete(id);
    }
    let at = 0;
    for (const scene of scenes) {
      const seconds = secondsOf(scene);
      this.spans.set(scene.id, [at, seconds]);
      this.#shot(scene, at * this.pps, seconds * this.pps);
      at += seconds;
    }
    this.mark();
  }

  #shot(scene, left, width) {
    let shot = this.shots.get(scene.id);
    if (!shot) {
      const image = el("img", { loading: "lazy", decoding: "async", alt: "", hidden: true });
      const bar = el("i", { class: "l-shot-bar" });
      shot = el("button", { type: "button", class: "l-shot", role: "listitem", dataset: { id: scene.id } }, image, el("span"), bar);
      shot.parts = { image, name: shot.children[1], bar };
      this.shots.set(scene.id, shot);
      this.clips.append(shot);
    }
    const place = `translateX(${left.toFixed(1)}px)`;
    if (shot.style.transform !== place) shot.style.transform = place;
    const wide = `${Math.max(4, width - 3).toFixed(1)}px`;
    if (shot.style.width !== wide) shot.style.width = wide;
    setAttr(shot, "data-state", mood(scene));
    setAttr(shot, "data-wide", width > 92 ? "" : null);
    setText(shot.parts.name, width > 92 ? scene.title : fmt.shot(scene.number));
    setAttr(shot, "aria-label", `${fmt.shot(scene.number)} ${scene.title}`);
    setAttr(shot, "title", `${fmt.shot(scene.number)} · ${scene.title} · ${fmt.seconds(secondsOf(scene))}`);
    const poster = pictureOf(scene);
    if (poster) setAttr(shot.parts.image, "src", poster);
    shot.parts.image.hidden = !poster;
  }

  #ruler() {
    const step = RULER_STEPS.find((seconds) => seconds * this.pps >= RULER_PX) || 3600;
    const key = `${step} ${this.pps} ${this.total}`;
    if (key === this.ruled) return;
    this.ruled = key;
    const marks = [];
    for (let at = 0; this.total && (at === 0 || (this.total - at) * this.pps > RULER_PX / 2); at += step)
      marks.push(el("span", { style: { transform: `translateX(${(at * this.pps).toFixed(1)}px)` } }, fmt.clock(at)));
    this.ruler.replaceChildren(...marks);
  }

  /** Once a second: the bars of what is being rendered. */
  tick() {
    for (const [id, progress] of Object.entries(state.progress)) {
      const bar = this.shots.get(id)?.parts.bar;
      if (bar) bar.style.transform = `scaleX(${progress.done / Math.max(1, progress.total)})`;
    }
  }

  mark() {
    for (const [id, shot] of this.shots) setAttr(shot, "aria-current", id === state.selected ? "true" : null);
    if (this.marked === state.selected) return;
    this.marked = state.selected;
    const span = this.spans.get(state.selected);
    if (!span) return;
    const left = span[0] * this.pps;
    const right = left + span[1] * this.pps;
    const { scrollLeft, clientWidth } = this.element;
    if (left < scrollLeft || right > scrollLeft + clientWidth) this.element.scrollLeft = left - clientWidth / 3;
  }

  /** Where the player is: within one scene, or on the clock of the takes of the whole film (id null). */
  playhead(id, time, total) {
    const at = id ? this.#within(id, time, total) : this.#along(time);
    this.head.hidden = at === null;
    if (at !== null) this.head.style.transform = `translateX(${(at * this.pps).toFixed(1)}px)`;
  }

  #within(id, time, total) {
    const span = this.spans.get(id);
    return span && total ? span[0] + (Math.min(time, total) / total) * span[1] : null;
  }

  /** The film has only scenes with takes; the strip has all. */
  #along(time) {
    let left = time;
    for (const [id, [start, seconds]] of this.spans) {
      if (!card(id)?.take) continue;
      if (left <= seconds) return start + left;
      left -= seconds;
    }
    return null;
  }
}
