// The right column: the selected scene. Its fields are Gradio's (studio/tabs/queues.py); this asks for the right form,
// saves it, and draws what is not a field: state, takes, lines, the log.
import { api, button, confirmDialog, debounce, el, errorWords, has, iconButton, menuOf, on, openDialog, openMenu, setText, t, toastError } from "./core.js";
import { act, sceneVerbs, selectedCard, state } from "./queues.js";
import { changedNote } from "./editing.js";
import { PlanLine } from "./plan.js";
import { scenePresets } from "./presets.js";
import { SceneNotes } from "./scene_notes.js";
import { TakesRow } from "./takes_row.js";
import { mood, standInText, stateText, taskName } from "./words_of.js";

let scene = null; // the SceneView whose form is drawn
let dirty = false;
let savedAt = null; // the scene that was saved and not touched since
let turn = 0;
let asking = null;
let saving = null; // {resolve} while a save is under way
const parts = {};
const ANSWER_MS = 15000;

// ------------------------------------------------------------------------------------------------ drawing
export function head(element) {
  Object.assign(parts, {
    name: el("b"), saved: el("span", { class: "l-insp-saved" }), trouble: el("div", { class: "l-insp-trouble" }),
    takes: new TakesRow({ refresh: () => refresh() }), notes: new SceneNotes({ refresh: () => refresh() }),
  });
  element.append(
    el("div", { class: "l-insp-top" }, parts.name, parts.saved,
      iconButton("bookmark", t("preset.title"), (event) => scene && scenePresets(event.currentTarget, scene.id, saved), { "aria-haspopup": "menu" }),
      iconButton("scroll-text", t("scene.log"), showLog),
      iconButton("ellipsis", t("common.more"), (event) => scene && openMenu(event.currentTarget, menuOf("scene", t, scene.id)), { "aria-haspopup": "menu" }),
      iconButton("x", t("common.close"), () => document.body.removeAttribute("data-inspector"), { class: "l-ib l-only-narrow" })),
    parts.trouble, parts.takes.element, parts.notes.element);
  on("q:select", open);
  on("q:open", open);
  on("q:cards", ({ changed }) => changed.includes(state.selected) && refresh());
  on("q:progress", () => selectedCard()?.state === "running" && draw());
  open();
}

export function foot(element) {
  parts.run = button(t("scene.run"), saveThenRun, { kind: "primary" });
  parts.cancel = button(t("scene.cancel"), () => sceneVerbs.cancel(state.selected), { iconName: "square" });
  parts.save = button(t("common.save"), save);
  parts.plan = new PlanLine("scene");
  element.append(parts.plan.element, el("div", { class: "l-insp-acts" }, parts.run, parts.cancel, parts.save));
  const form = document.getElementById("l-insp-form");
  watchForm(form);
  for (const event of ["input", "change"]) form.addEventListener(event, touched, true);
  form.addEventListener("l-touched", () => setDirty(true)); // wells and other controls that are no inputs
  form.addEventListener("pointerdown", (event) => event.target.closest("[role=option]") && setDirty(true), true);
  form.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    save();
  });
  open();
}

function touched(event) {
  if (!event.target.closest(".l-wire")) setDirty(true);
}

function setDirty(value) {
  dirty = value;
  if (dirty) savedAt = null;
  draw();
}

/** Whoever walks through the list with the arrow keys asks for the form of the last one only. */
const readSoon = debounce(() => state.selected && refresh({ form: true }), 140);

/** Another scene was selected. */
function open() {
  const id = state.selected;
  document.getElementById("l-insp")?.toggleAttribute("data-empty", !id);
  dirty = false;
  savedAt = null;
  scene = id ? { ...selectedCard(), take_list: [], line_takes: {}, comments: [] } : null;
  draw();
  parts.plan?.clear();
  if (id && parts.run) readSoon();
}

/** Reads the scene again; draws the form again when it is another version and nothing would be lost. */
async function refresh({ form = false } = {}) {
  const id = state.selected;
  if (asking === id && !form) return;
  asking = id;
  try {
    const view = await api("GET", `/scenes/${id}`);
    if (id !== state.selected) return;
    const known = parts.shownVersion?.[id]; // what the form on screen was drawn from
    scene = dirty ? { ...view, version: scene.version } : view;
    if (form || (!dirty && view.version !== known)) askForForm(view);
  } catch (error) {
    if (error.status !== 404) toastError(error);
  } finally {
    asking = null;
    draw();
  }
}

/** Asks Python for the form of this scene, with the version that a save must name. */
function askForForm(view) {
  turn += 1;
  parts.shownVersion = { [view.id]: view.version };
  wire("l-version", `${turn}:${view.version}`);
  wire("l-asked", JSON.stringify({ id: view.id, turn }));
}

function wire(id, value) {
  const box = document.querySelector(`#${id} textarea, #${id} input`);
  if (!box) return;
  box.value = value;
  box.dispatchEvent(new Event("input", { bubbles: true }));
}

