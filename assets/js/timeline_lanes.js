// The lanes of the timeline: which blocks are near the screen, and how each is drawn. Draws, and nothing else: what a
// press on a block does is told to it. Knows the film's clock from timeline_model.js.
import { el, fmt, icon, keyed, setAttr, setIcon, setText, t, urls } from "./core.js";
import { card, state } from "./queues.js";
import { TRANSITIONS } from "./timeline_edits.js";
import { assetPeaks, drawWave, takePeaks, waveOf } from "./waves.js";
import { mood, pictureOf } from "./words_of.js";

const WIDE_PX = 92; // from here on a clip has its title
const DIGIT_PX = 7;
const THIN_PX = 26; // narrower ones have a smaller number
const TITLED_PX = 74; // from here on a spoken line has the number of its take
const MARK_PX = 30; // clips narrower than this show only transitions that are no cut
const TILE_PX = 600; // width of one canvas of a wave
const GAP_PX = 3;
const WAVE_EDGE_PX = 15; // of a lane above and below its waves: .l-waves in timeline.css
const THUMBS = 10; // pictures in a hover strip
const VOICE = "#5b7886";
const MUSIC = "#675e88";
const EFFECT = "#8d8365";
const SPANS = { title: "timeline.title_card", credits: "timeline.credits" };
const QUIET = 0.5; // how strongly music is drawn where somebody speaks over it

/** Left edge and width in pixels, written only where they changed. */
function place(node, left, width) {
  const at = `translateX(${left.toFixed(1)}px)`;
  if (node.style.transform !== at) node.style.transform = at;
  const wide = `${Math.max(3, width).toFixed(1)}px`;
  if (node.style.width !== wide) node.style.width = wide;
}

export class Lanes {
  /** `redraw`: called when a wave has come; it has to call draw() again. */
  constructor({ redraw, onmark, onmusic }) {
    this.redraw = redraw;
    this.onmark = onmark;
    this.onmusic = onmusic;
    const lane = (name) => el("div", { class: `l-lane l-lane-${name}`, role: "list", "aria-label": t(`timeline.${name}`) });
    this.picture = lane("picture");
    this.voice = lane("voice");
    this.effects = lane("effects");
    this.music = lane("music");
    this.noMusic = el("button", { type: "button", class: "l-lane-offer", onclick: () => onmusic() }, icon("plus"), t("film.music.choose"));
    this.music.append(this.noMusic);
    this.by = { clips: new Map(), marks: new Map(), cards: new Map(), lines: new Map(), effects: new Map(), music: new Map() };
    this.layers = {
      clips: el("div"), marks: el("div"), cards: el("div"), lines: el("div"), effects: el("div"), music: el("div"),
    };
    this.picture.append(this.layers.cards, this.layers.clips, this.layers.marks);
    this.voice.append(this.layers.lines);
    this.effects.append(this.layers.effects);
    this.music.append(this.layers.music);
  }

  get elements() {
    return [this.picture, this.voice, this.effects, this.music];
  }

