// Who renders an avatar: every engine that can, with its limits and what it takes to have it; size, shape, motion.
import { api, button, el, errorWords, fmt, on, setText, t } from "./core.js";
import { PEOPLE, change, chosen, desk, people } from "./avatar_desk.js";
import { getById } from "./fetching.js";
import { engineName } from "./words_of.js";

const TASK = "talking_avatar";
const RESOLUTIONS = ["480P", "720P"]; // of an avatar
const SHAPES = ["16:9", "9:16", "1:1", "4:3", "3:4"];
const TONES = { ready: "ok", needs_download: "wait", unfit: "bad" };

export class EnginePicker {
  engines = null; // those that make avatars, the best first; null before the first answer

  constructor({ onread }) {
    this.onread = onread;
    this.summary = el("summary", {}, el("span", { class: "l-av-fold-name" }, t("form.engine")), (this.now = el("span", { class: "l-av-fold-now" })));
    this.list = el("div", { class: "l-av-engines", role: "radiogroup", "aria-label": t("form.engine") });
    this.fold = el("details", { class: "l-av-fold", id: "avatar-engines" }, this.summary, this.list);
    this.sizes = el("div", { class: "l-seg l-av-sizes", id: "avatar-resolution", role: "radiogroup", "aria-label": t("form.resolution") }, RESOLUTIONS.map((size) =>
      el("label", {}, el("input", { type: "radio", name: "avatar-resolution", value: size, onchange: () => change({ resolution: size }) }), el("span", {}, size))));
    this.shape = el("select", { class: "l-select", id: "avatar-aspect", "aria-label": t("form.aspect"), onchange: () => change({ aspect: this.shape.value, shaped: true }) },
      SHAPES.map((shape) => el("option", { value: shape }, shape)));
    this.prompt = el("textarea", { class: "l-input", rows: 2, maxlength: 10000, id: "avatar-prompt", placeholder: t("form.sample.talking_avatar"), "aria-label": t("avatar.prompt"), oninput: () => change({ prompt: this.prompt.value }) });
    this.element = el("section", { class: "l-av-making" },
      el("div", { class: "l-av-part" }, el("h2", {}, t("avatar.making"))), this.fold,
      el("div", { class: "l-av-pair" }, this.sizes, this.shape),
      el("label", { class: "l-field" }, el("span", {}, t("avatar.prompt")), this.prompt));
    on("avatar", (names) => names.some((name) => ["engine", "resolution", "aspect", "prompt", "lines", "recordings", "mode"].includes(name)) && this.draw());
    on("tab", (tab) => tab === "avatar" && this.read());
    on("catalogue", () => this.read());
    this.read();
    this.draw();
  }

  async read() {
    try {
      const engines = await api("GET", "/engines");
      this.engines = engines.filter((engine) => engine.tasks.includes(TASK)).sort((a, b) => a.draft - b.draft || a.rank - b.rank);
    } catch {
      return; // the pulse says when the studio cannot be reached
    }
    this.draw();
    this.onread();
  }

  draw() {
    for (const { firstChild: radio } of this.sizes.children) {
      radio.checked = radio.value === desk.resolution;
      radio.parentElement.dataset.on = String(radio.checked);
    }
    if (this.shape.value !== desk.aspect) this.shape.value = desk.aspect;
    if (this.prompt.value !== desk.prompt) this.prompt.value = desk.prompt;
    if (!this.engines) return;
    const now = chosen(this.engines);
    const limits = now?.limits;
    for (const { firstChild: radio } of this.sizes.children) radio.disabled = Boolean(limits) && !limits.resolutions.includes(radio.value) && radio.value !== desk.resolution;
    setText(this.now, desk.engine === "auto" ? [t("form.engine.auto"), now && engineName(now.id)].filter(Boolean).join(" · ") : engineName(desk.engine));
    const held = this.list.contains(document.activeElement) && document.activeElement.value;
    const gone = desk.engine !== "auto" && !this.engines.some((engine) => engine.id === desk.engine);
    this.list.replaceChildren(this.#auto(now), ...this.engines.map((engine) => this.#row(engine)), ...(gone ? [this.#choice(desk.engine, `${desk.engine} · ${t("form.availability.unknown")}`, [], "bad")] : []));
    if (held) this.list.querySelector(`input[value="${held}"]`)?.focus();
  }

  #auto(now) {
    return this.#choice("auto", t("form.engine.auto"), [t("avatar.engine.auto", { engine: now ? engineName(now.id) : "–" })], now ? "ok" : "bad");
  }

  #row(engine) {
    const { limits, availability, draft, costs_money: paid } = engine;
    const { state } = availability;
    const why = state === "unfit" && availability.reason ? errorWords({ code: availability.reason, params: { engine: engine.id, ...availability.params } }) : null;
    const size = availability.bytes ? fmt.bytes(availability.bytes) : "";
    const facts = [
      draft ? t("avatar.engine.draft") : "",
      limits.resolutions.filter((one) => RESOLUTIONS.includes(one)).join(", "),
      t("avatar.engine.seconds", { most: fmt.rough(Math.min(limits.audio[1], limits.seconds[TASK]?.[1] ?? limits.audio[1])) }),
      limits.speakers >= PEOPLE ? t("avatar.engine.two") : t("avatar.engine.alone"),
      paid ? t("generate.costs") : "",
    ].filter(Boolean);
    const needs = state === "ready" ? t("engines.state.ready") : state === "needs_download" ? t("avatar.engine.needs", { size }) : why?.message || t("form.availability.unfit");
    const few = limits.speakers < people().length ? t("avatar.missing.speakers", { engine: engineName(engine.id) }) : "";
    const get = state === "needs_download" ? button(t("models.get"), () => getById(engine.id), { iconName: "download", class: "l-btn l-av-get" }) : null;
    return this.#choice(engine.id, engineName(engine.id), [facts.join(" · "), few], TONES[state], needs, why?.hint || "", get);
  }

  #choice(id, name, facts, tone, needs = "", hint = "", act = null) {
    return el("div", { class: "l-av-engine", dataset: { engine: id, on: String(desk.engine === id) } },
      el("label", {},
        el("input", { type: "radio", name: "avatar-engine", value: id, checked: desk.engine === id, onchange: () => change({ engine: id }) }),
        el("span", { class: "l-av-engine-words" },
          el("span", { class: "l-av-engine-name" }, el("b", {}, name), needs ? el("span", { class: "l-tone", dataset: { tone }, title: hint || null }, el("i", { class: "l-dot" }), needs) : null),
          facts.filter(Boolean).map((fact) => el("span", { class: "l-hint" }, fact)))),
      act);
  }
}
