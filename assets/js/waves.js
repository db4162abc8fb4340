// Waveforms from the peaks that the studio keeps of every sound: asked for once, drawn on a canvas. Knows no timeline.
import { api } from "./core.js";

const BAR_PX = 2;
const STEP_PX = 3;
const known = new Map(); // path -> {duration, peaks, most}, or null where there is none
const waiting = new Map(); // path -> [fn]

export const takePeaks = (takeId) => `/takes/${takeId}/peaks`;
export const assetPeaks = (sha256) => `/assets/${sha256}/peaks`;

/** The wave of `path`, or null for now: then `drawn` is called once it is here. A sound that is gone has none. */
export function waveOf(path, drawn) {
  const wave = known.get(path);
  if (wave !== undefined) return wave;
  if (waiting.has(path)) {
    if (!waiting.get(path).includes(drawn)) waiting.get(path).push(drawn);
    return null;
  }
  waiting.set(path, [drawn]);
  api("GET", path).catch(() => null).then((answer) => {
    if (answer) answer.most = Math.max(0.05, ...answer.peaks); // the loudest moment fills its lane
    known.set(path, answer);
    const ears = waiting.get(path);
    waiting.delete(path);
    ears.forEach((fn) => fn());
  });
  return null;
}

/** The loudest of a wave between two seconds of its file, 0 … 1. */
function loudest({ duration, peaks }, from, to) {
  const perSecond = peaks.length / Math.max(duration, 1e-3);
  const first = from * perSecond;
  const last = to * perSecond;
  if (last - first < 1) { // fewer values than pixels: between two of them
    const at = Math.min(Math.max(0, first), peaks.length - 1);
    const low = Math.floor(at);
    return peaks[low] + ((peaks[Math.min(low + 1, peaks.length - 1)] ?? 0) - peaks[low]) * (at - low);
  }
  let most = 0;
  for (let i = Math.max(0, Math.floor(first)); i < Math.min(peaks.length, Math.ceil(last)); i += 1) most = Math.max(most, peaks[i]);
  return most;
}

/**
 * Draws the seconds `from` … `from + seconds` of a wave over the whole canvas. `strength(second)`: 0 … 1, how strongly a
 * bar is drawn. `phase`: pixels before the canvas, so that neighbouring canvases share one comb.
 */
export function drawWave(canvas, wave, { from, seconds, width, height, colour, phase = 0, strength = () => 1 }) {
  const scale = Math.min(2, devicePixelRatio || 1);
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const paint = canvas.getContext("2d");
  paint.scale(scale, scale);
  paint.fillStyle = colour;
  const perPixel = seconds / Math.max(1, width);
  const middle = height / 2;
  for (let x = (STEP_PX - (phase % STEP_PX)) % STEP_PX; x < width; x += STEP_PX) {
    const at = from + x * perPixel;
    const tall = Math.max(1, (loudest(wave, at, at + STEP_PX * perPixel) / wave.most) * (height - 2));
    paint.globalAlpha = strength(at);
    paint.fillRect(x, middle - tall / 2, BAR_PX, tall);
  }
}
