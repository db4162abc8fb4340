// The middle of the Queues tab: the title, the player, the queue's bar and its strip of shots; and the keyboard.
import { api, button, el, errorWords, fmt, iconButton, on, openMenu, setAttr, setText, t, toastError, typing, urls } from "./core.js";
import { FilmButton } from "./film.js";
import { openFilmSettings } from "./film_settings.js";
import { Player, itemOf, sizeText } from "./player.js";
import { isVisible, ordered, select, selectBy, selectedCard, state, verbs } from "./queues.js";
import { saveThenRun } from "./inspector.js";
import { Strip } from "./strip.js";
import { pictureOf } from "./words_of.js";

let view = "take"; // take | live | film
let player;
let strip;
let parts;
let preview = { url: null, asking: false, scene: null };

export function mount(element) {
  player = new Player({
    onprev: () => selectBy(-1),
    onnext: () => selectBy(1),
    onitem: (item) => view === "film" && item.scene && item.scene !== state.selected && select(item.scene),
    ontime: (time, total, playing) => strip?.playhead(view === "film" ? null : state.selected, time, total, playing),
  });
  strip = new Strip({ onpick: pickFromStrip });
  const seg = Object.fromEntries(["take", "live", "film"].map((name) =>
    [name, el("button", { type: "button", onclick: () => show(name) }, t(`stage.${name}`))]));
  const film = new FilmButton({ onplay: playExport });
  parts = {
    title: el("h1", { class: "l-stage-title" }), sub: el("span", { class: "l-stage-sub" }), seg,
    name: el("b"), facts: el("span", { class: "l-mono" }),
    run: button("", () => parts.run.dataset.verb === "pause" ? verbs.pause() : parts.run.dataset.verb === "resume" ? verbs.resume() : verbs.run(), { kind: "soft", iconName: "play" }),
    retry: button("", verbs.retry, { iconName: "refresh-cw", class: "l-btn l-btn-retry" }),
    stop: iconButton("square", t("queues.stop"), () => verbs.stop()),
    restart: iconButton("rotate-ccw", t("queues.restart"), verbs.restart),
    playFilm: button(t("queues.play_film"), playFilm, { iconName: "play", class: "l-btn l-btn-play", title: t("queues.play_film") }),
    film,
  };
  const details = iconButton("sliders-horizontal", t("scene.details"), () => document.body.toggleAttribute("data-inspector"), { class: "l-ib l-only-narrow" });
  element.classList.add("l-stage");
  element.append(
    el("header", { class: "l-stage-head" }, el("div", { class: "l-stage-words" }, parts.title, parts.sub),
      el("div", { class: "l-stage-tools" }, el("div", { class: "l-seg", role: "group", "aria-label": t("stage.show") }, Object.values(seg)), details)),
    player.element,
    el("div", { class: "l-queue-bar" },
      el("div", { class: "l-queue-bar-words" }, parts.name, parts.facts),
      el("div", { class: "l-queue-bar-tools" }, parts.retry, parts.stop, parts.restart,
        iconButton("ellipsis", t("common.more"), (event) => queueMenu(event.currentTarget)),
        parts.playFilm, film.element, parts.run)),
    strip.element,
  );
  on("q:open", () => {
    view = "take";
    redraw();
  });
  on("q:cards", redraw);
  on("q:progress", tick);
  on("q:select", () => {
    if (view !== "film" || player.item?.scene !== state.selected) view = wishedView();
    redraw();
  });
  on("online", () => player.again());
  document.addEventListener("keydown", keys);
  redraw();
}

/** A scene that is being rendered is shown live, any other by its take. */
const wishedView = () => (selectedCard()?.state === "running" ? "live" : "take");

function show(name) {
  view = name;
  if (name === "film") playFilm();
  else redraw();
}

// ------------------------------------------------------------------------------------------------ drawing
function redraw() {
  drawHead();
  drawBar();
  strip.fill();
  if (view === "film") return;
  const scene = selectedCard();
  if (scene?.state === "running" && view === "take" && !scene.take) view = "live";
  if (view === "live" && scene?.state !== "running") view = "take";
  drawHead();
  if (!scene) player.empty(t(!state.queue ? "stage.no_queue" : state.order.length ? "stage.nothing" : "scene.empty"));
  else if (view === "live") tick();
  else if (scene.take) player.load([itemOf(scene.take, { title: scene.title, number: scene.number })]);
  else showWhy(scene);
}

