// Getting models: the licence first, then the download. Also for all that a queue needs. Knows REST and no section.
import { api, button, command, el, emit, fmt, openDialog, t, toast, toastError } from "./core.js";
import { act, state } from "./queues.js";
import { note, outside } from "./settings_parts.js";

/** Gets a model by its id: from a line that says it is missing. */
export async function getById(id) {
  try {
    const { models, free_bytes: free } = await api("GET", "/catalogue");
    const model = models.find((one) => one.id === id);
    if (model) await getModel(model, free);
    else emit("settings", "models");
  } catch (error) {
    toastError(error);
  }
}

/** Starts the download of a model, or goes on with it; asks for its licence where that was not accepted. True: started. */
export async function getModel(model, free) {
  if (!model.accepted && !(await acceptLicence(model, free))) return false;
  const started = await act(() => api("POST", `/catalogue/${model.id}/get`, { accept_licence: true }));
  if (started) emit("catalogue");
  return Boolean(started);
}

function acceptLicence(model, free) {
  return new Promise((resolve) => {
    let answer = false;
    const yes = button(t("models.get.size", { size: fmt.bytes(model.missing_bytes) }), () => {
      answer = true;
      dialog.close();
    }, { kind: "primary", id: "models-accept" });
    const box = agree(t("models.accept", { licence: model.licence }), (on) => (yes.disabled = !on));
    yes.disabled = true;
    const dialog = openDialog({
      title: t("models.get.title", { title: model.title }), onclose: () => resolve(answer), className: "l-get",
      content: el("div", { class: "l-stack" },
        el("p", { class: "l-dialog-text" }, t("models.licence.about")),
        el("dl", { class: "l-set-facts" },
          el("dt", {}, t("models.licence")), el("dd", {}, outside(model.licence_url, model.licence)),
          el("dt", {}, t("models.size")), el("dd", {}, fmt.bytes(model.missing_bytes)),
          el("dt", {}, t("models.free_after")), el("dd", {}, room(free - model.missing_bytes))),
        model.gated ? gatedNote(() => dialog.close()) : null, box),
      actions: [button(t("common.cancel"), () => dialog.close()), yes],
    });
    box.querySelector("input").focus();
  });
}

const room = (bytes) => el("span", { class: bytes < 0 ? "l-bad" : "" }, bytes < 0 ? t("models.no_room", { size: fmt.bytes(-bytes) }) : fmt.bytes(bytes));

/** The weights are given out only to those who signed in there and agreed: with their key. */
export const gatedNote = (leave = () => {}) => note(t("models.gated"), { tone: "warn", iconName: "lock", more: [
  el("button", { class: "l-link", onclick: () => {
    leave();
    emit("settings", "keys");
  } }, t("models.gated.keys"))] });

function agree(words, onchange) {
  const box = el("input", { type: "checkbox", id: "licence-agree" });
  box.addEventListener("change", () => onchange(box.checked));
  return el("label", { class: "l-set-check" }, box, el("span", {}, words));
}

// ------------------------------------------------------------------------------------------------ for a queue
/** What models a queue lacks: {models, bytes, seconds, free_bytes}; null where that cannot be said. */
export async function needsOf(queueId) {
  try {
    const needs = await api("GET", `/catalogue/queues/${queueId}`);
    return needs.models.length ? needs : null;
  } catch {
    return null; // the report itself says what is wrong
  }
}

/** A button for what is missing, or nothing. */
export const needsButton = (queueId, needs, leave = () => {}) => needs && button(t("needs.get", { size: fmt.bytes(needs.bytes) }), () => {
  leave();
  openNeeds(queueId, needs);
}, { iconName: "download", id: "needs-open" });

export async function openNeeds(queueId, known = null) {
  const needs = known || (await needsOf(queueId));
  if (!needs) {
    toast(t("needs.none"), "", "ok");
    return;
  }
  const open = needs.models.filter((model) => !model.accepted);
  const fits = needs.bytes <= needs.free_bytes;
  const run = el("input", { type: "checkbox", id: "needs-run" });
  const box = open.length ? agree(t("needs.accept", { licences: [...new Set(open.map((model) => model.licence))].join(", ") }), () => draw()) : null;
  const go = button(t("models.get.size", { size: fmt.bytes(needs.bytes) }), async () => {
    go.disabled = true;
    const started = await act(() => api("POST", `/catalogue/queues/${queueId}`, { accept_licences: true, run: run.checked }));
    go.disabled = false;
    if (!started) return;
    dialog.close();
    toast(t(run.checked ? "needs.started.run" : "needs.started"), "", "ok");
    emit("settings", "models");
  }, { kind: "primary", id: "needs-go" });
  const draw = () => (go.disabled = !fits || Boolean(box && !box.querySelector("input").checked));
  const dialog = openDialog({
    title: t("needs.title"), className: "l-get",
    content: el("div", { class: "l-stack" },
      el("ul", { class: "l-needs" }, needs.models.map((model) => el("li", {}, el("b", {}, model.title),
        el("span", { class: "l-mono" }, fmt.bytes(model.bytes)),
        el("span", { class: "l-hint" }, outside(model.licence_url, model.licence), model.accepted ? ` · ${t("models.accepted")}` : "")))),
      el("dl", { class: "l-set-facts" },
        el("dt", {}, t("models.size")), el("dd", {}, fmt.bytes(needs.bytes)),
        el("dt", {}, t("needs.time")), el("dd", {}, needs.seconds === null ? t("needs.time.unknown") : t("needs.time.about", { time: fmt.rough(needs.seconds) })),
        el("dt", {}, t("models.free_after")), el("dd", {}, room(needs.free_bytes - needs.bytes))),
      needs.models.some((model) => model.gated) ? gatedNote(() => dialog.close()) : null,
      el("label", { class: "l-set-check" }, run, el("span", {}, t("needs.run"))), box),
    actions: [button(t("common.cancel"), () => dialog.close()), go],
  });
  draw();
}

command("queue.needs", { label: "needs.title", icon: "download", menu: "queue", group: 20, when: () => Boolean(state.queue), enabled: () => state.queue.counts?.total > 0, run: () => openNeeds(state.queue.id) });
