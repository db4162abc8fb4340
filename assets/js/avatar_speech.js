// What the portrait says: a script with a voice per line, the user's recordings, or many lines of which each becomes a
// scene. How long it will take is said beside it, by the studio's own estimate.
import { address, api, button, debounce, el, fmt, iconButton, keyed, on, setText, t, toastError } from "./core.js";
import { MODES, PEOPLE, addLine, change, desk, pasted, people, removeLine, setLine, written } from "./avatar_desk.js";
import { sendFile } from "./rest_upload.js";
import { Recorder } from "./voice_record.js";

const AUDIO = "audio/*,.wav,.mp3,.flac,.ogg,.m4a,.opus";
const QUIET_MS = 300;
const seconds = new Map(); // words -> how long they take to say

export class Speech {
  #mode = "";
  #voices = [];
  #characters = [];
  #presets = [];
  #rows = new Map();
  #selects = new Set();
  #sending = 0;

  constructor() {
    this.modes = el("div", { class: "l-seg l-av-modes", role: "group", "aria-label": t("avatar.speech") }, MODES.map((mode) =>
      el("button", { id: `avatar-mode-${mode}`, onclick: () => change({ mode }) }, t(`avatar.mode.${mode}`))));
    this.body = el("div", { class: "l-av-speech-body" });
    this.sum = el("span", { class: "l-hint", id: "avatar-sum", "aria-live": "polite" });
    this.names = el("datalist", { id: "avatar-names" });
    this.element = el("section", { class: "l-av-speech" },
      el("div", { class: "l-av-part" }, el("h2", {}, t("avatar.speech")), this.sum), this.modes, this.body, this.names);
    this.file = el("input", { type: "file", accept: AUDIO, class: "l-well-input", id: "avatar-sounds", tabindex: -1, "aria-hidden": "true", onchange: () => {
      this.#take([...this.file.files]);
      this.file.value = "";
    } });
    this.element.append(this.file);
    this.#drops();
    this.estimate = debounce(() => this.#estimate(), QUIET_MS);
    on("avatar", (names) => names.some((name) => ["mode", "lines", "recordings", "many", "order"].includes(name)) && this.draw());
    on("tab", (tab) => tab === "avatar" && this.read());
    on("voices", () => this.read());
    this.read();
    this.draw();
  }

  get sending() {
    return this.#sending > 0;
  }

  async read() {
    try {
      const [{ voices }, { characters }, engines] = await Promise.all([api("GET", "/voices"), api("GET", "/characters"), api("GET", "/engines")]);
      this.#voices = voices;
      this.#characters = characters;
      this.#presets = engines.find((engine) => engine.draft)?.speaks?.presets || [];
    } catch {
      return; // the pulse says when the studio cannot be reached
    }
    const names = [...new Set(this.#characters.map((one) => one.name))];
    this.names.replaceChildren(...names.map((name) => el("option", { value: name })));
    for (const select of this.#selects) {
      if (select.isConnected) this.#fill(select, select.dataset.voice, select.dataset.character);
      else this.#selects.delete(select);
    }
  }

  // ---------------------------------------------------------------------------------------------- drawing
  draw() {
    for (const node of this.modes.children) node.setAttribute("aria-pressed", String(node.id === `avatar-mode-${desk.mode}`));
    if (this.#mode !== desk.mode) {
      this.#mode = desk.mode;
      this.recorder?.close();
      this.recorder = null;
      this.#rows.clear();
      this.body.replaceChildren(...{ script: () => this.#script(), recording: () => this.#recordings(), many: () => this.#many() }[desk.mode]());
    }
    ({ script: () => this.#drawScript(), recording: () => this.#drawRecordings(), many: () => this.#drawMany() })[desk.mode]();
    this.#add();
    this.estimate();
  }

  /** The sum: "3 lines · about 12 s". */
  #add() {
    const { mode, many } = desk;
    const own = mode === "recording" ? desk.recordings : mode === "many" ? many.recordings : [];
    const texts = own.length || mode === "recording" ? [] : mode === "many" ? pasted() : desk.lines.map((line) => line.text.trim()).filter(Boolean);
    const lengths = own.length ? own.map((recording) => recording.seconds) : texts.map((text) => seconds.get(text));
    const count = own.length || texts.length;
    const key = own.length ? "avatar.sum.recordings" : mode === "many" ? "avatar.sum.scenes" : "avatar.sum.lines";
    const known = lengths.filter((length) => length > 0);
    const total = desk.mode === "recording" && desk.order === "together" ? Math.max(0, ...known) : known.reduce((sum, length) => sum + length, 0);
    const time = fmt.rough(total);
    setText(this.sum, count ? [t(key, { count }), known.length ? (own.length ? time : t("avatar.about", { time })) : ""].filter(Boolean).join(" · ") : "");
    for (const [line, node] of this.#rows) {
      const text = desk.lines.find((one) => one.key === line)?.text.trim();
      setText(node.querySelector(".l-av-seconds"), text && seconds.get(text) ? `≈ ${fmt.seconds(seconds.get(text))}` : "");
    }
  }

  async #estimate() {
    const texts = desk.mode === "many" ? pasted() : desk.mode === "script" ? desk.lines.map((line) => line.text.trim()) : [];
    const asked = [...new Set(texts.filter((text) => text && !seconds.has(text)))].slice(0, 500);
    if (!asked.length) return;
    try {
      const answer = await api("POST", "/lines/seconds", { lines: asked.map((text) => ({ text })) });
      answer.lines.forEach((line, at) => seconds.set(asked[at], line.seconds));
      this.#add();
    } catch {
      // a length that cannot be said is left out
    }
  }

  // ---------------------------------------------------------------------------------------------- a script
  #script() {
    this.rows = el("div", { class: "l-av-lines", role: "list", id: "avatar-lines" });
    const add = button(t("avatar.line.add"), () => {
      const key = addLine();
      this.#rows.get(key)?.querySelector("textarea").focus();
    }, { iconName: "plus", id: "avatar-line-add" });
    this.two = el("p", { class: "l-hint" });
    return [this.rows, el("div", { class: "l-av-row-foot" }, add, this.two)];
  }

  #drawScript() {
    keyed(this.rows, this.#rows, desk.lines, (line) => line.key, (line) => this.#row(line), (node, line) => this.#fillRow(node, line));
    setText(this.two, people().length === PEOPLE ? t("avatar.two") : "");
  }

  #row({ key }) {
    const set = (name) => (event) => setLine(key, { [name]: event.currentTarget.value });
    const text = el("textarea", { class: "l-input", rows: 2, maxlength: 2000, placeholder: t("avatar.line.text"), "aria-label": t("avatar.line.text"), dataset: { field: "text" }, oninput: set("text") });
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.ctrlKey || event.metaKey || event.isComposing) return;
      event.preventDefault();
      const next = addLine();
      this.#rows.get(next)?.querySelector("textarea").focus();
    });
    return el("div", { class: "l-av-line", role: "listitem", dataset: { key } },
      el("div", { class: "l-av-line-head" },
        el("input", { class: "l-input", list: "avatar-names", maxlength: 120, placeholder: t("avatar.line.character"), "aria-label": t("avatar.line.character"), dataset: { field: "character" }, oninput: set("character") }),
        this.#voiceSelect(set("voice")),
        el("span", { class: "l-mono l-av-seconds" }),
        iconButton("x", t("avatar.line.remove"), () => removeLine(key), { class: "l-ib l-av-line-x" })),
      text,
      el("input", { class: "l-input l-av-direction", maxlength: 300, placeholder: t("avatar.line.direction"), "aria-label": t("avatar.line.direction"), dataset: { field: "direction" }, oninput: set("direction") }));
  }

