// Own controls over <video>: one clip, or a row of clips played as one film. Two video elements take turns, so that
// the next clip is loaded before the last one ends. Knows no queue and no scene; Gallery and Generate use it too.
//
//   const player = new Player({ onprev, onnext, onitem, ontime });      element: player.element
//   player.load([{ id, src, kind: "video"|"image"|"audio", poster, duration, width, height, fps, title, vtt, from, to }],
//               { at: 0, play: false });             from, to: only this part of the file, in seconds; duration is its length
//   player.live(url, share, text, steps)   a preview picture while something is being made; player.empty(text, action, still)
//   player.toggle() play() pause() seek(seconds) step(frames) jump(seconds) faster() mute() loop() fullscreen()
import { address, el, fmt, icon, iconButton, setAttr, setIcon, setText, t } from "./core.js";

const SPEEDS = [1, 2, 4];
const HALF_FRAME_S = 0.02;
const noop = () => {};

export class Player {
  constructor({ onprev = noop, onnext = noop, onitem = noop, ontime = noop, onend = noop } = {}) {
    this.on = { prev: onprev, next: onnext, item: onitem, time: ontime, end: onend };
    this.items = [];
    this.at = 0;
    this.mode = "empty"; // empty | clip | live
    this.repeating = false;
    this.videos = [0, 1].map(() => this.#video());
    this.#build();
  }

  // ---------------------------------------------------------------------------------------------- what is shown
  load(items, { at = 0, play = false, from = 0 } = {}) {
    const same = this.mode === "clip" && items.length === this.items.length && items.every((item, i) => item.src === this.items[i].src);
    this.items = items;
    this.#starts = [];
    let total = 0;
    for (const item of items) {
      this.#starts.push(total);
      total += item.duration || 0;
    }
    this.total = total;
    this.mode = "clip";
    if (same && at === this.at && !play) return;
    this.#show(at, { play, from });
  }

  /** Shows a preview picture (an object URL, or null to keep the last one). */
  live(url, share, text, steps = "") {
    if (this.mode !== "live") {
      this.pause();
      this.mode = "live";
      this.items = [];
      this.picture.hidden = true;
      this.videos.forEach((video) => (video.hidden = true));
    }
    if (url) {
      this.picture.src = url;
      this.picture.hidden = false;
    }
    this.#note(url || !this.picture.hidden ? "" : t("player.waiting"));
    this.#chip(text, true, steps);
    this.bar.style.transform = `scaleX(${share})`;
    this.#paint();
  }

  /** Nothing to play: says so, over a still picture if there is one. */
  empty(text = "", action = null, still = null) {
    this.pause();
    this.mode = "empty";
    this.items = [];
    if (still) setAttr(this.picture, "src", still);
    this.picture.hidden = !still;
    this.videos.forEach((video) => (video.hidden = true));
    this.#note(text, action);
    this.#chip("", false);
    this.bar.style.transform = "scaleX(0)";
    this.#paint();
  }

  /** Once more what could not be played: the studio was away. */
  again() {
    if (!this.#broken) return;
    this.videos.forEach((video) => video.removeAttribute("src"));
    this.#show(this.at);
  }

  get item() {
    return this.items[this.at] || null;
  }

  get playing() {
    return this.mode === "clip" && this.item?.kind !== "image" && !this.video.paused && !this.video.ended;
  }

  /** Seconds on the clock of the whole row. */
  get time() {
    return (this.#starts[this.at] || 0) + this.within;
  }

  /** Seconds since the beginning of what is shown of the present item. */
  get within() {
    if (!this.item || this.item.kind === "image") return 0;
    return Math.max(0, this.video.currentTime - (this.item.from || 0));
  }

  // ---------------------------------------------------------------------------------------------- verbs
  async play() {
    if (this.mode !== "clip" || this.item.kind === "image") return;
    if (this.#over && this.at === this.items.length - 1 && this.items.length > 1) return this.#show(0, { play: true });
    try {
      await this.video.play();
    } catch (error) {
      if (error.name !== "AbortError") this.#note(t("player.cannot"));
    }
  }

  pause() {
    this.videos.forEach((video) => video.pause());
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  /** To this second of the whole row. */
  seek(seconds) {
    if (this.mode !== "clip" || !this.items.length) return;
    const to = Math.min(Math.max(0, seconds), Math.max(0, this.total - 0.04));
    let at = this.items.length - 1;
    while (at > 0 && this.#starts[at] > to) at -= 1;
    const from = to - this.#starts[at];
    if (at !== this.at) this.#show(at, { play: this.playing, from });
    else if (this.item.kind !== "image") this.video.currentTime = from + (this.item.from || 0);
    this.#paint();
  }

  jump(seconds) {
    this.seek(this.time + seconds);
  }

  step(frames) {
    this.pause();
    this.jump(frames / (this.item?.fps || 24));
  }

  faster() {
    const next = this.playing ? SPEEDS[(SPEEDS.indexOf(this.video.playbackRate) + 1) % SPEEDS.length] : 1;
    this.videos.forEach((video) => (video.playbackRate = next));
    this.play();
    this.#paint();
  }

  mute() {
    const muted = !this.video.muted;
    this.videos.forEach((video) => (video.muted = muted));
    setIcon(this.sound.firstChild, muted ? "volume-x" : "volume-2");
    setAttr(this.sound, "aria-pressed", String(muted));
  }

  loop() {
    this.repeating = !this.repeating;
    setAttr(this.repeat, "aria-pressed", String(this.repeating));
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.element.requestFullscreen();
  }

  previous() {
    if (this.items.length < 2) this.on.prev();
    else this.#show(this.within > 1.5 || this.at === 0 ? this.at : this.at - 1, { play: this.playing });
  }

  next() {
    if (this.items.length < 2) this.on.next();
    else if (this.at + 1 < this.items.length) this.#show(this.at + 1, { play: this.playing });
  }

  // ---------------------------------------------------------------------------------------------- inside
  #starts = [];
  #ticking = 0;
  #broken = false;

  get video() {
    return this.videos[0];
  }

  #video() {
    const video = el("video", { playsinline: true, preload: "auto", hidden: true });
    video.addEventListener("ended", () => video === this.video && this.#ended());
    for (const name of ["play", "pause", "seeked", "loadeddata", "timeupdate"])
      video.addEventListener(name, () => video === this.video && this.#moved());
    video.addEventListener("error", () => {
      if (video !== this.video || !video.hasAttribute("src")) return;
      this.#broken = true;
      this.#note(t("player.cannot"));
    });
    return video;
  }

  #build() {
    this.picture = el("img", { alt: "", hidden: true });
    this.note = el("div", { class: "l-player-note" });
    this.chipDot = el("span", { class: "l-dot l-dot-lamp" });
    this.chipWords = el("span", { class: "l-chip-words" });
    this.chipAside = el("span", { class: "l-mono l-chip-aside" });
    this.chip = el("div", { class: "l-chip" }, this.chipDot, this.chipWords, this.chipAside);
    this.bar = el("i");
    this.track = el("div", { class: "l-seek", role: "slider", tabindex: 0, "aria-label": t("player.seek"), "aria-valuemin": 0 }, this.bar);
    this.frame = el("div", { class: "l-frame" }, ...this.videos, this.picture, this.note, this.chip, this.track);
    this.clock = el("b");
    this.length = el("span");
    this.main = iconButton("play", t("player.play"), () => this.toggle(), { class: "l-ib l-ib-main" });
    this.back = iconButton("skip-back", t("player.previous"), () => this.previous());
    this.forth = iconButton("skip-forward", t("player.next"), () => this.next());
    this.repeat = iconButton("repeat", t("player.loop"), () => this.loop(), { "aria-pressed": "false" });
    this.sound = iconButton("volume-2", t("player.mute"), () => this.mute(), { "aria-pressed": "false" });
    this.speed = el("span", { class: "l-mono l-speed" });
    this.timecode = el("div", { class: "l-timecode l-mono" }, this.clock, el("span", {}, " / "), this.length, this.speed);
    this.tools = el("div", { class: "l-player-tools" });
    this.element = el("div", { class: "l-player" },
      el("div", { class: "l-screen" }, this.frame),
      el("div", { class: "l-controls" },
        el("div", {}, this.timecode),
        el("div", { class: "l-controls-mid" }, this.back, this.main, this.forth, this.repeat),
        el("div", { class: "l-controls-end" }, this.tools, this.sound,
          iconButton("maximize", t("player.fullscreen"), () => this.fullscreen()))));
    this.frame.addEventListener("click", (event) => !this.track.contains(event.target) && event.target.closest("button") === null && this.toggle());
    this.#watchTrack();
    this.empty();
  }

  #watchTrack() {
    const to = (event) => {
      const { left, width } = this.track.getBoundingClientRect();
      this.seek(((event.clientX - left) / width) * this.total);
    };
    this.track.addEventListener("pointerdown", (event) => {
      if (this.mode !== "clip") return;
      this.track.setPointerCapture(event.pointerId);
      to(event);
    });
    this.track.addEventListener("pointermove", (event) => this.track.hasPointerCapture(event.pointerId) && to(event));
    this.track.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!by) return;
      event.preventDefault();
      event.stopPropagation();
      this.jump(by);
    });
  }

  #show(at, { play = false, from = 0 } = {}) {
    const item = this.items[at];
    if (!item) return this.empty();
    this.at = at;
    this.#broken = false;
    this.pause();
    this.frame.style.setProperty("--ratio", item.width && item.height ? item.width / item.height : 16 / 9);
    this.picture.hidden = item.kind === "video";
    if (item.kind === "image") this.picture.src = item.src;
    else if (item.kind === "audio" && item.poster) this.picture.src = item.poster;
    this.picture.hidden = item.kind === "video" || (item.kind === "audio" && !item.poster);
    if (item.kind !== "image") this.#cue(item, from);
    this.videos.forEach((video, i) => (video.hidden = i > 0 || item.kind !== "video"));
    this.#note(item.kind === "audio" && !item.poster ? item.title : "");
    this.#chip(this.items.length > 1 ? `${fmt.shot(item.number || at + 1)} · ${item.title}` : "", false);
    this.on.item(item, at);
    if (play) this.play();
    this.#ahead();
    this.#moved();
  }

  /** Brings the item into the active element: the waiting one, if it has it loaded already. */
  #cue(item, from) {
    if (this.videos[1].getAttribute("src") === item.src) this.videos.reverse();
    const { video } = this;
    if (video.getAttribute("src") !== item.src) {
      if (item.poster && item.kind === "video") video.poster = item.poster;
      else video.removeAttribute("poster");
      video.replaceChildren(...(item.vtt ? [subtitles(item.vtt)] : []));
      video.src = item.src;
    }
    const at = from + (item.from || 0);
    if (Math.abs(video.currentTime - at) > 0.01) video.currentTime = at;
  }

