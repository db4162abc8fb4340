// What the sections of Settings are made of: blocks, facts, notes, and a way to read again while somebody looks.
import { button, el, errorWords, icon, t } from "./core.js";

const IDLE_MS = 2000;

/** A block with a heading: block("memory.machine", nodes…). */
export const block = (key, ...content) => el("section", { class: "l-set-block" }, el("h3", {}, t(key)), ...content);

/** Label and value, in two columns; what has no value is left out. */
export const facts = (rows) => el("dl", { class: "l-set-facts" }, rows.filter(([, value]) => value !== "" && value !== null && value !== undefined && value !== false)
  .map(([label, value]) => [el("dt", {}, label), el("dd", {}, value)]));

/** Words in a box. tone: "" | "warn" | "bad". */
export const note = (words, { tone = "", iconName = "info", hint = "", more = [] } = {}) =>
  el("div", { class: "l-set-note", dataset: { tone }, role: tone === "bad" ? "alert" : null }, icon(iconName), el("div", {}, el("span", {}, words, " "), hint ? el("p", { class: "l-hint" }, hint) : null, ...more));

export const waiting = () => el("p", { class: "l-hint l-set-waiting", role: "status" }, t("common.loading"));

/** What went wrong, how to cure it, and a way to try again. */
export function trouble(error, again) {
  const { message, hint } = errorWords(error);
  return note(message || String(error), { tone: "bad", iconName: "triangle-alert", hint, more: again ? [button(t("settings.again"), again, { iconName: "refresh-cw" })] : [] });
}

/** Calls look() at once and again as long as `root` is on the page; it answers after how many ms. */
export function whileShown(root, look) {
  const beat = async () => {
    if (!root.isConnected) return;
    const seen = root.offsetParent && !document.hidden;
    const pause = seen ? await look() : IDLE_MS;
    setTimeout(beat, pause || IDLE_MS);
  };
  beat();
}

/** A bar that fills: {element, fill(share)}. */
export function progressBar(label) {
  const bar = el("i");
  const element = el("span", { class: "l-set-bar", role: "progressbar", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100 }, bar);
  return {
    element,
    fill(share) {
      const kept = Math.min(1, Math.max(0, share || 0));
      bar.style.transform = `scaleX(${kept})`;
      element.setAttribute("aria-valuenow", Math.round(kept * 100));
    },
  };
}

/** A link to a page of somebody else's, which learns nothing of us. Only web addresses become links. */
export function outside(address, words) {
  if (!/^https?:\/\//.test(address || "")) return el("span", {}, words);
  return el("a", { class: "l-set-out", href: address, target: "_blank", rel: "noopener noreferrer" }, words);
}

/** "Ready" and its like, with a dot. tone: ok | warn | bad | wait | now. */
export const mark = (tone, words, more = "") => el("span", { class: "l-tone", dataset: { tone }, title: more || null }, el("span", { class: "l-dot" }), el("span", {}, words));

/** What a memory profile is called in a line; the long words say what it does. */
export const profileName = (name) => t(`plan.profile.${name}`);
