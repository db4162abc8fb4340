// The middle of the Queues tab: the title, the player, the queue's bar and its strip of shots; and the keyboard.
import { address, button, commandOfKey, el, errorWords, fmt, iconButton, menuOf, on, openMenu, setAttr, setText, t, typing, urls } from "./core.js";
import "./features.js";
import { Compare } from "./compare.js";
import { FilmButton } from "./film.js";
import { filmItems } from "./film_items.js";
import { LiveBar, paceWords } from "./live_bar.js";
import { Player, itemOf, sizeText } from "./player.js";
import { card, isVisible, ordered, select, selectBy, selectedCard, state, verbs } from "./queues.js";
import { saveThenRun } from "./inspector.js";
import { openPreflight, runChecked } from "./preflight.js";
import { Strip } from "./strip.js";
import { Timeline, timelineCommands } from "./timeline.js";
import { pictureOf } from "./words_of.js";

const PANEL_KEY = "lanterna_panel"; // what is under the player: cards | timeline

let view = "take"; // take | live | film | compare
let player;
let compare;
let live;
let strip;
let timeline;
let parts;
let preview = { url: null, asking: false, scene: null };

export function mount(element) {
  player = new Player({
    onprev: () => selectBy(-1),
    onnext: () => selectBy(1),
    onitem: (item) => view === "film" && item.scene && item.scene !== state.selected && select(item.scene),
    ontime: playhead,
  });
  live = new LiveBar();
  player.frame.append(live.element);
  compare = new Compare();
  compare.element.hidden = true;
  strip = new Strip({ onpick: pickFromStrip });
  timeline = new Timeline({ onseek: seekFilm, onframe: showFrame, onpause: () => player.pause() });
  timelineCommands(timeline);
  const panels = Object.fromEntries(["cards", "timeline"].map((name) =>
    [name, el("button", { type: "button", id: `panel-${name}`, onclick: () => showPanel(name) }, t(`stage.${name}`))]));
  const seg = Object.fromEntries(["take", "live", "film", "compare"].map((name) =>
    [name, el("button", { type: "button", onclick: () => show(name) }, t(`stage.${name}`))]));
  const film = new FilmButton({ onplay: playExport });
  parts = {
    title: el("h1", { class: "l-stage-title" }), sub: el("span", { class: "l-stage-sub" }), seg,
    name: el("b"), facts: el("span", { class: "l-mono" }),
    run: button("", () => parts.run.dataset.verb === "pause" ? verbs.pause() : parts.run.dataset.verb === "resume" ? verbs.resume() : runChecked(), { kind: "soft", iconName: "play" }),
    retry: button("", verbs.retry, { iconName: "refresh-cw", class: "l-btn l-btn-retry" }),
    check: button(t("preflight.check"), () => openPreflight(), { class: "l-btn l-btn-check", iconName: "check", title: t("preflight.check") }),
    stop: iconButton("square", t("queues.stop"), () => verbs.stop()),
    ways: iconButton("chevron-down", t("queues.ways"), (event) => openMenu(event.currentTarget, menuOf("run", t)), { "aria-haspopup": "menu" }),
    playFilm: button(t("queues.play_film"), playFilm, { iconName: "play", class: "l-btn l-btn-play", title: t("queues.play_film") }),
    film, panels,
  };
  const details = iconButton("sliders-horizontal", t("scene.details"), () => document.body.toggleAttribute("data-inspector"), { class: "l-ib l-only-narrow" });
  element.classList.add("l-stage");
  element.append(
    el("header", { class: "l-stage-head" }, el("div", { class: "l-stage-words" }, parts.title, parts.sub),
      el("div", { class: "l-stage-tools" }, el("div", { class: "l-seg", role: "group", "aria-label": t("stage.show") }, Object.values(seg)), details)),
    el("div", { class: "l-stage-view" }, player.element, compare.element),
    el("div", { class: "l-queue-bar" },
      el("div", { class: "l-queue-bar-words" }, parts.name, parts.facts),
      el("div", { class: "l-seg l-panel-seg", role: "group", "aria-label": t("stage.panel") }, Object.values(panels)),
      el("div", { class: "l-queue-bar-tools" }, parts.retry, parts.stop,
        iconButton("ellipsis", t("common.more"), (event) => openMenu(event.currentTarget, menuOf("queue", t)), { "aria-haspopup": "menu" }),
        parts.playFilm, film.element, parts.check, el("span", { class: "l-split" }, parts.run, parts.ways))),
    el("div", { class: "l-panel" }, strip.element, timeline.element),
  );
  showPanel(localStorage.getItem(PANEL_KEY) || "timeline");
  on("q:open", () => {
    view = "take";
    redraw();
  });
  on("q:cards", redraw);
  on("q:list", drawBar); // a queue is paused without any card changing
  on("q:progress", tick);
  on("q:select", () => {
    if (view !== "compare" && (view !== "film" || player.item?.scene !== state.selected)) view = wishedView();
    redraw();
  });
  on("online", () => player.again());
  on("compare", () => show("compare"));
  on("stage:frame", ({ sceneId, second }) => showFrame(sceneId, second));
  on("stage:film", playWhole);
  document.addEventListener("keydown", keys);
  redraw();
}

