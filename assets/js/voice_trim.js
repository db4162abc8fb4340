// The part of a recording that becomes a sample: its wave with two handles, by pointer, keyboard or number, and a way to
// hear just that. Knows a sound by its address and no voice.
import { el, fmt, iconButton, setAttr, setIcon, setText, t } from "./core.js";
import { hush } from "./voice_sound.js";
import { drawWave } from "./waves.js";

const HEIGHT = 96;
const LEAST_S = 0.5; // between the handles
const USUAL_S = 20; // of a long recording that is taken at first
const PEAK_S = 0.01;
const DECODED_BYTES = 60_000_000; // more would take too much of the browser's memory
const STEPS = { ArrowLeft: -0.1, ArrowRight: 0.1, PageDown: -1, PageUp: 1 };

/** {duration, peaks, most} of a file that the browser can read; null where it is too large or unreadable. */
export async function waveFrom(src) {
  try {
    const answer = await fetch(src);
    if (!answer.ok || Number(answer.headers.get("content-length") || 0) > DECODED_BYTES) return null;
    const sound = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(await answer.arrayBuffer());
    const samples = sound.getChannelData(0);
    const step = Math.max(1, Math.round(sound.sampleRate * PEAK_S));
    const peaks = [];
    for (let at = 0; at < samples.length; at += step) {
      let most = 0;
      for (let i = at; i < Math.min(samples.length, at + step); i += 1) most = Math.max(most, Math.abs(samples[i]));
      peaks.push(most);
    }
    return { duration: sound.duration, peaks, most: Math.max(0.05, ...peaks) };
  } catch {
    return null; // the studio may still read what the browser cannot
  }
}

export class Trim {
  /** onchange(start, end): the selection is another one. */
  constructor({ onchange }) {
    this.on = onchange;
    this.audio = el("audio", { preload: "auto" });
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.shades = [el("i", { class: "l-vtrim-shade" }), el("i", { class: "l-vtrim-shade" })];
    this.handles = ["start", "end"].map((name) => el("button", { class: "l-vtrim-handle", role: "slider", id: `voice-trim-${name}`, "aria-label": t(`voice.trim.${name}`), dataset: { name } }));
    this.head = el("i", { class: "l-vtrim-head", hidden: true });
    this.said = el("span", { class: "l-vtrim-said l-hint" });
    this.board = el("div", { class: "l-vtrim-board" }, this.canvas, ...this.shades, this.head, ...this.handles, this.said);
    this.button = iconButton("play", t("voice.trim.play"), () => this.toggle(), { id: "voice-trim-play" });
    this.numbers = ["start", "end"].map((name) => el("input", { class: "l-input l-mono", type: "number", step: 0.1, min: 0, "aria-label": t(`voice.trim.${name}`), dataset: { name } }));
    this.length = el("span", { class: "l-mono l-hint" });
    this.element = el("div", { class: "l-vtrim" }, this.board,
      el("div", { class: "l-vtrim-bar" }, this.button, el("span", { class: "l-hint" }, t("voice.trim.from")), this.numbers[0], el("span", { class: "l-hint" }, t("voice.trim.to")), this.numbers[1], this.length,
        el("span", { class: "l-vtrim-zoom" }, iconButton("minus", t("voice.trim.out"), () => this.#zoom(2)), iconButton("plus", t("voice.trim.in"), () => this.#zoom(0.5)))),
      this.audio);
    this.#watch();
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.board);
  }

  /** Shows a recording. `duration` in seconds, as far as it is known; `coarse`: a wave to show where the file is too large. */
  async load(src, { duration = 0, coarse = null } = {}) {
    this.pause();
    this.audio.src = src;
    this.wave = null;
    this.#length(duration);
    setText(this.said, t("voice.trim.reading"));
    const wave = await waveFrom(src);
    if (this.audio.getAttribute("src") !== src) return;
    this.wave = wave || (await coarse?.().catch(() => null)) || null;
    if (this.wave && !this.wave.most) this.wave.most = Math.max(0.05, ...this.wave.peaks);
    setText(this.said, this.wave ? "" : t("voice.trim.no_wave"));
    if (!duration && this.wave) this.#length(this.wave.duration);
    this.#draw();
  }

  #length(duration) {
    this.duration = duration;
    this.start = 0;
    this.end = duration > USUAL_S * 1.5 ? USUAL_S : duration;
    this.view = { from: 0, seconds: duration > USUAL_S * 12 ? USUAL_S * 3 : duration };
    this.#draw();
    if (duration) this.on(this.start, this.end);
  }

  // ---------------------------------------------------------------------------------------------- hearing
  get playing() {
    return !this.audio.paused;
  }

  async toggle() {
    if (this.playing) return this.pause();
    hush();
    this.audio.currentTime = this.start;
    try {
      await this.audio.play();
    } catch {
      setText(this.said, t("player.cannot"));
    }
    return undefined;
  }

  pause() {
    this.audio.pause();
  }

  // ---------------------------------------------------------------------------------------------- choosing
  #put(name, seconds) {
    const at = Math.round(seconds * 100) / 100;
    if (name === "start") this.start = Math.min(Math.max(0, at), Math.max(0, this.end - LEAST_S));
    else this.end = Math.max(Math.min(this.duration, at), Math.min(this.duration, this.start + LEAST_S));
    this.pause();
    this.#draw();
    this.on(this.start, this.end);
  }

