// "Say something": a line spoken by the voice, by an engine of one's choice; or by two of them, to compare (voice_compare).
// The line, its language and direction are the same for both.
import { button, el, setText, t, toast } from "./core.js";
import { Compare } from "./voice_compare.js";
import { autoEngine, engineFacts, engineSelect } from "./voice_engines.js";
import { LANGUAGES, languageName, obstacle } from "./voice_names.js";
import { knobFields, knobWords } from "./voice_options.js";
import { problem } from "./voice_source.js";
import { change, engineOf } from "./voice_state.js";
import { say, useButton } from "./voice_spoken.js";

const MOST = 12; // lines that stay on the page

/** An engine and how its knobs stand: {element, engine, options(), refresh()}. */
export function speakerForm({ voice, prefix, engine = voice.engine, onchange = () => {} }) {
  const form = { engine, knobs: null, language: "" };
  const select = engineSelect({ id: `${prefix}-engine`, value: engine, onchange: (id) => {
    form.engine = id;
    draw();
    onchange();
  } });
  const box = el("div", { class: "l-vspeaker-knobs" });
  const facts = el("div", {});
  form.element = el("div", { class: "l-vspeaker" }, el("label", { class: "l-field" }, el("span", {}, t("voice.engine")), select.element), facts, box);
  form.options = () => form.knobs?.values() || {};
  /** What keeps it from speaking now; null where nothing does. */
  form.obstacle = (language) => (form.engine === "auto" ? null : obstacle(engineOf(form.engine), plain(voice), language));
  form.say = (language) => {
    form.language = language;
    facts.replaceChildren(engineFacts(form.engine, plain(voice), language));
  };
  const draw = () => {
    const chosen = engineOf(form.engine);
    form.knobs = chosen ? knobFields(chosen, voice.settings[form.engine] || {}, { prefix, onchange: () => told() }) : null;
    const turned = el("span", { class: "l-hint" });
    const told = () => setText(turned, knobWords(chosen, form.options()));
    box.replaceChildren(...(form.knobs?.count ? [el("details", { class: "l-vfold" }, el("summary", {}, t("form.options"), turned), form.knobs.element)] : []));
    if (form.knobs) told();
    form.say(form.language);
  };
  form.refresh = () => {
    select.fill(form.engine);
    draw();
  };
  draw();
  return form;
}

/** A voice as `obstacle` reads it. */
export const plain = (voice) => ({ ...voice, sample: voice.sample?.sha256 || null });

export class Say {
  #spoken = [];

