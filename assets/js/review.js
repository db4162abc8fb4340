// Choosing takes in the morning: stars by number, a retake with a note, the next scene that nobody has looked at; and
// the question what to do when a take is exactly what was asked for. Knows cards and REST, draws only dialogs.
import { address, api, ask, button, command, el, on, openDialog, t, toast, toastError } from "./core.js";
import { act, card, openQueue, ordered, select, selectedCard, state } from "./queues.js";

let focus = null; // the take that is looked at in a comparison; else it is the one on stage
export const focusOn = (take) => (focus = take);

const toReview = (scene) => scene.review === "new" || scene.review === "retaken";
const shown = () => selectedCard()?.take;
const looking = () => Boolean(shown()) && selectedCard().take.kind !== "audio";

// ------------------------------------------------------------------------------------------------ verbs
export const rate = (takeId, rating) => act(() => api("PATCH", `/takes/${takeId}`, { rating }));

/** To the trash; a toast offers the way back. */
export async function discardTake(take) {
  if (!(await act(() => api("DELETE", `/takes/${take.id}`)))) return;
  toast(t("gallery.deleted", { count: 1 }), "", "ok");
  const node = document.getElementById("l-toasts")?.lastElementChild;
  node?.querySelector(".l-toast-words").append(el("button", { type: "button", class: "l-undo", onclick: () => {
    node.remove();
    act(() => api("POST", `/takes/${take.id}/restore`));
  } }, t("gallery.undo")));
}

export function askForRetake(sceneId) {
  const scene = card(sceneId);
  if (!scene?.take) return;
  const note = el("textarea", { class: "l-input", rows: 3, maxlength: 500, value: scene.retake || "", placeholder: t("take.retake.sample"), "aria-label": t("take.retake.note") });
  const send = async (text) => {
    if (await act(() => api("PUT", `/scenes/${sceneId}/retake`, { note: text }), text ? t("take.retake.noted") : "")) dialog.close();
  };
  const keep = () => (note.value.trim() ? send(note.value.trim()) : note.focus());
  note.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    keep();
  });
  const dialog = openDialog({
    title: t("take.retake.title", { title: scene.title }),
    content: el("div", { class: "l-stack" },
      el("label", { class: "l-field" }, el("span", {}, t("take.retake.note")), note),
      el("p", { class: "l-hint" }, t("take.retake.hint"))),
    actions: [
      ...(scene.retake ? [button(t("take.retake.withdraw"), () => send(null))] : [button(t("common.cancel"), () => dialog.close())]),
      button(t("state.retake"), keep, { kind: "primary", iconName: "flag" }),
    ],
  });
  note.focus();
}

export async function askForSeeds(sceneId) {
  const count = el("input", { class: "l-input l-mono", type: "number", min: 1, max: 32, value: 4, "aria-label": t("take.seeds.count") });
  const answer = await ask({
    title: t("take.seeds"), text: t("take.seeds.text"),
    content: el("label", { class: "l-field l-field-short" }, el("span", {}, t("take.seeds.count")), count),
    choices: [{ value: false, label: t("common.cancel") }, { value: true, label: t("take.seeds.run"), kind: "primary" }],
  });
  if (!answer) return;
  const made = await act(() => api("POST", `/scenes/${sceneId}/seeds`, { count: Number(count.value) || 0 }));
  if (made) toast(t("take.seeds.queued", { count: made.seeds.length }), "", "ok");
}

/** The next scene to look at after the selected one: first in this queue, then in the others. */
export function nextUnreviewed() {
  const all = ordered();
  const from = all.findIndex((scene) => scene.id === state.selected);
  const next = [...all.slice(from + 1), ...all.slice(0, Math.max(0, from))].find(toReview);
  if (next) return select(next.id);
  const list = state.list || [];
  const at = list.findIndex((queue) => queue.id === state.queue?.id);
  const other = [...list.slice(at + 1), ...list.slice(0, Math.max(0, at))].find((queue) => queue.unreviewed);
  if (!other) return toast(t("review.done"), "", "ok");
  const stop = on("q:cards", () => {
    const first = ordered().find(toReview);
    if (!first) return;
    stop();
    select(first.id);
  });
  openQueue(other.id);
  return undefined;
}

/** A take is exactly what was asked for: show it, or render it once more. */
on("take:existing", async ({ sceneId, takeId }) => {
  try {
    const take = await api("GET", `/takes/${takeId}`);
    const answer = await ask({
      title: t("take.existing", { n: take.number }), text: t("take.existing.text"),
      choices: [{ value: "run", label: t("take.existing.run") }, { value: "show", label: t("take.existing.show"), kind: "primary" }],
    });
    if (answer === "run") await act(() => api("POST", `/scenes/${sceneId}/run`, { force: true }));
    if (answer === "show") {
      select(sceneId);
      await act(() => api("PATCH", `/takes/${takeId}`, { selected: true }));
    }
  } catch (error) {
    toastError(error);
  }
});

// ------------------------------------------------------------------------------------------------ commands
for (const n of [1, 2, 3, 4, 5, 0]) {
  command(`take.rate.${n}`, {
    label: n ? "take.rate" : "take.rate.none", params: { count: n }, icon: "star", key: String(n), keys: [String(n)], when: looking,
    run: () => rate((focus || shown()).id, n),
  });
}
command("take.retake", { label: "take.retake", icon: "flag", key: "r", keys: ["R"], when: looking, run: () => askForRetake(state.selected) });
command("take.seeds", { label: "take.seeds", icon: "dices", when: () => Boolean(state.selected) && selectedCard()?.task_type !== "speech", run: () => askForSeeds(state.selected) });
command("take.trash", { label: "take.trash", icon: "trash-2", when: looking, danger: true, run: () => discardTake(shown()) });
command("take.lock", {
  label: "take.lock", icon: "lock", when: looking, checked: () => shown().locked,
  run: () => act(() => api("PATCH", `/takes/${shown().id}`, { locked: !shown().locked })),
});
command("review.next", { label: "review.next", icon: "chevron-right", key: "n", keys: ["N"], when: () => Boolean(state.list?.length), run: nextUnreviewed });
for (const kind of ["html", "png"]) {
  command(`queue.sheet.${kind}`, {
    label: `queues.sheet.${kind}`, icon: "grid-3x3", menu: "queue", group: 25, when: () => Boolean(state.queue?.counts?.total),
    run: () => open(address(`/api/queues/${state.queue.id}/contact-sheet.${kind}`), "_blank"),
  });
}