  #zoom(factor) {
    const seconds = Math.min(this.duration, Math.max(2, this.view.seconds * factor));
    const middle = this.view.seconds >= this.duration ? (this.start + this.end) / 2 : this.view.from + this.view.seconds / 2;
    this.#look(middle - seconds / 2, seconds);
  }

  #look(from, seconds = this.view.seconds) {
    this.view = { seconds, from: Math.min(Math.max(0, from), Math.max(0, this.duration - seconds)) };
    this.#draw();
  }

  #watch() {
    for (const handle of this.handles) {
      const { name } = handle.dataset;
      handle.addEventListener("pointerdown", (event) => {
        event.stopPropagation();
        handle.setPointerCapture(event.pointerId);
      });
      handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && this.#put(name, this.#second(event)));
      handle.addEventListener("keydown", (event) => {
        const by = STEPS[event.key];
        const to = { Home: 0, End: this.duration }[event.key] ?? (by ? this[name] + by * (event.shiftKey ? 10 : 1) : null);
        if (to === null) return;
        event.preventDefault();
        event.stopPropagation();
        this.#put(name, to);
        this.#reveal(this[name]);
      });
    }
    for (const input of this.numbers) input.addEventListener("change", () => input.value !== "" && this.#put(input.dataset.name, Number(input.value)));
    this.board.addEventListener("pointerdown", (event) => { // the nearer handle comes here
      const at = this.#second(event);
      this.#put(Math.abs(at - this.start) < Math.abs(at - this.end) ? "start" : "end", at);
    });
    this.board.addEventListener("wheel", (event) => {
      if (!event.deltaX && !event.shiftKey || this.view.seconds >= this.duration) return;
      event.preventDefault();
      this.#look(this.view.from + ((event.deltaX || event.deltaY) / this.board.clientWidth) * this.view.seconds);
    }, { passive: false });
    for (const name of ["play", "pause", "ended"]) this.audio.addEventListener(name, () => this.#beat());
    this.audio.addEventListener("error", () => this.audio.hasAttribute("src") && setText(this.said, t("player.cannot")));
  }

  #beat() {
    setIcon(this.button.firstChild, this.playing ? "pause" : "play");
    this.head.hidden = !this.playing;
    if (!this.playing) return;
    if (this.audio.currentTime >= this.end) return this.pause();
    this.head.style.left = `${this.#share(this.audio.currentTime) * 100}%`;
    requestAnimationFrame(() => this.#beat());
    return undefined;
  }

  #second({ clientX }) {
    const { left, width } = this.board.getBoundingClientRect();
    return this.view.from + Math.min(1, Math.max(0, (clientX - left) / width)) * this.view.seconds;
  }

  #share = (second) => (second - this.view.from) / Math.max(this.view.seconds, 1e-3);

  #reveal(second) {
    if (second < this.view.from || second > this.view.from + this.view.seconds) this.#look(second - this.view.seconds / 2);
  }

  #draw() {
    if (!this.duration) return;
    const share = (second) => Math.min(1, Math.max(0, this.#share(second)));
    const [from, to] = [share(this.start), share(this.end)];
    this.shades[0].style.width = `${from * 100}%`;
    this.shades[1].style.left = `${to * 100}%`;
    for (const [at, name] of ["start", "end"].entries()) {
      const inside = this.#share(this[name]);
      this.handles[at].hidden = inside < -0.001 || inside > 1.001;
      this.handles[at].style.left = `${share(this[name]) * 100}%`;
      setAttr(this.handles[at], "aria-valuemin", 0);
      setAttr(this.handles[at], "aria-valuemax", this.duration.toFixed(1));
      setAttr(this.handles[at], "aria-valuenow", this[name].toFixed(2));
      setAttr(this.handles[at], "aria-valuetext", fmt.time(this[name]));
      if (document.activeElement !== this.numbers[at]) this.numbers[at].value = this[name].toFixed(1);
    }
    setText(this.length, `${fmt.seconds(this.end - this.start)} / ${fmt.time(this.duration)}`);
    const width = this.board.clientWidth;
    this.canvas.hidden = !this.wave;
    if (!this.wave || !width) return;
    drawWave(this.canvas, this.wave, { from: this.view.from, seconds: this.view.seconds, width, height: HEIGHT, colour: getComputedStyle(this.board).color });
  }
}
