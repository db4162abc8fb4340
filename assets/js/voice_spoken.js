// One line that was asked for: heard while it is made, then its take with what was measured of it. Follows one scene over
// REST with every beat of the pulse. Knows the voice only by its facts.
import { address, api, button, el, errorWords, fmt, icon, iconButton, on, pulse, setText, t, toastError, urls } from "./core.js";
import { mark, note } from "./settings_parts.js";
import { knobWords } from "./voice_options.js";
import { hundredths, signed, speakerName, tenths } from "./voice_names.js";
import { openModels } from "./voice_engines.js";
import { SoundBar } from "./voice_sound.js";
import { engineOf } from "./voice_state.js";
import { takePeaks } from "./waves.js";
import { engineName, standInText } from "./words_of.js";

const FINAL = new Set(["done", "failed", "cancelled", "in_doubt"]);

export class Spoken {
  take = null; // once it is made
  state = "waiting";
  #asking = false;
  #heard = false; // its stream was begun

  /** `scene`: as POST /voices/{id}/say answered. `autoplay`: it is heard as soon as it can be. onover(this): nothing more
   * comes. ontools(this): buttons beside its name. */
  constructor({ scene, voice, options = {}, autoplay = true, label = "", onover = () => {}, onend = () => {}, tools = () => [] }) {
    Object.assign(this, { sceneId: scene.id, voice, options, autoplay, label, onover, tools });
    this.text = scene.scene?.lines?.[0]?.text || scene.title;
    this.title = el("b", {});
    this.knobs = el("span", { class: "l-hint" });
    this.stateBox = el("span", { class: "l-spoken-state", role: "status" });
    this.toolBox = el("span", { class: "l-spoken-tools" });
    this.sound = new SoundBar({ label: this.text.slice(0, 60), onend: () => {
      this.#swap();
      onend(this);
    } });
    this.sound.element.hidden = true;
    this.sound.audio.addEventListener("error", () => this.#silent());
    this.sound.audio.addEventListener("pause", () => this.#swap());
    this.sound.audio.addEventListener("playing", () => (this.sound.element.hidden = this.hidden || false));
    this.facts = el("dl", { class: "l-vfacts l-similar", hidden: true });
    this.trouble = el("div", {});
    this.element = el("article", { class: "l-spoken", dataset: { scene: scene.id } },
      el("header", {}, this.title, this.knobs, this.stateBox, this.toolBox), el("p", { class: "l-spoken-text" }, this.text), this.sound.element, this.facts, this.trouble);
    this.#name(scene.engine);
    this.#draw(scene);
    this.deaf = on("now", (now) => (this.element.isConnected || !this.take ? this.#ask(now) : undefined));
    pulse.poke();
  }

  close() {
    this.deaf();
    this.sound.pause();
  }

  /** Who spoke it stays unsaid while somebody judges blindly. */
  blind(name) {
    this.hidden = Boolean(name);
    this.shown = name;
    this.element.toggleAttribute("data-blind", this.hidden);
    this.#name(this.engine);
    if (this.take) this.#made(this.take);
  }

  #name(engine) {
    this.engine = engine;
    const own = engine === "auto" ? t("form.engine.auto") : speakerName(engine, this.voice);
    setText(this.title, this.shown || [this.label, own].filter(Boolean).join(" · "));
    setText(this.knobs, this.shown ? "" : engineOf(engine) ? knobWords(engineOf(engine), this.options) : "");
  }

  async #ask(now) {
    if (this.#asking || FINAL.has(this.state)) return;
    this.#asking = true;
    try {
      this.#draw(await api("GET", `/scenes/${this.sceneId}`), now);
    } catch (error) {
      if (error.status === 404) this.#over("cancelled"); // deleted meanwhile
    }
    this.#asking = false;
  }

  #draw(scene, now) {
    this.element.dataset.state = scene.state;
    this.state = scene.state;
    if (scene.state === "done") return this.#done(scene);
    if (FINAL.has(scene.state)) return this.#over(scene.state, scene.error);
    const running = scene.state === "running";
    const progress = now?.running.find((one) => one.scene_id === scene.id);
    if (running) this.#listen();
    const before = (now?.running.length || 0) + Math.max(0, (now?.waiting || 0) - 1);
    const words = running ? [t("generate.speaking"), progress?.total ? fmt.percent(progress.done / progress.total) : ""].filter(Boolean).join(" · ")
      : scene.blocked ? errorWords(scene.blocked).message : before ? t("generate.waiting.before", { count: before }) : t("generate.waiting");
    this.stateBox.replaceChildren(mark(running ? "now" : "wait", words));
    if (!this.toolBox.childElementCount) this.toolBox.append(iconButton("circle-stop", t("generate.cancel"), () => api("POST", `/scenes/${this.sceneId}/cancel`).then(() => pulse.poke(), toastError)));
    return undefined;
  }

  /** The piece that is there already, while the rest is being made. */
  #listen() {
    if (!this.autoplay || this.#heard || this.sound.src) return;
    this.#heard = true;
    this.sound.load(address(`/api/scenes/${this.sceneId}/sound`));
    this.sound.play();
  }

  /** Nothing to hear yet: asked for again with the next beat. A take that cannot be played says so. */
  #silent() {
    this.#heard = false;
    if (!this.take) this.sound.unload();
    else this.trouble.replaceChildren(note(t("player.cannot"), { tone: "bad", iconName: "triangle-alert" }));
  }

  async #done(scene) {
    const takeId = Object.values(scene.line_takes)[0]?.id;
    if (!takeId || this.take) return;
    try {
      this.take = await api("GET", `/takes/${takeId}`);
    } catch (error) {
      this.#over("failed", error);
      return;
    }
    this.deaf();
    this.#made(this.take);
    const streaming = this.#heard && this.sound.playing;
    if (!streaming) {
      const unheard = this.autoplay && !(this.#heard && this.sound.audio.currentTime > 0);
      this.#swap();
      if (unheard && this.element.offsetParent) this.sound.play();
    }
    this.onover(this);
  }

  /** From the stream to the take, once that is there and the stream is silent: it has a wave and can be sought in. */
  #swap() {
    if (!this.take || this.sound.src.includes("/takes/")) return;
    this.sound.load(urls.file(this.take.id), { peaks: takePeaks(this.take.id), duration: this.take.duration });
    this.sound.element.hidden = false;
  }

