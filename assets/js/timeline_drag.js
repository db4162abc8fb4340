// Hands on the timeline: press to seek, drag a clip to another place, drag its ends to trim, move effects, drop sounds.
// With a mouse a drag begins at once; with a finger a drag scrolls, and a long press takes hold. Knows pixels and the
// film's clock; what is asked of the studio stands in timeline_edits.js.
import { commandsOf, fmt, menuOf, openMenu, setAttr, t } from "./core.js";
import { openFilm } from "./film_dialog.js";
import { select, state } from "./queues.js";
import { openCut } from "./scene_cut.js";
import { addEffect, isSound, moveClip, moveEffect, removeEffect, saveTrim } from "./timeline_edits.js";

const SLOP_PX = 5; // less is a click
const HOLD_MS = 380; // a finger that rests this long takes hold
const EDGE_PX = 48; // near the edge of the screen the timeline scrolls along
const NUDGE_MS = 500; // trims by key are saved after this much quiet

export class Gestures {
  constructor(timeline) {
    this.timeline = timeline;
    this.drag = null; // {kind, …} while something is held
    this.pending = 0; // changes on their way to the studio
    const { scroll } = timeline;
    scroll.addEventListener("pointerdown", (event) => this.#down(event));
    scroll.addEventListener("pointermove", (event) => this.#move(event));
    scroll.addEventListener("pointerup", (event) => this.#up(event));
    scroll.addEventListener("pointercancel", () => this.#cancel());
    scroll.addEventListener("touchmove", (event) => this.drag?.held && event.preventDefault(), { passive: false });
    scroll.addEventListener("dblclick", (event) => this.#open(event));
    scroll.addEventListener("contextmenu", (event) => this.#menu(event));
    scroll.addEventListener("click", (event) => event.detail === 0 && this.#byKey(event));
    document.addEventListener("keydown", (event) => event.key === "Escape" && this.drag?.held && this.#cancel());
    this.#drops(scroll);
  }

  get busy() {
    return Boolean(this.drag?.held) || this.pending > 0;
  }

  // ---------------------------------------------------------------------------------------------- press and drag
  #down(event) {
    const { timeline } = this;
    if (event.button || !timeline.film || event.target.closest(".l-mark, .l-lane-offer")) return;
    const touch = event.pointerType === "touch";
    const on = (selector) => event.target.closest(selector);
    const handle = on(".l-trim");
    const clip = on(".l-clip");
    const effect = on(".l-sound-effect");
    const kind = handle ? "trim" : clip ? "clip" : effect ? "effect" : "seek";
    this.drag = { kind, node: handle || clip || effect, id: clip?.dataset.id, x: event.clientX, lastX: event.clientX, pointer: event.pointerId, touch };
    if (kind === "trim") Object.assign(this.drag, { edge: Number(handle.dataset.edge) });
    if (kind === "effect") Object.assign(this.drag, { id: effect.dataset.scene, index: Number(effect.dataset.index), offset: timeline.secondAt(event.clientX) - this.#effect(effect).start });
    const scrubs = kind === "seek" && (on(".l-ruler") || on(".l-playhead") || !touch);
    if (kind === "trim" || scrubs) this.#hold(event);
    else if (touch && kind !== "seek") this.drag.timer = setTimeout(() => this.#hold(event), HOLD_MS);
    if (scrubs) timeline.seek(timeline.secondAt(event.clientX));
  }

  #effect(node) {
    const { film } = this.timeline;
    const effect = film.effects.find((one) => one.scene_id === node.dataset.scene && one.index === Number(node.dataset.index));
    return { ...effect, start: film.heard(effect).start };
  }

  /** From now on the pointer moves what was pressed. */
  #hold(event) {
    const { drag } = this;
    if (!drag) return;
    drag.held = true;
    this.timeline.steady = this.timeline.pps; // what is held must not shrink under the hand
    this.timeline.scroll.setPointerCapture(event.pointerId);
    if (drag.kind === "clip") drag.node.dataset.dragged = "";
    if (drag.kind === "effect") drag.node.dataset.dragged = "1";
    if (drag.kind === "trim") this.timeline.onpause();
    if (drag.touch && navigator.vibrate) navigator.vibrate(12);
  }

  #move(event) {
    const { drag } = this;
    if (!drag || event.pointerId !== drag.pointer) return;
    drag.lastX = event.clientX;
    const far = Math.abs(event.clientX - drag.x) > SLOP_PX;
    if (!drag.held && far && drag.touch) return this.#cancel();
    if (!drag.held && far && drag.kind !== "seek") this.#hold(event);
    if (!drag.held) return;
    drag.moved ||= far;
    this.#scrollAlong(event.clientX);
    this.#follow(event.clientX);
  }

  #follow(x) {
    const { drag, timeline } = this;
    const second = timeline.secondAt(x);
    if (drag.kind === "seek") timeline.seek(second);
    else if (!drag.moved) return;
    else if (drag.kind === "trim") this.#trim(second);
    else if (drag.kind === "clip") this.#carry(second);
    else drag.node.style.transform = `translateX(${(Math.max(0, second - drag.offset) * timeline.pps).toFixed(1)}px)`;
  }

  #scrollAlong(x) {
    const { left, right } = this.timeline.scroll.getBoundingClientRect();
    const by = x < left + EDGE_PX ? x - left - EDGE_PX : x > right - EDGE_PX ? x - right + EDGE_PX : 0;
    if (by && this.drag.kind !== "trim") this.timeline.scroll.scrollLeft += by / 4;
  }

  /** The end under the pointer; what is kept of the other clips moves along. */
  #trim(second) {
    const { drag, timeline } = this;
    const clip = timeline.film.clip(drag.id);
    drag.before ??= { start: clip.start, trim: [...clip.trim] };
    const { before } = drag;
    timeline.film.trim(drag.id, drag.edge, second - before.start + before.trim[0]);
    const frame = drag.edge ? clip.take_duration - clip.trim[1] - 1 / timeline.film.fps : clip.trim[0];
    timeline.draw();
    timeline.onframe(drag.id, frame);
    const edge = drag.edge ? clip.start + clip.duration : clip.start;
    this.#say(edge, `${fmt.time(frame)} · ${fmt.seconds(clip.duration)}`);
  }

  #say(second, text) {
    const { tip } = this.timeline;
    tip.hidden = false;
    tip.textContent = text;
    tip.style.transform = `translateX(${(second * this.timeline.pps).toFixed(1)}px)`;
  }

  /** A clip in the hand: it follows, and a line shows where it would go. */
  #carry(second) {
    const { drag, timeline } = this;
    const { clips } = timeline.film;
    drag.node.style.setProperty("--carried", `${(drag.lastX - drag.x).toFixed(0)}px`);
    const others = clips.filter((clip) => clip.scene_id !== drag.id);
    const at = others.findIndex((clip) => second < clip.start + clip.duration / 2);
    drag.to = at < 0 ? others.length : at;
    const next = others[drag.to];
    const edge = next ? next.start : others.at(-1) ? others.at(-1).start + others.at(-1).duration : 0;
    timeline.guide.hidden = false;
    timeline.guide.style.transform = `translateX(${(edge * timeline.pps - 2).toFixed(1)}px)`;
  }

  #up(event) {
    const { drag, timeline } = this;
    if (!drag || event.pointerId !== drag.pointer) return;
    this.#release();
    if (!drag.moved) {
      if (drag.kind === "trim") select(drag.id);
      else if (!(drag.held && drag.touch)) timeline.seek(timeline.secondAt(event.clientX));
    } else if (drag.kind === "trim") this.#send(() => saveTrim(timeline.film.clip(drag.id)));
    else if (drag.kind === "clip") this.#drop(drag);
    else if (drag.kind === "effect") this.#dropEffect(drag, timeline.secondAt(event.clientX) - drag.offset);
    timeline.draw();
    timeline.fill(); // what came while something was held
  }

  #drop({ id, to }) {
    const { film } = this.timeline;
    const others = film.clips.filter((clip) => clip.scene_id !== id);
    if (to === undefined || film.clips[to]?.scene_id === id) return;
    const next = others[to]?.scene_id ?? null;
    film.move(id, to); // at once; the studio's answer follows
    this.#send(() => moveClip(id, next));
  }

