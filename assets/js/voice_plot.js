// The long-term spectrum of a voice as a small plot, with another one laid over it. Knows profiles and nothing else.
import { fmt, t } from "./core.js";
import { tenths } from "./voice_names.js";

const WIDTH = 320;
const HEIGHT = 120;
const BELOW = 16; // for the words under it
const LEAST_DB = 30; // less of a range would make a flat voice look wild
const TICKS = [[100, "100"], [300, "300"], [1000, "1k"], [3000, "3k"], [10000, "10k"]]; // Hz
const LINES = ["l-plot-own", "l-plot-other"];

function svg(tag, attrs, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attrs)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** plot([{name, spectrum: [[hz, db]]}, …]): the first is the voice's own. Levels are taken against each one's loudest. */
export function plot(curves) {
  const drawn = curves.filter(({ spectrum }) => spectrum?.length > 1)
    .map(({ name, spectrum }) => {
      const top = Math.max(...spectrum.map(([, db]) => db));
      return { name, points: spectrum.map(([hz, db]) => [hz, db - top]) };
    });
  const every = drawn.flatMap(({ points }) => points);
  const low = Math.min(...every.map(([hz]) => hz));
  const high = Math.max(...every.map(([hz]) => hz));
  const floor = Math.min(-LEAST_DB, ...every.map(([, db]) => Math.max(-80, db)));
  const x = (hz) => (Math.log(hz / low) / Math.log(high / low)) * WIDTH;
  const y = (db) => 4 + (Math.max(floor, db) / floor) * (HEIGHT - 4);
  const label = t("voice.profile.spectrum.label", { voices: drawn.map(({ name }) => name).join(", "), low: fmt.number(low), high: fmt.number(high) });
  const root = svg("svg", { class: "l-plot", viewBox: `0 0 ${WIDTH} ${HEIGHT + BELOW}`, role: "img", "aria-label": label });
  for (const [hz, words] of TICKS.filter(([at]) => at > low && at < high)) {
    root.append(svg("line", { x1: x(hz), x2: x(hz), y1: 0, y2: HEIGHT, class: "l-plot-grid" }),
      svg("text", { x: x(hz), y: HEIGHT + 12, "text-anchor": "middle" }, words));
  }
  for (let db = 0; db > floor; db -= 20) root.append(svg("line", { x1: 0, x2: WIDTH, y1: y(db), y2: y(db), class: "l-plot-grid" }));
  root.append(svg("line", { x1: 0, x2: WIDTH, y1: HEIGHT, y2: HEIGHT, class: "l-plot-base" }));
  drawn.forEach(({ points }, at) => {
    const path = points.map(([hz, db], i) => `${i ? "L" : "M"}${x(hz).toFixed(1)} ${y(db).toFixed(1)}`).join("");
    if (!at) root.append(svg("path", { d: `${path}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`, class: "l-plot-fill" }));
    root.append(svg("path", { d: path, class: LINES[at] }));
  });
  return root;
}

/** How far two spectra are apart: the mean difference of their shapes in dB; null where they share too little. */
export function apart(one, other) {
  if (!one?.length || !other?.length) return null;
  const at = new Map(other.map(([hz, db]) => [Math.round(hz), db]));
  const both = one.filter(([hz]) => at.has(Math.round(hz))).map(([hz, db]) => db - at.get(Math.round(hz)));
  if (both.length < 8) return null;
  const mean = both.reduce((sum, value) => sum + value, 0) / both.length;
  return Math.sqrt(both.reduce((sum, value) => sum + (value - mean) ** 2, 0) / both.length);
}

/** "118 Hz against 121 Hz" in cents: how far two pitches are apart; "" where one is unknown. */
export function cents(one, other) {
  return one && other ? Math.round(1200 * Math.log2(other / one)) : null;
}

export const apartWords = (value) => (value === null ? "" : `${tenths(value)} dB`);
