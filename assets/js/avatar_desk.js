// What lies on the desk of the Avatar tab: a portrait, what it says, who renders it. Kept by this browser tab until it
// is closed. Says what is missing and what to send; draws nothing. Emits "avatar" with the names of what changed.
import { emit, t } from "./core.js";
import { engineName } from "./words_of.js";

const KEPT = "lanterna_avatar";
export const SHAPES = { "16:9": 16 / 9, "4:3": 4 / 3, "1:1": 1, "3:4": 3 / 4, "9:16": 9 / 16 };
export const MODES = ["script", "recording", "many"];
export const PEOPLE = 2; // that one picture can show speaking
const LABEL = 60; // characters
const EYES_TO_MOUTH = 0.8; // a mouth's width in distances between the eyes

const EMPTY = {
  portrait: null, // {ref, name, from: the picture it was cut out of | ""}
  look: null, // what POST /portraits/look said of it
  marks: [], // mouth, eye, eye: [x, y] in shares of the portrait
  boxes: [], // where two people are: [left, top, right, bottom] in shares
  mode: "script",
  lines: [], // {key, character, voice, text, direction}
  recordings: [], // {ref, name, seconds}: of the first and the second person
  order: "together",
  many: { character: "", voice: "", direction: "", text: "", recordings: [] },
  engine: "auto",
  resolution: "720P",
  aspect: "16:9",
  shaped: false, // the user chose the aspect; else it follows the portrait
  prompt: "",
  scene: null, // {id, key, lines: [id]}: in hand; key says which portrait and words it was made of
};

const row = (more = {}) => ({ key: Math.random().toString(36).slice(2), character: "", voice: "", text: "", direction: "", ...more });

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) || "{}");
  } catch {
    return {};
  }
}

export const desk = { ...structuredClone(EMPTY), ...kept() };
if (!desk.lines.length) desk.lines = [row()];

/** change({engine: "draft"}): kept, and heard by whoever draws it. */
export function change(values) {
  Object.assign(desk, values);
  sessionStorage.setItem(KEPT, JSON.stringify(desk));
  emit("avatar", Object.keys(values));
}

// ------------------------------------------------------------------------------------------------ the portrait
/** Take up a portrait: marks and boxes of the one before go. null: none. */
export const setPortrait = (portrait) => change({ portrait, look: null, marks: [], boxes: [] });

/** The shape that cuts least off a picture of this width by height. */
export function shapeOf(ratio) {
  const away = (shape) => Math.abs(Math.log(shape / ratio));
  return Object.entries(SHAPES).sort(([, a], [, b]) => away(a) - away(b))[0][0];
}

/** {mouth: [x, y, width], eyes: [[x, y], [x, y]]} of three clicks, else null. */
export function faceOf(marks, ratio = 1) {
  if (marks.length < 3) return null;
  const [mouth, ...eyes] = marks;
  const [left, right] = eyes.sort((a, b) => a[0] - b[0]);
  const apart = Math.hypot(right[0] - left[0], (right[1] - left[1]) / ratio);
  return { mouth: [...mouth, Math.min(1, Math.max(0.01, round(apart * EYES_TO_MOUTH)))], eyes: [left, right] };
}

export const round = (share) => Math.round(Math.min(1, Math.max(0, share)) * 1000) / 1000;
const overlap = ([a, b]) => Math.max(a[0], b[0]) < Math.min(a[2], b[2]) && Math.max(a[1], b[1]) < Math.min(a[3], b[3]);

// ------------------------------------------------------------------------------------------------ what is said
export const written = () => desk.lines.filter((line) => line.text.trim());
export const pasted = () => desk.many.text.split("\n").map((text) => text.trim()).filter(Boolean);

/** Who speaks, in the order in which they first do: by that the boxes on the portrait are counted. */
export function people() {
  if (desk.mode === "recording") return desk.recordings.map((_, number) => t("avatar.person", { number: number + 1 }));
  return desk.mode === "script" ? [...new Set(written().map((line) => line.character.trim()))] : [desk.many.character.trim()];
}

/** A row more, spoken as the last one was; of two people the other one answers. */
export function addLine() {
  const [before, last] = desk.lines.slice(-2).length === 2 ? desk.lines.slice(-2) : [desk.lines.at(-1), desk.lines.at(-1)];
  const { character, voice } = people().length === PEOPLE ? before : last;
  const added = row({ character, voice });
  change({ lines: [...desk.lines, added] });
  return added.key;
}

export const setLine = (key, values) => change({ lines: desk.lines.map((line) => (line.key === key ? { ...line, ...values } : line)) });

export function removeLine(key) {
  const left = desk.lines.filter((line) => line.key !== key);
  change({ lines: left.length ? left : [row()] });
}

/** How many scenes the desk makes. */
export const scenesOf = () => (desk.mode === "many" ? desk.many.recordings.length || pasted().length : 1);

// ------------------------------------------------------------------------------------------------ who renders it
const able = (engine, count) => engine.limits.speakers >= count;

