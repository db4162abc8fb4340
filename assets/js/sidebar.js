// The left column of the Queues tab: the queues, then the scenes of the open one. Patches what changed, by id.
import { button, debounce, el, fmt, icon, iconButton, keyed, on, openDialog, setAttr, setText, showTab, t } from "./core.js";
import { dragRows } from "./dragging.js";
import { filterTools, passes, showAll } from "./scene_filter.js";
import { SceneRow } from "./scene_row.js";
import { PickedBar, markPicked, picking, togglePicking } from "./picked.js";
import { chooseEpisode, watchDrops } from "./importer.js";
import { addScene, card, openQueue, ordered, sceneVerbs, select, state, verbs } from "./queues.js";

const rows = new Map(); // scene id -> SceneRow
const queueRows = new Map(); // queue id -> element
let expandedAll = false;
let find = "";
let parts;

export function mount(element) {
  const list = el("div", { class: "l-queues", role: "list", "aria-label": t("queues.title") });
  const scenes = el("div", { class: "l-scenes", role: "list", "aria-label": t("scene.title") });
  const search = el("input", {
    class: "l-input l-search", type: "search", placeholder: t("scene.search"), "aria-label": t("scene.search"), hidden: true,
  });
  const expand = iconButton("chevrons-up-down", t("scene.expand"), toggleAll);
  const count = el("span", { class: "l-sec-count l-mono" });
  const filter = filterTools();
  parts = { list, scenes, search, expand, count, filter };
  element.classList.add("l-sidebar");
  element.append(
    el("div", { class: "l-sec" }, el("h2", {}, t("queues.title")), el("span", { class: "l-sec-tools" },
      iconButton("upload", t("queues.import"), chooseEpisode),
      iconButton("plus", t("queues.new"), verbs.create))),
    list,
    el("div", { class: "l-sec" }, el("h2", {}, t("scene.title"), count), el("span", { class: "l-sec-tools" },
      filter.tool,
      iconButton("search", t("scene.search"), toggleSearch),
      expand,
      iconButton("list-checks", t("picked.mode"), togglePicking),
      iconButton("plus", t("scene.add"), () => askForScene()))),
    search,
    filter.line,
    scenes,
    new PickedBar().element,
  );
  on("q:picked", () => {
    setAttr(element, "data-picking", picking() ? "" : null);
    for (const [id, row] of rows) markPicked(row, id);
  });
  search.addEventListener("input", debounce(() => {
    find = search.value.trim().toLocaleLowerCase();
    drawScenes();
  }, 120));
  search.addEventListener("keydown", (event) => event.key === "Escape" && toggleSearch());
  scenes.addEventListener("keydown", moveWithArrows);
  dragRows(list, ".l-queue", { place: verbs.move });
  dragRows(scenes, ".l-scene", { allowed: () => !find, place: sceneVerbs.place });
  watchDrops();
  on("q:list", () => {
    drawQueues();
    if (!state.list?.length) drawScenes(); // an empty studio says what to do
  });
  on("q:filter", drawScenes);
  on("q:open", () => {
    showAll();
    drawAll();
  });
  on("q:cards", drawScenes);
  on("q:progress", () => state.order.forEach((id) => card(id).state === "running" && rows.get(id)?.tick()));
  on("q:select", showSelected);
  drawAll();
}

function drawAll() {
  drawQueues();
  drawScenes();
}

// ------------------------------------------------------------------------------------------------ queues
function drawQueues() {
  if (!state.list) return;
  keyed(parts.list, queueRows, state.list, (queue) => queue.id, makeQueueRow, fillQueueRow);
}

function makeQueueRow(queue) {
  const row = el("button", { type: "button", class: "l-queue", draggable: "true", dataset: { id: queue.id }, onclick: () => openQueue(queue.id) },
    el("span", { class: "l-dot" }), el("span", { class: "l-queue-name" }), el("span", { class: "l-queue-marks" }), el("span", { class: "l-queue-count l-mono" }));
  const item = el("div", { role: "listitem" }, row);
  item.parts = { row, dot: row.children[0], name: row.children[1], marks: row.children[2], count: row.children[3] };
  return item;
}

function fillQueueRow(item, queue) {
  const { row, name, marks, count } = item.parts;
  setAttr(row, "data-state", queue.state);
  setAttr(row, "aria-current", queue.id === state.queue?.id ? "true" : null);
  const shown = queue.inbox ? t("queues.inbox") : queue.name;
  setText(name, shown);
  setAttr(row, "title", shown);
  const done = `${queue.counts.done || 0}/${queue.counts.total || 0}`;
  const said = { paused: () => t("state.paused").toLocaleLowerCase(), scheduled: () => fmt.when(queue.starts_at) }[queue.state];
  setText(count, said ? said() : done);
  drawMarks(marks, queue);
  setAttr(row, "aria-label", `${shown}, ${t(`state.${queue.state}`)}, ${queue.counts.done || 0}/${queue.counts.total || 0}`);
}

