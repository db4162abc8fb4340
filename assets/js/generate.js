// The Generate tab around the form: the list of tasks and the two buttons. The form itself is Gradio's
// (studio/tabs/generate.py), which draws what `wish.props.value` asks for: "task:<type>" or "take:<id>:<turn>".
import { api, button, el, icon, openMenu, promptDialog, pulse, setText, showTab, t, toast } from "./core.js";
import { PlanLine } from "./plan.js";
import { openPresets } from "./presets.js";
import { follow } from "./result.js";
import { TASK_ICONS, engineName, taskName } from "./words_of.js";

const TASKS = ["text_to_video", "image_to_video", "reference_to_video", "talking_avatar", "single_shot_extension",
  "shot_switching_extension", "text_to_image", "speech"];

const ANSWER_MS = 8000;

let wish = null; // the host that Python listens to, once the tab was opened
let asked = null; // a wish from before that
const marks = new Map(); // task -> its button

/** Fill the form with the settings of a take and show it. They ask for all steps, also where that take was stopped early. */
export function useSettings({ id, facts }) {
  ask(`take:${id}:${Date.now()}`);
  showTab("generate");
  if (facts?.stopped_at !== undefined) toast(t("generate.used_early"), t("generate.used_early.all"));
}

function ask(value) {
  if (wish) wish.value = value;
  else asked = value;
}

export function tasks(root, { props }) {
  wish = props;
  for (const task of TASKS) {
    marks.set(task, el("button", { type: "button", class: "l-task", id: `generate-task-${task}`,
      onclick: () => {
        if (marks.get(task).getAttribute("aria-pressed") === "true") return; // its form is there
        mark(task);
        ask(`task:${task}`);
      } },
    icon(TASK_ICONS[task]),
    el("span", { class: "l-task-words" },
      el("span", { class: "l-task-name" }, taskName(task)),
      el("span", { class: "l-task-about" }, t(`generate.task.${task}.about`)))));
  }
  root.append(el("div", { class: "l-sec" }, el("h2", {}, t("generate.tasks"))), el("div", { class: "l-tasks" }, ...marks.values()));
  if (asked) wish.value = asked;
  asked = null;
}

function mark(task) {
  for (const [name, node] of marks) node.setAttribute("aria-pressed", String(name === task));
  marks.get(task)?.scrollIntoView({ block: "nearest", inline: "center" });
}

/** The foot of the form. props.value: {task, engine, following, added?, queue?, turn}, written by Python. */
export function actions(root, { props, watch, go, enqueue, keep }) {
  const by = el("div", { class: "l-by", id: "generate-by" });
  const render = button(t("generate.render"), () => start(go), { kind: "primary", id: "generate-go" });
  const add = button(t("generate.enqueue"), () => choose(), { id: "generate-enqueue" });
  const presets = button("", (event) => openPresets(event.currentTarget, props.value.task, {
    apply: (preset) => ask(`preset:${preset.id}:${Date.now()}`),
    save: (name) => keep({ name }),
  }), { iconName: "bookmark", class: "l-btn l-btn-presets", title: t("preset.title"), "aria-label": t("preset.title"), "aria-haspopup": "menu", id: "generate-presets" });
  root.append(by, new PlanLine("generate").element, el("div", { class: "l-acts" }, render, add, presets));

  const free = () => {
    render.disabled = add.disabled = false;
  };

  function start(what) {
    render.disabled = add.disabled = true;
    setTimeout(free, ANSWER_MS); // a request that broke gives no answer
    what();
  }

  async function choose() {
    const queues = (await api("GET", "/queues")).filter((queue) => !queue.inbox);
    openMenu(add, [
      ...queues.slice(0, 12).map((queue) => ({ label: queue.name, icon: "list-video",
        onclick: () => start(() => enqueue({ id: queue.id, name: queue.name })) })),
      queues.length ? null : undefined,
      { label: t("generate.new_queue"), icon: "plus", onclick: async () => {
        const name = await promptDialog({ title: t("generate.new_queue.title"), label: t("generate.new_queue.name"),
          yes: t("generate.new_queue.yes") });
        if (name) start(() => enqueue({ id: "", name }));
      } },
    ].filter((item) => item !== undefined));
  }

  function hear() {
    const said = props.value;
    free();
    mark(said.task);
    root.dataset.task = said.task; // the form that is there now
    by.classList.toggle("l-by-draft", Boolean(said.engine?.draft));
    setText(by, byline(said.engine));
    if (said.added) toast(t("generate.added", { queue: said.added }), "", "ok");
    if (said.kept) toast(t("preset.saved", { name: said.kept }), "", "ok");
    if (said.following) follow(said.following);
    if (said.turn) pulse.poke();
  }
  watch("value", hear);
  hear();
}

/** Who will render this, honestly. */
function byline(engine) {
  if (!engine) return t("generate.by_none");
  const { state } = engine.availability;
  if (state === "needs_download") return t("generate.by_download", { engine: engineName(engine.id) });
  if (state === "unfit") return t("generate.by_unfit", { engine: engineName(engine.id) });
  if (engine.draft) return t("generate.by_draft");
  return t("generate.by", { engine: engineName(engine.id) }) + (engine.costs_money ? ` · ${t("generate.costs")}` : "");
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  const render = document.getElementById("generate-go");
  if (!render?.offsetParent || document.querySelector("dialog[open]")) return; // another tab, or a question is open
  event.preventDefault();
  render.click();
});
