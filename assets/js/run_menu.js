// The menu beside Run: every way to run a queue.
import { api, command, confirmDialog, t, toast } from "./core.js";
import { act, card, state, verbs } from "./queues.js";
import { openRunOptions } from "./run_options.js";

const queue = () => state.queue;
const open = () => Boolean(state.queue);
const counts = () => state.queue.counts;

command("run.speak", { label: "run.speak", icon: "mic", menu: "run", group: 10, when: open, enabled: () => counts().total > 0, run: speakAll });
command("run.selection", { label: "run.selection", icon: "list-checks", menu: "run", group: 10, when: open, enabled: () => picked().length > 0, run: runSelection });
command("queue.retry", { label: "queues.retry_menu", icon: "refresh-cw", menu: "run", group: 20, when: open, enabled: () => counts().failed + counts().cancelled > 0, run: verbs.retry });
command("run.retry_from_error", { label: "run.retry_from_error", icon: "step-forward", menu: "run", group: 20, when: open, enabled: () => counts().failed > 0, run: () => act(() => post("/retry-from-error")) });
command("run.stop_after_scene", { label: "run.stop_after_scene", icon: "circle-stop", menu: "run", group: 30, when: open, enabled: () => counts().running + counts().queued > 0, run: stopAfterScene });
command("run.options", { label: "run.options", icon: "sliders-horizontal", menu: "run", group: 40, when: open, run: () => openRunOptions(queue(), verbs.change) });
command("queue.restart", { label: "queues.restart", icon: "rotate-ccw", menu: "run", group: 80, when: open, enabled: () => counts().total > 0, run: verbs.restart });

const post = (verb, body) => api("POST", `/queues/${queue().id}${verb}`, body);

/** The scenes that are picked, in order; where none is, the one that is shown. */
function picked() {
  const chosen = state.picked?.size ? state.picked : new Set(state.selected ? [state.selected] : []);
  return state.order.filter((id) => chosen.has(id));
}

async function runSelection() {
  const only = picked();
  const done = only.filter((id) => card(id).state === "done").length;
  const text = t("run.selection.text", { count: done });
  const sure = !done || (await confirmDialog({ title: t("run.selection.title"), text, yes: t("run.selection") }));
  if (sure) await act(() => post("/run", { only }));
}

async function speakAll() {
  const told = await act(() => post("/speak"));
  if (told) toast(told.jobs ? t("run.speak.done", { count: told.jobs }) : t("run.speak.none"), "", "ok");
}

async function stopAfterScene() {
  const told = await act(() => post("/stop-after-scene"));
  if (told) toast(t("run.held_back", { count: told.held_back }), told.finishing.length ? t("run.finishing") : "", "ok");
}
