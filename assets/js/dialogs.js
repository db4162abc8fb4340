// Toasts, questions and sheets: the only things that lie over the page. Texts arrive as words, never as markup.
import { button, el, icon, iconButton } from "./dom.js";
import { errorWords, t } from "./i18n.js";

const TOAST_MS = { info: 4000, ok: 4000, bad: 9000 };
const TOAST_ICONS = { info: "info", ok: "check", bad: "triangle-alert" };

/** In the dialog that is open, if one is: whatever lies outside of it is covered, and nothing there can be pressed. */
function toastBox() {
  const box = document.getElementById("l-toasts") || el("div", { id: "l-toasts", role: "status", "aria-live": "polite" });
  const place = [...document.querySelectorAll("dialog[open]")].at(-1) || document.body;
  if (box.parentElement !== place) place.append(box);
  return box;
}

/** toast("Saved"), toast(message, hint, "bad"). kind: info | ok | bad. */
export function toast(message, hint = "", kind = "info") {
  const box = toastBox();
  const node = el("div", { class: `l-toast l-toast-${kind}`, role: kind === "bad" ? "alert" : null },
    icon(TOAST_ICONS[kind]),
    el("div", { class: "l-toast-words" }, el("div", {}, message), hint && el("div", { class: "l-hint" }, hint)),
    iconButton("x", t("common.close"), () => node.remove()));
  box.append(node);
  while (box.childElementCount > 4) box.firstElementChild.remove();
  setTimeout(() => node.remove(), TOAST_MS[kind]);
}

/** Shows what went wrong and how to cure it. */
export function toastError(error) {
  if (error?.name === "AbortError") return;
  const { message, hint } = errorWords(error);
  toast(message || String(error), hint, "bad");
}

/**
 * A modal over the page. `content` and `actions` are nodes; onclose runs however it closes. Returns the <dialog>;
 * call .close() to end it. Escape and a click beside it close it too.
 */
export function openDialog({ title, content, actions = [], wide = false, onclose = () => {}, className = "" }) {
  const dialog = el("dialog", { class: `l-dialog ${wide ? "l-dialog-wide" : ""} ${className}`, "aria-label": title },
    el("header", { class: "l-dialog-head" },
      el("h2", {}, title),
      iconButton("x", t("common.close"), () => dialog.close())),
    el("div", { class: "l-dialog-body" }, content),
    actions.length ? el("footer", { class: "l-dialog-foot" }, actions) : null);
  dialog.addEventListener("close", () => {
    const toasts = dialog.querySelector("#l-toasts");
    dialog.remove();
    if (toasts) document.body.append(toasts);
    onclose();
  });
  dialog.addEventListener("pointerdown", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** await ask({title, text, choices: [{value, label, kind?}]}) -> the value, or null when closed. */
export function ask({ title, text = "", content = null, choices }) {
  return new Promise((resolve) => {
    let answer = null;
    const actions = choices.map(({ value, label, kind = "" }) =>
      button(label, () => {
        answer = value;
        dialog.close();
      }, { kind }));
    const dialog = openDialog({
      title, actions, onclose: () => resolve(answer),
      content: el("div", {}, text && el("p", { class: "l-dialog-text" }, text), content),
    });
    actions.at(-1).focus();
  });
}

/** await confirmDialog({title, text, yes: "Delete", danger: true}) -> true | false */
export async function confirmDialog({ title, text = "", content = null, yes, danger = false }) {
  const choices = [
    { value: false, label: t("common.cancel") },
    { value: true, label: yes, kind: danger ? "danger" : "primary" },
  ];
  return (await ask({ title, text, content, choices })) === true;
}

/** await promptDialog({title, label, value, yes}) -> the trimmed text, or null. */
export function promptDialog({ title, label, value = "", yes, maxlength = 200 }) {
  return new Promise((resolve) => {
    let answer = null;
    const input = el("input", { class: "l-input", value, maxlength, "aria-label": label, placeholder: label });
    const accept = () => {
      if (!input.value.trim()) return;
      answer = input.value.trim();
      dialog.close();
    };
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault(); // closing gives the focus back, and this Enter would press that button again
      accept();
    });
    const dialog = openDialog({
      title, onclose: () => resolve(answer),
      content: el("label", { class: "l-field" }, el("span", {}, label), input),
      actions: [button(t("common.cancel"), () => dialog.close()), button(yes, accept, { kind: "primary" })],
    });
    input.focus();
    input.select();
  });
}

/** A small menu under a button: items [{label, icon, onclick, danger?} | null (a line)]. */
export function openMenu(anchor, items) {
  document.querySelectorAll(".l-menu").forEach((menu) => menu.remove());
  const menu = el("div", { class: "l-menu", role: "menu" }, items.map((item) => item
    ? el("button", { type: "button", role: "menuitem", class: item.danger ? "l-menu-danger" : "", disabled: item.disabled,
      onclick: () => {
        close();
        item.onclick();
      } }, icon(item.icon), el("span", {}, item.label))
    : el("hr")));
  const close = () => {
    menu.remove();
    document.removeEventListener("pointerdown", outside, true);
    document.removeEventListener("keydown", keys, true);
  };
  const outside = (event) => menu.contains(event.target) || close();
  const keys = (event) => {
    const all = [...menu.querySelectorAll("button:not([disabled])")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
      close();
      anchor.focus();
    } else if (step) {
      event.preventDefault();
      all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
    }
    event.stopPropagation();
  };
  document.body.append(menu);
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = Math.max(8, Math.min(at.right - width, innerWidth - width - 8));
  const below = at.bottom + 4 + height < innerHeight;
  menu.style.left = `${left}px`;
  menu.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - height - 4)}px`;
  document.addEventListener("pointerdown", outside, true);
  document.addEventListener("keydown", keys, true);
  menu.querySelector("button:not([disabled])")?.focus();
}