/** A scene that is being rendered is shown live, any other by its take. */
const wishedView = () => (selectedCard()?.state === "running" ? "live" : "take");

/** The cards of all scenes, or the film on its clock. */
function showPanel(name) {
  localStorage.setItem(PANEL_KEY, name);
  for (const [other, node] of Object.entries(parts.panels)) setAttr(node, "aria-pressed", String(other === name));
  parts.panels.cards.closest(".l-stage").dataset.panel = name;
  strip.element.hidden = name !== "cards";
  timeline.element.hidden = name !== "timeline";
  timeline.fill();
  timeline.drawSoon();
  strip.fill();
}

export function show(name) {
  view = name;
  if (name === "film") playFilm();
  else redraw();
}

/** What plays is either the player or a comparison: both understand the same verbs. */
export const onStage = () => (view === "compare" ? compare : player);

/** The comparison lies over the player as long as its scene is selected and has two takes. */
function drawCompare() {
  const on = view === "compare" && selectedCard()?.takes > 1;
  if (view === "compare" && !on) view = wishedView();
  if (on && compare.element.hidden) player.pause();
  if (!on && !compare.element.hidden) compare.close();
  if (on && (compare.element.hidden || compare.sceneId !== state.selected)) compare.open(state.selected);
  compare.element.hidden = !on;
  player.element.hidden = on;
}

// ------------------------------------------------------------------------------------------------ drawing
function redraw() {
  live.fill(null); // tick() says otherwise
  drawHead();
  drawBar();
  strip.fill();
  drawCompare();
  if (view === "film" || view === "compare") return;
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
    node.disabled = (name === "live" && !running) || (name === "take" && !scene?.take) || (name === "film" && !filmItems().length) || (name === "compare" && !(scene?.takes > 1 && scene.take));
  }
}

const factsOf = (scene) => [t("scene.number", { n: fmt.shot(scene.number) }),
  ...(view === "live" ? [scene.resolution] : scene.take ? [t("take.number", { n: scene.take.number }), sizeText(itemOf(scene.take))] : [])];

const queueName = () => (state.queue ? (state.queue.inbox ? t("queues.inbox") : state.queue.name) : "");

