// Several scenes picked at once, and the bar with what can be done to all of them. The set itself is state.picked.
import { api, button, confirmDialog, el, errorWords, fmt, iconButton, on, emit, openMenu, promptDialog, setAttr, setText, t, toast, toastError } from "./core.js";
import { applyPreset } from "./presets.js";
import { act, state } from "./queues.js";
import { engineName } from "./words_of.js";

const PROFILES = ["auto", "smallest", "resident", "swap", "hybrid", "stream8", "tight", "disk", "cpu"];
const RESOLUTIONS = ["480P", "540P", "720P"];
let anchor = null; // where a Shift click counts from

/** Picked scenes in the order of the queue. */
export const pickedIds = () => state.order.filter((id) => state.picked.has(id));

export const picking = () => state.picked.size > 0 || document.body.hasAttribute("data-picking");

function changed() {
  emit("q:picked");
}

/** Ctrl click, or the box on a row: in or out. */
export function togglePick(id) {
  if (!state.picked.delete(id)) state.picked.add(id);
  anchor = id;
  changed();
}

/** Shift click: everything from the last one to this. */
export function pickRange(id) {
  const from = state.order.indexOf(anchor ?? state.selected);
  const to = state.order.indexOf(id);
  if (from < 0) return togglePick(id);
  for (const other of state.order.slice(Math.min(from, to), Math.max(from, to) + 1)) state.picked.add(other);
  changed();
}

export function clearPicked() {
  document.body.removeAttribute("data-picking");
  anchor = null;
  if (!state.picked.size) return;
  state.picked.clear();
  changed();
}

/** On a phone nothing hovers and nobody holds Ctrl: a mode in which a touch picks. */
export function togglePicking() {
  if (picking()) return clearPicked();
  document.body.setAttribute("data-picking", "");
  changed();
}

// ------------------------------------------------------------------------------------------------ the bar
export class PickedBar {
  constructor() {
    this.count = el("b");
    const all = button(t("picked.all"), () => {
      state.order.forEach((id) => state.picked.add(id));
      changed();
    });
    const verb = (name, iconName, onclick, more = {}) => button(t(`picked.${name}`), onclick, { iconName, ...more });
    this.verbs = el("div", { class: "l-many-verbs" },
      verb("run", "play", () => this.run()),
      verb("resolution", "maximize", (event) => this.choose(event, RESOLUTIONS, (resolution) => ({ resolution }))),
      verb("engine", "cpu", (event) => this.engines(event)),
      verb("profile", "hard-drive", (event) => this.choose(event, PROFILES, (profile) => ({ profile }), (name) => t(`form.profile.${name}`))),
      verb("seeds", "repeat", (event) => this.seeds(event)),
      verb("preset", "bookmark", (event) => applyPreset(event.currentTarget, pickedIds())));
    this.remove = iconButton("trash-2", t("picked.delete"), () => deleteScenes(pickedIds()), { class: "l-ib l-many-delete" });
    this.element = el("div", { class: "l-many", role: "toolbar", "aria-label": t("picked.title"), hidden: true },
      el("div", { class: "l-many-head" }, this.count, all, this.remove, iconButton("x", t("picked.clear"), clearPicked)), this.verbs);
    on("q:picked", () => this.draw());
    on("q:cards", () => this.draw());
    this.draw();
  }

  draw() {
    const count = pickedIds().length;
    this.element.hidden = !picking();
    setText(this.count, count ? t("picked.count", { count }) : t("picked.none"));
    for (const node of [...this.verbs.children, this.remove]) node.disabled = !count;
  }

  async run() {
    await act(() => api("POST", `/queues/${state.queue.id}/run`, { only: pickedIds() }));
  }

  choose(event, names, changesOf, label = (name) => name) {
    openMenu(event.currentTarget, names.map((name) => ({ label: label(name), icon: "chevron-right", onclick: () => editPicked(changesOf(name)) })));
  }

  async engines(event) {
    const target = event.currentTarget;
    try {
      const engines = (await api("GET", "/engines")).filter((engine) => engine.availability.state === "ready");
      const names = ["auto", ...engines.map((engine) => engine.id)];
      openMenu(target, names.map((name) => ({ label: engineName(name), icon: "cpu", onclick: () => editPicked({ engine: name }) })));
    } catch (error) {
      toastError(error);
    }
  }

  seeds(event) {
    openMenu(event.currentTarget, [
      { label: t("picked.seeds.count"), icon: "arrow-up", onclick: () => editPicked({}, { seed_step: 1 }) },
      { label: t("picked.seeds.from"), icon: "pencil", onclick: () => this.seedsFrom() },
      { label: t("picked.seeds.new"), icon: "refresh-cw", onclick: () => editPicked({ seed: null }) },
    ]);
  }

  async seedsFrom() {
    const said = await promptDialog({ title: t("picked.seeds.from"), label: t("form.seed"), value: "1000", yes: t("common.save"), maxlength: 15 });
    const seed = Number(said);
    if (said === null || said === undefined) return;
    if (!Number.isSafeInteger(seed) || seed < 0) toast(t("picked.seeds.wrong"), "", "bad");
    else editPicked({ seed }, { seed_step: 1 });
  }
}

async function editPicked(changes, more = {}) {
  const ids = pickedIds();
  tellRefused(await act(() => api("POST", `/queues/${state.queue.id}/scenes/edit`, { scene_ids: ids, changes, ...more })));
}

/** Says what was changed, and of what was not, why. */
export function tellRefused(answer) {
  if (!answer) return;
  const done = (answer.changed || answer.deleted).length;
  const refused = answer.refused || [];
  if (done) toast(t(answer.deleted ? "picked.deleted" : "picked.changed", { count: done }), "", "ok");
  if (!refused.length) return;
  const { message, hint } = errorWords(refused[0].error);
  toast(t("picked.refused", { count: refused.length, why: [refused[0].scene, message].filter(Boolean).join(": ") }), hint, "bad");
}

/** Asks, and asks once more when other scenes read one of them. */
export async function deleteScenes(ids) {
  const takes = ids.reduce((sum, id) => sum + (state.cards.get(id)?.takes || 0), 0);
  const title = ids.length === 1 ? t("scene.delete.title") : t("picked.delete.title", { count: ids.length });
  const name = ids.length === 1 ? fmt.shot(state.cards.get(ids[0]).number) + " · " + state.cards.get(ids[0]).title : "";
  if (!(await confirmDialog({ title, text: t("picked.delete.text", { name, takes }), yes: t("common.delete"), danger: true }))) return;
  const at = state.order.indexOf(ids[0]);
  const next = state.order.slice(at).concat(state.order.slice(0, at).reverse()).find((id) => !ids.includes(id)) || null;
  const path = `/queues/${state.queue.id}/scenes/delete`;
  let answer = null;
  try {
    answer = await api("POST", path, { scene_ids: ids });
  } catch (error) {
    if (error.code !== "scene.needed") return toastError(error);
    if (!(await confirmDialog({ title: error.message, text: error.hint, yes: t("picked.delete.anyway"), danger: true }))) return;
    answer = await act(() => api("POST", path, { scene_ids: ids, force: true }));
  }
  clearPicked();
  tellRefused(answer);
  await act(async () => true);
  if (answer?.deleted.includes(state.selected)) emit("q:wish", next);
}

/** A row shows that it is picked. */
export function markPicked(row, id) {
  setAttr(row.element, "data-picked", state.picked.has(id) ? "" : null);
  setAttr(row.parts.box, "aria-checked", String(state.picked.has(id)));
}
