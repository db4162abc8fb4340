// What a card says about itself, in words. Pure: a card in, text out.
import { errorWords, fmt, has, t, urls } from "./core.js";

export const taskName = (task) => (has(`task.${task}`) ? t(`task.${task}`) : task);
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
  if (card.state === "done" && card.degraded) return "degraded";
  return card.state;
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
    case "queued":
      return place ? t("state.queued.place", { place }) : t("state.queued");
    default:
      return t(`state.${mood(card)}`);
  }
}

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
