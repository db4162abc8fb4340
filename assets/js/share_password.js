// A dialog that asks for a new password, one's own or somebody else's. Knows nobody.
import { button, el, errorWords, openDialog, setText, t } from "./core.js";
import { field } from "./share_parts.js";

const SHORTEST = 8; // characters; the studio says so too

/** What is wrong with a password, {message, hint}, or null. */
export const weakness = (password) => (password.length < SHORTEST ? errorWords({ code: "people.password", params: { least: SHORTEST, most: 1024 } }) : null);

export const passwordInput = (id, autocomplete) => el("input", { class: "l-input", id, type: "password", maxlength: 1024, autocomplete });

/** Words where something is wrong: {element, say({message, hint} | null)}. */
export function complaint() {
  const element = el("p", { class: "l-bad", role: "alert", hidden: true });
  return {
    element,
    say(words) {
      setText(element, words ? [words.message, words.hint].filter(Boolean).join(" ") : "");
      element.hidden = !words;
    },
  };
}

/** own: the present password is asked for too. send({old, password}): keeps it, or throws. */
export function openPassword({ title, own = false, hint = "", send }) {
  const old = passwordInput("password-old", "current-password");
  const fresh = passwordInput("password-new", "new-password");
  const wrong = complaint();
  const keep = button(t("common.save"), async () => {
    wrong.say(weakness(fresh.value));
    if (!wrong.element.hidden) return fresh.focus();
    keep.disabled = true;
    try {
      await send({ old: old.value, password: fresh.value });
      dialog.close();
    } catch (error) {
      wrong.say(errorWords(error));
    }
    keep.disabled = false;
    return undefined;
  }, { kind: "primary", id: "password-save" });
  const form = el("form", { class: "l-stack", onsubmit: (event) => {
    event.preventDefault();
    keep.click();
  } }, own ? field("who.password.old", old) : null, field("who.password.new", fresh, t("share.password.hint")), hint ? el("p", { class: "l-hint" }, hint) : null, wrong.element, el("button", { hidden: true }));
  const dialog = openDialog({ title, content: form, actions: [button(t("common.cancel"), () => dialog.close()), keep] });
  (own ? old : fresh).focus();
}
