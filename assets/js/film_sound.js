// The music of a film: a file, which part of it, how loud. Handles on its waveform say where it begins and stops.
// A piece of the Film dialog: holds a draft, saves nothing but the file, which goes to the library at once.
import { address, api, button, el, fmt, iconButton, setAttr, setIcon, setText, t, toastError } from "./core.js";
import { assetPeaks, drawWave, waveOf } from "./waves.js";

const LEVELS = { min: -40, max: -10, step: 1 }; // LUFS of the music where nobody speaks
const LEVEL = -24;
const LEAST_S = 1; // of music
const STEP_S = 0.1;
const HEIGHT_PX = 64;

/** musicField(music | null) -> {element, value() -> music | null}. */
export function musicField(given) {
  return new MusicField(given);
}

class MusicField {
  constructor(given) {
    this.music = given && { ...given };
    this.asset = null;
    this.sound = el("audio", { preload: "none" });
    this.file = el("input", { type: "file", accept: "audio/*,.wav,.mp3,.flac,.ogg,.m4a", hidden: true, id: "film-music-file", onchange: () => this.#upload() });
    this.name = el("span", { class: "l-music-name" });
    this.choose = button(t("film.music.choose"), () => this.file.click(), { iconName: "upload", id: "film-music" });
    this.remove = iconButton("x", t("film.music.remove"), () => this.#set(null));
    this.play = iconButton("play", t("player.play"), () => this.#listen());
    this.canvas = el("canvas", { "aria-hidden": "true" });
    this.kept = el("i", { class: "l-bed-kept" });
    this.spot = el("i", { class: "l-bed-spot", hidden: true });
    this.handles = ["start", "end"].map((edge) => el("span", { class: `l-bed-handle l-bed-${edge}`, role: "slider", tabindex: 0, "aria-label": t(`film.music.${edge}`), "aria-valuemin": 0, dataset: { edge } }));
    this.bed = el("div", { class: "l-bed" }, this.canvas, this.kept, this.spot, ...this.handles);
    this.said = el("span", { class: "l-mono" });
    this.levelSaid = el("span", { class: "l-mono" });
    this.level = el("input", { type: "range", class: "l-range", ...LEVELS, value: given?.level ?? LEVEL, "aria-label": t("film.level"), oninput: () => this.#draw() });
    this.part = el("div", { class: "l-stack" },
      el("div", { class: "l-field" }, el("span", { class: "l-field-line" }, t("film.music.part"), this.said), this.bed),
      el("label", { class: "l-field" }, el("span", { class: "l-field-line" }, t("film.level"), this.levelSaid), this.level),
      el("p", { class: "l-hint" }, t("film.music.ducks")));
    this.element = el("div", { class: "l-stack" },
      el("div", { class: "l-field" }, el("span", {}, t("film.music")), el("div", { class: "l-music" }, this.play, this.name, this.choose, this.remove)),
      this.file, this.part);
    this.#gestures();
    for (const name of ["play", "pause", "ended", "timeupdate"]) this.sound.addEventListener(name, () => this.#heard());
    new ResizeObserver(() => this.#draw()).observe(this.bed);
    if (this.music) this.#ask();
    this.#draw();
  }

  value() {
    return this.music && { ...this.music, level: Number(this.level.value) };
  }

  close() {
    this.sound.pause();
  }

  get #sha() {
    return this.music?.ref.startsWith("asset:") ? this.music.ref.slice(6) : "";
  }

  get #duration() {
    return this.asset?.duration || 0;
  }

  get #end() {
    return Math.min(this.music.end ?? Infinity, this.#duration);
  }

  async #ask() {
    try {
      if (this.#sha) this.asset = await api("GET", `/assets/${this.#sha}`);
    } catch (error) {
      toastError(error);
    }
    this.#draw();
  }

  async #upload() {
    const body = new FormData();
    body.append("file", this.file.files[0]);
    this.file.value = "";
    this.choose.disabled = true;
    try {
      const asset = await api("POST", "/assets", body);
      if (asset.kind !== "audio") throw { code: "", message: t("film.music.wrong"), hint: "" };
      this.asset = asset;
      this.#set({ ref: asset.ref, start: 0, end: null });
    } catch (error) {
      toastError(error);
    }
    this.choose.disabled = false;
  }

  #set(music) {
    this.sound.pause();
    this.sound.removeAttribute("src");
    this.music = music;
    this.#draw();
  }

  // ---------------------------------------------------------------------------------------------- drawing
  #draw() {
    const { music, asset } = this;
    setText(this.name, music ? (asset ? `${asset.name} · ${fmt.clock(asset.duration)}` : "…") : t("film.music.none"));
    this.remove.hidden = !music;
    this.play.hidden = !this.#sha;
    this.part.hidden = !music;
    setText(this.levelSaid, `${this.level.value} LUFS`);
    if (!music || !asset) return;
    setText(this.said, `${fmt.time(music.start)} – ${fmt.time(this.#end)} · ${fmt.seconds(this.#end - music.start)}`);
    const shares = [music.start / this.#duration, this.#end / this.#duration];
    Object.assign(this.kept.style, { left: `${shares[0] * 100}%`, right: `${(1 - shares[1]) * 100}%` });
    this.handles.forEach((handle, n) => {
      handle.style.left = `${shares[n] * 100}%`;
      setAttr(handle, "aria-valuenow", (shares[n] * this.#duration).toFixed(1));
      setAttr(handle, "aria-valuemax", this.#duration.toFixed(1));
      setAttr(handle, "aria-valuetext", fmt.time(shares[n] * this.#duration));
    });
    this.#wave();
  }

  #wave() {
    const width = this.bed.clientWidth;
    const wave = this.#sha && waveOf(assetPeaks(this.#sha), () => this.#wave());
    const drawn = `${this.#sha} ${width} ${Boolean(wave)}`;
    if (!wave || !width || drawn === this.drawn) return;
    this.drawn = drawn;
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--music");
    drawWave(this.canvas, wave, { from: 0, seconds: wave.duration, width, height: HEIGHT_PX, colour });
  }

  // ---------------------------------------------------------------------------------------------- hands and ears
  #gestures() {
    const second = (event) => {
      const { left, width } = this.bed.getBoundingClientRect();
      return Math.min(1, Math.max(0, (event.clientX - left) / width)) * this.#duration;
    };
    for (const handle of this.handles) {
      const { edge } = handle.dataset;
      handle.addEventListener("pointerdown", (event) => {
        handle.setPointerCapture(event.pointerId);
        event.stopPropagation();
      });
      handle.addEventListener("pointermove", (event) => handle.hasPointerCapture(event.pointerId) && this.#move(edge, second(event)));
      handle.addEventListener("keydown", (event) => {
        const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!by) return;
        event.preventDefault();
        this.#move(edge, (edge === "start" ? this.music.start : this.#end) + by * (event.shiftKey ? 1 : STEP_S));
      });
    }
    this.bed.addEventListener("pointerdown", (event) => this.#listen(second(event)));
  }

  #move(edge, value) {
    const second = Math.round(value / STEP_S) * STEP_S;
    const { music } = this;
    if (edge === "start") music.start = Number(Math.min(Math.max(0, second), Math.max(0, this.#end - LEAST_S)).toFixed(3));
    else music.end = second >= this.#duration - STEP_S / 2 ? null : Number(Math.max(music.start + LEAST_S, second).toFixed(3));
    this.#draw();
  }

  /** From a second of the file, or on and off from where the music begins. */
  #listen(from = null) {
    if (from === null && !this.sound.paused) return this.sound.pause();
    if (!this.sound.hasAttribute("src")) this.sound.src = address(`/api/assets/${this.#sha}/file`);
    this.sound.currentTime = from ?? this.music.start;
    this.sound.play().catch(() => {}); // another press came first
  }

  #heard() {
    const playing = !this.sound.paused;
    setIcon(this.play.firstChild, playing ? "pause" : "play");
    setAttr(this.play, "aria-label", t(playing ? "player.pause" : "player.play"));
    this.spot.hidden = !playing;
    this.spot.style.left = `${(this.sound.currentTime / (this.#duration || 1)) * 100}%`;
    if (playing && this.music && this.sound.currentTime >= this.#end) this.sound.pause();
  }
}