/** The engine that `auto` comes to, as the studio chooses: the best that is ready and free; else the draft. */
export function chosen(engines) {
  if (desk.engine !== "auto") return engines.find((engine) => engine.id === desk.engine) || null;
  const ready = engines.filter((engine) => engine.availability.state === "ready" && !engine.costs_money);
  const real = ready.filter((engine) => !engine.draft).sort((a, b) => a.rank - b.rank);
  return real.find((engine) => able(engine, people().length)) || real[0] || ready[0] || null;
}

/** Why nothing can be rendered yet, in words; "" where it can. `engines`: by the chosen one of them. */
export function missing(engines = undefined) {
  if (!desk.portrait) return t("avatar.missing.portrait");
  if (desk.mode === "script" && !written().length) return t("avatar.missing.line");
  if (desk.mode === "recording" && !desk.recordings.length) return t("avatar.missing.recording");
  if (desk.mode === "many" && !scenesOf()) return t("avatar.missing.many");
  if (people().length > PEOPLE) return t("avatar.missing.people", { count: people().length });
  if (people().length === PEOPLE && desk.boxes.length === PEOPLE && overlap(desk.boxes)) return t("avatar.missing.overlap");
  if (!engines) return "";
  const engine = chosen(engines);
  if (!engine) return t(desk.engine === "auto" ? "generate.by_none" : "form.availability.unknown");
  const name = engineName(engine.id);
  if (engine.availability.state === "needs_download") return t("generate.by_download", { engine: name });
  if (engine.availability.state === "unfit") return t("generate.by_unfit", { engine: name });
  if (!able(engine, people().length)) return t("avatar.missing.speakers", { engine: name });
  if (!engine.limits.resolutions.includes(desk.resolution)) return t("avatar.missing.resolution", { engine: name, resolutions: engine.limits.resolutions.join(", ") });
  return "";
}

// ------------------------------------------------------------------------------------------------ what to send
const drafting = () => {
  const face = faceOf(desk.marks, ratioOf());
  return face ? { draft: { face } } : {};
};

/** Width by height of the portrait. */
export const ratioOf = () => (desk.look ? desk.look.width / Math.max(1, desk.look.height) : 1);

const said = ({ character, voice, text, direction }) => ({ character: character.trim(), voice, text: text.trim(), direction: direction.trim() });

function speech() {
  const { mode, many } = desk;
  if (mode === "script") return { lines: written().map(said) };
  const refs = (mode === "many" ? many.recordings.slice(0, 1) : desk.recordings).map((recording) => recording.ref);
  if (!refs.length) return { lines: pasted().slice(0, 1).map((text) => said({ ...many, text })) };
  return { input_audio: refs[0], input_audio_2: refs[1] || null, audio_order: desk.order, lines: [] };
}

/** What the scene is called: who, and the first words; or its recording. */
function label(lines) {
  const { character = "", text = "" } = lines[0] || {};
  const name = lines.length ? [character, text].filter(Boolean).join(": ") : (desk.mode === "many" ? desk.many : desk).recordings[0]?.name.replace(/\.\w+$/, "") || "";
  return name.length > LABEL ? `${name.slice(0, LABEL - 1).trimEnd()}…` : name;
}

/** The scene on the desk; of many lines the first. */
export function sceneOf(changes = {}) {
  const together = people().length === PEOPLE && desk.boxes.length === PEOPLE;
  const spoken = speech();
  return {
    task_type: "talking_avatar", label: label(spoken.lines), input_image: desk.portrait?.ref ?? null, input_audio: null, input_audio_2: null, ...spoken,
    speaker_boxes: together ? desk.boxes : [], engine: desk.engine, resolution: desk.resolution, aspect: desk.aspect,
    prompt: desk.prompt, options: drafting(), ...changes,
  };
}

/** The body of POST /avatars: a scene for each line, or for each recording. */
export function batchOf(queue) {
  const { many } = desk;
  const recordings = many.recordings.map((recording) => recording.ref);
  return {
    queue: queue.id || null, ...(queue.id ? {} : { name: queue.name }), portrait: desk.portrait.ref,
    ...(recordings.length ? { recordings } : { lines: pasted().map((text) => said({ ...many, text })) }),
    engine: desk.engine, resolution: desk.resolution, aspect: desk.aspect, prompt: desk.prompt, options: drafting(), run: false,
  };
}

/** Lay the settings of a take on the desk again. `portrait`: its asset; `recordings`: {ref, name, seconds}. */
export function recall(settings, portrait, recordings) {
  const lines = settings.lines.map(({ character, voice, text, direction }) => row({ character, voice, text, direction }));
  const { mouth, eyes = [] } = settings.options.draft?.face || {};
  change({
    portrait: { ref: portrait, name: "", from: "" }, look: null, marks: mouth ? [mouth.slice(0, 2), ...eyes] : [],
    boxes: settings.speaker_boxes, mode: recordings.length ? "recording" : "script", lines: lines.length ? lines : [row()],
    recordings, order: settings.audio_order, engine: settings.engine, resolution: settings.resolution,
    aspect: settings.aspect, shaped: true, prompt: settings.prompt, scene: null,
  });
}

/** Of what a scene shows and says: with another it is another scene. */
export const keyOf = ({ input_image: image, input_audio: one, input_audio_2: two, lines = [] }) => JSON.stringify([image, one, two, lines]);
