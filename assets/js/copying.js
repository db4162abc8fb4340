// Text into the clipboard, also where the page has no secure context.
import { el, iconButton, setAttr, setIcon, t, toast } from "./core.js";

const SAID_MS = 1600;

async function write(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no clipboard without a secure context: a phone on the local network
    const box = el("textarea", { value: text, readonly: true, style: { position: "fixed", opacity: 0 } }); // what is hidden cannot be selected
    (document.querySelector("dialog[open]") || document.body).append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
  }
}

/** Copies and says so with the words of `said`, a key of the dictionary. */
export async function copy(text, said) {
  await write(text);
  toast(t(said), "", "ok");
}

/** A button that copies what text() is, and shows a tick where it stands. */
export function copyButton(text, label, attrs = {}) {
  const node = iconButton("copy", label, async () => {
    await write(text());
    setIcon(node.firstChild, "check");
    setAttr(node, "data-done", "");
    setAttr(node, "aria-label", t("share.copied"));
    setTimeout(() => {
      setIcon(node.firstChild, "copy");
      setAttr(node, "data-done", null);
      setAttr(node, "aria-label", label);
    }, SAID_MS);
  }, attrs);
  return node;
}
