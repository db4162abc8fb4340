// What the Queues tab knows: the list of queues, the open one, its cards, the selected scene; and every verb on them.
// Draws nothing. Emits "q:list", "q:open", "q:cards" {changed, order}, "q:progress", "q:select".
import { api, confirmDialog, emit, on, promptDialog, pulse, showTab, t, toast, toastError } from "./core.js";

export const state = {
  list: null, // [QueueView], null before the first answer
  queue: null, // the open QueueView
  cards: new Map(), // scene id -> Card
  order: [], // scene ids by number
  waiting: new Map(), // scene id -> its place among the queued ones, 1 …
  progress: {}, // scene id -> {done, total, layer, eta}
  selected: null, // scene id
  picked: new Set(), // scene ids, for what is done to several at once
  following: true, // the selection moves on with what is being rendered, until the user picks a scene
};
let wanted = null; // what to select once the open queue's cards are here

export const card = (id) => state.cards.get(id);
export const selectedCard = () => state.cards.get(state.selected) || null;
export const ordered = () => state.order.map((id) => state.cards.get(id));
export const isVisible = () => document.getElementById("l-work")?.offsetParent !== null;

const remember = (key, value) => localStorage.setItem(`lanterna_${key}`, value);
const remembered = (key) => localStorage.getItem(`lanterna_${key}`);

// ------------------------------------------------------------------------------------------------ queues
async function loadList() {
  try {
    state.list = await api("GET", "/queues");
  } catch (error) {
    toastError(error);
    return;
  }
  emit("q:list");
  if (state.queue && !state.list.some((queue) => queue.id === state.queue.id)) closeQueue();
  if (!state.queue && state.list.length) {
    const last = state.list.find((queue) => queue.id === remembered("queue"));
    openQueue((last || state.list.find((queue) => !queue.inbox) || state.list[0]).id);
  }
}

export function openQueue(id, sceneId = null) {
  wanted = sceneId;
  if (state.queue?.id === id) {
    if (sceneId) select(sceneId);
    return;
  }
  Object.assign(state, { order: [], progress: {}, selected: null, following: !sceneId });
  state.cards.clear();
  state.queue = state.list?.find((queue) => queue.id === id) || { id, name: "", counts: {} };
  remember("queue", id);
  pulse.open(id);
  emit("q:open");
}

function closeQueue() {
  Object.assign(state, { order: [], progress: {}, selected: null, queue: null });
  state.cards.clear();
  pulse.open(null);
  emit("q:open");
  emit("q:cards", { changed: [], order: true });
  emit("q:select", null);
}

on("queues", loadList);
on("gone", () => {
  closeQueue();
  loadList();
});
on("open-queue", ({ queueId, sceneId }) => {
  showTab("queues");
  openQueue(queueId, sceneId);
});

on("q:wish", (id) => id && state.cards.has(id) && select(id));

on("delta", ({ queue, scenes, removed, progress, full }) => {
  if (queue) {
    state.queue = queue;
    const at = state.list?.findIndex((other) => other.id === queue.id) ?? -1;
    if (at >= 0) state.list[at] = queue;
  }
  if (full) state.cards.clear();
  for (const id of removed) {
    state.cards.delete(id);
    state.picked.delete(id);
  }
  for (const scene of scenes) state.cards.set(scene.id, scene);
  const moved = full || removed.length > 0 || scenes.length > 0;
  if (moved) {
    state.order = [...state.cards.values()].sort((a, b) => a.number - b.number).map((scene) => scene.id);
    state.waiting = new Map(state.order.filter((id) => card(id).state === "queued").map((id, i) => [id, i + 1]));
  }
  state.progress = progress;
  if (queue) emit("q:list");
  if (moved) emit("q:cards", { changed: scenes.map((scene) => scene.id), order: true, full });
  emit("q:progress");
  settleSelection(full);
});

/** Keeps a scene selected: the wanted one, the one being rendered while following, else the one of last time. */
function settleSelection(full) {
  const running = state.order.find((id) => card(id).state === "running");
  if (wanted && state.cards.has(wanted)) select(wanted);
  else if (state.following && running && running !== state.selected) mark(running);
  else if (full && !state.cards.has(state.selected)) {
    const last = remembered(`scene_${state.queue.id}`);
    mark(state.cards.has(last) ? last : running || state.order[0] || null);
  } else if (state.selected && !state.cards.has(state.selected)) mark(state.order[0] || null);
  wanted = null;
}

function mark(id) {
  if (id === state.selected) return;
  state.selected = id;
  emit("q:select", id);
}

