// Invitations: a link for somebody, shown once, and those that were made before. Knows no session.
import { api, button, confirmDialog, el, errorWords, fmt, iconButton, setText, t, toastError } from "./core.js";
import { state } from "./queues.js";
import { note } from "./settings_parts.js";
import { addressBox, field, reading, row, select } from "./share_parts.js";
import { complaint } from "./share_password.js";

const DAY_H = 24;
const VALID = { day: DAY_H, week: 7 * DAY_H, month: 30 * DAY_H };
const ICONS = { reviewer: "message-square", editor: "pencil", owner: "user-round" };
const ALL = "all"; // films

export class InviteSection {
  /** addresses(): [{way, url}] by which the studio can be reached now; onways(): to where that is changed. */
  constructor({ addresses, onways }) {
    Object.assign(this, { addresses, onways });
    this.closed = el("div", { hidden: true }, note(t("share.invite.closed"), { iconName: "info", hint: t("share.invite.closed.hint"), more: [button(t("share.section.ways"), onways, { iconName: "share-2" })] }));
    this.role = select("invite-role", ["reviewer", "editor", "owner"].map((name) => [name, t(`share.role.${name}`)]), "reviewer");
    this.about = el("p", { class: "l-hint" });
    this.film = select("invite-film", [], ALL);
    this.review = el("p", { class: "l-hint", hidden: true });
    this.filmField = field("share.invite.film", this.film);
    this.way = select("invite-way", [], "");
    this.wayField = field("share.invite.way", this.way);
    this.memo = el("input", { class: "l-input", id: "invite-note", maxlength: 200, placeholder: t("share.invite.note.sample") });
    this.valid = select("invite-valid", Object.keys(VALID).map((name) => [name, t(`share.valid.${name}`)]), "week");
    this.most = el("input", { class: "l-input l-mono", id: "invite-most", type: "number", min: 1, max: 100, value: 1 });
    this.wrong = complaint();
    this.made = el("div", { class: "l-share-made", hidden: true, role: "status" });
    this.list = el("ul", { class: "l-share-list", "aria-label": t("share.invitations") });
    this.none = el("p", { class: "l-hint", hidden: true }, t("share.invitations.none"));
    this.make = button(t("share.invite.make"), () => {}, { kind: "primary", iconName: "link", id: "invite-make" }); // the form hears it
    this.role.addEventListener("change", () => this.#fit());
    this.film.addEventListener("change", () => this.#look());
    this.form = el("form", { class: "l-stack", onsubmit: (event) => {
      event.preventDefault();
      this.#make();
    } },
    el("div", { class: "l-fields-two" }, field("share.role", this.role), this.filmField), this.about, this.review,
    el("div", { class: "l-invite-terms" }, field("share.invite.note", this.memo), field("share.valid", this.valid), field("share.invite.most", this.most)),
    this.wrong.element, el("div", { class: "l-share-acts" }, this.wayField, this.make));
    this.element = el("div", { class: "l-stack" }, this.closed, this.form, this.made, el("div", { class: "l-field" }, el("span", {}, t("share.invitations")), this.none, this.list));
  }

  /** queueId: of the film that somebody is to see. */
  show(queueId = undefined) {
    const films = (state.list || []).filter((queue) => !queue.inbox);
    const wanted = queueId ?? (this.film.value || state.queue?.id);
    this.film.replaceChildren(...films.map((queue) => el("option", { value: queue.id }, queue.name)), el("option", { value: ALL }, t("share.invite.all")));
    this.film.value = films.some((queue) => queue.id === wanted) ? wanted : ALL;
    if (queueId) this.role.value = "reviewer";
    const open = this.addresses();
    this.closed.hidden = open.length > 0;
    this.form.hidden = !open.length;
    this.way.replaceChildren(...open.map(({ way, url }) => el("option", { value: url }, `${t(`share.way.${way}`)} · ${new URL(url).host}`)));
    this.wayField.hidden = open.length < 2;
    this.#fit();
    this.#look();
    this.refresh();
  }

  refresh = () => reading(this.list, () => api("GET", "/invitations"), ({ invitations }) => {
    this.none.hidden = invitations.length > 0;
    this.list.replaceChildren(...invitations.map((one) => this.#row(one)));
  });

  #fit() {
    setText(this.about, t(`share.role.${this.role.value}.about`));
    this.filmField.hidden = this.role.value !== "reviewer";
    this.#look();
  }

  /** An invitation to a film that is not open for review shows an empty page. */
  async #look() {
    const queueId = this.film.value;
    this.review.hidden = true;
    if (this.role.value !== "reviewer" || queueId === ALL || !queueId) return; // none is chosen yet
    const review = await api("GET", `/queues/${queueId}/review`).catch(() => ({ open: true }));
    if (queueId !== this.film.value || review?.open) return;
    setText(this.review, t("share.invite.no_review"));
    this.review.hidden = false;
  }

  async #make() {
    this.make.disabled = true;
    this.wrong.say(null);
    const film = this.role.value === "reviewer" && this.film.value !== ALL ? { queue_id: this.film.value } : {};
    try {
      const made = await api("POST", "/invitations", { role: this.role.value, note: this.memo.value, hours: VALID[this.valid.value], most: Number(this.most.value) || 1, ...film });
      this.#told(made);
      this.memo.value = "";
      this.refresh();
    } catch (error) {
      this.wrong.say(errorWords(error));
    }
    this.make.disabled = false;
  }

  #told(made) {
    const url = this.way.value.replace(/\/$/, "") + made.url_path;
    this.made.replaceChildren(el("b", {}, t("share.invite.made", { who: made.note || t(`share.role.${made.role}`) })), el("p", { class: "l-hint" }, t("share.invite.once")),
      addressBox(url, { qr: true, label: t("share.invite.link") }));
    this.made.hidden = false;
    this.made.scrollIntoView({ block: "nearest" });
    this.made.querySelector("input").focus();
  }

  #row(one) {
    const what = one.queue_id ? t("share.invite.of", { role: t(`share.role.${one.role}`), film: one.queue || "" }) : one.role === "reviewer" ? t("share.invite.of", { role: t("share.role.reviewer"), film: t("share.invite.all") }) : t(`share.role.${one.role}`);
    const until = one.state === "open" || one.state === "used" ? t("share.invite.until", { time: fmt.date(one.expires) }) : t(`share.invite.${one.state}`);
    const came = one.used_by.length ? t("share.invite.came", { who: one.used_by.join(", ") }) : one.state === "open" ? t("share.invite.nobody") : "";
    const places = one.most > 1 ? `${one.used_by.length}/${one.most}` : "";
    const live = one.state === "open" || one.state === "used";
    const tool = live ? button(t("share.revoke"), () => this.#revoke(one), { class: "l-btn l-btn-small" }) : iconButton("trash-2", t("share.forget"), () => this.#drop(one, true));
    return row(ICONS[one.role], one.note || t("share.invite.unnamed"), [what, until, came, places], [tool], { dataset: { state: one.state, id: one.id } });
  }

  async #revoke(one) {
    const text = one.used_by.length ? t("share.revoke.text", { who: one.used_by.join(", ") }) : t("share.revoke.unused");
    if (await confirmDialog({ title: t("share.revoke.ask"), text, yes: t("share.revoke"), danger: true })) this.#drop(one, false);
  }

  async #drop(one, forget) {
    this.made.hidden = true;
    try {
      await api("DELETE", `/invitations/${one.id}${forget ? "?forget=true" : ""}`);
    } catch (error) {
      toastError(error);
    }
    this.refresh();
  }
}
