// What was measured of a take, in words: lips against sound, and words that were to be said and were not heard.
// Pure: facts in, an element or nothing out.
import { el, fmt, t } from "./core.js";

/** In sync, off by so much, or that nothing could be measured; null where nobody measured. */
export function lipsNode(lipsync, attributes = {}) {
  if (!lipsync) return null;
  if (lipsync.mouth !== "none" && lipsync.in_sync === null) return tone("wait", t("avatar.lips.untold"), t("avatar.lips.about"), attributes);
  const { lag_ms: lag, in_sync: inSync, mouth, closed_in_silence: closed } = lipsync;
  if (mouth === "none") return tone("wait", t("avatar.lips.none"), t("avatar.lips.about"), attributes);
  const open = closed === false ? t("avatar.lips.open") : "";
  const said = inSync ? t("avatar.lips.sync") : lag === null ? t("avatar.lips.unclear") : t("avatar.lips.off", { ms: fmt.number(Math.abs(lag)) });
  const title = lag === null ? t("avatar.lips.about") : t("avatar.lips.lag", { ms: fmt.number(lag) });
  return tone(inSync && !open ? "ok" : "warn", [said, open].filter(Boolean).join(" · "), title, attributes);
}

/** Words of a line that were not heard in its take; null where all were, or nobody listened. */
export const missingNode = (missing) => (missing?.length ? tone("warn", t("take.missing", { words: missing.join(" … ") }), t("take.missing.about")) : null);

const tone = (name, words, title, attributes = {}) => el("span", { class: "l-tone", dataset: { tone: name }, title, ...attributes }, el("i", { class: "l-dot" }), words);
