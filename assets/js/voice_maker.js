// A voice in the making, or one that is changed: where it comes from, how good the recording is, what it is called, who
// speaks it, and who says that the speaker agreed. Create waits until all of that is there and says for what.
import { address, api, button, debounce, el, errorWords, icon, setText, t, toast } from "./core.js";
import { note, waiting } from "./settings_parts.js";
import { engineFacts, engineSelect, openModels } from "./voice_engines.js";
import { LANGUAGES, checkWords, languageName, presetName, profileRows } from "./voice_names.js";
import { Source, problem } from "./voice_source.js";
import { SoundBar, hush } from "./voice_sound.js";
import { engineOf, known, readVoices } from "./voice_state.js";
import { Trim } from "./voice_trim.js";
import { engineName } from "./words_of.js";
import { assetPeaks } from "./waves.js";

const LOOK_MS = 500;
const TONES = { error: "bad", warning: "warn", info: "" };
const ICONS = { error: "triangle-alert", warning: "triangle-alert", info: "info" };

export class Maker {
  #look = null; // {sample, profile, checks} of the recording as it is cut now
  #source = null;
  #turn = 0;
  #reading = false;
  #failed = false;

  /** `voice`: the one to change, null for a new one. done(id | null): made, or given up. */
  constructor({ voice = null, way = "sample", done }) {
    this.voice = voice;
    this.done = done;
    this.way = voice ? (voice.kind === "sample" ? "sample" : "own") : way;
    this.form = { language: voice?.language || "", engine: voice?.engine || "auto", preset: voice?.preset || "" };
    this.element = el("div", { class: "l-vmaker" });
    this.#build();
    if (!voice && way === "own") this.#choose(way);
    else this.#fit();
  }

  /** Who can speak is known anew. */
  engines() {
    this.engine.fill(this.form.engine);
    this.facts = "";
    this.preset.dataset.of = "";
    this.#fit();
  }

  close() {
    hush();
    this.#turn += 1;
    this.source.close();
    this.trim.pause();
  }

