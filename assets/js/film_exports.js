// Exports of queues and takes: begun, followed with every beat of the pulse, offered when they are done. Emits "exports"
// when something about them changed, "export:over" with one that ended, "film:done" with a finished film. Draws nothing but
// questions and toasts.
import { address, api, ask, el, emit, fmt, on, t, toast, toastError } from "./core.js";
import { state } from "./queues.js";

const making = new Map(); // export id -> ExportView that waits or is being made
let asking = false;

export const isFinal = (one) => ["done", "failed", "cancelled"].includes(one.state);
/** The newest film of a queue that is being made, or undefined. */
export const filmInWork = (queueId) => [...making.values()].findLast((one) => one.queue_id === queueId && one.kind === "film");
export const inWork = () => [...making.values()];

on("now", follow);
on("q:open", () => state.queue && exportsOf(state.queue.id).catch(() => {})); // one that was begun before the page was opened

/** [ExportView] of a queue, newest first. */
export async function exportsOf(queueId) {
  const all = await api("GET", `/queues/${queueId}/exports`);
  let found = false;
  for (const one of all) {
    if (isFinal(one) || making.has(one.id)) continue;
    making.set(one.id, one);
    found = true;
  }
  if (found) emit("exports");
  return all;
}

/** Film, stems or subtitles of a queue; asks what to do about scenes without a take. The ExportView, or null. */
export async function makeExport(queueId, wish) {
  try {
    return begun(await api("POST", `/queues/${queueId}/exports`, wish));
  } catch (error) {
    if (error.code !== "cut.missing") toastError(error);
    else {
      const missing = await askAbout(error);
      if (missing && missing !== "stop") return makeExport(queueId, { ...wish, missing });
    }
    return null;
  }
}

/** A take as a picture for pages and messages. */
export async function makeClip(takeId, wish) {
  try {
    return begun(await api("POST", `/takes/${takeId}/exports`, wish));
  } catch (error) {
    toastError(error);
    return null;
  }
}

export async function cancelExport(id) {
  try {
    await api("DELETE", `/exports/${id}`);
    await follow();
  } catch (error) {
    toastError(error);
  }
}

export function save(href, name = "") {
  el("a", { href, download: name }).click();
}

export const fileOf = (one) => address(`/api/exports/${one.id}/file`);

function begun(one) {
  making.set(one.id, { ...one, mine: true });
  emit("exports");
  follow();
  return one;
}

function askAbout(error) {
  return ask({
    title: t("film.missing.title", { count: error.params.count }),
    text: t("film.missing.text", { count: error.params.count }),
    content: el("p", { class: "l-dialog-list" }, String(error.params.scenes || "")),
    choices: [
      { value: "stop", label: t("film.missing.stop") },
      { value: "draft_card", label: t("film.missing.draft_card") },
      { value: "leave_out", label: t("film.missing.leave_out"), kind: "primary" },
    ],
  });
}

async function follow() {
  if (asking || !making.size) return;
  asking = true;
  for (const one of [...making.values()]) {
    try {
      const seen = await api("GET", `/exports/${one.id}`);
      if (!isFinal(seen)) making.set(one.id, { ...seen, mine: one.mine });
      else over(seen, one.mine);
    } catch (error) {
      if (error.code === "offline") break;
      making.delete(one.id);
      toastError(error);
    }
  }
  asking = false;
  emit("exports");
}

/** `mine`: it was asked for on this page, so whoever asked gets it. */
function over(one, mine) {
  making.delete(one.id);
  if (one.state === "failed") toastError(one.error);
  emit("export:over", one);
  if (one.state !== "done") return;
  if (one.kind === "film") {
    toast(t("film.done", { time: fmt.clock(one.seconds) }), t("film.done.hint"), "ok");
    emit("film:done", one);
  } else if (mine) {
    toast(t("export.done", { name: one.file_name }), fmt.bytes(one.bytes), "ok");
    save(`${fileOf(one)}?download=1`);
  }
}
