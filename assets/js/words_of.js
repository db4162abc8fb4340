// What a card says about itself, in words. Pure: a card in, text out.
import { errorWords, fmt, has, t, urls } from "./core.js";

export const taskName = (task) => (has(`task.${task}`) ? t(`task.${task}`) : task);
/** What a field is called on screen: "References 2" for ref_imgs.1; the field itself where the forms do not show it. */
export function fieldName(field) {
  const [name, at] = field.split(".");
  if (!has(`form.${name}`)) return field;
  return at === undefined ? t(`form.${name}`) : `${t(`form.${name}`)} ${Number(at) + 1 || at}`;
}

/** What an engine is called on screen: its name in this language, the title of its model, or its id. */
export const engineName = (id) => ["form.engine", "engine.title"].map((key) => `${key}.${id}`).filter(has).map((key) => t(key))[0] ?? id;
export const TASK_ICONS = {
  text_to_video: "clapperboard",
  image_to_video: "image-play",
  reference_to_video: "users-round",
  single_shot_extension: "step-forward",
  shot_switching_extension: "scissors",
  talking_avatar: "scan-face",
  text_to_image: "image",
  speech: "audio-lines",
};

/** What kind of dot and colour a card gets; more than the state, because amber truths must not hide behind green. */
export function mood(card) {
  if (card.blocked && (card.state === "queued" || card.state === "draft")) return "blocked";
  if (card.state === "done" && card.changed?.length) return "changed";
  if (card.state === "done" && card.degraded) return "degraded";
  return card.state;
}

/** Why another engine stood in for the one that was wanted, of a card or a take; nothing where none did. */
export function standInText({ degraded }) {
  if (!degraded) return "";
  const { message } = errorWords(degraded);
  return has(`error.${degraded.code}`) ? message : t("scene.degraded", { reason: message });
}

/** The short state: "Done", "62% · 3:12 left", "Queued · 3", "Out of memory". */
export function stateText(card, progress, place) {
  switch (mood(card)) {
    case "running": {
      if (!progress) return t("state.starting");
      const share = fmt.percent(progress.done / Math.max(1, progress.total));
      const layer = progress.layer === "voice" ? `${t("state.voice")} ` : "";
      return [`${layer}${share}`, fmt.eta(progress.eta)].filter(Boolean).join(" · ");
    }
    case "failed":
      return card.error ? errorWords(card.error).message : t("state.failed");
    case "blocked":
      return errorWords(card.blocked).message;
    case "changed":
      return card.changed.includes("picture") && card.take ? t("state.changed.take", { n: card.take.number }) : t("state.changed.voice");
    case "queued":
      return place ? t("state.queued.place", { place }) : t("state.queued");
    default:
      return reviewText(card) || t(`state.${mood(card)}`);
  }
}

/** What the reviewer wants of a scene that is done: "Retake · slower", "Look again"; nothing where all is decided. */
function reviewText(card) {
  if (card.state !== "done" || !card.retake) return "";
  if (card.review === "retaken") return t("state.retaken");
  return card.comments.retake ? t("state.retake") : `${t("state.retake")} · ${card.retake}`; // the words of reviewers stand with their notes
}

/** What happened to it on the way: "Resumed after a crash"; empty: nothing. */
export const noteText = (card) => (card.note && has(card.note) ? t(card.note) : "");

/** "720P · 16:9 · seed 418220917" */
export function settingsText(card) {
  const seed = card.seed === null || card.seed === undefined ? t("scene.seed.new") : String(card.seed);
  return [card.resolution, card.aspect, t("scene.seed", { seed })].filter(Boolean).join(" · ");
}

export const secondsOf = (card) => card.take?.duration ?? card.duration ?? 4;

/** The picture of a card: its take's, or the first one it reads; null where there is none. */
export function pictureOf(card) {
  if (card.take && card.take.kind !== "audio") return urls.poster(card.take.id);
  return card.still ? urls.still(card.still) : null;
}
