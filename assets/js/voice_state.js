// What the Voice tab knows: the voices, who can speak, who speaks with them. Read over REST, told over the bus ("voices",
// "voice:engines"). Knows no element.
import { api, emit, toastError } from "./core.js";

const LAST = "lanterna_voice"; // the one that was open last

export const known = {
  voices: null, // by name; null before the first answer
  engines: [], // that speak, the best first
  models: new Map(), // of the catalogue, by engine
  characters: [],
  chosen: localStorage.getItem(LAST) || "",
};

export const voiceOf = (id) => known.voices?.find((voice) => voice.id === id) || null;
export const engineOf = (id) => known.engines.find((engine) => engine.id === id) || null;

export function choose(id) {
  known.chosen = id;
  if (id) localStorage.setItem(LAST, id);
}

/** Reads voices and characters again. Throws what went wrong. */
export async function readVoices() {
  const [{ voices }, { characters }] = await Promise.all([api("GET", "/voices"), api("GET", "/characters")]);
  Object.assign(known, { voices, characters });
  emit("voices");
}

/** Who can speak here, and what it takes to have them. Throws what went wrong. */
export async function readEngines() {
  const [engines, { models }] = await Promise.all([api("GET", "/engines"), api("GET", "/catalogue")]);
  known.engines = engines.filter((engine) => engine.tasks.includes("speech") && engine.speaks).sort((a, b) => a.draft - b.draft || a.rank - b.rank);
  known.models = new Map(models.map((model) => [model.id, model]));
  emit("voice:engines");
}

/** Does something to voices over REST, says what went wrong, reads them again. Its answer; undefined where it failed. */
export async function change(method, path, body) {
  try {
    const answer = await api(method, path, body);
    await readVoices();
    return answer ?? null;
  } catch (error) {
    toastError(error);
    return undefined;
  }
}