  /** `view`: {pps: pixels per second, from, to: the seconds that are near the screen}. */
  draw(film, view) {
    this.view = view;
    this.#measure();
    const clips = film.between(view.from, view.to);
    keyed(this.layers.clips, this.by.clips, clips, (clip) => clip.scene_id, clipNode, (node, clip) => this.#clip(node, clip));
    const bounds = clips.filter((clip) => clip !== film.clips.at(-1) || clip.transition !== "cut")
      .filter((clip) => clip.transition !== "cut" || clip.duration * view.pps > MARK_PX);
    keyed(this.layers.marks, this.by.marks, bounds, (clip) => clip.scene_id, () => this.#markNode(), (node, clip) => this.#mark(node, clip));
    const cards = [["title", film.title], ["credits", film.credits]].filter(([, span]) => span);
    keyed(this.layers.cards, this.by.cards, cards, ([name]) => name, cardNode, (node, [, span]) => {
      place(node, span.start * view.pps, span.duration * view.pps - GAP_PX);
      setAttr(node, "data-narrow", span.duration * view.pps < 60 ? "" : null);
      setText(node.lastChild, span.text.split("\n")[0]);
      setAttr(node, "title", span.text);
    });
    const near = (sound) => {
      const { start, duration } = film.heard(sound);
      return duration > 0 && start < view.to && start + duration > view.from;
    };
    keyed(this.layers.lines, this.by.lines, film.lines.filter(near), (line) => line.line_id, lineNode, (node, line) => this.#line(node, line, film));
    const effects = film.effects.filter(near);
    keyed(this.layers.effects, this.by.effects, effects, effectKey, effectNode, (node, effect) => this.#effect(node, effect, film));
    this.effects.dataset.some = film.effects.length ? "1" : "";
    keyed(this.layers.music, this.by.music, film.music ? [film.music] : [], () => "music", musicNode, (node, music) => this.#music(node, music, film));
    this.noMusic.hidden = Boolean(film.music) || !film.clips.length;
  }

  /** Once, before anything is written: reading a size after each block would lay out the page for each block. */
  #measure() {
    const [picture, ...sounds] = this.elements.map((lane) => lane.clientHeight);
    const [voice, effects, music] = sounds.map((height) => height - WAVE_EDGE_PX);
    this.heights = { picture, voice, effects, music };
  }

  #clip(node, clip) {
    const { pps } = this.view;
    const width = (clip.duration - clip.lead - clip.overlap / 2) * pps - GAP_PX;
    place(node, (clip.start + clip.lead) * pps, width);
    const now = card(clip.scene_id);
    const { picture, name, bar } = node.parts;
    setAttr(node, "data-state", now ? mood(now) : "draft");
    setAttr(node, "data-wide", width > WIDE_PX ? "" : null);
    setAttr(node, "data-thin", width < THIN_PX ? "" : null);
    setAttr(node, "data-fixed", clip.missing ? "" : null);
    setAttr(node, "aria-current", clip.scene_id === state.selected ? "true" : null);
    const number = fmt.shot(clip.number);
    setText(name, width > WIDE_PX ? clip.title : width > number.length * DIGIT_PX ? number : "");
    const said = `${fmt.shot(clip.number)} · ${clip.title} · ${fmt.seconds(clip.duration)}`;
    setAttr(node.parts.main, "aria-label", clip.missing ? `${said} · ${t("stage.no_take")}` : said);
    setAttr(node.parts.main, "title", said);
    node.parts.handles.forEach((handle, edge) => {
      setAttr(handle, "aria-label", `${t(edge ? "timeline.trim_end" : "timeline.trim_start")} · ${fmt.shot(clip.number)}`);
      setAttr(handle, "aria-valuenow", clip.trim[edge]);
      setAttr(handle, "aria-valuemax", clip.take_duration);
      setAttr(handle, "aria-valuetext", fmt.seconds(clip.trim[edge]));
    });
    const progress = state.progress[clip.scene_id];
    bar.style.transform = `scaleX(${progress ? progress.done / Math.max(1, progress.total) : 0})`;
    this.#pictures(picture, clip, now, width);
  }

  /** One picture where there is room for one; else frames of the take, each where it happens. */
  #pictures(box, clip, now, width) {
    const height = this.heights.picture;
    const thumb = height * (now?.take?.width ? now.take.width / now.take.height : 16 / 9); // pixels
    const tiles = clip.missing || now?.take?.kind !== "video" || width < thumb * 1.3 ? 1 : Math.ceil(width / thumb);
    const still = now ? pictureOf(now) : null;
    const drawn = `${tiles} ${still} ${clip.take_id} ${clip.trim} ${tiles > 1 ? width.toFixed() : ""} ${height}`;
    if (box.drawn === drawn) return;
    box.drawn = drawn;
    if (tiles === 1) {
      const known = box.querySelector("img");
      if (known && known.getAttribute("src") === still && box.childElementCount === 1) return;
      box.replaceChildren(...(still ? [el("img", { src: still, alt: "", decoding: "async", draggable: "false" })] : []));
      return;
    }
    const strip = `url("${urls.strip(clip.take_id)}")`;
    const wide = width / tiles;
    box.replaceChildren(...Array.from({ length: tiles }, (_, n) => {
      const share = (clip.trim[0] + ((n + 0.5) / tiles) * clip.duration) / clip.take_duration;
      const frame = Math.min(THUMBS - 1, Math.floor(share * THUMBS));
      const left = (wide - thumb) / 2 - frame * thumb;
      return el("i", { style: { "background-image": strip, "background-size": `${thumb * THUMBS}px 100%`, "background-position": `${left.toFixed(1)}px 0` } });
    }));
  }

  #markNode() {
    const node = el("button", { type: "button", class: "l-mark", role: "listitem", onclick: (event) => {
      event.stopPropagation();
      this.onmark(node, node.dataset.id);
    } }, icon(TRANSITIONS.cut));
    return node;
  }

  #mark(node, clip) {
    const at = (clip.start + clip.duration - clip.overlap / 2) * this.view.pps - GAP_PX / 2;
    node.style.transform = `translateX(${at.toFixed(1)}px)`;
    node.dataset.id = clip.scene_id;
    setAttr(node, "data-kind", clip.transition);
    setIcon(node.firstChild, TRANSITIONS[clip.transition]);
    const said = `${fmt.shot(clip.number)} · ${t("form.transition")}: ${t(`form.transition.${clip.transition}`)}`;
    setAttr(node, "aria-label", said);
    setAttr(node, "title", said);
  }

