// The Voice tab: the voices at the left; at the right the one that is open, one in the making, or how words are said.
import { button, command, currentTab, el, on, showTab, t, toast, toastError } from "./core.js";
import { trouble, waiting } from "./settings_parts.js";
import { sendFile } from "./rest_upload.js";
import { VoiceList } from "./voice_list.js";
import { Maker, welcome } from "./voice_maker.js";
import { choose, known, readEngines, readVoices, voiceOf } from "./voice_state.js";
import { VoiceView } from "./voice_view.js";
import { Pronunciations } from "./voice_words.js";

let tab = null;

export function mount(root) {
  tab = new VoiceTab(root);
}

class VoiceTab {
  #shown = null; // the open view; it is closed before another one opens

  constructor(root) {
    this.root = root;
    root.classList.add("l-voices");
    this.list = new VoiceList({ open: (id) => this.open(id), begin: () => this.make(), bring: () => this.bring(), words: () => this.words() });
    this.page = el("main", { class: "l-vpage", id: "voice-page" }, waiting());
    this.file = el("input", { type: "file", accept: ".zip,application/zip", class: "l-well-input", id: "voice-import-file", tabindex: -1, "aria-label": t("voice.import"), onchange: () => {
      if (this.file.files[0]) this.#import(this.file.files[0]);
      this.file.value = "";
    } });
    root.append(this.list.element, this.page, this.file);
    on("voices", () => this.#told());
    on("voice:engines", () => this.#shown?.engines?.());
    on("tab", (name) => name === "voice" && this.#again());
    on("library", () => root.offsetParent && this.stale());
    this.#start();
  }

  async #start() {
    this.#show("wait", { element: waiting() });
    try {
      await Promise.all([readEngines(), readVoices()]);
      this.home(false);
    } catch (error) {
      this.#show("wait", { element: trouble(error, () => this.#start()) });
    }
  }

  /** What others did meanwhile: a model came, a character was cast. */
  #again() {
    if (!known.voices) return;
    Promise.all([readEngines(), readVoices()]).catch(toastError);
  }

  stale() {
    readVoices().catch(() => {}); // the pulse says when the studio cannot be reached
  }

  #told() {
    this.list.draw();
    if (this.view === "voice" && !voiceOf(known.chosen)) this.home(false);
    else if (this.view === "home" && known.voices.length) this.home(false);
    else this.#shown?.refresh?.();
  }

  #show(view, shown) {
    this.#shown?.close?.();
    this.#shown = shown;
    this.view = view;
    this.root.dataset.view = view;
    this.page.replaceChildren(shown.element);
    this.page.scrollTop = 0;
    this.list.draw(view);
  }

  // ---------------------------------------------------------------------------------------------- the views
  /** The voice that was open last; where there is none, how to begin. `asked`: on a narrow screen, not the list. */
  home(asked = true) {
    const voice = voiceOf(known.chosen) || known.voices[0];
    if (voice) this.open(voice.id, asked);
    else this.#show("home", { element: welcome({ begin: (way) => this.make(null, way), bring: () => this.bring() }) });
  }

  open(id, asked = true) {
    choose(id);
    this.root.toggleAttribute("data-open", asked); // narrow screens show either the list or what is open
    this.#show("voice", new VoiceView({ voice: { ...voiceOf(id) }, onedit: () => this.make(voiceOf(id)), onback: () => this.root.removeAttribute("data-open"), ongone: () => this.home(false) }));
  }

  make(voice = null, way = "sample") {
    this.root.toggleAttribute("data-open", true);
    const maker = new Maker({ voice, way, done: (id) => (id ? this.open(id) : this.home(Boolean(voice))) });
    const head = el("header", { class: "l-vhead" }, el("div", {}, el("h1", {}, voice ? t("voice.edit.title", { name: voice.name }) : t("voice.new")), el("p", { class: "l-hint" }, t(voice ? "voice.edit.about" : "voice.new.about"))));
    this.#show("make", { element: el("div", { class: "l-vnew" }, head, maker.element), close: () => maker.close(), engines: () => maker.engines() });
  }

  words() {
    this.root.toggleAttribute("data-open", true);
    const words = new Pronunciations();
    const back = button(t("voice.back"), () => this.root.removeAttribute("data-open"), { iconName: "arrow-left", class: "l-btn l-vback" });
    this.#show("words", { element: el("div", {}, back, words.element), close: () => words.close(), refresh: () => words.refresh() });
  }

  // ---------------------------------------------------------------------------------------------- voices from elsewhere
  bring() {
    this.file.click();
  }

  async #import(file) {
    try {
      const voice = await sendFile("/voices/import", file, {});
      await readVoices();
      toast(t("voice.imported", { name: voice.name }), "", "ok");
      this.open(voice.id);
    } catch (error) {
      toastError(error);
    }
  }
}

command("go.voice", { label: "go.voice", icon: "audio-lines", group: 5, when: () => currentTab() !== "voice", run: () => showTab("voice") });