  /** Nothing is left of the item: its file is through, or what is shown of it. */
  get #over() {
    return this.video.ended || (this.item?.to !== undefined && this.video.currentTime >= this.item.to - HALF_FRAME_S);
  }

  #ahead() {
    const next = this.items[this.at + 1] || (this.repeating && this.items[0]);
    const waiting = this.videos[1];
    if (this.items.length < 2 || !next || next.kind === "image" || waiting.getAttribute("src") === next.src) return;
    waiting.muted = this.video.muted;
    waiting.playbackRate = this.video.playbackRate;
    if (next.poster && next.kind === "video") waiting.poster = next.poster;
    waiting.src = next.src;
    if (next.from) waiting.currentTime = next.from;
  }

  #ended() {
    if (this.at + 1 < this.items.length) this.#show(this.at + 1, { play: true });
    else if (this.repeating) this.#show(0, { play: true });
    else {
      this.pause(); // of a trimmed item more would follow
      this.on.end();
    }
  }

  #moved() {
    this.#paint();
    cancelAnimationFrame(this.#ticking);
    if (!this.playing) return;
    if (this.item.to !== undefined && this.#over) return this.#ended();
    const tick = () => {
      this.#paint();
      if (this.playing && this.item.to !== undefined && this.#over) this.#ended();
      else if (this.playing) this.#ticking = requestAnimationFrame(tick);
    };
    this.#ticking = requestAnimationFrame(tick);
  }

  #paint() {
    const clip = this.mode === "clip";
    const { time } = this;
    this.timecode.hidden = !clip || this.item?.kind === "image";
    setText(this.clock, fmt.time(time));
    setText(this.length, fmt.time(this.total));
    setText(this.speed, this.video.playbackRate === 1 ? "" : `${this.video.playbackRate}×`);
    if (clip) this.bar.style.transform = `scaleX(${this.total ? Math.min(1, time / this.total) : 0})`;
    setAttr(this.track, "aria-valuemax", clip ? this.total.toFixed(1) : 0);
    setAttr(this.track, "aria-valuenow", clip ? time.toFixed(1) : 0);
    const playing = this.playing;
    setIcon(this.main.firstChild, playing ? "pause" : "play");
    setAttr(this.main, "title", t(playing ? "player.pause" : "player.play"));
    setAttr(this.main, "aria-label", t(playing ? "player.pause" : "player.play"));
    this.main.disabled = !clip || this.item?.kind === "image";
    this.on.time(time, this.total, playing);
  }

  #note(text, action = null) {
    this.note.replaceChildren(...(text ? [el("p", {}, text)] : []), ...(action ? [action] : []));
    this.note.hidden = !text && !action;
    setAttr(this.frame, "data-still", this.mode === "empty" && !this.picture.hidden ? "" : null);
  }

  /** What is shown, over the picture; a clip keeps its picture to itself until somebody points at it. */
  #chip(words, live, aside = "") {
    this.chip.hidden = !words;
    this.chipDot.hidden = !live;
    setAttr(this.chip, "data-shy", live ? null : "");
    setText(this.chipWords, words);
    setText(this.chipAside, aside);
  }
}

/** "1280 × 720 · 24 fps" of an item; nothing for a sound. */
export const sizeText = ({ width, height, fps, kind }) => {
  if (kind === "audio" || !width) return "";
  return `${width} × ${height}${kind === "video" && fps ? ` · ${fps} fps` : ""}`;
};

/** Subtitles that keep clear of the seek bar. */
function subtitles(src) {
  const track = el("track", { kind: "subtitles", src, default: true });
  track.addEventListener("load", () => [...track.track.cues].forEach((cue) => Object.assign(cue, { snapToLines: false, line: 93, lineAlign: "end" })));
  return track;
}

/** A player's item from a take. */
export function itemOf(take, { title = "", number = 0 } = {}) {
  return {
    id: take.id, src: address(`/api/takes/${take.id}/file${take.heard ? `?heard=${take.heard}` : ""}`), kind: take.kind, duration: take.duration,
    poster: take.kind === "audio" ? null : address(`/api/takes/${take.id}/poster`),
    width: take.width, height: take.height, fps: Math.round((take.fps || 0) * 100) / 100, title, number,
  };
}
