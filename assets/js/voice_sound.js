// One sound with a button, its wave and a clock; at most one of them sounds at a time. Knows no voice and no take.
import { el, fmt, iconButton, setAttr, setIcon, setText, t } from "./core.js";
import { drawWave, waveOf } from "./waves.js";

const HEIGHT = 34;
const JUMP_S = 1;

let sounding = null;

/** Stops whatever of the page sounds here. */
export const hush = () => sounding?.pause();

export class SoundBar {
  /** ontime(seconds): while it sounds; onend(): it was heard to its end. */
  constructor({ label, ontime = () => {}, onend = () => {} }) {
    this.on = { time: ontime, end: onend };
    this.audio = el("audio", { preload: "metadata" });
    this.button = iconButton("play", t("voice.play", { name: label }), () => this.toggle(), { class: "l-ib l-vsound-play" });
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.head = el("i", { class: "l-vsound-head" });
    this.track = el("div", { class: "l-vsound-track", role: "slider", tabindex: 0, "aria-label": t("player.seek"), "aria-valuemin": 0, "aria-valuenow": 0 }, this.canvas, this.head);
    this.clock = el("span", { class: "l-mono l-vsound-clock" });
    this.element = el("div", { class: "l-vsound" }, this.button, this.track, this.clock, this.audio);
    this.#watch();
    new ResizeObserver(() => this.#wave()).observe(this.track);
  }

  /** `peaks`: where its wave is kept; none while it is still being made. `duration` in seconds; null: not known yet. */
  load(src, { peaks = null, duration = null } = {}) {
    if (this.audio.getAttribute("src") !== src) this.audio.src = src;
    Object.assign(this, { peaks, duration });
    this.#wave();
    this.#paint();
  }

  unload() {
    this.audio.removeAttribute("src");
  }

  get src() {
    return this.audio.getAttribute("src") || "";
  }

  get playing() {
    return !this.audio.paused && !this.audio.ended;
  }

  async play() {
    if (sounding && sounding !== this) sounding.pause();
    sounding = this;
    try {
      await this.audio.play();
    } catch {
      this.#paint(); // what cannot be played raises "error" as well
    }
  }

  pause() {
    this.audio.pause();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  seek(seconds) {
    if (this.#length) this.audio.currentTime = Math.min(Math.max(0, seconds), this.#length);
  }

  get #length() {
    return this.duration ?? (Number.isFinite(this.audio.duration) ? this.audio.duration : 0);
  }

  #watch() {
    for (const name of ["play", "pause", "timeupdate", "ended", "loadedmetadata", "seeked"]) this.audio.addEventListener(name, () => this.#paint());
    this.audio.addEventListener("timeupdate", () => this.on.time(this.audio.currentTime));
    this.audio.addEventListener("ended", () => this.on.end());
    const to = ({ clientX }) => {
      const { left, width } = this.track.getBoundingClientRect();
      this.seek(((clientX - left) / width) * this.#length);
    };
    this.track.addEventListener("pointerdown", (event) => {
      this.track.setPointerCapture(event.pointerId);
      to(event);
    });
    this.track.addEventListener("pointermove", (event) => this.track.hasPointerCapture(event.pointerId) && to(event));
    this.track.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -JUMP_S, ArrowRight: JUMP_S }[event.key];
      if (by) this.seek(this.audio.currentTime + by);
      else if (event.key === " ") this.toggle();
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  #wave() {
    const width = this.track.clientWidth;
    const wave = this.peaks && waveOf(this.peaks, () => this.#wave());
    this.canvas.hidden = !wave;
    if (!wave || !width) return;
    drawWave(this.canvas, wave, { from: 0, seconds: wave.duration, width, height: HEIGHT, colour: getComputedStyle(this.track).color });
  }

  #paint() {
    setIcon(this.button.firstChild, this.playing ? "pause" : "play");
    const at = this.audio.currentTime;
    const length = this.#length;
    this.head.style.transform = `translateX(${length ? Math.min(1, at / length) * this.track.clientWidth : 0}px)`;
    setAttr(this.track, "aria-valuenow", at.toFixed(1));
    setAttr(this.track, "aria-valuemax", length.toFixed(1));
    setText(this.clock, length ? `${fmt.time(at)} / ${fmt.time(length)}` : fmt.time(at));
  }
}
