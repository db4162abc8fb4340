// The exports of a film in the Film dialog: shape, subtitles and name of the next one, and all earlier ones.
import { address, api, button, confirmDialog, debounce, el, emit, errorWords, fmt, icon, iconButton, keyed, on, setAttr, setIcon, setText, t, toastError } from "./core.js";
import { cancelExport, exportsOf, fileOf, inWork, isFinal, makeExport, save } from "./film_exports.js";
import { OWNERS } from "./me.js";

const ASPECTS = ["own", "16:9", "9:16", "1:1"];
const SUBTITLES = ["file", "burnt", "none"];
const ICONS = { film: "film", stems: "audio-lines", subtitles: "scroll-text", clip: "image-play", package: "package" };
const WISH_KEY = "lanterna_export";
const FIELDS = ["queue", "code", "project", "date", "time", "aspect", "n"];

export class ExportSection {
  /** review: the ReviewSection of this film; onpublished(): a film was opened for review. */
  constructor(queue, cut, { review, onpublished }) {
    Object.assign(this, { queue, cut, review, onpublished, all: [], by: new Map() });
    const known = remembered();
    const choose = (name, values) => {
      const node = el("select", { class: "l-select", id: `film-${name}`, onchange: () => this.#changed() }, values.map((value) => el("option", { value }, t(`film.${name}.${value}`))));
      node.value = values.includes(known[name]) ? known[name] : values[0];
      return node;
    };
    this.aspect = choose("aspect", ASPECTS);
    this.subtitles = choose("subtitles", SUBTITLES);
    this.name = el("input", { class: "l-input l-mono", id: "film-name", value: cut.name, maxlength: 200, spellcheck: "false", oninput: () => {
      cut.name = this.name.value;
      this.#example();
    } });
    this.example = el("p", { class: "l-hint l-film-example", "aria-live": "polite" });
    this.list = el("div", { class: "l-exports", role: "list", "aria-label": t("export.earlier") });
    this.none = el("p", { class: "l-hint", hidden: true }, t("export.none"));
    const labelled = (key, node) => el("label", { class: "l-field" }, el("span", {}, t(key)), node);
    this.element = el("div", { class: "l-stack" },
      el("div", { class: "l-fields-two" }, labelled("film.aspect", this.aspect), labelled("film.subtitles_in", this.subtitles)),
      el("div", { class: "l-field" }, labelled("film.name", this.name), this.example,
        el("div", { class: "l-film-fields" }, FIELDS.map((name) => el("button", { type: "button", class: "l-tag", title: t(`film.name.${name}`), onclick: () => this.#insert(`{${name}}`) }, `{${name}}`)))),
      el("div", { class: "l-film-more" }, el("span", {}, t("export.alone")),
        button(t("export.stems"), () => this.#make("stems"), { iconName: "audio-lines", id: "film-stems" }),
        button(t("export.subtitles"), () => this.#make("subtitles"), { iconName: "scroll-text", id: "film-srt" })),
      el("div", { class: "l-field" }, el("span", {}, t("export.earlier")), this.none, this.list));
    this.deaf = [on("exports", () => this.#draw()), on("film:done", () => this.refresh()), on("export:over", () => this.refresh()), on("review", () => this.#draw())];
    this.#example();
  }

  close() {
    this.deaf.forEach((stop) => stop());
  }

  /** What the next film is to be. */
  wish() {
    return { aspect: this.aspect.value, subtitles: this.subtitles.value };
  }

  async refresh() {
    try {
      this.all = await exportsOf(this.queue.id);
    } catch (error) {
      toastError(error);
    }
    this.#draw();
  }

  /** The name of the file cannot be one. */
  wrong({ message }) {
    this.name.classList.add("l-wrong");
    this.example.classList.add("l-bad");
    setText(this.example, message);
    this.name.focus();
  }

  #changed() {
    localStorage.setItem(WISH_KEY, JSON.stringify(this.wish()));
    this.#example();
  }

  #insert(text) {
    this.name.setRangeText(text, this.name.selectionStart, this.name.selectionEnd, "end");
    this.name.dispatchEvent(new Event("input"));
    this.name.focus();
  }

  /** What the file would be called, or why nothing can be called that. */
  #example = debounce(async () => {
    const asked = `template=${encodeURIComponent(this.name.value)}&aspect=${encodeURIComponent(this.aspect.value)}`;
    try {
      const { name } = await api("GET", `/queues/${this.queue.id}/exports/name?${asked}`);
      this.name.classList.remove("l-wrong");
      this.example.classList.remove("l-bad");
      setText(this.example, `${name}.mp4`);
    } catch (error) {
      if (error.code === "offline") return;
      this.wrong(error.params?.why ? errorWords(error.params.why) : errorWords(error));
    }
  }, 180);

  async #make(kind) {
    if (await makeExport(this.queue.id, { kind })) this.refresh();
  }

  // ---------------------------------------------------------------------------------------------- earlier ones
  #draw() {
    const now = new Map(inWork().filter((one) => one.queue_id === this.queue.id).map((one) => [one.id, one]));
    const rows = [...[...now.values()].filter((one) => !this.all.some((other) => other.id === one.id)), ...this.all.map((one) => now.get(one.id) || one)];
    if (rows.some((one) => !isFinal(one) && !now.has(one.id))) return this.refresh(); // it ended a moment ago
    keyed(this.list, this.by, rows, (one) => one.id, (one) => this.#row(one), (node, one) => this.#update(node, one));
    this.none.hidden = rows.length > 0;
  }

  #row(one) {
    const parts = { name: el("span", { class: "l-export-name" }), facts: el("span", { class: "l-export-facts" }), bar: el("i"), tools: el("span", { class: "l-export-tools" }) };
    const node = el("div", { class: "l-export", role: "listitem" }, icon(ICONS[one.kind] || "file-json"),
      el("div", { class: "l-export-words" }, parts.name, parts.facts), parts.tools, el("span", { class: "l-export-bar" }, parts.bar));
    return Object.assign(node, { parts });
  }

  #update(node, one) {
    const { name, facts, bar, tools } = node.parts;
    setAttr(node, "data-state", one.state);
    setIcon(node.firstChild, ICONS[one.kind] || "file-json");
    setText(name, one.file_name || t(`export.kind.${one.kind}`));
    setAttr(name, "title", one.file_name);
    setText(facts, this.#facts(one));
    bar.style.transform = `scaleX(${one.progress || 0})`;
    const drawn = `${one.state} ${this.#shows(one) ? this.review.standing(one.id).label : ""}`;
    if (node.drawn === drawn) return;
    node.drawn = drawn;
    tools.replaceChildren(...this.#tools(one));
  }

  #facts(one) {
    if (one.state === "failed") return errorWords(one.error).message;
    if (one.state !== "done") return one.state === "running" ? fmt.percent(one.progress) : t(`state.${one.state}`);
    const size = one.kind === "film" && one.facts.width ? `${one.facts.width} × ${one.facts.height}` : "";
    return [fmt.date(one.created), one.seconds ? fmt.clock(one.seconds) : "", size, fmt.bytes(one.bytes)].filter(Boolean).join(" · ");
  }

  #tools(one) {
    if (!isFinal(one)) return [iconButton("x", t("common.cancel"), () => cancelExport(one.id))];
    const drop = iconButton("trash-2", t("common.delete"), () => this.#remove(one), one.state === "done" ? OWNERS : {});
    if (one.state !== "done") return [drop];
    const play = one.kind === "film" ? [iconButton("play", t("film.play"), () => {
      document.querySelector(".l-film-dialog")?.close();
      emit("film:play", one);
    })] : [];
    const shows = this.#shows(one) ? [this.#reviewed(one)] : [];
    const vtt = one.kind === "subtitles" ? [button("VTT", () => save(address(`/api/exports/${one.id}/subtitles.vtt`), `${one.file_name.replace(/\.srt$/, "")}.vtt`), { class: "l-btn l-btn-small" })] : [];
    return [...shows, ...play, ...vtt, iconButton("download", t("generate.download"), () => save(`${fileOf(one)}?download=1`)), drop];
  }

  #shows = (one) => one.kind === "film" && one.state === "done";

  /** What this film is to reviewers: the version that they see, or the next one at a press. */
  #reviewed(one) {
    const { label, shown } = this.review.standing(one.id);
    if (shown) return el("span", { class: "l-tag" }, label);
    const publish = button(label, async () => {
      publish.disabled = true;
      if (await this.review.publish(one.id)) this.onpublished();
      publish.disabled = false;
    }, { class: "l-btn l-btn-small l-export-review", iconName: "message-square" });
    return publish;
  }

  async #remove(one) {
    const version = this.review.versionOf(one.id);
    const text = [t("export.delete.text", { name: one.file_name, size: fmt.bytes(one.bytes) }), version ? t("export.delete.reviewed", { n: version }) : ""].join(" ");
    const sure = one.state !== "done" || (await confirmDialog({ title: t("export.delete"), text, yes: t("common.delete"), danger: true }));
    if (!sure) return;
    try {
      await api("DELETE", `/exports/${one.id}?forever=true`);
    } catch (error) {
      toastError(error);
    }
    this.refresh();
  }
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(WISH_KEY)) || {};
  } catch {
    return {};
  }
}
