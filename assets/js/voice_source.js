// Where a sample comes from: a file, the microphone, or the sound of a video or take. Ends with a reference, an address to
// hear it at, and its length. Knows no voice.
import { address, api, button, debounce, el, errorWords, fmt, icon, iconButton, openDialog, t, urls } from "./core.js";
import { note, progressBar, waiting } from "./settings_parts.js";
import { see, tile, titleOf } from "./tiles.js";
import { Recorder } from "./voice_record.js";
import { hush } from "./voice_sound.js";
import { sendFile } from "./rest_upload.js";

const ACCEPT = "audio/*,video/*,.wav,.mp3,.flac,.ogg,.m4a,.opus,.mkv,.mov,.mp4,.webm";
const TAKES = 120;

export class Source {
  /** onsource({ref, src, duration, name, coarse} | null): what was chosen, or that it is gone. */
  constructor({ onsource, words }) {
    this.onsource = onsource;
    this.words = words;
    this.file = el("input", { type: "file", accept: ACCEPT, class: "l-well-input", id: "voice-file", tabindex: -1, "aria-label": t("voice.source.upload"), onchange: () => {
      if (this.file.files[0]) this.send(this.file.files[0]);
      this.file.value = "";
    } });
    this.element = el("div", { class: "l-vsource" });
    this.#drops();
    this.ask();
  }

  /** The three ways, side by side. */
  ask() {
    this.recorder?.close();
    this.recorder = null;
    const way = (name, picture, onclick) => el("button", { class: "l-vsource-way", id: `voice-from-${name}`, onclick }, icon(picture), el("b", {}, t(`voice.source.${name}`)), el("span", { class: "l-hint" }, t(`voice.source.${name}.about`)));
    this.element.replaceChildren(this.file, el("div", { class: "l-vsource-ways" },
      way("upload", "upload", () => this.file.click()), way("record", "mic", () => this.#record()), way("take", "film", () => pickTake((take) => this.#take(take)))));
    this.onsource(null);
  }

  close() {
    this.recorder?.close();
    this.stop?.abort();
  }

  #record() {
    hush();
    this.recorder = new Recorder({ words: this.words(), onfile: (file) => this.send(file) });
    this.element.replaceChildren(this.file, this.recorder.element, button(t("voice.source.other"), () => this.ask(), { iconName: "arrow-left" }));
    this.recorder.go.focus();
  }

  /** A file of the user's, to the library. */
  async send(file) {
    this.stop = new AbortController();
    const bar = progressBar(t("voice.source.sending"));
    const said = el("span", { class: "l-hint" }, t("voice.source.sending"));
    this.element.replaceChildren(this.file, el("div", { class: "l-vsource-sending", role: "status" }, el("b", {}, file.name), bar.element, said,
      button(t("common.cancel"), () => this.stop.abort(), { iconName: "x" })));
    try {
      const asset = await sendFile("/assets", file, { signal: this.stop.signal, onprogress: (share) => {
        bar.fill(share);
        said.textContent = share < 1 ? `${fmt.percent(share)} · ${fmt.bytes(file.size)}` : t("voice.source.looking");
      } });
      this.#chosen({ ref: asset.ref, src: address(`/api/assets/${asset.sha256}/file`), duration: asset.duration || 0, name: asset.name, coarse: asset.kind === "audio" ? () => api("GET", `/assets/${asset.sha256}/peaks`) : null });
    } catch (error) {
      this.ask();
      if (error.name !== "AbortError") this.element.append(problem(error));
    }
  }

  #take(take) {
    this.#chosen({ ref: `scene:${take.scene_id}`, src: urls.file(take.id), duration: take.duration || 0, name: titleOf(take), coarse: take.kind === "audio" ? () => api("GET", `/takes/${take.id}/peaks`) : null });
  }

  #chosen(source) {
    this.element.replaceChildren(this.file, el("div", { class: "l-vsource-chosen" }, icon("audio-lines"), el("b", {}, source.name), el("span", { class: "l-hint l-mono" }, source.duration ? fmt.time(source.duration) : ""),
      iconButton("x", t("voice.source.remove"), () => this.ask(), { id: "voice-source-remove" })));
    this.onsource(source);
  }

  #drops() {
    const zone = this.element;
    const carries = (event) => [...event.dataTransfer.items].some((item) => item.kind === "file" && !item.type.includes("json") && !item.type.includes("zip"));
    zone.addEventListener("dragover", (event) => {
      if (!carries(event)) return;
      event.preventDefault();
      event.stopPropagation();
      zone.dataset.over = "";
    });
    zone.addEventListener("dragleave", () => delete zone.dataset.over);
    zone.addEventListener("drop", (event) => {
      delete zone.dataset.over;
      if (!event.dataTransfer.files.length || !carries(event)) return;
      event.preventDefault();
      event.stopPropagation();
      this.send(event.dataTransfer.files[0]);
    });
  }
}

/** What went wrong, with its cure. */
export function problem(error, more = []) {
  const { message, hint } = errorWords(error);
  return note(message || String(error), { tone: "bad", iconName: "triangle-alert", hint, more });
}

/** A dialog of takes that can be heard; a reference names a scene, so only the one that counts is offered. */
function pickTake(chosen) {
  const grid = el("div", { class: "l-grid l-vtakes", role: "list" }, waiting());
  const search = el("input", { class: "l-input", type: "search", placeholder: t("gallery.search"), "aria-label": t("gallery.search") });
  const dialog = openDialog({ title: t("voice.source.take.title"), wide: true, className: "l-vtakes-dialog",
    content: el("div", { class: "l-stack" }, el("p", { class: "l-hint" }, t("voice.source.take.which")), search, grid) });
  let turn = 0;
  const look = async () => {
    const mine = (turn += 1);
    try {
      const { takes } = await api("GET", `/takes?limit=${TAKES}&q=${encodeURIComponent(search.value.trim())}`);
      if (mine !== turn) return;
      const heard = takes.filter((take) => take.selected && !take.private && take.kind !== "image" && (take.layer === "picture" || take.task_type === "speech"));
      grid.replaceChildren(...heard.map((take) => {
        const node = tile(take, { onclick: (one) => {
          dialog.close();
          chosen(one);
        } });
        see(node);
        return node;
      }));
      if (!heard.length) grid.append(el("p", { class: "l-hint" }, t(search.value ? "gallery.empty.found" : "voice.source.take.none")));
    } catch (error) {
      grid.replaceChildren(problem(error));
    }
  };
  search.addEventListener("input", debounce(look, 220));
  look();
  search.focus();
}
