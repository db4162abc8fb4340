// A take as a small picture: poster, what it is, and on hover the clip itself. Used wherever takes are listed.
import { el, fmt, icon, setText, t, urls } from "./core.js";
import { TASK_ICONS, taskName } from "./words_of.js";

const HOVER_MS = 120; // a pointer that only passes by fetches nothing

/** The node of a take. It fetches its poster when it comes near the screen (`see`), its clip only on hover. */
export function tile(take, { onclick }) {
  const picture = el("div", { class: "l-tile-picture" });
  const node = el("button", { type: "button", class: "l-tile", onclick: (event) => onclick(node.take, event),
    dataset: { id: take.id } },
  picture,
  el("span", { class: "l-tile-pill" }),
  el("span", { class: "l-tile-time l-mono" }),
  el("span", { class: "l-tile-shade" }, el("span", { class: "l-tile-title" })));
  let waiting = 0;
  node.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "touch" || node.take.kind !== "video" || node.take.private) return;
    waiting = setTimeout(() => play(node), HOVER_MS);
  });
  node.addEventListener("pointerleave", () => {
    clearTimeout(waiting);
    node.querySelector("video")?.remove();
  });
  return update(node, take);
}

/** Writes what changed of a take into its node. */
export function update(node, take) {
  const covered = node.take?.private !== take.private;
  node.take = take;
  node.classList.toggle("l-tile-private", take.private);
  node.classList.toggle("l-tile-audio", take.kind === "audio");
  const title = titleOf(take);
  if (node.title !== title) node.title = title;
  node.setAttribute("aria-label", title);
  const [, pill, time, shade] = node.children;
  pill.hidden = !take.draft;
  setText(pill, t("generate.draft"));
  setText(time, take.kind === "image" ? "" : fmt.seconds(take.duration));
  time.hidden = take.kind === "image";
  setText(shade.firstChild, title);
  if (covered) {
    node.firstChild.replaceChildren();
    if (node.dataset.seen) see(node);
  }
  return node;
}

export const titleOf = (take) => take.title || take.prompt?.slice(0, 80) || taskName(take.task_type);

/** Fetch the poster now: the tile is on the screen or about to be. A private take shows a cover instead. */
export function see(node) {
  node.dataset.seen = "1";
  const { take, firstChild: picture } = node;
  if (picture.childElementCount) return;
  if (take.private) picture.append(icon("eye-off"));
  else if (take.kind === "audio") picture.append(icon(TASK_ICONS.speech));
  else {
    picture.append(el("img", { src: urls.poster(take.id), alt: "", decoding: "async",
      onerror: (event) => event.target.replaceWith(icon(TASK_ICONS[take.task_type] || "film")) }));
  }
}

function play(node) {
  const video = el("video", { src: urls.file(node.take.id), muted: true, loop: true, playsinline: true, autoplay: true,
    onplaying: () => video.classList.add("l-on") });
  node.firstChild.append(video);
  video.play().catch(() => video.remove()); // the pointer left before it could start
}