/** A clock where it waits for its time, an arrow where it goes before or after the others. */
function drawMarks(box, queue) {
  const arrow = queue.priority ? `arrow-${queue.priority > 0 ? "up" : "down"}` : "";
  const wanted = [queue.state === "scheduled" && "clock", arrow].filter(Boolean);
  if (box.dataset.marks === wanted.join()) return;
  box.dataset.marks = wanted.join();
  box.replaceChildren(...wanted.map(icon));
  setAttr(box, "title", queue.priority ? t("run.priority.mark", { priority: queue.priority }) : null);
}

// ------------------------------------------------------------------------------------------------ scenes
function drawScenes() {
  const all = ordered();
  const shown = all.filter((scene) => passes(scene) && (!find || matches(scene, find)));
  parts.filter.draw();
  for (const [id, row] of rows) {
    if (!state.cards.has(id)) {
      row.element.remove();
      rows.delete(id);
    }
  }
  const wanted = new Set(shown.map((scene) => scene.id));
  for (const [id, row] of rows) if (!wanted.has(id)) row.element.remove();
  let at = parts.scenes.querySelector(".l-scene");
  for (const scene of shown) {
    let row = rows.get(scene.id);
    if (!row) {
      row = new SceneRow(scene.id, expandedAll);
      rows.set(scene.id, row);
    }
    row.fill();
    if (row.element === at) at = at.nextElementSibling;
    else parts.scenes.insertBefore(row.element, at);
  }
  drawEmptiness(all.length, shown.length);
  showSelected();
}

function drawEmptiness(total, shown) {
  parts.empty?.remove();
  parts.empty = null;
  setText(parts.count, total ? String(total) : "");
  if (shown || !state.list) return;
  const text = !state.queue ? t("queues.empty") : total ? t(find ? "scene.none_found" : "scene.filter.none", { find }) : t("scene.empty");
  parts.empty = el("div", { class: "l-empty l-empty-small" }, el("p", {}, text),
    state.queue && !total && button(t("scene.add"), () => askForScene(), { iconName: "plus" }),
    !state.queue && button(t("queues.import"), chooseEpisode, { iconName: "upload", kind: "primary" }),
    !state.queue && button(t("queues.new"), verbs.create, { iconName: "plus" }));
  parts.scenes.append(parts.empty);
}

function matches(scene, text) {
  const words = [scene.title, scene.prompt, scene.number, ...scene.lines.flatMap((line) => [line.character, line.text])];
  return words.join("\n").toLocaleLowerCase().includes(text);
}

function showSelected() {
  for (const [id, row] of rows) row.mark(id === state.selected);
  const element = rows.get(state.selected)?.element;
  if (!element?.isConnected) return;
  const box = parts.scenes.getBoundingClientRect();
  const at = element.getBoundingClientRect();
  if (parts.scenes.scrollHeight > parts.scenes.clientHeight && (at.top < box.top || at.bottom > box.bottom))
    element.scrollIntoView({ block: "nearest" });
}

function toggleAll() {
  expandedAll = !expandedAll;
  for (const row of rows.values()) row.expand(expandedAll);
  const label = t(expandedAll ? "scene.collapse" : "scene.expand");
  parts.expand.replaceChildren(icon(expandedAll ? "chevrons-down-up" : "chevrons-up-down"));
  setAttr(parts.expand, "title", label);
  setAttr(parts.expand, "aria-label", label);
}

function toggleSearch() {
  parts.search.hidden = !parts.search.hidden;
  if (parts.search.hidden) {
    parts.search.value = find = "";
    drawScenes();
  } else parts.search.focus();
}

/** Up and down walk through the scenes; with Alt they move the scene itself. */
function moveWithArrows(event) {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  const id = event.target.closest(".l-scene")?.dataset.id;
  if (!step || !id || event.target.matches("input")) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.altKey) {
    sceneVerbs.move(id, step);
    return;
  }
  const all = [...parts.scenes.querySelectorAll(".l-scene")];
  const next = all[all.findIndex((row) => row.dataset.id === id) + step];
  if (!next) return;
  select(next.dataset.id);
  next.querySelector(".l-scene-main").focus();
}

// ------------------------------------------------------------------------------------------------ a new scene
/** A new scene at the end, or at this place (from 0). */
export function askForScene(at = null) {
  if (!state.queue) return;
  const prompt = el("textarea", { class: "l-input", rows: 4, maxlength: 10000, placeholder: t("scene.new.sample") });
  const seconds = el("input", { class: "l-input l-mono", type: "number", min: 0.5, max: 600, step: 0.5, value: 5 });
  const make = async () => {
    if (!prompt.value.trim()) return prompt.focus();
    const scene = { task_type: "text_to_video", prompt: prompt.value.trim(), duration: Number(seconds.value), ...(at === null ? {} : { at }) };
    if (await addScene(scene)) dialog.close();
  };
  const elsewhere = () => {
    dialog.close();
    showTab("generate");
  };
  const dialog = openDialog({
    title: t("scene.new.title"),
    content: el("div", { class: "l-stack" },
      el("label", { class: "l-field" }, el("span", {}, t("scene.prompt")), prompt),
      el("label", { class: "l-field l-field-short" }, el("span", {}, t("scene.seconds")), seconds),
      el("p", { class: "l-hint" }, t("scene.new.hint"))),
    actions: [button(t("scene.new.elsewhere"), elsewhere), button(t("scene.add"), make, { kind: "primary" })],
  });
  prompt.focus();
}
