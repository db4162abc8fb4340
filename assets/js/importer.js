// Episodes come in: by the button or dropped anywhere on the page. First a look at what is understood, then the import.
import { api, button, el, icon, openDialog, showTab, t, toast, toastError } from "./core.js";
import { act, openNew } from "./queues.js";
import { taskName } from "./words_of.js";

const LARGEST = 20_000_000; // bytes; the studio refuses more

export function chooseEpisode() {
  const input = el("input", { type: "file", accept: ".json,application/json", id: "l-episode-file", hidden: true });
  input.addEventListener("change", () => {
    if (input.files[0]) look(input.files[0]);
    input.remove();
  });
  document.body.append(input);
  input.click();
}

/** An episode file may be dropped anywhere; pictures and videos stay with the form they are dropped on. */
export function watchDrops() {
  const veil = el("div", { class: "l-drop", hidden: true }, el("div", {}, icon("file-json"), el("p", {}, t("import.drop"))));
  document.body.append(veil);
  const mayBeEpisode = (event) =>
    [...(event.dataTransfer?.items || [])].some((item) => item.kind === "file" && (item.type === "application/json" || !item.type));
  const isEpisode = (file) => file && (/\.json$/i.test(file.name) || file.type === "application/json");
  document.addEventListener("dragover", (event) => {
    if (!mayBeEpisode(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && (veil.hidden = true));
  document.addEventListener("drop", (event) => {
    veil.hidden = true;
    const file = [...(event.dataTransfer?.files || [])].find(isEpisode);
    if (!file) return;
    event.preventDefault();
    look(file);
  }, true);
}

export async function look(file) {
  if (file.size > LARGEST) {
    toast(t("import.too_large", { name: file.name }), "", "bad");
    return;
  }
  const text = await file.text();
  try {
    showReport(file.name, text, await api("POST", "/queues/check", text));
  } catch (error) {
    toastError(error);
  }
}

function showReport(fileName, text, report) {
  const name = el("input", { class: "l-input", value: report.title || fileName.replace(/\.json$/i, ""), maxlength: 200 });
  const all = report.scenes.length;
  const clean = report.valid === all;
  const bring = async () => {
    go.disabled = true;
    const query = new URLSearchParams({ name: name.value.trim(), only_valid: String(!clean) });
    const made = await act(() => api("POST", `/queues/import?${query}`, text));
    go.disabled = false;
    if (!made) return;
    dialog.close();
    showTab("queues");
    await openNew(made.queue.id);
    toast(t("import.done", { count: report.valid }), "", "ok");
  };
  const go = button(clean ? t("import.all", { count: all }) : t("import.valid", { count: report.valid }), bring, { kind: "primary" });
  go.disabled = report.valid === 0;
  const dialog = openDialog({
    title: t("import.title"), wide: true, className: "l-import",
    content: el("div", { class: "l-stack" },
      el("label", { class: "l-field" }, el("span", {}, t("queues.name")), name),
      summary(report, all),
      el("div", { class: "l-report", role: "table", "aria-label": t("import.title") }, report.scenes.map(reportRow))),
    actions: [button(t("common.cancel"), () => dialog.close()), go],
  });
  go.focus();
}

function summary(report, all) {
  const bad = all - report.valid;
  return el("p", { class: "l-report-sum" }, t("import.understood", { valid: report.valid, total: all }),
    bad > 0 ? el("span", { class: "l-bad" }, ` · ${t("import.problems", { count: bad })}`) : null);
}

function reportRow(scene) {
  return el("div", { class: "l-report-row", role: "row", "data-ok": scene.ok },
    el("span", { class: "l-mono", role: "cell" }, String(scene.index + 1).padStart(2, "0")),
    el("span", { class: "l-report-name", role: "cell" }, scene.label || t("import.unnamed")),
    el("span", { class: "l-tag", role: "cell" }, taskName(scene.task_type || "?")),
    el("span", { class: "l-report-mark", role: "cell", title: t(scene.ok ? "import.ok" : "import.wrong") }, icon(scene.ok ? "check" : "triangle-alert")),
    [...scene.problems.map((problem) => ({ ...problem, kind: "bad" })), ...scene.notes.map((note) => ({ ...note, kind: "note" }))]
      .map(({ field, message, code, params, hint, kind }) =>
        el("div", { class: `l-report-problem l-report-${kind}`, role: "cell" },
          field ? el("code", {}, field) : null, el("span", {}, message || wordsFor(code, params)), hint ? el("span", { class: "l-hint" }, hint) : null)));
}

const wordsFor = (code, params) => {
  for (const key of [`error.${code}`, `note.${code}`]) if (t(key) !== key) return t(key, params || {});
  return code;
};
