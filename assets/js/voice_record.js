// A recording by the microphone: asked for plainly, watched by a meter, kept as a WAV file. Knows no voice.
import { button, el, fmt, setText, t } from "./core.js";
import { note } from "./settings_parts.js";

const MOST_S = 120;
const TYPES = ["audio/webm;codecs=pcm", "audio/webm;codecs=opus", "audio/mp4", "audio/ogg;codecs=opus"];
const WHY = { NotAllowedError: "refused", SecurityError: "refused", NotFoundError: "none", OverconstrainedError: "none", NotReadableError: "busy", AbortError: "busy" };
const QUIET = 0.02; // of full scale
const LOUD = 0.97;

/** 16 bit, one channel: (N,) float in -1 … 1 at `rate` Hz as a file. */
function wav(samples, rate) {
  const view = new DataView(new ArrayBuffer(44 + samples.length * 2));
  const text = (at, words) => [...words].forEach((letter, i) => view.setUint8(at + i, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + samples.length * 2, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true);
  view.setUint16(22, 1, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * 2, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  text(36, "data");
  view.setUint32(40, samples.length * 2, true);
  samples.forEach((sample, i) => view.setInt16(44 + i * 2, Math.max(-1, Math.min(1, sample)) * 32767, true));
  return new Blob([view], { type: "audio/wav" });
}

export class Recorder {
  /** onfile(File): what was recorded. `words`: something to read aloud. */
  constructor({ onfile, words }) {
    this.onfile = onfile;
    this.go = button(t("voice.record.start"), () => this.#toggle(), { kind: "primary", iconName: "mic", id: "voice-record" });
    this.clock = el("span", { class: "l-mono" });
    this.bar = el("i");
    this.meter = el("span", { class: "l-rec-meter", role: "meter", "aria-label": t("voice.record.level"), "aria-valuemin": 0, "aria-valuemax": 100, hidden: true }, this.bar);
    this.said = el("span", { class: "l-hint", role: "status" });
    this.trouble = el("div", {});
    this.element = el("div", { class: "l-rec" },
      el("figure", { class: "l-rec-words" }, el("figcaption", { class: "l-hint" }, t("voice.record.read")), el("p", {}, words)),
      el("div", { class: "l-rec-bar" }, this.go, this.meter, this.clock, this.said), this.trouble);
  }

  #toggle() {
    if (this.recorder) this.recorder.stop();
    else this.#start();
  }

  /** Lets go of the microphone; what was recorded so far is thrown away. */
  close() {
    if (!this.recorder) return;
    this.recorder.onstop = null;
    this.recorder.stop();
    this.#end();
  }

  async #start() {
    this.trouble.replaceChildren();
    if (!navigator.mediaDevices?.getUserMedia || !window.MediaRecorder) return this.#cannot("insecure");
    this.go.disabled = true;
    setText(this.said, t("voice.record.asking"));
    try {
      // as it is: what a browser does to make calls pleasant, a cloned voice would have learnt
      this.stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 } });
    } catch (error) {
      this.go.disabled = false;
      setText(this.said, "");
      return this.#cannot(WHY[error.name] || "busy");
    }
    this.go.disabled = false;
    if (!this.element.isConnected) return this.#end();
    const parts = [];
    const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
    this.recorder = new MediaRecorder(this.stream, { ...(mimeType ? { mimeType } : {}), audioBitsPerSecond: 256_000 });
    this.recorder.ondataavailable = ({ data }) => parts.push(data);
    this.recorder.onstop = () => this.#keep(new Blob(parts, { type: this.recorder.mimeType }));
    this.recorder.start();
    this.#watch();
    return undefined;
  }

  #cannot(why) {
    this.trouble.replaceChildren(note(t(`voice.record.${why}`), { tone: "bad", iconName: "triangle-alert", hint: t(`voice.record.${why}.hint`) }));
  }

  #watch() {
    this.context = new AudioContext();
    const ear = this.context.createAnalyser();
    this.context.createMediaStreamSource(this.stream).connect(ear);
    const samples = new Float32Array(ear.fftSize);
    const began = performance.now();
    let most = 0;
    setText(this.go.lastChild, t("voice.record.stop"));
    this.go.firstChild.className = "l-ic l-ic-circle-stop";
    this.meter.hidden = false;
    const beat = () => {
      if (!this.recorder) return;
      const seconds = (performance.now() - began) / 1000;
      if (seconds >= MOST_S || !this.element.isConnected) return void this.recorder.stop();
      ear.getFloatTimeDomainData(samples);
      const level = samples.reduce((loudest, sample) => Math.max(loudest, Math.abs(sample)), 0);
      most = Math.max(level, most * 0.98);
      const share = Math.max(0, 1 + (20 * Math.log10(Math.max(level, 1e-4))) / 60); // 60 dB of it
      this.bar.style.transform = `scaleX(${share})`;
      this.meter.setAttribute("aria-valuenow", Math.round(share * 100));
      this.bar.dataset.tone = level > LOUD ? "bad" : "";
      setText(this.clock, fmt.time(seconds));
      setText(this.said, seconds < 1.5 ? "" : t(most > LOUD ? "voice.record.loud" : most < QUIET ? "voice.record.quiet" : seconds < 6 ? "voice.record.longer" : "voice.record.enough"));
      requestAnimationFrame(beat);
    };
    beat();
  }

  #end() {
    this.stream?.getTracks().forEach((track) => track.stop());
    this.context?.close();
    this.recorder = this.stream = this.context = null;
    this.meter.hidden = true;
    setText(this.go.lastChild, t("voice.record.start"));
    this.go.firstChild.className = "l-ic l-ic-mic";
    setText(this.said, "");
    setText(this.clock, "");
  }

  async #keep(blob) {
    const context = this.context;
    try {
      const sound = await context.decodeAudioData(await blob.arrayBuffer());
      const name = t("voice.record.name", { at: new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", ".") });
      this.onfile(new File([wav(sound.getChannelData(0), sound.sampleRate)], `${name}.wav`, { type: "audio/wav" }));
    } catch {
      this.#cannot("unreadable");
    } finally {
      this.#end();
    }
  }
}

