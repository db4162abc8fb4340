// Who did what: the newest first, more when they are asked for. The studio writes the sentences.
import { api, button, el, fmt, t } from "./core.js";
import { reading } from "./share_parts.js";

const PAGE = 50;

export class AuditSection {
  constructor() {
    this.next = null;
    this.list = el("ol", { class: "l-audit", "aria-label": t("share.section.audit") });
    this.none = el("p", { class: "l-hint", hidden: true }, t("share.audit.none"));
    this.more = button(t("share.audit.more"), () => this.#read(), { id: "audit-more", hidden: true });
    this.element = el("div", { class: "l-stack" }, el("p", { class: "l-hint" }, t("share.audit.about")), this.none, this.list, el("div", {}, this.more));
  }

  show() {
    this.next = null;
    this.list.replaceChildren();
    this.#read();
  }

  #read() {
    const from = this.next === null ? "" : `&before=${this.next}`;
    return reading(this.list, () => api("GET", `/audit?limit=${PAGE}${from}`), ({ entries, next }) => {
      this.list.append(...entries.map((one) => this.#row(one)));
      this.next = next;
      this.more.hidden = next === null;
      this.none.hidden = this.list.childElementCount > 0;
    });
  }

  #row(one) {
    // without a name: whoever sat here while nothing was shared; without a role: nobody who came in
    const person = one.name ? [one.name, t(`share.role.${one.role}`)] : one.role ? [t("share.audit.home")] : [];
    const from = one.name || !one.role ? [t(`share.way.${one.way}`), one.address] : [];
    const who = [...person, ...from].filter(Boolean).join(" · ");
    return el("li", {}, el("time", { class: "l-mono", datetime: one.at }, fmt.date(one.at)), el("div", {}, el("span", {}, one.text), el("span", { class: "l-hint" }, who)));
  }
}