  #made(take) {
    this.sound.element.hidden = false;
    this.#name(take.engine);
    this.stateBox.replaceChildren(el("span", { class: "l-hint l-mono" }, fmt.seconds(take.duration)));
    const closed = this.hidden;
    this.toolBox.replaceChildren(...(closed ? [] : [...this.tools(this), el("a", { class: "l-ib", href: urls.download(take.id), download: "", title: t("generate.download"), "aria-label": t("generate.download") }, icon("download"))]));
    this.trouble.replaceChildren(...(take.degraded && !closed ? [note(standInText(take), { tone: "warn", iconName: "triangle-alert" })] : []));
    this.#similar(take.facts?.similarity, closed);
  }

  /** How near it came to the recording, as it was measured; nothing where the voice has none. */
  #similar(found, closed) {
    this.facts.hidden = closed || !this.voice.sample;
    if (this.facts.hidden) return;
    const row = (name, value, about) => el("div", { title: about }, el("dt", {}, t(`voice.similar.${name}`)), el("dd", {}, value));
    if (!found) {
      this.facts.replaceChildren(row("title", t("voice.similar.unknown"), t("voice.similar.unknown")));
      return;
    }
    const known = (value) => value !== null && value !== undefined;
    this.facts.replaceChildren(
      row("pitch", known(found.pitch_cents) ? t("voice.similar.cents", { n: signed(found.pitch_cents) }) : "–", t("voice.similar.pitch.about")),
      row("spectrum", known(found.spectrum_db) ? `${tenths(found.spectrum_db)} dB` : "–", t("voice.similar.spectrum.about")),
      row("speaker", known(found.speaker) ? hundredths(found.speaker) : el("button", { class: "l-link", onclick: openModels }, t("voice.similar.no_model")), t("voice.similar.speaker.about")));
  }

  #over(state, error = null) {
    this.state = state;
    this.deaf();
    this.element.dataset.state = state;
    const { message, hint } = errorWords(error);
    this.stateBox.replaceChildren(mark(state === "cancelled" ? "wait" : "bad", t(`generate.${state}`)));
    this.toolBox.replaceChildren();
    this.sound.element.hidden = true;
    if (message) this.trouble.replaceChildren(note(message, { tone: "bad", iconName: "triangle-alert", hint }));
    this.onover(this);
  }
}

/** Asks for a line; what came of it, or the words for what went wrong. Throws what was refused. */
export async function say(voice, { text, language, direction, engine, options }, more = {}) {
  const body = { text, engine: engine === "auto" ? "" : engine, options: engine === "auto" ? {} : options, direction, ...(language ? { language } : {}) };
  const scene = await api("POST", `/voices/${voice.id}/say`, body);
  return new Spoken({ scene, voice, options, ...more });
}

export const useButton = (spoken, use) => button(t("voice.use_these"), () => use(spoken), { iconName: "check", title: t("voice.use_these.about", { engine: engineName(spoken.take.engine) }) });