/** A scene without a take: what hinders it and how to cure that, or that it was not rendered yet. */
function showWhy(scene) {
  const trouble = scene.state === "failed" ? scene.error : scene.blocked;
  const { message, hint } = errorWords(trouble);
  player.empty(message || t("stage.no_take"), hint ? el("p", { class: "l-hint l-stage-hint" }, hint) : null, pictureOf(scene));
}

function drawHead() {
  const scene = selectedCard();
  const exported = view === "film" && player.items.length === 1 && !player.item.scene;
  setText(parts.title, exported ? queueName() : scene ? scene.title : "");
  setText(parts.sub, (exported ? [t("film.title"), sizeText(player.item)] : scene ? factsOf(scene) : []).filter(Boolean).join(" · "));
  const running = scene?.state === "running";
  for (const [name, node] of Object.entries(parts.seg)) {
    setAttr(node, "aria-pressed", String(name === view));
    node.disabled = (name === "live" && !running) || (name === "take" && !scene?.take) || (name === "film" && !filmItems().length);
  }
}

const factsOf = (scene) => [t("scene.number", { n: fmt.shot(scene.number) }),
  ...(view === "live" ? [scene.resolution] : scene.take ? [t("take.number", { n: scene.take.number }), sizeText(itemOf(scene.take))] : [])];

const queueName = () => (state.queue ? (state.queue.inbox ? t("queues.inbox") : state.queue.name) : "");

function drawBar() {
  const { queue } = state;
  const counts = queue?.counts || {};
  setText(parts.name, queueName());
  setText(parts.facts, queue ? `${counts.done || 0}/${counts.total || 0} · ${fmt.clock(queue.seconds || 0)}` : "");
  const busy = (counts.running || 0) + (counts.queued || 0);
  const left = (counts.total || 0) - (counts.done || 0) - busy;
  const verb = !busy ? "run" : queue.paused ? "resume" : "pause";
  parts.run.dataset.verb = verb;
  const label = verb === "run" && counts.done ? t("queues.continue") : t(`queues.${verb}`);
  setText(parts.run.querySelector(".l-btn-label"), label);
  parts.run.firstChild.className = `l-ic l-ic-${verb === "pause" ? "pause" : "play"}`;
  parts.run.disabled = !queue || (verb === "run" && left <= 0);
  parts.run.hidden = parts.run.disabled && Boolean(counts.done); // everything is done: nothing to go on with
  setAttr(parts.run, "data-calm", verb === "pause" ? "" : null);
  const broken = (counts.failed || 0) + (counts.cancelled || 0);
  parts.retry.hidden = !broken;
  setText(parts.retry.querySelector(".l-btn-label"), t("queues.retry", { count: broken }));
  setAttr(parts.retry, "title", t("queues.retry", { count: broken }));
  parts.stop.hidden = !busy;
  parts.restart.hidden = Boolean(busy) || !counts.done;
  parts.playFilm.disabled = !filmItems().length;
  parts.film.fill(queue);
}

/** Once a second: the progress of what is on stage. */
function tick() {
  const scene = selectedCard();
  strip.tick();
  if (view !== "live" || scene?.state !== "running") return;
  const progress = state.progress[scene.id];
  const share = progress ? progress.done / Math.max(1, progress.total) : 0;
  const steps = progress?.total ? t("stage.step", { done: progress.done, total: progress.total }) : t("state.starting");
  if (preview.scene !== scene.id) preview = { url: null, asking: false, scene: scene.id };
  player.live(preview.url, share, t("stage.preview"), steps);
  askForPreview(scene.id, share, steps);
}