  #fillRow(node, line) {
    for (const field of ["character", "text", "direction"]) {
      const control = node.querySelector(`[data-field=${field}]`);
      if (control.value !== line[field]) control.value = line[field];
    }
    const select = node.querySelector("select");
    if (select.dataset.voice !== line.voice || select.dataset.character !== line.character) this.#fill(select, line.voice, line.character);
    node.querySelector(".l-av-line-x").hidden = desk.lines.length === 1 && !line.text;
  }

  #voiceSelect(onchange) {
    const select = el("select", { class: "l-select", "aria-label": t("avatar.line.voice"), dataset: { field: "voice", voice: "", character: "" }, onchange });
    this.#selects.add(select);
    this.#fill(select, "", "");
    return select;
  }

  /** The voices that were made, then the draft's; a voice that is gone stays named. */
  #fill(select, voice, character = "") {
    Object.assign(select.dataset, { voice, character });
    const theirs = this.#characters.find((one) => one.name.toLowerCase() === character.trim().toLowerCase())?.voice;
    const option = (name) => el("option", { value: name, selected: name === voice }, name);
    const made = this.#voices.map((one) => one.name);
    const gone = voice && ![...made, ...this.#presets].includes(voice);
    const group = (label, names) => (names.length ? [el("optgroup", { label }, names.map(option))] : []);
    select.replaceChildren(
      el("option", { value: "", selected: !voice }, theirs ? t("avatar.voice.own", { voice: theirs }) : t("avatar.voice.auto")),
      ...group(t("avatar.voice.made"), made), ...group(t("avatar.voice.draft"), this.#presets),
      ...(gone ? [el("option", { value: voice, selected: true }, t("avatar.voice.gone", { voice }))] : []));
  }

  // ---------------------------------------------------------------------------------------------- recordings
  #recordings() {
    this.sounds = el("div", { class: "l-av-sounds", role: "list" });
    this.ways = this.#ways(false);
    this.order = el("div", { class: "l-seg", role: "group", "aria-label": t("form.audio_order") }, ["together", "in_turn"].map((order) =>
      el("button", { dataset: { order }, onclick: () => change({ order }) }, t(`avatar.order.${order}`))));
    return [this.sounds, this.ways, this.order];
  }

  #ways(many) {
    const choose = button(t(many ? "avatar.recordings.choose" : "avatar.recording.choose"), () => {
      this.file.multiple = many;
      this.file.click();
    }, { iconName: "upload", id: "avatar-sound-choose" });
    const record = many ? null : button(t("avatar.recording.record"), () => this.#record(), { iconName: "mic", id: "avatar-sound-record" });
    this.recording = el("div", { class: "l-av-recorder" });
    return el("div", { class: "l-av-ways" }, el("div", { class: "l-av-row-foot" }, choose, record, many ? null : el("p", { class: "l-hint" }, t("avatar.recording.drop"))), this.recording);
  }

  #record() {
    this.recorder?.close();
    const script = written().map((line) => line.text.trim()).join(" ");
    this.recording.dataset.script = String(Boolean(script));
    this.recorder = new Recorder({ words: script || t("avatar.recording.say"), onfile: (file) => {
      this.recorder = null;
      this.recording.replaceChildren();
      this.#take([file]);
    } });
    this.recorder.go.id = "avatar-record-go";
    this.recording.replaceChildren(this.recorder.element);
    this.recorder.go.focus();
  }

  #drawRecordings() {
    const full = desk.recordings.length >= PEOPLE;
    this.sounds.replaceChildren(...desk.recordings.map((recording, at) => this.#sound(recording,
      desk.recordings.length > 1 ? t("avatar.person", { number: at + 1 }) : "", () => change({ recordings: desk.recordings.filter((one) => one !== recording) }))), ...this.#coming());
    this.ways.hidden = full;
    this.order.hidden = desk.recordings.length < PEOPLE;
    for (const node of this.order.children) node.setAttribute("aria-pressed", String(node.dataset.order === desk.order));
    setText(this.ways.querySelector(".l-btn-label"), t(desk.recordings.length ? "avatar.recording.second" : "avatar.recording.choose"));
  }

  #sound({ ref, name, seconds: length }, who, remove) {
    const src = ref.startsWith("asset:") ? address(`/api/assets/${ref.slice(6)}/file`) : null;
    return el("div", { class: "l-av-sound", role: "listitem" },
      el("div", { class: "l-av-sound-head" }, el("b", {}, [who, name || t("avatar.recording")].filter(Boolean).join(" · ")), el("span", { class: "l-mono l-hint" }, length ? fmt.seconds(length) : ""),
        iconButton("x", t("form.well.remove"), remove)),
      src ? el("audio", { src, controls: true, preload: "metadata" }) : null);
  }

  #coming() {
    return this.#sending ? [el("div", { class: "l-av-sound l-hint", role: "status" }, t("form.well.sending"))] : [];
  }

  // ---------------------------------------------------------------------------------------------- many lines
  #many() {
    const set = (name) => (event) => change({ many: { ...desk.many, [name]: event.currentTarget.value } });
    this.text = el("textarea", { class: "l-input l-av-paste", rows: 9, id: "avatar-many", placeholder: t("avatar.many.text"), "aria-label": t("avatar.many.about"), oninput: set("text") });
    this.manyName = el("input", { class: "l-input", list: "avatar-names", maxlength: 120, placeholder: t("avatar.line.character"), "aria-label": t("avatar.line.character"), oninput: set("character") });
    this.manyVoice = this.#voiceSelect(set("voice"));
    this.manyDirection = el("input", { class: "l-input l-av-direction", maxlength: 300, placeholder: t("avatar.line.direction"), "aria-label": t("avatar.line.direction"), oninput: set("direction") });
    this.manyLines = el("div", { class: "l-av-line" }, el("div", { class: "l-av-line-head" }, this.manyName, this.manyVoice), this.text, this.manyDirection);
    this.sounds = el("div", { class: "l-av-sounds", role: "list" });
    return [el("p", { class: "l-hint" }, t("avatar.many.about")), this.manyLines, this.sounds, this.#ways(true)];
  }

  #drawMany() {
    const { many } = desk;
    this.manyLines.hidden = many.recordings.length > 0; // recordings or lines, never both in silence
    for (const [control, value] of [[this.text, many.text], [this.manyName, many.character], [this.manyDirection, many.direction]]) {
      if (control.value !== value) control.value = value;
    }
    this.#fill(this.manyVoice, many.voice, many.character);
    this.sounds.replaceChildren(...many.recordings.map((recording, at) => this.#sound(recording, String(at + 1), () => change({
      many: { ...many, recordings: many.recordings.filter((one) => one !== recording) } }))), ...this.#coming());
  }

  // ---------------------------------------------------------------------------------------------- files
  async #take(files) {
    const many = desk.mode === "many";
    const taken = many ? files : files.slice(0, PEOPLE - desk.recordings.length);
    this.#sending += taken.length;
    this.draw();
    for (const file of taken) {
      try {
        const asset = await sendFile("/assets", file, {});
        const recording = { ref: asset.ref, name: file.name, seconds: asset.duration };
        if (many) change({ many: { ...desk.many, recordings: [...desk.many.recordings, recording] } });
        else change({ recordings: [...desk.recordings, recording] });
      } catch (error) {
        toastError(error);
      }
      this.#sending -= 1;
      change({}); // what is missing may have changed
      this.draw();
    }
  }

  /** Recordings may be dropped on the panel; over a script they make it a recording. */
  #drops() {
    const carries = (event) => [...event.dataTransfer.items].some((item) => item.kind === "file" && item.type.startsWith("audio/"));
    this.element.addEventListener("dragover", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      this.element.dataset.over = "";
    });
    this.element.addEventListener("dragleave", () => delete this.element.dataset.over);
    this.element.addEventListener("drop", (event) => {
      delete this.element.dataset.over;
      if (!carries(event)) return;
      event.preventDefault();
      event.stopPropagation();
      if (desk.mode === "script") change({ mode: "recording" });
      this.#take([...event.dataTransfer.files].filter((file) => file.type.startsWith("audio/")));
    });
  }
}
