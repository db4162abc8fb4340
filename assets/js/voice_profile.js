// How a voice sounds, as it was measured: facts, the spectrum as a plot, and another voice or a spoken line laid over it.
import { api, el, setText, t, toastError } from "./core.js";
import { waiting } from "./settings_parts.js";
import { profileRows, signed, tenths } from "./voice_names.js";
import { apart, cents, plot } from "./voice_plot.js";
import { known, voiceOf } from "./voice_state.js";

export class Profile {
  #laid = null; // {name, profile} that is laid over it
  #lines = new Map(); // spoken lines that were measured: take id -> {name, profile}

  constructor(voice) {
    this.voice = voice;
    this.select = el("select", { class: "l-select", id: "voice-over", "aria-label": t("voice.profile.over"), onchange: () => this.#choose(this.select.value) });
    this.drawing = el("div", { class: "l-vplot" });
    this.facts = el("div", {});
    this.said = el("p", { class: "l-hint", role: "status" });
    this.element = el("section", { class: "l-vpart" }, el("h2", {}, t("voice.profile")), this.drawing, this.select, this.said, this.facts);
    this.draw();
  }

  /** A spoken line over the recording: measured now, the same way. */
  async lay(spoken) {
    const { take } = spoken;
    if (!this.#lines.has(take.id)) {
      this.said.replaceChildren(waiting());
      this.element.scrollIntoView({ block: "nearest" });
      try {
        const { profile } = await api("POST", "/voices/look", { ref: `scene:${spoken.sceneId}` });
        this.#lines.set(take.id, { name: `${spoken.title.textContent} · ${spoken.text.slice(0, 24)}`, profile });
      } catch (error) {
        toastError(error);
      }
      this.said.replaceChildren();
    }
    if (this.#lines.has(take.id)) this.#choose(take.id);
  }

  #choose(id) {
    const other = voiceOf(id);
    this.#laid = this.#lines.get(id) || (other ? { name: other.name, profile: other.profile } : null);
    this.laidId = this.#laid ? id : "";
    this.draw();
  }

  draw() {
    const { name, profile } = this.voice;
    const others = (known.voices || []).filter((voice) => voice.profile && voice.id !== this.voice.id);
    this.select.hidden = !profile || !(others.length + this.#lines.size);
    this.select.replaceChildren(el("option", { value: "" }, t("voice.profile.over.none")),
      ...[...this.#lines].map(([id, line]) => el("option", { value: id, selected: id === this.laidId }, line.name)),
      ...others.map((voice) => el("option", { value: voice.id, selected: voice.id === this.laidId }, voice.name)));
    if (!profile) {
      this.drawing.replaceChildren(el("p", { class: "l-hint" }, t("voice.profile.none")));
      this.facts.replaceChildren();
      return;
    }
    const laid = this.#laid;
    const curves = [{ name, spectrum: profile.spectrum }, ...(laid ? [{ name: laid.name, spectrum: laid.profile.spectrum }] : [])];
    this.drawing.replaceChildren(...(profile.spectrum?.length > 1 ? [plot(curves), el("div", { class: "l-plot-key" }, curves.map((curve, at) => el("span", { dataset: { at } }, curve.name)))] : []));
    const theirs = laid ? profileRows(laid.profile) : [];
    const rows = profileRows(profile).map(([label, value], at) => [label, value, theirs[at]?.[1] || ""]).filter(([, value, other]) => value || other);
    this.facts.replaceChildren(el("dl", { class: "l-vpairs", dataset: { laid: String(Boolean(laid)) } }, rows.map(([label, value, other]) => [el("dt", {}, label), el("dd", {}, value || "–"), laid ? el("dd", { class: "l-vother" }, other || "–") : null])));
    setText(this.said, laid ? this.#distance(profile, laid.profile) : "");
  }

  #distance(own, other) {
    const pitch = cents(own.pitch_hz, other.pitch_hz);
    const tone = apart(own.spectrum, other.spectrum);
    return [pitch === null ? "" : `${t("voice.similar.pitch")} ${t("voice.similar.cents", { n: signed(pitch) })}`, tone === null ? "" : `${t("voice.similar.spectrum")} ${tenths(tone)} dB`].filter(Boolean).join(" · ");
  }
}