function draw() {
  if (!parts.name) return;
  setText(parts.name, scene ? taskName(scene.task_type) : "");
  const now = selectedCard() || scene;
  const saved = scene && savedAt === scene.id && now.state !== "running";
  setText(parts.saved, !scene ? "" : dirty ? t("scene.unsaved") : saved ? t("scene.saved") : now.state === "failed" ? t("state.failed") : stateText(now, state.progress[scene.id], state.waiting.get(scene.id)));
  parts.saved.dataset.state = dirty ? "dirty" : saved ? "saved" : scene ? mood(now) : "";
  drawTrouble();
  parts.takes.draw(scene);
  parts.notes.draw(scene);
  if (!parts.run) return;
  const busy = ["running", "queued"].includes(selectedCard()?.state);
  parts.run.hidden = busy;
  parts.cancel.hidden = !busy;
  setText(parts.run.querySelector(".l-btn-label"), t(scene?.takes ? "scene.run.again" : "scene.run"));
  parts.run.disabled = !scene;
}

function drawTrouble() {
  const now = selectedCard();
  const trouble = now?.state === "failed" ? now.error : now?.blocked;
  const { message, hint } = errorWords(trouble);
  const degraded = now ? standInText(now) : "";
  parts.trouble.replaceChildren(
    ...(trouble ? [el("div", { class: `l-trouble l-trouble-${mood(now)}` }, el("div", {}, message), hint && el("div", { class: "l-hint" }, hint),
      now.state === "failed" ? button(t("scene.log"), showLog, { iconName: "scroll-text" }) : null)] : []),
    ...(degraded ? [el("div", { class: "l-trouble l-trouble-degraded" }, degraded)] : []),
    ...changedNote(now),
    ...(now?.note ? [el("div", { class: "l-hint" }, has(now.note) ? t(now.note) : now.note)] : []));
}

// ------------------------------------------------------------------------------------------------ saving and running
/** The hidden button of this scene's form: there once Gradio has drawn it. */
const saveButton = (id) => document.querySelector(`button.l-for-${id}, .l-for-${id} button`);

/** The form of the scene before stays dim and untouchable until the right one is there. */
function watchForm(form) {
  const look = () => form.toggleAttribute("data-loading", Boolean(state.selected) && !saveButton(state.selected));
  new MutationObserver(look).observe(form, { childList: true, subtree: true, attributeFilter: ["class"] });
  on("q:select", look);
  look();
}

function save() {
  const press = scene && saveButton(scene.id);
  if (!scene || !press || saving) return Promise.resolve(!scene);
  document.activeElement?.blur(); // a value still being typed reaches Gradio with its change event
  return new Promise((resolve) => {
    saving = { resolve };
    turn += 1; // makes this answer differ from the last one
    wire("l-version", `${turn}:${scene.version}`);
    const before = document.querySelector("#l-answer textarea, #l-answer input").value;
    setTimeout(() => {
      press.click();
      awaitAnswer(before);
    }, 60);
  });
}

/** Python answers a save by writing into a hidden box, which tells nobody: look until it is there. */
function awaitAnswer(before) {
  const box = document.querySelector("#l-answer textarea, #l-answer input");
  const started = performance.now();
  const look = setInterval(() => {
    const late = performance.now() - started > ANSWER_MS;
    if (box.value === before && !late) return;
    clearInterval(look);
    const { resolve } = saving;
    saving = null;
    if (late) toastError({ code: "offline", message: t("common.unreachable"), hint: t("common.unreachable.hint") });
    else settle(JSON.parse(box.value));
    resolve(!late && !JSON.parse(box.value).error);
  }, 60);
}

async function settle(answer) {
  if (!answer.error) {
    scene = { ...scene, version: answer.version };
    parts.shownVersion = { [answer.id]: answer.version };
    savedAt = answer.id;
    setDirty(false);
    act(async () => true);
    return;
  }
  if (answer.error.code !== "scene.stale") {
    if (!answer.error.params?.field) toastError(answer.error); // a field's trouble stands beside the field
    return;
  }
  const { message, hint } = errorWords(answer.error);
  if (await confirmDialog({ title: message, text: hint, yes: t("scene.reload") })) {
    dirty = false;
    refresh({ form: true });
  }
}

/** What stands in the form is stored. */
const saved = async () => !dirty || save();

export async function saveThenRun() {
  const id = state.selected;
  if (id && (!dirty || (await save()))) await sceneVerbs.run(id);
}

async function showLog() {
  if (!state.selected) return;
  try {
    const text = await api("GET", `/scenes/${state.selected}/log`);
    openDialog({ title: `${t("scene.log")} · ${selectedCard()?.title || ""}`, wide: true, content: el("pre", { class: "l-log l-mono" }, text || t("scene.log.empty")) });
  } catch (error) {
    toastError(error);
  }
}
