// What is true of a finished avatar, said beside it: a draft, lips in step with the voice or not, an engine that stood in
// and why. Pure: a take in, elements out.
import { button, el, fmt, icon, t } from "./core.js";
import { sizeText } from "./player.js";
import { engineName, standInText } from "./words_of.js";

/** Rows for a take with its facts; none for null. `mend`: leads to the portrait. */
export function takeFacts(take, mend) {
  if (!take) return [];
  const { lipsync, mode } = take.facts || {};
  return [
    el("span", { class: `l-tag ${take.draft ? "l-av-draft" : ""}` }, engineName(take.engine)),
    el("span", { class: "l-hint l-mono" }, [fmt.seconds(take.duration), sizeText(take)].filter(Boolean).join(" · ")),
    lipsync ? lips(lipsync) : null,
    take.draft && mode === "voice" ? truth("warn", "info", t("avatar.still_lips"), [button(t("avatar.marks"), mend, { class: "l-btn l-av-mend" })]) : null,
    take.degraded ? truth("warn", "triangle-alert", standInText(take)) : null,
  ].filter(Boolean);
}

const truth = (tone, name, words, more = []) => el("span", { class: "l-av-truth", dataset: { tone } }, icon(name), el("span", {}, words), ...more);

/** In step, off by so much, or that nothing could be measured. */
function lips({ lag_ms: lag, in_sync: inSync, mouth, closed_in_silence: closed }) {
  if (mouth === "none") return node("wait", t("avatar.lips.none"));
  const open = closed === false ? t("avatar.lips.open") : "";
  const words = inSync ? t("avatar.lips.sync") : lag === null || lag === undefined ? t("avatar.lips.unclear") : t("avatar.lips.off", { ms: fmt.number(Math.abs(lag)) });
  return node(inSync && !open ? "ok" : "warn", [words, open].filter(Boolean).join(" · "), lag);
}

const node = (tone, words, lag = null) => el("span", { class: "l-tone l-av-lips", id: "avatar-lips", dataset: { tone }, title: lag === null || lag === undefined ? t("avatar.lips.about") : t("avatar.lips.lag", { ms: fmt.number(lag) }) },
  el("i", { class: "l-dot" }), words);