  // ---------------------------------------------------------------------------------------------- its parts
  #build() {
    const { voice } = this;
    this.ways = Object.fromEntries(["sample", "own"].map((way) => [way, el("button", { id: `voice-way-${way}`, onclick: () => this.#choose(way) }, t(`voice.way.${way}`))]));
    this.about = el("p", { class: "l-hint" });
    this.#recording();
    this.name = el("input", { class: "l-input", id: "voice-name", maxlength: 120, value: voice?.name || "", autocomplete: "off", oninput: () => this.#fit() });
    this.language = el("select", { class: "l-select", id: "voice-language", onchange: () => {
      this.form.language = this.language.value;
      this.#fit();
    } }, el("option", { value: "" }, t("voice.language.each")), LANGUAGES.map((code) => el("option", { value: code, selected: code === this.form.language }, languageName(code))));
    this.engine = engineSelect({ id: "voice-engine", value: this.form.engine, onchange: (id) => {
      this.form.engine = id;
      this.#fit();
    } });
    this.preset = el("select", { class: "l-select", id: "voice-preset", onchange: () => (this.form.preset = this.preset.value) });
    this.presetField = field("voice.preset", this.preset);
    this.engineSaid = el("div", {});
    this.note = el("input", { class: "l-input", id: "voice-note", maxlength: 1000, value: voice?.note || "", autocomplete: "off" });
    this.#transcribing();
    this.#consenting();
    this.go = button(t(voice ? "common.save" : "voice.create"), () => this.#make(), { kind: "primary", iconName: "check", id: "voice-create" });
    this.why = el("span", { class: "l-hint", id: "voice-why", role: "status" });
    this.trouble = el("div", {});
    this.element.append(
      el("section", { class: "l-vstep" }, el("h2", {}, t("voice.step.source")), voice ? null : el("div", { class: "l-seg", role: "group", "aria-label": t("voice.step.source") }, Object.values(this.ways)), this.about, this.sampleBox),
      el("section", { class: "l-vstep" }, el("h2", {}, t("voice.step.voice")),
        el("div", { class: "l-fields-two" }, field("voice.name", this.name), field("voice.language", this.language), field("voice.engine", this.engine.element), this.presetField),
        this.engineSaid, this.transcriptField, field("voice.note", this.note)),
      this.consentBox,
      el("div", { class: "l-vmaker-foot" }, this.trouble, this.why, button(t("common.cancel"), () => this.done(null)), this.go));
  }

  #recording() {
    this.trim = new Trim({ onchange: () => this.#relook() });
    this.denoise = el("input", { type: "checkbox", role: "switch", class: "l-switch", id: "voice-denoise", onchange: () => this.#relook(0) });
    this.cutBox = el("div", { class: "l-stack", hidden: true }, this.trim.element,
      el("label", { class: "l-vswitch" }, this.denoise, el("span", {}, t("voice.denoise")), el("span", { class: "l-hint" }, t("voice.denoise.about"))));
    this.checks = el("div", { class: "l-vchecks", id: "voice-checks", "aria-live": "polite" });
    this.kept = el("div", { class: "l-stack", hidden: true });
    this.source = new Source({ onsource: (source) => this.#sourced(source), words: () => t(`voice.record.words.${this.form.language || document.documentElement.lang.slice(0, 2)}`) });
    this.sampleBox = el("div", { class: "l-stack" }, this.kept, this.source.element, this.cutBox, this.checks);
    if (this.voice?.sample) this.#keepSample();
  }

  /** The recording that a voice has already; another may take its place. */
  #keepSample() {
    const bar = new SoundBar({ label: this.voice.name });
    bar.load(address(`/api/voices/${this.voice.id}/sample`), { peaks: assetPeaks(this.voice.sample.sha256), duration: this.voice.sample.seconds });
    this.source.element.hidden = true;
    this.kept.hidden = false;
    this.kept.replaceChildren(bar.element, el("div", {}, button(t("voice.sample.replace"), () => {
      this.kept.hidden = true;
      this.source.element.hidden = false;
      this.replaced = true;
      this.#fit();
    }, { iconName: "refresh-cw" })));
  }

  #transcribing() {
    this.transcript = el("textarea", { class: "l-input", id: "voice-transcript", maxlength: 2000, rows: 3, oninput: () => this.#fit() });
    this.transcript.value = this.voice?.transcript || "";
    this.write = button(t("voice.transcript.write"), () => this.#writeDown(), { iconName: "scroll-text", id: "voice-write-down" });
    this.transcriptSaid = el("div", {});
    this.transcriptField = el("div", { class: "l-vtranscript" }, el("label", { class: "l-field" }, el("span", {}, t("voice.transcript")), this.transcript),
      el("div", { class: "l-vrow" }, this.write, el("span", { class: "l-hint" }, t("voice.transcript.about"))), this.transcriptSaid);
  }

  #consenting() {
    this.agreed = el("input", { type: "checkbox", id: "voice-consent", onchange: () => this.#fit() });
    this.who = el("input", { class: "l-input", id: "voice-consent-by", maxlength: 200, autocomplete: "name", placeholder: t("voice.consent.by.example"), oninput: () => this.#fit() });
    this.consentBox = el("section", { class: "l-vstep l-vconsent" }, el("h2", {}, t("voice.step.consent")),
      el("label", { class: "l-set-check" }, this.agreed, el("span", {}, t("voice.consent.text"))),
      field("voice.consent.by", this.who), el("p", { class: "l-hint" }, t("voice.consent.about")));
  }

  // ---------------------------------------------------------------------------------------------- the recording
  #choose(way) {
    this.way = way;
    if (way === "own") {
      this.source.ask();
      if (this.form.engine === "auto") this.form.engine = (known.engines.find((engine) => engine.speaks.presets.length && engine.availability.state === "ready") || known.engines[0])?.id || "auto";
    } else this.form.engine = "auto";
    this.engine.fill(this.form.engine);
    this.#fit();
  }

  #sourced(source) {
    this.#source = source;
    this.#look = null;
    this.#failed = false;
    this.#turn += 1;
    this.#reading = false;
    this.checks.replaceChildren();
    this.cutBox.hidden = !source;
    if (source) {
      if (!this.name.value) this.name.value = source.name.replace(/\.[a-z0-9]{2,5}$/i, "").slice(0, 60);
      this.trim.load(source.src, source);
    } else this.trim.pause();
    this.#fit();
  }

  #relookSoon = debounce(() => this.#relookNow(), LOOK_MS);

  #relook(ms = LOOK_MS) {
    this.#look = null;
    this.#reading = true;
    this.#turn += 1;
    this.checks.replaceChildren(waiting());
    this.#fit();
    if (ms) this.#relookSoon();
    else this.#relookNow();
  }

  async #relookNow() {
    const source = this.#source;
    if (!source) return;
    const turn = (this.#turn += 1);
    try {
      const { start, end } = this.trim;
      const look = await api("POST", "/voices/look", { ref: source.ref, start, ...(end ? { end } : {}), denoise: this.denoise.checked });
      if (turn !== this.#turn) return;
      this.#look = look;
      this.#failed = false;
      this.checks.replaceChildren(...this.#found(look));
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#failed = true;
      this.checks.replaceChildren(problem(error, [button(t("settings.again"), () => this.#relook(0), { iconName: "refresh-cw" })]));
    }
    this.#reading = false;
    this.#fit();
  }

  #found({ sample, profile, checks }) {
    const bar = new SoundBar({ label: t("voice.sample") });
    bar.load(address(`/api/assets/${sample.sha256}/file`), { peaks: assetPeaks(sample.sha256), duration: sample.seconds });
    const rows = profileRows(profile).filter(([, value]) => value);
    return [
      el("div", { class: "l-vprepared" }, el("span", { class: "l-hint" }, t("voice.sample.prepared")), bar.element),
      el("dl", { class: "l-vfacts" }, rows.map(([label, value]) => el("div", {}, el("dt", {}, label), el("dd", {}, value)))),
      ...(checks.length ? checks.map((check) => {
        const { message, hint } = checkWords(check);
        const node = note(message, { tone: TONES[check.level] ?? "", iconName: ICONS[check.level] || "info", hint });
        node.dataset.code = check.code;
        return node;
      }) : [note(t("voice.check.clear"), { iconName: "check" })]),
    ];
  }

  // ---------------------------------------------------------------------------------------------- the rest of the form
  get #sample() {
    if (this.way === "own") return null;
    return this.#look?.sample.sha256 || (this.replaced ? null : this.voice?.sample?.sha256) || null;
  }

  /** As the studio would be told of it now. */
  get values() {
    const own = this.way === "own";
    return {
      name: this.name.value.trim(), language: this.form.language || null, engine: this.form.engine, sample: this.#sample,
      transcript: own ? "" : this.transcript.value.trim(), preset: own ? this.form.preset : "", note: this.note.value.trim(),
    };
  }

  /** What is still missing, in words; "" where nothing is. */
  get #missing() {
    if (this.way === "sample" && !this.#sample) return t(this.#reading ? "voice.why.reading" : this.#failed ? "voice.why.failed" : "voice.why.sample");
    if (this.#look?.checks.some((check) => check.level === "error")) return t("voice.why.checks");
    if (!this.name.value.trim()) return t("voice.why.name");
    if (this.way === "own" && this.form.engine === "auto") return t("voice.why.engine");
    if (this.#wantsConsent && !this.agreed.checked) return t("voice.why.consent");
    if (this.#wantsConsent && !this.who.value.trim()) return t("voice.why.who");
    return "";
  }

  get #wantsConsent() {
    return this.way === "sample" && !(this.voice?.consent && this.#sample === this.voice.sample?.sha256);
  }

  #fit() {
    if (!this.go) return;
    const own = this.way === "own";
    for (const [way, node] of Object.entries(this.ways)) node.setAttribute("aria-pressed", String(way === this.way));
    setText(this.about, t(`voice.way.${this.way}.about`));
    this.sampleBox.hidden = own;
    this.transcriptField.hidden = own;
    this.consentBox.hidden = !this.#wantsConsent;
    this.write.disabled = !this.#sample || this.writing;
    this.#presets(own);
    const facts = JSON.stringify([this.form, this.#sample, Boolean(this.transcript.value), known.engines.length]);
    if (this.facts !== facts) this.engineSaid.replaceChildren(engineFacts(this.form.engine, { ...this.values, sample: this.way === "sample" ? "wanted" : null }, this.form.language));
    this.facts = facts;
    const missing = this.#missing;
    setText(this.why, missing);
    this.go.disabled = Boolean(missing) || this.making;
  }

  #presets(own) {
    const presets = own ? engineOf(this.form.engine)?.speaks.presets || [] : [];
    this.presetField.hidden = !own;
    if (this.preset.dataset.of === JSON.stringify([this.form.engine, presets])) return;
    this.preset.dataset.of = JSON.stringify([this.form.engine, presets]);
    if (!presets.includes(this.form.preset)) this.form.preset = presets[0] || "";
    this.preset.replaceChildren(...(presets.length ? presets.map((preset) => el("option", { value: preset, selected: preset === this.form.preset }, presetName(preset))) : [el("option", { value: "" }, t("voice.preset.none"))]));
    this.preset.disabled = !presets.length;
  }

  async #writeDown() {
    this.writing = true;
    this.#fit();
    this.transcriptSaid.replaceChildren(waiting());
    try {
      const heard = await api("POST", "/transcripts", { ref: `asset:${this.#sample}`, ...(this.form.language ? { language: this.form.language } : {}) });
      this.transcript.value = heard.text;
      if (!this.form.language && LANGUAGES.includes(heard.language)) this.form.language = this.language.value = heard.language;
      this.transcriptSaid.replaceChildren(el("p", { class: "l-hint" }, t("voice.transcript.by", { model: engineName(heard.model || "") })));
    } catch (error) {
      this.transcriptSaid.replaceChildren(problem(error, error.code === "listening.no_model" ? [button(t("voice.engine.models"), openModels, { iconName: "download" })] : []));
    }
    this.writing = false;
    this.#fit();
  }

  async #make() {
    if (this.#missing) return;
    this.making = true;
    this.#fit();
    setText(this.why, t("voice.making"));
    this.trouble.replaceChildren();
    const body = { ...this.values, ...(this.#wantsConsent ? { consent: this.who.value.trim() } : {}) };
    try {
      const voice = this.voice ? await api("PATCH", `/voices/${this.voice.id}`, body) : await api("POST", "/voices", body);
      await readVoices();
      toast(t(this.voice ? "voice.changed" : "voice.created", { name: voice.name }), "", "ok");
      this.done(voice.id);
    } catch (error) {
      this.trouble.replaceChildren(problem(error));
      const wrong = errorWords(error) && { name: this.name, engine: this.engine.element }[error.params?.field];
      wrong?.focus();
    }
    this.making = false;
    this.#fit();
  }
}

const field = (key, control) => el("label", { class: "l-field" }, el("span", {}, t(key)), control);

/** What there is before the first voice: how it goes, and where to begin. */
export function welcome({ begin, bring }) {
  const step = (n) => el("li", {}, el("b", {}, t(`voice.welcome.${n}`)), el("span", { class: "l-hint" }, t(`voice.welcome.${n}.about`)));
  return el("div", { class: "l-vwelcome", id: "voice-welcome" }, icon("audio-lines"), el("h1", {}, t("voice.welcome")), el("p", {}, t("voice.welcome.about")),
    el("ol", {}, ["record", "agree", "speak"].map(step)),
    el("div", { class: "l-vrow" }, button(t("voice.new"), () => begin("sample"), { kind: "primary", iconName: "plus", id: "voice-begin" }), button(t("voice.way.own"), () => begin("own"), { iconName: "audio-lines", id: "voice-begin-own" }), button(t("voice.import"), bring, { iconName: "upload" })));
}