  #line(node, line, film) {
    const { pps } = this.view;
    const heard = film.heard(line);
    place(node, heard.start * pps, heard.duration * pps - 1);
    node.dataset.scene = line.scene_id;
    const who = line.character || t("scene.voice");
    const said = [who, t("take.number", { n: line.take })].join(" · ");
    setText(node.parts.name, heard.duration * pps > TITLED_PX ? said : who);
    setAttr(node, "title", `${said}: ${line.text}`);
    setAttr(node, "aria-label", `${said}: ${line.text}`);
    this.#wave(node, "voice", takePeaks(line.take_id), { from: heard.skip, seconds: heard.duration, colour: VOICE });
  }

  #effect(node, effect, film) {
    const { pps } = this.view;
    const heard = film.heard(effect);
    if (!node.dataset.dragged) place(node, heard.start * pps, heard.duration * pps - 1);
    Object.assign(node.dataset, { scene: effect.scene_id, index: effect.index });
    setText(node.parts.name, baseName(effect.name));
    setAttr(node, "title", `${effect.name} · ${effect.level} LUFS`);
    setAttr(node, "aria-label", t("timeline.effect_name", { name: effect.name, time: fmt.time(heard.start) }));
    const path = effect.ref.startsWith("asset:") ? assetPeaks(effect.ref.slice(6)) : null;
    this.#wave(node, "effects", path, { from: heard.skip, seconds: heard.duration, colour: EFFECT });
  }

  #music(node, music, film) {
    place(node, 0, music.duration * this.view.pps - GAP_PX);
    setText(node.parts.name, baseName(music.name));
    setAttr(node, "aria-label", `${t("film.music")}: ${music.name}`);
    setAttr(node, "title", `${music.name} · ${music.level} LUFS`);
    const spoken = film.lines.map((line) => film.heard(line)).map(({ start, duration }) => [start + music.start, start + duration + music.start]);
    const strength = (second) => (spoken.some(([from, to]) => second >= from && second <= to) ? QUIET : 1);
    const path = music.ref.startsWith("asset:") ? assetPeaks(music.sha256) : null;
    this.#wave(node, "music", path, { from: music.start, seconds: music.duration, colour: MUSIC, strength, key: spoken.join() });
  }

  /** The part of a block's wave that is near the screen, in canvases of one width. */
  #wave(node, lane, path, { from, seconds, colour, strength, key = "" }) {
    const height = this.heights[lane];
    const wave = height > 0 && path && waveOf(path, this.redraw);
    const { pps } = this.view;
    const left = parseFloat(node.style.transform.slice(11)); // as place() wrote it
    const width = seconds * pps;
    const first = Math.max(0, Math.floor((this.view.from * pps - left) / TILE_PX));
    const last = Math.min(Math.ceil(width / TILE_PX), Math.ceil((this.view.to * pps - left) / TILE_PX));
    const tiles = wave ? Array.from({ length: Math.max(0, last - first) }, (_, n) => first + n) : [];
    keyed(node.parts.waves, node.parts.tiles, tiles, (n) => n, () => el("canvas", { "aria-hidden": "true" }), (canvas, n) => {
      const wide = Math.min(TILE_PX, width - n * TILE_PX);
      const drawn = `${path} ${n} ${from} ${seconds} ${pps} ${height} ${key}`;
      if (canvas.drawn === drawn) return;
      canvas.drawn = drawn;
      Object.assign(canvas.style, { left: `${n * TILE_PX}px`, width: `${wide}px` });
      const phase = n * TILE_PX;
      drawWave(canvas, wave, { from: from + phase / pps, seconds: wide / pps, width: wide, height, colour, phase, strength });
    });
  }
}

export const effectKey = (effect) => `${effect.scene_id} ${effect.index}`;
const baseName = (name) => name.replace(/\.\w{2,5}$/, "");

function clipNode(clip) {
  const picture = el("span", { class: "l-clip-pictures" });
  const name = el("span", { class: "l-clip-name" });
  const bar = el("i", { class: "l-shot-bar" });
  const main = el("button", { type: "button", class: "l-clip-main" }, picture, name, bar);
  const handles = ["start", "end"].map((edge, n) => el("span", {
    class: `l-trim l-trim-${edge}`, role: "slider", tabindex: 0, "aria-valuemin": 0, dataset: { edge: n },
  }));
  const node = el("div", { class: "l-clip", role: "listitem", dataset: { id: clip.scene_id } }, main, ...handles);
  node.parts = { picture, name, bar, main, handles };
  return node;
}

function cardNode([name]) {
  return el("div", { class: "l-span", role: "listitem", "aria-label": t(SPANS[name]) },
    el("b", {}, t(SPANS[name])), el("span", {}));
}

function soundNode(className, attrs = {}) {
  const waves = el("span", { class: "l-waves" });
  const name = el("span", { class: "l-sound-name" });
  const node = el("button", { type: "button", role: "listitem", class: `l-sound ${className}`, ...attrs }, waves, name);
  node.parts = { waves, name, tiles: new Map() };
  return node;
}

const lineNode = () => soundNode("l-sound-voice");
const effectNode = () => soundNode("l-sound-effect");
const musicNode = () => soundNode("l-sound-music");
