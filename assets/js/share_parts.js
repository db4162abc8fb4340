// What the sections of the Share dialog are made of: labelled fields, an address with copy and QR code, rows of a list.
import { address, el, fmt, icon, iconButton, setAttr, t } from "./core.js";
import { copyButton } from "./copying.js";
import { trouble } from "./settings_parts.js";

export const field = (key, control, hint = "") => el("label", { class: "l-field" }, el("span", {}, t(key)), control, hint && el("span", { class: "l-hint" }, hint));

export const select = (id, choices, value) => {
  const node = el("select", { class: "l-select", id }, choices.map(([name, label]) => el("option", { value: name }, label)));
  node.value = value;
  return node;
};

/** An address that can be copied, opened and read by a phone's camera. `qr`: the picture is there at once; `coded`:
 *  there may be one, because others can reach that address. */
export function addressBox(url, { qr = false, coded = true, label = t("share.address") } = {}) {
  const box = el("input", { class: "l-input l-mono l-share-url", value: url, readonly: true, "aria-label": label, onfocus: () => box.select() });
  const picture = el("figure", { class: "l-share-qr" });
  const toggle = iconButton("qr-code", t("share.qr"), () => show(picture.hidden), { "aria-expanded": "false" });
  const show = (open) => {
    picture.hidden = !open;
    setAttr(toggle, "aria-expanded", String(open));
    if (open && !picture.firstChild)
      picture.append(el("img", { src: address(`/api/sharing/qr.svg?text=${encodeURIComponent(url)}`), alt: t("share.qr.of", { url }), width: 148, height: 148 }), el("figcaption", { class: "l-hint" }, t("share.qr.hint")));
  };
  show(qr);
  return el("div", { class: "l-share-address" }, el("div", { class: "l-share-line", dataset: { tools: coded ? 3 : 2 } }, box, copyButton(() => url, t("share.copy")), coded ? toggle : null,
    el("a", { class: "l-ib", href: url, target: "_blank", rel: "noopener", title: t("share.open"), "aria-label": t("share.open") }, icon("external-link"))), picture);
}

/** One of a list: a picture, a name, what is to be said of it, and what can be done with it. */
export const row = (iconName, name, facts, tools = [], attrs = {}) => el("li", { class: "l-share-row", ...attrs }, icon(iconName),
  el("div", { class: "l-share-row-words" }, el("b", {}, name), el("span", { class: "l-hint" }, facts.filter(Boolean).join(" · "))), el("div", { class: "l-share-row-tools" }, tools));

/** "14:05" of today, "20 Nov, 14:05" of another day. */
export function at(iso) {
  const when = new Date(iso);
  return when.toDateString() === new Date().toDateString() ? fmt.hour(when) : fmt.date(iso);
}

/** "Chrome, Windows" of what a browser calls itself; the whole of what is none. */
export function deviceOf(agent) {
  const found = (names) => names.find(([, pattern]) => pattern.test(agent))?.[0];
  const browser = found([["Edge", /Edg\//], ["Opera", /OPR\//], ["Firefox", /Firefox\/|FxiOS/], ["Chrome", /Chrome\/|CriOS/], ["Safari", /Safari\//]]);
  const system = found([["iPhone", /iPhone/], ["iPad", /iPad/], ["Android", /Android/], ["Windows", /Windows/], ["macOS", /Mac OS X/], ["Linux", /Linux/]]);
  return [browser, system].filter(Boolean).join(", ") || agent.slice(0, 40) || t("share.device.unknown");
}

/** Reads with look() and draws with draw(); what went wrong, with its cure and another try, in their place. */
export async function reading(root, look, draw) {
  try {
    draw(await look());
  } catch (error) {
    root.replaceChildren(trouble(error, () => reading(root, look, draw)));
  }
}