/** The user picks a scene. */
export function select(id) {
  state.following = Boolean(id) && card(id)?.state === "running";
  if (id) remember(`scene_${state.queue.id}`, id);
  mark(id);
}

/** The scene `step` places further, if there is one. */
export function selectBy(step) {
  const at = state.order.indexOf(state.selected);
  const id = state.order[Math.min(state.order.length - 1, Math.max(0, at + step))];
  if (id) select(id);
  return id;
}

// ------------------------------------------------------------------------------------------------ verbs
/** Runs a verb; says what went wrong; asks for news at once. Returns its answer, or null. */
export async function act(verb, said = "") {
  try {
    const answer = await verb();
    if (said) toast(said, "", "ok");
    pulse.poke();
    return answer ?? true;
  } catch (error) {
    toastError(error);
    pulse.poke();
    return null;
  }
}

const post = (path, body) => api("POST", path, body);
const queuePath = (verb = "") => `/queues/${state.queue.id}${verb}`;

export const verbs = {
  run: () => act(() => post(queuePath("/run"), {})),
  retry: () => act(() => post(queuePath("/retry"))),
  pause: (id = state.queue.id) => act(() => post(`/queues/${id}/pause`)),
  resume: (id = state.queue.id) => act(() => post(`/queues/${id}/resume`)),
  async restart() {
    const text = t("queues.restart.text", { count: state.queue.counts.total });
    const sure = await confirmDialog({ title: t("queues.restart.title"), text, yes: t("queues.restart") });
    if (sure) await act(() => post(queuePath("/restart")));
  },
  async stop(id = state.queue.id) {
    const queue = state.list?.find((other) => other.id === id) || state.queue;
    const left = (queue.counts.queued || 0) + (queue.counts.running || 0);
    const text = t("queues.stop.text", { count: left, queue: queue.name });
    const sure = left < 2 || (await confirmDialog({ title: t("queues.stop.title"), text, yes: t("queues.stop"), danger: true }));
    if (sure) await act(() => post(`/queues/${id}/stop`));
  },
  async create() {
    const name = await promptDialog({ title: t("queues.new.title"), label: t("queues.name"), yes: t("queues.create") });
    if (!name) return;
    const made = await act(() => post("/queues", { name }));
    if (made) await openNew(made.id);
  },
  async rename() {
    const { id, name } = state.queue;
    const label = t("queues.name");
    const text = await promptDialog({ title: t("queues.rename"), label, value: name, yes: t("common.save") });
    if (text && text !== name) await act(() => api("PATCH", `/queues/${id}`, { name: text }));
  },
  change: (changes) => act(() => api("PATCH", queuePath(), changes)),
  async remove() {
    const { id, name, counts } = state.queue;
    const text = t("queues.delete.text", { name, count: counts.total });
    const sure = await confirmDialog({ title: t("queues.delete.title"), text, yes: t("common.delete"), danger: true });
    if (sure) await act(() => api("DELETE", `/queues/${id}`), t("queues.deleted", { name }));
    if (sure) await loadList();
  },
  move: (id, to) => act(() => post(`/queues/${id}/move`, { to })),
  reorder: (ids) => act(() => post(queuePath("/reorder"), { scene_ids: ids })),
};

export const sceneVerbs = {
  async run(id) {
    const answer = await act(() => post(`/scenes/${id}/run`));
    if (answer?.existing) emit("take:existing", { sceneId: id, takeId: answer.existing });
  },
  cancel: (id) => act(() => post(`/scenes/${id}/cancel`)),
  skip: () => act(() => post("/scenes/skip")),
  async duplicate(id) {
    const made = await act(() => post(`/scenes/${id}/duplicate`));
    if (made) wanted = made.id;
  },
  /** One place up (-1) or down (1). */
  async move(id, step) {
    const at = state.order.indexOf(id);
    await sceneVerbs.place(id, at + step);
  },
  /** To this index among the others; with all that are picked, if it is one of them. Null where that went wrong. */
  async place(id, index) {
    const moved = state.picked.has(id) ? state.order.filter((other) => state.picked.has(other)) : [id];
    const before = state.order.filter((other) => other !== id).slice(0, Math.max(0, index)).filter((other) => !moved.includes(other));
    const others = state.order.filter((other) => !moved.includes(other));
    others.splice(before.length, 0, ...moved);
    return others.join() === state.order.join() || verbs.reorder(others);
  },
};

export async function addScene(scene) {
  const made = await act(() => post(queuePath("/scenes"), scene));
  if (made) wanted = made.id;
  return made;
}

/** Opens a queue that was made a moment ago. */
export async function openNew(id) {
  await loadList();
  openQueue(id);
}
