// People who may come in: their role, when they were here, a new password, away with them. Knows no invitation.
import { api, confirmDialog, el, icon, iconButton, t, toast, toastError } from "./core.js";
import { me } from "./me.js";
import { at, reading, select } from "./share_parts.js";
import { openPassword } from "./share_password.js";

const ROLES = ["owner", "editor", "reviewer"];

export class PeopleSection {
  constructor() {
    this.list = el("ul", { class: "l-share-list", "aria-label": t("share.section.people") });
    this.none = el("p", { class: "l-hint", hidden: true }, t("share.people.none"));
    this.element = el("div", { class: "l-stack" }, el("p", { class: "l-hint" }, t("share.people.about")), this.none, this.list);
  }

  show = () => reading(this.list, () => api("GET", "/people"), ({ people }) => {
    this.none.hidden = people.length > 0;
    this.list.replaceChildren(...people.map((one) => this.#row(one)));
  });

  #row(one) {
    const fixed = one.origin === "settings";
    const role = select(`role-${one.id}`, ROLES.map((name) => [name, t(`share.role.${name}`)]), one.role);
    Object.assign(role, { disabled: fixed, title: fixed ? t("share.people.fixed") : "" });
    role.setAttribute("aria-label", t("share.role.of", { name: one.name }));
    role.addEventListener("change", () => this.#change(one, { role: role.value }));
    const here = one.sessions ? t("share.people.here", { count: one.sessions }) : "";
    const facts = [fixed ? t("share.people.fixed") : "", one.seen ? t("share.people.seen", { time: at(one.seen) }) : t("share.people.never"), here, one.password ? "" : t("share.people.by_link")];
    return el("li", { class: "l-share-row l-person", dataset: { id: one.id } }, icon("user-round"),
      el("div", { class: "l-share-row-words" }, el("b", {}, one.name, one.name === me.name ? el("span", { class: "l-tag" }, t("share.you")) : null), el("span", { class: "l-hint" }, facts.filter(Boolean).join(" · "))),
      role, el("div", { class: "l-share-row-tools" },
        iconButton("lock", t("share.people.password", { name: one.name }), () => this.#password(one), { disabled: fixed }),
        iconButton("trash-2", t("share.people.remove", { name: one.name }), () => this.#remove(one), { disabled: fixed })));
  }

  async #change(one, changes) {
    try {
      await api("PATCH", `/people/${one.id}`, changes);
      toast(t("share.people.changed", { name: one.name }), t("share.people.changed.hint"), "ok");
    } catch (error) {
      toastError(error);
    }
    this.show();
  }

  async #remove(one) {
    if (!(await confirmDialog({ title: t("share.people.remove", { name: one.name }), text: t("share.people.remove.text"), yes: t("share.people.remove.yes"), danger: true }))) return;
    try {
      await api("DELETE", `/people/${one.id}`);
    } catch (error) {
      toastError(error);
    }
    this.show();
  }

  #password(one) {
    openPassword({
      title: t("share.people.password", { name: one.name }), hint: t("share.people.password.hint"),
      send: async ({ password }) => {
        await api("PATCH", `/people/${one.id}`, { password });
        toast(t("share.people.changed", { name: one.name }), t("share.people.changed.hint"), "ok");
        this.show();
      },
    });
  }
}
