// What is true of a finished avatar, said beside it: a draft, lips in step with the voice or not, an engine that stood in
// and why. Pure: a take in, elements out.
import { button, el, fmt, icon, t } from "./core.js";
import { sizeText } from "./player.js";
import { lipsNode } from "./take_facts.js";
import { engineName, standInText } from "./words_of.js";

/** Rows for a take with its facts; none for null. `mend`: leads to the portrait. */
export function takeFacts(take, mend) {
  if (!take) return [];
  const { lipsync, mode } = take.facts || {};
  return [
    el("span", { class: `l-tag ${take.draft ? "l-av-draft" : ""}` }, engineName(take.engine)),
    el("span", { class: "l-hint l-mono" }, [fmt.seconds(take.duration), sizeText(take)].filter(Boolean).join(" · ")),
    lipsNode(lipsync, { id: "avatar-lips", class: "l-tone l-av-lips" }),
    take.draft && mode === "voice" ? truth("warn", "info", t("avatar.still_lips"), [button(t("avatar.marks"), mend, { class: "l-btn l-av-mend" })]) : null,
    take.degraded ? truth("warn", "triangle-alert", standInText(take)) : null,
  ].filter(Boolean);
}

const truth = (tone, name, words, more = []) => el("span", { class: "l-av-truth", dataset: { tone } }, icon(name), el("span", {}, words), ...more);