  #dropEffect({ id, index }, second) {
    const { film } = this.timeline;
    const clip = film.at(Math.max(0, second));
    if (!clip) return this.timeline.refuse();
    this.#send(() => moveEffect(id, index, clip.scene_id, second - clip.start + clip.trim[0]));
  }

  /** What is shown already is asked of the studio; where it says no, the timeline is drawn as it was. */
  async #send(verb) {
    this.pending += 1;
    await verb();
    this.pending -= 1;
    this.timeline.refuse(); // asks for what the studio has now, changed or not
  }

  #cancel() {
    if (!this.drag) return;
    const { held } = this.drag;
    this.#release();
    if (held) this.timeline.refuse();
  }

  #release() {
    const { drag, timeline } = this;
    clearTimeout(drag.timer);
    drag.node?.removeAttribute("data-dragged");
    drag.node?.style.removeProperty("--carried");
    timeline.guide.hidden = true;
    timeline.tip.hidden = true;
    timeline.steady = null;
    this.drag = null;
  }

  // ---------------------------------------------------------------------------------------------- keys and menus
  /** Enter or Space on a block: its beginning. */
  #byKey(event) {
    const clip = event.target.closest(".l-clip");
    const line = event.target.closest(".l-sound-voice");
    const effect = event.target.closest(".l-sound-effect");
    const { film } = this.timeline;
    if (clip) {
      select(clip.dataset.id);
      this.timeline.seek(film.clip(clip.dataset.id).start + film.clip(clip.dataset.id).overlap / 2);
    } else if (line) this.timeline.seek(film.clip(line.dataset.scene).start);
    else if (effect) openCut(effect.dataset.scene);
    else if (event.target.closest(".l-sound-music")) openFilm("sound");
  }

  #open(event) {
    const clip = event.target.closest(".l-clip, .l-sound-effect");
    if (clip) openCut(clip.dataset.id || clip.dataset.scene);
    else if (event.target.closest(".l-sound-music")) openFilm("sound");
    else if (event.target.closest(".l-span")) openFilm("titles");
  }

  #menu(event) {
    const clip = event.target.closest(".l-clip");
    if (!clip || this.drag?.held || !commandsOf("scene", clip.dataset.id).length) return;
    event.preventDefault();
    select(clip.dataset.id);
    openMenu(clip, menuOf("scene", t, clip.dataset.id));
  }

  /** One frame or second more or less, by key; saved once the keys rest. */
  nudge(handle, by) {
    const { timeline } = this;
    const id = handle.closest(".l-clip").dataset.id;
    const edge = Number(handle.dataset.edge);
    const clip = timeline.film.clip(id);
    if (clip.missing) return;
    const second = edge ? clip.take_duration - clip.trim[1] : clip.trim[0];
    timeline.film.trim(id, edge, second + by);
    timeline.draw();
    timeline.onframe(id, edge ? clip.take_duration - clip.trim[1] - 1 / timeline.film.fps : clip.trim[0]);
    if (!this.nudged) this.pending += 1;
    clearTimeout(this.nudged);
    this.nudged = setTimeout(() => {
      this.nudged = 0;
      this.pending -= 1;
      this.#send(() => saveTrim(clip));
    }, NUDGE_MS);
  }

  /** Takes an effect away. False where `node` is none: nothing else is ever deleted here. */
  remove(node) {
    const effect = node.closest?.(".l-sound-effect");
    if (!effect) return false;
    this.#send(() => removeEffect(effect.dataset.scene, Number(effect.dataset.index)));
    this.timeline.scroll.focus();
    return true;
  }

  // ---------------------------------------------------------------------------------------------- sounds from outside
  #drops(box) {
    const { timeline } = this;
    const wait = (on) => {
      timeline.awaiting = on;
      timeline.guide.hidden = !on;
      setAttr(timeline.element, "data-awaiting", on ? "" : null);
      timeline.drawSoon();
    };
    box.addEventListener("dragover", (event) => {
      if (![...event.dataTransfer.items].some(isSound) || !timeline.film?.clips.length) return;
      event.preventDefault();
      event.stopPropagation();
      event.dataTransfer.dropEffect = "copy";
      if (!timeline.awaiting) wait(true);
      timeline.guide.style.transform = `translateX(${(timeline.secondAt(event.clientX) * timeline.pps).toFixed(1)}px)`;
    });
    box.addEventListener("dragleave", (event) => !box.contains(event.relatedTarget) && wait(false));
    box.addEventListener("drop", (event) => {
      if (!timeline.awaiting) return;
      event.preventDefault();
      event.stopPropagation();
      wait(false);
      const second = timeline.secondAt(event.clientX);
      const clip = timeline.film.at(second);
      const file = [...event.dataTransfer.files].find((one) => one.type.startsWith("audio/"));
      if (clip && file && state.queue) this.#send(() => addEffect(clip.scene_id, file, second - clip.start + clip.trim[0]));
    });
  }
}
