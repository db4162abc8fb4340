// "Film": everything about the film of the open queue in one place. Frame, sound, titles, and its exports. Holds a draft
// of the settings; saving and exporting are the studio's verbs.
import { api, button, command, el, errorWords, openDialog, pulse, t, toastError } from "./core.js";
import { ExportSection } from "./film_export.js";
import { makeExport } from "./film_exports.js";
import { ReviewSection } from "./film_review.js";
import { musicField } from "./film_sound.js";
import { state } from "./queues.js";
import { Sections } from "./sections.js";

const SECTIONS = { frame: "film", sound: "music", titles: "scroll-text", export: "clapperboard", review: "message-square" };
const SIZES = [[1280, 720], [1920, 1080], [720, 1280], [1080, 1920], [720, 720], [1080, 1080]];
const RATES = [24, 25, 30, 50, 60];
const LOUDNESS = [-16, -14, -23]; // LUFS

/** openFilm("frame" | "sound" | "titles" | "export" | "review"), for the open queue. */
export function openFilm(section = "export") {
  if (state.queue && !document.querySelector(".l-film-dialog")) new FilmDialog(state.queue).open(section);
}

class FilmDialog {
  constructor(queue) {
    this.queue = queue;
    this.cut = { ...queue.cut };
    this.before = null;
    const { frame } = queue;
    this.size = select(withOwn(SIZES, [frame.width, frame.height]).map(([w, h]) => [`${w}x${h}`, `${shapeOf(w, h)} · ${w} × ${h}`]), `${frame.width}x${frame.height}`, { id: "film-size" });
    this.rate = select(withOwn(RATES, frame.fps).map((fps) => [String(fps), `${fps} fps`]), String(frame.fps), { id: "film-rate" });
    this.music = musicField(queue.music);
    this.review = new ReviewSection(queue);
    this.exports = new ExportSection(queue, this.cut, { review: this.review, onpublished: () => this.sections.show("review", true) });
    this.panels = { frame: this.#frame(), sound: this.#sound(), titles: this.#titles(), export: this.exports.element, review: this.review.element };
  }

  open(section) {
    const sections = Object.fromEntries(Object.entries(SECTIONS).map(([name, iconName]) => [name, { icon: iconName, label: t(`film.section.${name}`), panel: this.panels[name] }]));
    this.sections = new Sections({ id: "film", label: t("film.settings"), sections, onshow: (name) => this.#shown(name) });
    this.keep = button(t("common.save"), () => this.#save(), { id: "film-save" });
    this.finish = button(t("film.finish"), () => this.#finish(), { kind: "primary", iconName: "clapperboard", id: "film-finish" });
    this.dialog = openDialog({
      title: t("film.title_of", { name: this.queue.inbox ? t("queues.inbox") : this.queue.name }), className: "l-dialog-sections l-film-dialog",
      content: this.sections.element, actions: [this.keep, this.finish],
      onclose: () => {
        this.music.close();
        this.exports.close();
      },
    });
    this.finish.disabled = !this.queue.counts.total;
    this.sections.show(section, true);
    this.before = JSON.stringify(this.#changes());
  }

  #shown(name) {
    if (name === "export") this.exports.refresh();
    if (name === "export" || name === "review") this.review.read();
  }

  // ---------------------------------------------------------------------------------------------- sections
  #frame() {
    return el("div", { class: "l-stack" },
      el("div", { class: "l-fields-two" }, field("film.size", this.size), field("film.rate", this.rate)),
      el("p", { class: "l-hint" }, t("film.size.hint")));
  }

  #sound() {
    const loudness = select(LOUDNESS.map((lufs) => [String(lufs), t(`film.loudness.${-lufs}`)]), String(this.cut.loudness), {
      id: "film-loudness", onchange: (event) => (this.cut.loudness = Number(event.target.value)),
    });
    return el("div", { class: "l-stack" }, this.music.element, field("film.loudness", loudness));
  }

  #titles() {
    const text = (name, key, more = {}) => field(key, el("input", { class: "l-input", id: `film-${name}`, value: this.cut[name], oninput: (event) => (this.cut[name] = event.target.value), ...more }));
    const seconds = (name, min, max) => field("film.seconds", el("input", { class: "l-input l-mono", type: "number", id: `film-${name}`, min, max, step: 0.5, value: this.cut[name],
      oninput: (event) => (this.cut[name] = Number(event.target.value)) }));
    const credits = el("textarea", { class: "l-input", id: "film-credits", rows: 6, maxlength: 4000, value: this.cut.credits, placeholder: t("film.credits.example"), oninput: () => (this.cut.credits = credits.value) });
    return el("div", { class: "l-stack" },
      el("div", { class: "l-fields-card" }, text("title", "film.card.title", { maxlength: 120, placeholder: t("film.card.none") }), seconds("title_seconds", 1, 20)),
      text("subtitle", "film.card.subtitle", { maxlength: 200 }),
      el("div", { class: "l-fields-card" }, field("film.credits", credits), seconds("credits_seconds", 2, 120)),
      el("p", { class: "l-hint" }, t("film.credits.hint")));
  }

  // ---------------------------------------------------------------------------------------------- verbs
  #changes() {
    const [width, height] = this.size.value.split("x").map(Number);
    return { frame: { width, height, fps: Number(this.rate.value) }, music: this.music.value(), cut: this.cut };
  }

  async #store() {
    const changes = this.#changes();
    if (JSON.stringify(changes) === this.before) return true;
    try {
      await api("PATCH", `/queues/${this.queue.id}`, changes);
    } catch (error) {
      if (!this.#explain(error)) toastError(error);
      return false;
    }
    pulse.poke();
    this.before = JSON.stringify(changes);
    return true;
  }

  /** A name that no file can have is told beside it. */
  #explain(error) {
    if (error.params?.field !== "cut.name") return false;
    this.sections.show("export");
    this.exports.wrong(errorWords(error.params.why));
    return true;
  }

  async #save() {
    this.keep.disabled = true;
    if (await this.#store()) this.dialog.close();
    this.keep.disabled = false;
  }

  async #finish() {
    this.finish.disabled = true;
    if ((await this.#store()) && (await makeExport(this.queue.id, { kind: "film", ...this.exports.wish() }))) this.sections.show("export");
    this.finish.disabled = false;
  }
}

function shapeOf(width, height) {
  const divisor = ((a, b) => {
    while (b) [a, b] = [b, a % b];
    return a;
  })(width, height);
  return `${width / divisor}:${height / divisor}`;
}

/** The usual choices, and the queue's own where it is another. */
const withOwn = (choices, own) => (choices.some((choice) => String(choice) === String(own)) ? choices : [own, ...choices]);

export const select = (choices, value, attrs) => {
  const node = el("select", { class: "l-select", ...attrs }, choices.map(([id, label]) => el("option", { value: id }, label)));
  node.value = value;
  return node;
};

export const field = (key, control) => el("label", { class: "l-field" }, el("span", {}, t(key)), control);

command("film.settings", { label: "film.settings", icon: "sliders-horizontal", menu: "queue", group: 10, when: () => Boolean(state.queue), run: () => openFilm("frame") });
