// The list of voices at the left: found by name, kind and language, heard with one click. Knows what happens on a click by
// a function.
import { address, debounce, el, icon, iconButton, keyed, openMenu, setAttr, setIcon, setText, t } from "./core.js";
import { KINDS, LANGUAGES, kindName, languageName, summary } from "./voice_names.js";
import { hush } from "./voice_sound.js";
import { known } from "./voice_state.js";

export class VoiceList {
  #rows = new Map();
  #filter = { q: "", kind: "", language: "" };

  /** open(id): show it; begin(): a new one; bring(): import one; words(): how words are said. */
  constructor({ open, begin, bring, words }) {
    this.open = open;
    this.search = el("input", { class: "l-input", type: "search", id: "voice-search", placeholder: t("voice.search"), "aria-label": t("voice.search"), oninput: debounce(() => this.#set("q", this.search.value.trim().toLowerCase()), 120) });
    this.kind = this.#select("kind", t("voice.every_kind"), KINDS.map((kind) => [kind, kindName(kind)]));
    this.language = this.#select("language", t("voice.every_language"), LANGUAGES.map((code) => [code, languageName(code)]));
    this.list = el("div", { class: "l-vlist", role: "list", id: "voice-list" });
    this.none = el("p", { class: "l-hint l-vnone", hidden: true }, t("voice.none_found"));
    this.audio = el("audio", { preload: "none", onended: () => this.#paint(), onpause: () => this.#paint(), onplay: () => this.#paint() });
    this.words = el("button", { class: "l-settings-link", id: "voice-words", onclick: words }, icon("scroll-text"), el("span", {}, t("voice.words")));
    this.count = el("span", { class: "l-sec-count" });
    this.filters = el("div", { class: "l-vfilters" }, this.search, this.kind, this.language);
    this.element = el("nav", { class: "l-vlist-side", "aria-label": t("voice.voices") },
      el("div", { class: "l-sec" }, el("h2", {}, t("voice.voices"), this.count), el("div", { class: "l-sec-tools" },
        iconButton("plus", t("voice.new"), begin, { id: "voice-new" }),
        iconButton("ellipsis", t("common.more"), (event) => openMenu(event.currentTarget, [{ label: t("voice.new"), icon: "plus", onclick: begin }, { label: t("voice.import"), icon: "upload", onclick: bring }]), { id: "voice-list-more", "aria-haspopup": "menu" }))),
      this.filters, this.list, this.none, this.words, this.audio);
  }

  #select(name, every, choices) {
    const node = el("select", { class: "l-select", id: `voice-filter-${name}`, "aria-label": every, onchange: () => this.#set(name, node.value) },
      el("option", { value: "" }, every), choices.map(([value, words]) => el("option", { value }, words)));
    return node;
  }

  #set(name, value) {
    this.#filter[name] = value;
    this.draw();
  }

  /** shown: "voice", "words" or another view. */
  draw(shown = this.shown) {
    this.shown = shown;
    const all = known.voices || [];
    const { q, kind, language } = this.#filter;
    const users = (voice) => voice.used_by.map((one) => one.name).join(", ");
    const found = all.filter((voice) => (!kind || voice.kind === kind) && (!language || voice.language === language)
      && (!q || [voice.name, users(voice), voice.note, voice.preset].some((words) => words.toLowerCase().includes(q))));
    this.filters.hidden = !all.length;
    this.none.hidden = !all.length || Boolean(found.length);
    setText(this.count, all.length || "");
    keyed(this.list, this.#rows, found, (voice) => voice.id, (voice) => this.#row(voice), (node, voice) => {
      setText(node.name, voice.name);
      setText(node.meta, summary(voice));
      setText(node.users, users(voice));
      node.users.hidden = !voice.used_by.length;
      node.play.hidden = !voice.sample;
      setAttr(node, "aria-current", voice.id === known.chosen && shown === "voice" ? "true" : null);
    });
    setAttr(this.words, "aria-current", shown === "words" ? "page" : null);
  }

  #row(voice) {
    const parts = { name: el("span", { class: "l-vname" }), meta: el("span", { class: "l-hint" }), users: el("span", { class: "l-hint l-vwho" }) };
    const play = iconButton("play", t("voice.play", { name: voice.name }), () => this.#play(voice.id), { class: "l-ib l-vplay" });
    const node = el("div", { class: "l-vitem", role: "listitem", dataset: { id: voice.id } },
      el("button", { class: "l-vitem-main", onclick: () => this.open(voice.id) }, icon("audio-lines"), el("span", { class: "l-vitem-words" }, Object.values(parts))), play);
    return Object.assign(node, parts, { play });
  }

  #play(id) {
    const src = address(`/api/voices/${id}/sample`);
    const same = this.audio.getAttribute("src") === src;
    if (same && !this.audio.paused) return this.audio.pause();
    hush();
    if (!same) this.audio.src = src;
    this.playing = id;
    this.audio.play().catch(() => this.#paint());
    return undefined;
  }

  #paint() {
    for (const [id, node] of this.#rows) setIcon(node.play.firstChild, id === this.playing && !this.audio.paused && !this.audio.ended ? "pause" : "play");
  }
}
