// A box on a picture that is moved and sized by pointer or keys. Its value is [left, top, right, bottom] in shares of the
// picture. Knows no picture.
import { el } from "./core.js";

const LEAST = 0.04; // of a side
const STEP = 0.01;
const KEYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
const CORNERS = { nw: [0, 1], ne: [2, 1], sw: [0, 3], se: [2, 3] }; // which of the four numbers each one moves

const between = (value, least, most) => Math.min(most, Math.max(least, value));

export class Box {
  /** onchange(value, done): while it moves, and once it has; onenter, onescape: keys. */
  constructor({ kind, label, tag = "", value, onchange = () => {}, onenter = () => {}, onescape = () => {} }) {
    this.on = { change: onchange, enter: onenter, escape: onescape };
    this.element = el("div", { class: `l-av-box l-av-box-${kind}`, tabindex: 0, role: "group", "aria-label": label },
      tag && el("span", { class: "l-av-box-tag" }, tag),
      Object.keys(CORNERS).map((corner) => el("i", { dataset: { corner } })));
    this.element.addEventListener("pointerdown", (event) => this.#grab(event));
    this.element.addEventListener("keydown", (event) => this.#key(event));
    this.put(value);
  }

  put(value) {
    this.value = value;
    const [left, top, right, bottom] = value.map((share) => share * 100);
    Object.assign(this.element.style, { left: `${left}%`, top: `${top}%`, width: `${right - left}%`, height: `${bottom - top}%` });
  }

  #set(value, done) {
    this.put(value.map((share) => Math.round(share * 1000) / 1000));
    this.on.change(this.value, done);
  }

  #moved(from, dx, dy) {
    const [left, top, right, bottom] = from;
    const x = between(dx, -left, 1 - right);
    const y = between(dy, -top, 1 - bottom);
    return [left + x, top + y, right + x, bottom + y];
  }

  #sized(from, [x, y], dx, dy) {
    const value = [...from];
    value[x] = x ? between(from[x] + dx, from[0] + LEAST, 1) : between(from[x] + dx, 0, from[2] - LEAST);
    value[y] = y === 3 ? between(from[y] + dy, from[1] + LEAST, 1) : between(from[y] + dy, 0, from[3] - LEAST);
    return value;
  }

  #grab(event) {
    if (event.button) return;
    event.preventDefault();
    event.stopPropagation();
    this.element.focus({ preventScroll: true });
    this.element.setPointerCapture(event.pointerId);
    const corner = CORNERS[event.target.dataset.corner];
    const from = this.value;
    const { width, height } = this.element.parentElement.getBoundingClientRect();
    const to = (at) => {
      const [dx, dy] = [(at.clientX - event.clientX) / width, (at.clientY - event.clientY) / height];
      return corner ? this.#sized(from, corner, dx, dy) : this.#moved(from, dx, dy);
    };
    const move = (at) => this.#set(to(at), false);
    const end = (at) => {
      for (const name of ["pointermove", "pointerup", "pointercancel"]) this.element.removeEventListener(name, name === "pointermove" ? move : end);
      this.#set(at.type === "pointerup" ? to(at) : from, true);
    };
    this.element.addEventListener("pointermove", move);
    this.element.addEventListener("pointerup", end);
    this.element.addEventListener("pointercancel", end);
  }

  #key(event) {
    const step = KEYS[event.key];
    const act = { Enter: this.on.enter, Escape: this.on.escape }[event.key];
    if (!step && !act) return;
    event.preventDefault();
    event.stopPropagation();
    if (act) act();
    else this.#set(event.shiftKey ? this.#sized(this.value, CORNERS.se, ...step) : this.#moved(this.value, ...step), true);
  }
}
