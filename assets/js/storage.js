// What lies on the disk and how to make room: a dialog over REST. Every removal is asked for with the bytes it frees.
import { api, button, command, confirmDialog, el, emit, fmt, iconButton, on, openDialog, showTab, t, toast, toastError } from "./core.js";
import { OWNERS } from "./me.js";
import { act, state } from "./queues.js";

const PARTS = ["selected", "unselected", "films", "trash"];

let parts = null;

export async function openStorage() {
  if (parts) return;
  const content = el("div", { class: "l-storage" }, el("p", { class: "l-hint" }, t("common.loading")));
  const dialog = openDialog({ title: t("storage.title"), content, wide: true, className: "l-storage-dialog", onclose: () => (parts = null) });
  parts = { content, dialog };
  await draw();
}

async function draw() {
  if (!parts) return;
  try {
    const view = await api("GET", "/storage");
    if (!parts) return;
    const used = view.queues.reduce((sum, queue) => sum + PARTS.reduce((all, part) => all + queue[part], 0), 0);
    parts.content.replaceChildren(
      el("p", { class: "l-storage-sum" }, t("storage.sum", { used: fmt.bytes(used), free: fmt.bytes(view.free) })),
      queues(view), offers(view));
  } catch (error) {
    toastError(error);
  }
}

// ------------------------------------------------------------------------------------------------ by queue
function queues(view) {
  const rows = view.queues.filter((queue) => queue.takes || queue.films)
    .sort((a, b) => PARTS.reduce((sum, part) => sum + b[part] - a[part], 0));
  if (!rows.length) return el("p", { class: "l-hint" }, t("storage.nothing"));
  const most = Math.max(...rows.map((queue) => PARTS.reduce((sum, part) => sum + queue[part], 0)), 1);
  return el("div", { class: "l-storage-queues" },
    el("div", { class: "l-storage-legend" }, PARTS.map((part) => el("span", { dataset: { part } }, el("i"), t(`storage.${part}`)))),
    el("div", { class: "l-storage-rows", role: "list" }, rows.map((queue) => row(queue, most))));
}

function row(queue, most) {
  const total = PARTS.reduce((sum, part) => sum + queue[part], 0);
  const name = queue.inbox ? t("queues.inbox") : queue.name;
  const said = PARTS.filter((part) => queue[part]).map((part) => `${t(`storage.${part}`)} ${fmt.bytes(queue[part])}`).join(" · ");
  return el("div", { class: "l-storage-row", role: "listitem", title: said },
    el("span", { class: "l-storage-name" }, name),
    el("span", { class: "l-storage-bar", "aria-label": said }, PARTS.map((part) => el("i", { dataset: { part }, style: { width: `${(queue[part] / most) * 100}%` } }))),
    el("span", { class: "l-mono" }, fmt.bytes(total)),
    queue.spare.takes ? iconButton("trash-2", t("storage.spare.one_queue", { size: fmt.bytes(queue.spare.bytes) }), () => trashSpare(queue.spare, [queue.id], name), OWNERS) : "");
}

// ------------------------------------------------------------------------------------------------ what may go
function offers(view) {
  const spare = view.queues.reduce((sum, queue) => ({ takes: sum.takes + queue.spare.takes, bytes: sum.bytes + queue.spare.bytes }), { takes: 0, bytes: 0 });
  const cache = Object.values(view.cache).reduce((sum, bytes) => sum + bytes, 0);
  const left = view.leftovers.reduce((sum, one) => ({ files: sum.files + one.files, bytes: sum.bytes + one.bytes }), { files: 0, bytes: 0 });
  const days = view.trash.days;
  const { unused } = view.uploads;
  return el("div", { class: "l-storage-offers", ...OWNERS },
    offer("spare", t("storage.spare.hint"), spare.bytes, spare.takes, () => trashSpare(spare, null)),
    offer("trash", t(days ? "storage.trash.hint" : "storage.trash.never", { count: days }), view.trash.bytes, view.trash.takes,
      () => remove("trash", "/storage/trash", {}, view.trash.takes, view.trash.bytes)),
    ...view.leftovers.map((one) => offer("leftovers", t("storage.leftovers.hint", { queue: one.queue }), one.bytes, one.files,
      () => remove("leftovers", "/storage/leftovers", { queue: one.queue }, one.files, one.bytes))),
    ...(left.files ? [] : [offer("leftovers", t("storage.leftovers.none"), 0, 0)]),
    offer("uploads", t("storage.uploads.hint", { count: view.uploads.days }), unused.bytes, unused.files,
      () => remove("uploads", "/storage/uploads", {}, unused.files, unused.bytes)),
    offer("cache", t("storage.cache.hint"), cache, cache ? 1 : 0, () => run("/storage/cache", {})));
}

function offer(name, hint, bytes, count, onclick) {
  return el("div", { class: "l-storage-offer", dataset: { name } },
    el("div", {}, el("b", {}, t(`storage.${name}.title`)), el("p", { class: "l-hint" }, hint)),
    el("span", { class: "l-mono" }, fmt.bytes(bytes)),
    button(t(`storage.${name}.do`), onclick || (() => {}), { disabled: !count }));
}

async function trashSpare(spare, ids, name = "") {
  const sure = await confirmDialog({
    title: t("storage.spare.title"), yes: t("gallery.delete"), danger: true,
    text: [name && `${name}:`, t("storage.spare.ask", { count: spare.takes, size: fmt.bytes(spare.bytes) })].filter(Boolean).join(" "),
  });
  if (sure) await run("/storage/spare", ids ? { queue_ids: ids } : {}, t("storage.spare.done", { count: spare.takes }));
}

async function remove(name, path, body, count, bytes) {
  const text = t(`storage.${name}.ask`, { count, size: fmt.bytes(bytes) });
  const sure = await confirmDialog({ title: t(`storage.${name}.title`), text, yes: t("storage.remove"), danger: true });
  if (sure) await run(path, body);
}

async function run(path, body, said = "") {
  const answer = await act(() => api("POST", path, body));
  if (answer) toast(said || t("storage.freed", { size: fmt.bytes(answer.bytes) }), "", "ok");
  await draw();
}

command("storage.open", { label: "storage.title", icon: "hard-drive", menu: "queue", group: 60, run: openStorage });
command("storage.spare", { label: "storage.spare.title", icon: "hard-drive", when: () => Boolean(state.list?.some((queue) => queue.film)), run: openStorage });
command("gallery.trash", { label: "gallery.trash", icon: "trash-2", run: () => {
  showTab("gallery");
  emit("gallery:trash", true);
} });
on("storage", openStorage);
