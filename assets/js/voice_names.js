// What voices and engines of speech are called on screen. Pure: facts in, words out.
import { errorWords, fmt, has, lang, t } from "./core.js";
import { engineName } from "./words_of.js";

export const LANGUAGES = ["en", "pt", "zh"];
export const KINDS = ["sample", "preset", "plain"];
export const DRAFT = "draft";

const names = new Intl.DisplayNames([lang === "zh" ? "zh-Hans" : lang], { type: "language", fallback: "code" });

/** "pt-BR" -> "Brazilian Portuguese" */
export function languageName(code) {
  try {
    return names.of(code) || code;
  } catch {
    return code; // an engine may call its accents as it likes
  }
}

export const kindName = (kind) => t(`voice.kind.${kind}`);
export const spoken = (code) => (code ? languageName(code) : t("voice.language.each"));

/** What speaks a voice; a draft that speaks like a recording is never called a clone. */
export const speakerName = (engine, voice) => (engine === DRAFT && voice?.sample ? t("voice.draft_match") : engineName(engine));

/** A voice that an engine brings along: the draft's have names in every language, the others keep their own. */
export const presetName = (preset) => (has(`voice.preset.${preset}`) ? t(`voice.preset.${preset}`) : preset);

/** "From a recording · Portuguese · Pocket TTS" */
export const summary = (voice) => [kindName(voice.kind), spoken(voice.language), voice.engine === "auto" ? "" : engineName(voice.engine)].filter(Boolean).join(" · ");

/** 118.4 -> "118 Hz" */
export const hertz = (value) => (value === null || value === undefined ? "–" : `${fmt.number(value)} Hz`);

/** 3.14 -> "3.1 dB"; signed where `sign`. */
export const decibels = (value) => (value === null || value === undefined ? "–" : `${tenths(value)} dB`);

export const tenths = (value) => new Intl.NumberFormat(lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(value);
export const signed = (value) => new Intl.NumberFormat(lang, { maximumFractionDigits: 0, signDisplay: "exceptZero" }).format(value);
export const hundredths = (value) => new Intl.NumberFormat(lang, { minimumFractionDigits: 2, maximumFractionDigits: 2 }).format(value);

/** The rows of a profile: [[label, value]]; what was not measured is left out. */
export function profileRows(profile) {
  const range = [profile.pitch_low_hz, profile.pitch_high_hz];
  const known = (value) => value !== null && value !== undefined;
  return [
    [t("voice.profile.pitch"), known(profile.pitch_hz) ? hertz(profile.pitch_hz) : ""],
    [t("voice.profile.range"), range.every(known) ? `${fmt.number(range[0])}–${hertz(range[1])}` : ""],
    [t("voice.profile.pace"), known(profile.pace) ? t("voice.profile.pace.value", { n: tenths(profile.pace) }) : ""],
    [t("voice.profile.loudness"), known(profile.lufs) ? `${tenths(profile.lufs)} LUFS` : ""],
    [t("voice.profile.noise"), known(profile.snr_db) ? decibels(profile.snr_db) : ""],
    [t("voice.profile.speech"), known(profile.speech_seconds) ? fmt.seconds(profile.speech_seconds) : ""],
  ];
}

/** What keeps an engine from speaking with a voice, as the studio would say it; null where nothing does. */
export function obstacle(engine, voice, language) {
  if (!engine) return null;
  const { speaks, draft, limits, availability } = engine;
  const params = { engine: engine.id, voice: voice.name || t("voice.this") };
  const say = (code, more = {}) => errorWords({ code, params: { ...params, ...more } });
  if (language && !limits.languages.includes(language)) return say("engine.limit_language", { language, known: limits.languages.join(", ") });
  if (!voice.sample && voice.preset && ![engine.id, "auto"].includes(voice.engine)) return say("voice.other_engine", { wanted: voice.engine });
  if (!voice.sample && speaks.needs_sample) return say("voice.needs_sample");
  if (!voice.sample && voice.preset && !speaks.presets.includes(voice.preset)) return say("voice.no_preset", { preset: voice.preset });
  if (voice.sample && !speaks.clones && !draft) return say("voice.cannot_clone");
  if (voice.sample && speaks.needs_transcript && !voice.transcript) return say("voice.needs_transcript");
  if (availability.state === "unfit") return availability.reason ? errorWords({ code: availability.reason, params: { engine: engine.id, ...availability.params } }) : { message: t("engines.state.unfit"), hint: "" };
  if (availability.state === "needs_download") return { message: t("engines.state.needs_download"), hint: t("voice.engine.get"), models: true };
  return null;
}

/** What a check of a recording says, and how to cure it. */
export function checkWords({ code, params = {} }) {
  const key = [`error.${code}`, `voice.check.${code}`, code].find(has);
  return key ? { message: t(key, params), hint: has(`${key}.hint`) ? t(`${key}.hint`, params) : "" } : { message: code, hint: "" };
}
