// What the player plays as the film of the open queue: the selected takes in order, without what trims take off.
// A dissolve becomes a cut in its middle, so that the player's clock is the film's. Draws nothing, asks nothing.
import { itemOf } from "./player.js";
import { ordered } from "./queues.js";
import { secondsOf } from "./words_of.js";

const DISSOLVE_S = 0.5; // the longest; a clip gives a third of itself at most

/** How long a card is seen in the film. */
export function shownSeconds(card) {
  const [start, end] = card.take ? card.trim : [0, 0];
  return Math.max(1 / 24, secondsOf(card) - start - end);
}

const plays = (card) => card.in_cut && card.take && card.take.kind !== "image";

/** Items for Player.load; `scene` is the id of the scene, `lead` what a dissolve took off its beginning. */
export function filmItems() {
  const cards = ordered().filter(plays);
  let lead = 0;
  return cards.map((card, at) => {
    const next = cards[at + 1];
    const overlap = card.transition === "dissolve" && next ? Math.min(DISSOLVE_S, shownSeconds(card) / 3, shownSeconds(next) / 3) : 0;
    const [start, end] = card.trim;
    const from = start + lead;
    const to = secondsOf(card) - end - overlap / 2;
    const item = { ...itemOf(card.take, card), scene: card.id, duration: Math.max(1 / 24, to - from) };
    if (from > 0) item.from = from;
    if (end || overlap) item.to = to;
    lead = overlap / 2;
    return item;
  });
}