async function askForPreview(id, share, steps) {
  if (preview.asking || document.hidden || !isVisible()) return;
  preview.asking = true;
  try {
    const answer = await fetch(urls.preview(id));
    if (answer.status !== 200 || preview.scene !== id) return;
    const url = URL.createObjectURL(await answer.blob());
    if (preview.url) URL.revokeObjectURL(preview.url);
    preview.url = url;
    if (view === "live") player.live(url, share, t("stage.preview"), steps);
  } catch {
    // the studio is away: the pulse says so
  } finally {
    preview.asking = false;
  }
}

// ------------------------------------------------------------------------------------------------ the film
const filmItems = () =>
  ordered().filter((scene) => scene.in_cut && scene.take && scene.take.kind !== "image")
    .map((scene) => ({ ...itemOf(scene.take, scene), scene: scene.id }));

/** Plays the selected takes in order, from the selected scene if it is one of them, without exporting anything. */
function playFilm() {
  const items = filmItems();
  if (!items.length) return;
  view = "film";
  const at = items.findIndex((item) => item.scene === state.selected);
  player.load(items, { at: at > 0 && at < items.length - 1 ? at : 0, play: true });
  drawHead();
}

function playExport(film) {
  view = "film";
  const frame = state.queue.frame || { width: 16, height: 9 };
  player.load([{
    id: film.id, src: `/api/exports/${film.id}/file`, vtt: `/api/exports/${film.id}/subtitles.vtt`, kind: "video",
    duration: film.seconds, width: frame.width, height: frame.height, fps: frame.fps, title: film.file_name,
  }], { play: true });
  drawHead();
}

function pickFromStrip(id, share) {
  if (view === "film" && player.items.length > 1) {
    const at = player.items.findIndex((item) => item.scene === id);
    if (at >= 0) {
      const before = player.items.slice(0, at).reduce((sum, item) => sum + item.duration, 0);
      player.seek(before + share * player.items[at].duration);
    }
    select(id);
    return;
  }
  const same = id === state.selected;
  select(id);
  if (same && player.mode === "clip") player.seek(share * player.total);
}

function queueMenu(anchor) {
  const { queue } = state;
  if (!queue) return;
  const allow = (field, name) => ({
    label: t(`queues.${name}`), icon: queue[field] ? "check" : "square", onclick: () => verbs.change({ [field]: !queue[field] }),
  });
  openMenu(anchor, [
    { label: t("queues.rename"), icon: "pencil", onclick: verbs.rename, disabled: queue.inbox },
    { label: t("film.settings"), icon: "sliders-horizontal", onclick: () => openFilmSettings(queue, verbs.change) },
    { label: t("queues.export"), icon: "file-json", onclick: () => saveEpisode(queue) },
    null,
    allow("allow_draft", "allow_draft"),
    null,
    { label: t("queues.restart"), icon: "rotate-ccw", onclick: verbs.restart, disabled: !queue.counts.total },
    { label: t("queues.delete"), icon: "trash-2", onclick: verbs.remove, danger: true, disabled: queue.inbox },
  ]);
}

async function saveEpisode(queue) {
  try {
    const episode = await api("GET", `/queues/${queue.id}/episode`);
    const url = URL.createObjectURL(new Blob([JSON.stringify(episode, null, 2)], { type: "application/json" }));
    el("a", { href: url, download: `${queue.name || "episode"}.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  } catch (error) {
    toastError(error);
  }
}

// ------------------------------------------------------------------------------------------------ keyboard
const KEYS = {
  " ": () => player.toggle(),
  k: () => player.pause(),
  j: () => player.jump(-1),
  l: () => player.faster(),
  m: () => player.mute(),
  f: () => player.fullscreen(),
  ArrowLeft: (event) => (event.shiftKey ? player.jump(-1) : player.step(-1)),
  ArrowRight: (event) => (event.shiftKey ? player.jump(1) : player.step(1)),
  ArrowUp: () => selectBy(-1),
  ArrowDown: () => selectBy(1),
};

function keys(event) {
  if (!isVisible() || document.querySelector("dialog[open], .l-menu")) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (state.selected) saveThenRun();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event)) return;
  const at = event.target.closest?.("button, a, [role=tab]");
  if (at && event.key === "Enter") return;
  if (at && event.key === " " && !at.matches(".l-scene-main, .l-shot")) return; // those two only select: Space plays
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
}
