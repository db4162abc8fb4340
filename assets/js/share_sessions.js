// Who is in: each browser that is signed in, by which way, since when; and a way to end it.
import { api, button, el, t, toastError } from "./core.js";
import { at, deviceOf, reading, row } from "./share_parts.js";

const ICONS = { local: "cpu", lan: "wifi", share: "globe", proxy: "router" };

export class SessionsSection {
  constructor() {
    this.list = el("ul", { class: "l-share-list", "aria-label": t("share.section.sessions") });
    this.none = el("p", { class: "l-hint", hidden: true }, t("share.sessions.none"));
    this.element = el("div", { class: "l-stack" }, el("p", { class: "l-hint" }, t("share.sessions.about")), this.none, this.list);
  }

  show = () => reading(this.list, () => api("GET", "/sessions"), ({ sessions }) => {
    this.none.hidden = sessions.length > 0;
    this.list.replaceChildren(...sessions.map((one) => this.#row(one)));
  });

  #row(one) {
    const end = one.mine ? el("span", { class: "l-tag" }, t("share.sessions.mine"))
      : button(t("share.sessions.end"), () => this.#end(one), { class: "l-btn l-btn-small", "aria-label": t("share.sessions.end.of", { name: one.name }) });
    const facts = [t(`share.role.${one.role}`), deviceOf(one.agent), `${t(`share.way.${one.way}`)}${one.address ? ` (${one.address})` : ""}`,
      t("share.sessions.since", { time: at(one.created) }), t("share.people.seen", { time: at(one.seen) })];
    return row(ICONS[one.way], one.name, facts, [end], { dataset: { id: one.id } });
  }

  async #end(one) {
    try {
      await api("DELETE", `/sessions/${one.id}`);
    } catch (error) {
      toastError(error);
    }
    this.show();
  }
}