  /** onlay(spoken): its sound is to be laid over the profile. */
  constructor({ voice, onlay }) {
    this.voice = voice;
    this.onlay = onlay;
    this.text = el("textarea", { class: "l-input", id: "voice-text", rows: 3, maxlength: 2000, "aria-label": t("voice.say.text"), oninput: () => this.#fit(), onkeydown: (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      event.stopPropagation();
      this.#speak();
    } });
    this.text.value = t(`voice.say.sample.${voice.language || document.documentElement.lang.slice(0, 2)}`);
    this.language = el("select", { class: "l-select", id: "voice-say-language", onchange: () => this.#fit() },
      el("option", { value: "" }, t(voice.language ? "voice.say.own_language" : "voice.language.each")), LANGUAGES.map((code) => el("option", { value: code }, languageName(code))));
    this.manners = el("datalist", { id: "voice-manners" });
    this.direction = el("input", { class: "l-input", id: "voice-direction", maxlength: 300, list: "voice-manners", autocomplete: "off", placeholder: t("voice.say.direction.example") });
    this.form = speakerForm({ voice, prefix: "voice-say", onchange: () => this.#fit() });
    this.go = button(t("voice.speak"), () => this.#speak(), { kind: "primary", iconName: "volume-2", id: "voice-speak" });
    this.why = el("span", { class: "l-hint", role: "status" });
    this.trouble = el("div", {});
    this.list = el("div", { class: "l-spokens", id: "voice-spoken", "aria-live": "polite" });
    this.one = el("div", { class: "l-stack" }, this.form.element, el("div", { class: "l-vrow" }, this.go, this.why), this.trouble, this.list);
    this.two = el("div", { hidden: true });
    this.modes = Object.fromEntries(["one", "two"].map((mode) => [mode, el("button", { id: `voice-mode-${mode}`, onclick: () => this.#mode(mode) }, t(`voice.mode.${mode}`))]));
    this.element = el("section", { class: "l-vsay" },
      el("div", { class: "l-vsay-head" }, el("h2", {}, t("voice.say")), el("div", { class: "l-seg", role: "group", "aria-label": t("voice.say") }, Object.values(this.modes))),
      this.text,
      el("div", { class: "l-fields-two" }, el("label", { class: "l-field" }, el("span", {}, t("voice.language")), this.language), el("label", { class: "l-field" }, el("span", {}, t("voice.say.direction")), this.direction, this.manners)),
      this.one, this.two);
    this.#mode("one");
  }

  close() {
    this.#spoken.forEach((spoken) => spoken.close());
    this.compare?.close();
  }

  refresh() {
    this.form.refresh();
    this.compare?.refresh();
    this.#fit();
  }

  /** What is to be said, whoever says it. */
  get line() {
    return { text: this.text.value.trim(), language: this.language.value, direction: this.direction.value.trim() };
  }

  get #spokenLanguage() {
    return this.language.value || this.voice.language || "";
  }

  #mode(mode) {
    for (const [name, node] of Object.entries(this.modes)) node.setAttribute("aria-pressed", String(name === mode));
    this.one.hidden = mode !== "one";
    this.two.hidden = mode === "one";
    if (mode === "two" && !this.compare) {
      this.compare = new Compare({ voice: this.voice, line: () => this.line, language: () => this.#spokenLanguage, use: (spoken) => this.#use(spoken) });
      this.two.append(this.compare.element);
    }
    this.#fit();
  }

  #fit() {
    const language = this.#spokenLanguage;
    if (this.form.language !== language) this.form.say(language);
    const engine = this.form.engine === "auto" ? autoEngine(plain(this.voice), language) : engineOf(this.form.engine);
    this.manners.replaceChildren(...(engine?.speaks.emotions || []).map((value) => el("option", { value })));
    const trouble = this.form.obstacle(language);
    setText(this.why, trouble ? t("voice.say.cannot") : this.line.text ? "" : t("voice.say.nothing"));
    this.go.disabled = Boolean(trouble) || !this.line.text || this.asking;
    this.compare?.fit();
  }

  async #speak() {
    if (this.go.disabled) return;
    this.asking = true;
    this.#fit();
    this.trouble.replaceChildren();
    try {
      const spoken = await say(this.voice, { ...this.line, engine: this.form.engine, options: this.form.options() }, {
        tools: (one) => [
          ...(this.voice.profile ? [button(t("voice.profile.lay"), () => this.onlay(one), { iconName: "audio-lines" })] : []),
          ...(this.#differs(one) ? [useButton(one, (this_one) => this.#use(this_one))] : []),
        ],
      });
      this.list.prepend(spoken.element);
      this.#spoken.unshift(spoken);
      for (const old of this.#spoken.splice(MOST)) {
        old.close();
        old.element.remove();
      }
    } catch (error) {
      this.trouble.replaceChildren(problem(error));
    }
    this.asking = false;
    this.#fit();
  }

  /** It was spoken otherwise than the voice speaks by itself. */
  #differs(spoken) {
    const held = this.voice.settings[spoken.take.engine] || {};
    return spoken.take.engine !== this.voice.engine || Object.entries(spoken.options).some(([name, value]) => held[name] !== value);
  }

  /** The engine and the knobs of a line become the voice's own. */
  async #use(spoken) {
    const { engine } = spoken.take;
    const knobs = { ...this.voice.settings[engine], ...spoken.options };
    const settings = Object.keys(knobs).length ? { ...this.voice.settings, [engine]: knobs } : this.voice.settings;
    if ((await change("PATCH", `/voices/${this.voice.id}`, { engine, settings })) !== undefined) toast(t("voice.used"), "", "ok");
  }
}
