// "Run options": how a queue is run, kept with it. Knows the queue only as it is handed in; saving is the caller's verb.
import { button, confirmDialog, el, openDialog, t } from "./core.js";

const PRIORITIES = [9, 5, 0, -5];

/** openRunOptions(queue, save): save(changes) -> Promise of something true when it went well. */
export function openRunOptions(queue, save) {
  const trouble = select("on_error", ["skip", "stop", "retry"], queue.on_error);
  const retries = el("input", { class: "l-input l-mono", type: "number", min: 1, max: 10, value: queue.retries, id: "run-retries" });
  const times = field("run.retries", retries);
  const order = select("order", ["written", "model"], queue.order);
  const about = el("p", { class: "l-hint" });
  const priority = el("select", { class: "l-select", id: "run-priority" },
    (PRIORITIES.includes(queue.priority) ? PRIORITIES : [...PRIORITIES, queue.priority].sort((a, b) => b - a)).map((value) =>
      el("option", { value, selected: value === queue.priority }, PRIORITIES.includes(value) ? t(`run.priority.${value}`) : String(value))));
  const starts = el("input", { class: "l-input l-mono", type: "datetime-local", value: local(queue.starts_at), id: "run-starts" });
  const ready = el("input", { class: "l-input l-mono", type: "time", value: queue.ready_by, id: "run-ready" });
  const awake = el("input", { type: "checkbox", checked: queue.keep_awake, id: "run-awake" });
  const drafts = el("input", { type: "checkbox", checked: queue.draft_on_failure, id: "run-draft-on-failure" });
  const splits = el("input", { type: "checkbox", checked: queue.split_long, id: "run-split-long" });
  const afterwards = select("afterwards", ["nothing", "sleep", "shut_down"], queue.afterwards);
  const draw = () => {
    times.hidden = trouble.value !== "retry";
    about.textContent = t(`run.order.${order.value}.hint`);
  };
  trouble.addEventListener("change", draw);
  order.addEventListener("change", draw);
  draw();
  const yes = button(t("common.save"), async () => {
    const form = dialog.querySelector("form");
    if (!form.reportValidity() || !(await sure(afterwards.value, queue.afterwards))) return;
    yes.disabled = true;
    const changes = {
      on_error: trouble.value, retries: Number(retries.value), order: order.value, priority: Number(priority.value),
      starts_at: starts.value ? new Date(starts.value).toISOString() : null, ready_by: ready.value,
      draft_on_failure: drafts.checked, split_long: splits.checked, keep_awake: awake.checked, afterwards: afterwards.value,
    };
    if (await save(changes)) dialog.close();
    yes.disabled = false;
  }, { kind: "primary", id: "run-save" });
  const dialog = openDialog({
    title: t("run.options"),
    className: "l-run-options",
    content: el("form", { class: "l-stack", onsubmit: (event) => event.preventDefault() },
      el("div", { class: "l-fields-two" }, field("run.on_error", trouble), times),
      el("label", { class: "l-run-awake" }, drafts, el("span", {}, t("run.draft_on_failure"))),
      el("label", { class: "l-run-awake" }, splits, el("span", {}, t("run.split_long"))),
      el("div", { class: "l-fields-two" }, field("run.order", order), field("run.priority", priority)),
      about,
      el("div", { class: "l-fields-two l-run-times" }, field("run.starts_at", starts), field("run.ready_by", ready)),
      el("div", { class: "l-fields-two" }, field("run.afterwards", afterwards),
        el("label", { class: "l-run-awake" }, awake, el("span", {}, t("run.keep_awake"))))),
    actions: [button(t("common.cancel"), () => dialog.close()), yes],
  });
}

/** A computer that goes to sleep or off is asked about when it is chosen. */
async function sure(what, before) {
  if (what === "nothing" || what === before) return true;
  return confirmDialog({ title: t(`run.afterwards.${what}.title`), text: t("run.afterwards.text"), yes: t(`run.afterwards.${what}`) });
}

/** "2026-11-20T22:30:00.000Z" -> "2026-11-20T23:30", in this browser's time. */
function local(iso) {
  if (!iso) return "";
  const at = new Date(iso);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

const field = (label, node) => el("label", { class: "l-field" }, el("span", {}, t(label)), node);

const select = (name, values, chosen) => el("select", { class: "l-select", id: `run-${name.replace("_", "-")}` },
  values.map((value) => el("option", { value, selected: value === chosen }, t(`run.${name}.${value}`))));