function drawBar() {
  const { queue } = state;
  const counts = queue?.counts || {};
  setText(parts.name, queueName());
  setAttr(parts.name.closest(".l-stage"), "data-empty", queue ? null : ""); // without a queue there is no film to work on
  const begins = queue?.state === "scheduled" ? [t("run.begins", { time: fmt.when(queue.starts_at) })] : [];
  setText(parts.facts, queue ? [`${counts.done || 0}/${counts.total || 0}`, fmt.clock(queue.seconds || 0), ...begins].join(" · ") : "");
  const busy = (counts.running || 0) + (counts.queued || 0);
  const changed = ordered().filter((scene) => scene.state === "done" && scene.changed?.length).length;
  const left = (counts.total || 0) - (counts.done || 0) - busy + changed;
  const held = queue?.paused || queue?.state === "scheduled";
  const verb = !busy ? "run" : held ? "resume" : "pause";
  parts.run.dataset.verb = verb;
  const label = verb === "run" && counts.done ? t("queues.continue") : queue?.state === "scheduled" ? t("run.now") : t(`queues.${verb}`);
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
  parts.ways.hidden = !counts.total;
  parts.check.hidden = !counts.total || busy > 0 || left <= 0;
  parts.playFilm.hidden = !filmItems().length; // nothing to play yet
  parts.film.fill(queue);
}

/** Once a second: the progress of what is on stage. */
function tick() {
  const scene = selectedCard();
  strip.tick();
  const now = view === "live" && scene?.state === "running";
  live.fill(now ? scene.id : null, now ? state.progress[scene.id] : null);
  if (!now) return;
  const progress = state.progress[scene.id];
  const share = progress ? progress.done / Math.max(1, progress.total) : 0;
  const steps = paceWords(progress);
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
  const { width, height, fps } = state.queue.frame;
  player.load([{
    id: film.id, src: address(`/api/exports/${film.id}/file`), kind: "video", duration: film.seconds, fps, title: film.file_name,
    vtt: film.facts.subtitles === "file" ? address(`/api/exports/${film.id}/subtitles.vtt`) : null,
    width: film.facts.width || width, height: film.facts.height || height,
  }], { play: true });
  drawHead();
}

/** A whole film that is no export of today: {item, second, paused}. */
function playWhole({ item, second, paused }) {
  view = "film";
  player.load([item], { play: !paused, from: second });
  if (paused) player.pause();
  player.seek(second);
  drawHead();
}

/** The film from this second of a scene's take on, or that frame of it where nothing plays. */
function seekFilm(id, second) {
  const items = filmItems();
  const at = items.findIndex((item) => item.scene === id);
  if (at < 0) return select(id);
  const from = Math.max(0, second - (items[at].from || 0));
  view = "film";
  player.load(items, { at, from, play: player.playing });
  player.seek(items.slice(0, at).reduce((sum, item) => sum + item.duration, from));
  if (state.selected !== id) select(id);
  drawHead();
}

/** A frame of the whole take: what a trim keeps or cuts off. */
function showFrame(id, second) {
  if (state.selected !== id) select(id);
  const { take, title, number } = card(id);
  view = "take";
  player.load([itemOf(take, { title, number })]);
  player.pause();
  player.seek(second);
}

/** The player shows another moment: within a scene, or in the finished film. */
function playhead(time, total, playing) {
  if (!strip || player.mode !== "clip") return;
  const scene = view === "film" ? player.item?.scene : state.selected;
  strip.playhead(scene ?? null, player.within, player.item?.duration, playing);
  if (scene) timeline.follow(scene, player.video.currentTime, playing);
  else timeline.followFilm(time, playing);
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

// ------------------------------------------------------------------------------------------------ keyboard
const KEYS = {
  " ": () => onStage().toggle(),
  k: () => onStage().pause(),
  j: () => onStage().jump(-1),
  l: () => onStage().faster(),
  m: () => onStage().mute(),
  f: () => onStage().fullscreen(),
  c: () => selectedCard()?.takes > 1 && show(view === "compare" ? "take" : "compare"),
  ArrowLeft: (event) => (event.shiftKey ? onStage().jump(-1) : onStage().step(-1)),
  ArrowRight: (event) => (event.shiftKey ? onStage().jump(1) : onStage().step(1)),
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
  if (at && event.key === " " && !at.matches(".l-scene-main, .l-shot, .l-clip-main, .l-seg button")) return; // those only select: Space plays
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = KEYS[key] || commandOfKey(key)?.run;
  if (!act) return;
  event.preventDefault();
  if (KEYS[key]) act(event);
  else act();
}
