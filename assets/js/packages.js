// "Export package…": a queue as one zip, and a zip as a queue. Knows the queue by its id; the studio does the work.
import { address, api, button, command, el, errorWords, fmt, icon, on, openDialog, setText, showTab, t, toast, toastError } from "./core.js";
import { act, openNew, state } from "./queues.js";
import { sendPackage } from "./rest_upload.js";

const CHOICES = ["all", "selected", "none"];

command("queue.package", {
  label: "package.export", icon: "package", menu: "queue", group: 20, when: () => Boolean(state.queue),
  enabled: () => state.queue.counts.total > 0, run: () => openExport(state.queue),
});

// ------------------------------------------------------------------------------------------------ out
async function openExport(queue) {
  let wanted = "all";
  let row = null; // the export that is being made
  const bar = progressBar();
  const rows = Object.fromEntries(CHOICES.map((name) => [name, choice(name, name === wanted, () => (wanted = name))]));
  const gone = el("p", { class: "l-hint", hidden: true });
  const body = el("div", { class: "l-stack" },
    el("p", { class: "l-dialog-text" }, t("package.about")),
    el("div", { class: "l-choices", role: "radiogroup", "aria-label": t("package.takes") }, Object.values(rows).map((one) => one.element)),
    gone, bar.element);
  const cancel = button(t("common.cancel"), () => dialog.close());
  const go = button(t("package.do"), begin, { kind: "primary", iconName: "package", id: "package-go" });
  const dialog = openDialog({
    title: t("package.title"), content: body, actions: [cancel, go], className: "l-package", onclose: stop,
  });
  const forget = on("now", follow);
  go.focus();
  try {
    const sizes = await api("GET", `/queues/${queue.id}/package`);
    for (const name of CHOICES) rows[name].say(sizes[name]);
    const { missing } = sizes.all;
    gone.hidden = missing.length === 0;
    setText(gone, t("package.gone", { count: missing.length, names: missing.slice(0, 5).join(", ") }));
  } catch (error) {
    toastError(error);
  }

  async function begin() {
    go.disabled = true;
    for (const one of Object.values(rows)) one.input.disabled = true;
    row = await act(() => api("POST", `/queues/${queue.id}/package`, { takes: wanted }));
    if (!row) return dialog.close();
    bar.show(0, t("package.packing"));
    follow();
  }

  async function follow() {
    if (!row || row.state === "done") return;
    try {
      row = await api("GET", `/exports/${row.id}`);
    } catch (error) {
      return toastError(error);
    }
    if (row.state === "failed") {
      toastError(row.error);
      dialog.close();
    } else if (row.state === "done") offer();
    else bar.show(row.progress, t("package.packing"));
  }

  function offer() {
    bar.show(1, t("package.ready", { size: fmt.bytes(row.bytes) }));
    const link = el("a", { class: "l-btn l-btn-primary", href: address(`/api/exports/${row.id}/file`), download: row.file_name, id: "package-file" },
      icon("download"), el("span", { class: "l-btn-label" }, t("package.download")));
    go.replaceWith(link);
    setText(cancel.querySelector(".l-btn-label") || cancel, t("common.close"));
    link.focus();
  }

  function stop() {
    forget();
    if (row && (row.state === "queued" || row.state === "running")) api("DELETE", `/exports/${row.id}`).catch(toastError);
  }
}

function choice(name, checked, onpick) {
  const size = el("span", { class: "l-mono" }, "…");
  const input = el("input", { type: "radio", name: "package-takes", value: name, checked });
  input.addEventListener("change", onpick);
  const element = el("label", { class: "l-choice" }, input,
    el("span", { class: "l-choice-words" }, el("b", {}, t(`package.takes.${name}`)), el("span", { class: "l-hint" }, t(`package.takes.${name}.hint`))),
    size);
  return { element, input, say: ({ takes, bytes }) => setText(size, `${takes ? `${t("package.count", { count: takes })} · ` : ""}${fmt.bytes(bytes)}`) };
}

function progressBar() {
  const fill = el("i");
  const words = el("span", { class: "l-hint", role: "status" });
  const element = el("div", { class: "l-package-bar", hidden: true }, el("div", { class: "l-package-track" }, fill), words);
  const show = (share, said) => {
    element.hidden = false;
    fill.style.transform = `scaleX(${share})`;
    setText(words, share < 1 ? `${said} · ${fmt.percent(share)}` : said);
  };
  return { element, show };
}

// ------------------------------------------------------------------------------------------------ in
export const isPackage = (file) => Boolean(file) && (/\.zip$/i.test(file.name) || file.type === "application/zip");

/** Ask for a name, send it, open the queue that came out. */
export function bringPackage(file) {
  const name = el("input", { class: "l-input", value: "", placeholder: t("package.own_name"), maxlength: 200 });
  const bar = progressBar();
  const wrong = el("div", { class: "l-package-wrong", role: "alert", hidden: true });
  const stopper = new AbortController();
  const bring = async () => {
    go.disabled = name.disabled = wrong.hidden = true;
    try {
      const query = new URLSearchParams({ name: name.value.trim() });
      const made = await sendPackage(`/queues/import?${query}`, file, {
        signal: stopper.signal,
        onprogress: (share) => bar.show(Math.min(share, 0.99), t(share < 1 ? "package.sending" : "package.unpacking")),
      });
      dialog.close();
      showTab("queues");
      await openNew(made.queue.id);
      toast(t("package.done", { count: made.report.package.takes }), "", "ok");
    } catch (error) {
      if (error.name === "AbortError") return;
      const { message, hint } = errorWords(error);
      wrong.replaceChildren(icon("triangle-alert"), el("div", {}, message, el("div", { class: "l-hint" }, hint)));
      wrong.hidden = false;
      bar.element.hidden = true;
      go.disabled = name.disabled = false;
    }
  };
  const go = button(t("package.bring"), bring, { kind: "primary", id: "package-bring" });
  const dialog = openDialog({
    title: t("package.import"), className: "l-package", onclose: () => stopper.abort(),
    content: el("div", { class: "l-stack" },
      el("p", { class: "l-package-file" }, icon("package"), el("span", { class: "l-package-name" }, file.name), el("span", { class: "l-mono" }, fmt.bytes(file.size))),
      el("label", { class: "l-field" }, el("span", {}, t("queues.name")), name),
      bar.element, wrong),
    actions: [button(t("common.cancel"), () => dialog.close()), go],
  });
  go.focus();
}
