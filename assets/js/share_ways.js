// The ways into the studio: each a switch that says what it means and who can reach the studio by it. First of all, once,
// the owner's own name and password: from then on nobody comes in without a name.
import { api, button, confirmDialog, el, errorWords, icon, pulse, setAttr, t, toastError } from "./core.js";
import { me, readMe } from "./me.js";
import { mark, note, whileShown } from "./settings_parts.js";
import { addressBox, at, reading } from "./share_parts.js";
import { OwnerForm } from "./share_owner.js";

const ICONS = { share: "globe", lan: "wifi", proxy: "router" };
const TONES = { on: "bad", opening: "now", failed: "warn" }; // red is what is open to others
const OPENING_MS = 700;
const IDLE_MS = 3000;

export class WaysSection {
  /** oninvite(): the next step once a way is on. */
  constructor({ oninvite }) {
    this.rows = new Map();
    this.view = null;
    this.fresh = new Set(); // switched on here: their QR code is there at once
    this.owner = new OwnerForm({ onmade: (way) => this.#made(way) });
    this.list = el("div", { class: "l-share-ways" });
    this.next = el("div", { class: "l-share-next", hidden: true }, el("span", {}, t("share.next")), button(t("share.invite"), oninvite, { iconName: "user-plus", kind: "primary", id: "share-next" }));
    this.element = el("div", { class: "l-stack" }, this.owner.element, this.list, this.next);
  }

  watch() {
    whileShown(this.element, async () => {
      await this.refresh();
      return this.view?.ways.some((one) => one.state === "opening") ? OPENING_MS : IDLE_MS;
    });
  }

  refresh = () => reading(this.list, () => api("GET", "/sharing"), (view) => this.#draw(view));

  /** [{way, url}] of those that are on. */
  get open() {
    return (this.view?.ways || []).filter((one) => one.state === "on").flatMap(({ way, urls }) => urls.map((url) => ({ way, url })));
  }

  #draw(view) {
    this.view = view;
    this.owner.show(!view.has_owner);
    if (!this.list.querySelector(".l-share-way")) this.list.replaceChildren(...view.ways.map((one) => this.#row(one)));
    for (const one of view.ways) this.#fill(one);
    this.next.hidden = !this.open.length;
  }

  #row({ way }) {
    const parts = { state: el("span", { class: "l-share-way-state" }), box: el("div", { class: "l-share-way-more" }), drawn: "" };
    parts.toggle = el("input", { type: "checkbox", role: "switch", class: "l-switch", id: `way-${way}`, "aria-describedby": `way-${way}-about`, onchange: () => this.#turn(way, parts.toggle.checked) });
    this.rows.set(way, parts);
    return el("div", { class: "l-share-way", dataset: { way } }, icon(ICONS[way] || "globe"),
      el("label", { class: "l-share-way-words", for: `way-${way}` }, el("span", { class: "l-share-way-name" }, el("b", {}, t(`share.way.${way}`)), parts.state),
        el("span", { class: "l-hint", id: `way-${way}-about` }, t(`share.way.${way}.about`))),
      parts.toggle, parts.box);
  }

  #fill(one) {
    const parts = this.rows.get(one.way);
    parts.toggle.checked = one.on;
    parts.toggle.disabled = Boolean(parts.busy) || !(one.on || one.possible);
    const drawn = JSON.stringify(one);
    if (drawn === parts.drawn) return;
    parts.drawn = drawn;
    setAttr(parts.toggle.closest(".l-share-way"), "data-state", one.state);
    const words = one.state === "on" ? t("share.on.since", { time: at(one.since) }) : one.state === "off" ? "" : t(`share.${one.state}`);
    parts.state.replaceChildren(...(words ? [mark(TONES[one.state], words)] : []));
    parts.box.replaceChildren(...this.#more(one));
  }

  #more(one) {
    if (one.state === "on") {
      const hint = one.way === "share" ? [el("p", { class: "l-hint" }, t("share.way.share.changes"))] : [];
      return [...one.urls.map((url, place) => addressBox(url, { qr: place === 0 && this.fresh.has(one.way) })), ...hint];
    }
    if (one.error) {
      const { message, hint } = errorWords(one.error);
      return [note(message, { tone: "bad", iconName: "triangle-alert", hint, more: one.on ? [el("p", { class: "l-hint" }, t("share.retrying"))] : one.state === "failed" ? [button(t("share.again"), () => this.#turn(one.way, true), { iconName: "refresh-cw" })] : [] })];
    }
    if (one.why_not) {
      const { message, hint } = errorWords(one.why_not);
      return [note(message, { hint })];
    }
    return [];
  }

  async #turn(way, on) {
    const parts = this.rows.get(way);
    if (on && !this.view.has_owner) {
      parts.toggle.checked = false;
      this.owner.ask(way);
      return;
    }
    if (!on && me.way === way && !(await confirmDialog({ title: t("share.off.self"), text: t("share.off.self.text"), yes: t("share.off"), danger: true }))) {
      parts.toggle.checked = true;
      return;
    }
    parts.busy = parts.toggle.disabled = true;
    if (on) this.fresh.add(way);
    try {
      const view = await api("POST", `/sharing/${way}`, { on });
      parts.busy = false;
      this.#draw(view);
    } catch (error) {
      parts.busy = false;
      if (error.code === "sharing.no_owner") this.owner.ask(way);
      else toastError(error);
      this.refresh();
    }
    readMe();
    pulse.poke();
  }

  async #made(way) {
    await this.refresh();
    if (way) this.#turn(way, true);
  }
}
