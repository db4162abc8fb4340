// How words are said in a project: a table of word, how it is said, and in which language; tried out with any voice.
import { api, button, debounce, el, icon, iconButton, setText, t, toastError } from "./core.js";
import { waiting } from "./settings_parts.js";
import { LANGUAGES, languageName } from "./voice_names.js";
import { problem } from "./voice_source.js";
import { say } from "./voice_spoken.js";
import { known, voiceOf } from "./voice_state.js";

const SAVE_MS = 600;

export class Pronunciations {
  #rows = [];
  #wanted = 0; // how often saving was asked for since the last request began

  constructor() {
    this.project = el("select", { class: "l-select", id: "words-project", "aria-label": t("voice.words.project"), onchange: () => this.#open(this.project.value) });
    this.voice = el("select", { class: "l-select", id: "words-voice", "aria-label": t("voice.words.voice") });
    this.table = el("div", { class: "l-vwords", role: "table", "aria-label": t("voice.words") });
    this.said = el("span", { class: "l-hint", role: "status" });
    this.heard = el("div", {});
    this.element = el("div", { class: "l-vdict" },
      el("header", { class: "l-vhead" }, el("div", {}, el("h1", {}, t("voice.words")), el("p", { class: "l-hint" }, t("voice.words.about")))),
      el("div", { class: "l-vrow" }, this.project, this.voice, this.said), this.table,
      el("div", { class: "l-vrow" }, button(t("voice.words.add"), () => this.#add(), { iconName: "plus", id: "words-add" })), this.heard);
    this.ready = this.#start();
  }

  close() {
    this.spoken?.close();
  }

  async #start() {
    this.table.replaceChildren(waiting());
    this.refresh();
    try {
      const queues = await api("GET", "/queues");
      const names = [...new Set([...queues, ...known.characters].map((one) => one.project).filter(Boolean))];
      this.project.replaceChildren(...names.map((name) => el("option", { value: name }, name)));
      this.project.hidden = names.length < 2;
      await this.#open(names.find((name) => name === queues[0]?.project) || names[0]);
    } catch (error) {
      this.table.replaceChildren(problem(error, [button(t("settings.again"), () => this.#start(), { iconName: "refresh-cw" })]));
    }
  }

  /** Which voice tries a word. */
  refresh() {
    const kept = this.voice.value || known.chosen;
    this.voice.hidden = !known.voices?.length;
    this.voice.replaceChildren(...(known.voices || []).map((voice) => el("option", { value: voice.id, selected: voice.id === kept }, t("voice.words.by", { name: voice.name }))));
  }

  async #open(name) {
    this.name = name;
    this.project.value = name;
    try {
      const { entries } = await api("GET", `/projects/${encodeURIComponent(name)}/pronunciations`);
      this.#rows = entries.map((entry) => ({ ...entry }));
      this.#draw();
    } catch (error) {
      this.table.replaceChildren(problem(error));
    }
  }

  #draw() {
    const head = el("div", { class: "l-vword l-vword-head", role: "row" }, ["word", "said", "language"].map((name) => el("span", { role: "columnheader" }, t(`voice.words.${name}`))));
    this.table.replaceChildren(...(this.#rows.length ? [head, ...this.#rows.map((row) => this.#row(row))] : [el("div", { class: "l-empty" }, icon("scroll-text"), el("p", { class: "l-hint" }, t("voice.words.none")))]));
  }

  #row(row) {
    const input = (name, most) => el("input", { class: "l-input", value: row[name] || "", maxlength: most, "aria-label": t(`voice.words.${name}`), placeholder: t(`voice.words.${name}.example`), dataset: { name }, oninput: (event) => {
      row[name] = event.target.value;
      this.#save();
    } });
    const language = el("select", { class: "l-select", "aria-label": t("voice.words.language"), onchange: () => {
      row.language = language.value || null;
      this.#save();
    } }, el("option", { value: "" }, t("voice.words.every")), LANGUAGES.map((code) => el("option", { value: code, selected: code === row.language }, languageName(code))));
    return el("div", { class: "l-vword", role: "row" }, input("word", 80), input("said", 160), language,
      el("span", { class: "l-vword-tools" }, iconButton("volume-2", t("voice.words.try"), () => this.#try(row)), iconButton("trash-2", t("voice.words.remove", { word: row.word || "…" }), () => {
        this.#rows = this.#rows.filter((one) => one !== row);
        this.#draw();
        this.#save(0);
      })));
  }

  async #add() {
    await this.ready; // what comes with the project would take the new row away
    this.#rows.push({ word: "", said: "", language: null });
    this.#draw();
    this.table.lastChild.querySelector("input").focus();
  }

  #later = debounce(() => this.#send(), SAVE_MS);

  #save(ms = SAVE_MS) {
    setText(this.said, t("voice.words.saving"));
    if (ms) this.#later();
    else this.#send();
  }

  /** A row that is half written waits until it is whole. One request after the other: an older one never comes last. */
  async #send() {
    this.#wanted += 1;
    if (this.#wanted > 1) return;
    try {
      while (this.#wanted) {
        this.#wanted = 1;
        const whole = this.#rows.filter((row) => row.word.trim() && row.said.trim());
        await api("PUT", `/projects/${encodeURIComponent(this.name)}/pronunciations`, { entries: whole });
        this.#wanted -= 1;
        if (!this.#wanted) setText(this.said, whole.length < this.#rows.length ? t("voice.words.half") : t("settings.saved"));
      }
    } catch (error) {
      this.#wanted = 0;
      setText(this.said, "");
      toastError(error);
    }
  }

  /** Says it the way it is written to be said. */
  async #try(row) {
    const voice = voiceOf(this.voice.value);
    if (!voice) return this.heard.replaceChildren(el("p", { class: "l-hint" }, t("voice.words.no_voice")));
    if (!(row.said || row.word).trim()) return undefined;
    this.spoken?.close();
    try {
      this.spoken = await say(voice, { text: row.said || row.word, language: row.language, direction: "", engine: "auto", options: {} });
      this.heard.replaceChildren(this.spoken.element);
    } catch (error) {
      this.heard.replaceChildren(problem(error));
    }
    return undefined;
  }
}
