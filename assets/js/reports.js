// "Run report" in the menu of a queue: opens the report of its run, or the list of its runs where there are several.
import { api, command, el, fmt, openDialog, t, toast, toastError } from "./core.js";
import { reportUrl } from "./notices.js";
import { state } from "./queues.js";

command("queue.report", { label: "report.title", icon: "scroll-text", menu: "queue", group: 20, when: () => Boolean(state.queue), run: openReports });

async function openReports() {
  const { queue } = state;
  let runs;
  try {
    runs = await api("GET", `/queues/${queue.id}/runs`);
  } catch (error) {
    toastError(error);
    return;
  }
  if (!runs.length) toast(t("report.none"), t("report.none.hint"));
  else if (runs.length === 1 && open(reportUrl(runs[0].id), "_blank")) return; // a browser may refuse to open a tab
  else openDialog({ title: t("report.runs", { queue: queue.inbox ? t("queues.inbox") : queue.name }), content: el("ul", { class: "l-runs" }, runs.map(row)) });
}

function row(run) {
  return el("li", { dataset: { state: run.state } },
    el("a", { href: reportUrl(run.id), target: "_blank", rel: "noopener" },
      el("b", {}, fmt.date(run.started)),
      el("span", { class: "l-run-state" }, t(`report.state.${run.state}`)),
      el("span", { class: "l-hint" }, t("report.row", { done: run.counts.done, scenes: run.counts.scenes }), " · ", el("span", { class: "l-mono" }, fmt.clock(run.seconds)))));
}
