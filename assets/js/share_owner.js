// The owner's name and password, asked for once before anything is opened to others. Knows no way.
import { api, button, el, errorWords, icon, setAttr, setText, t } from "./core.js";
import { field } from "./share_parts.js";
import { complaint, passwordInput, weakness } from "./share_password.js";

export class OwnerForm {
  /** onmade(way): there is an owner now; `way` is what waits for that, or "". */
  constructor({ onmade }) {
    this.onmade = onmade;
    this.way = "";
    this.name = el("input", { class: "l-input", id: "owner-name", maxlength: 60, autocomplete: "username", spellcheck: "false" });
    this.password = passwordInput("owner-password", "new-password");
    this.wrong = complaint();
    this.keep = button(t("share.owner.keep"), () => {}, { kind: "primary", id: "owner-save" }); // the form hears it
    this.element = el("form", { class: "l-share-owner", hidden: true, onsubmit: (event) => {
      event.preventDefault();
      this.#keep();
    } },
    el("header", {}, icon("user-round"), el("div", {}, el("b", {}, t("share.owner")), el("p", { class: "l-hint" }, t("share.owner.why")))),
    el("div", { class: "l-fields-two" }, field("share.name", this.name), field("share.password", this.password, t("share.password.hint"))),
    this.wrong.element, el("div", { class: "l-share-acts" }, this.keep));
  }

  show(wanted) {
    this.element.hidden = !wanted;
  }

  /** Somebody wants to open a way, and there is nobody yet who could sign in. */
  ask(way) {
    this.way = way;
    this.show(true);
    setAttr(this.element, "data-asked", "");
    setText(this.keep.querySelector(".l-btn-label"), t("share.owner.keep_on", { way: t(`share.way.${way}`) }));
    this.name.focus();
  }

  async #keep() {
    if (!this.name.value.trim()) return this.name.focus();
    this.wrong.say(weakness(this.password.value));
    if (!this.wrong.element.hidden) return this.password.focus();
    this.keep.disabled = true;
    try {
      await api("POST", "/people/owner", { name: this.name.value, password: this.password.value });
      this.password.value = "";
      this.onmade(this.way);
    } catch (error) {
      this.wrong.say(errorWords(error));
      this.name.focus();
    }
    this.keep.disabled = false;
    return undefined;
  }
}
