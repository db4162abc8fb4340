// One screen between a file and a queue: what was understood, what is missing, who is in it, how long it will take.
// Everything it shows comes from POST /queues/check; what is found or confirmed here goes with the import.
import { api, button, el, errorWords, fmt, icon, openDialog, setText, showTab, t, toast, toastError } from "./core.js";
import { castRows } from "./casting.js";
import { act, openNew } from "./queues.js";
import { KIND_ICONS, findAmong, refusedWords, relinkTools } from "./relink.js";
import { fieldName, taskName } from "./words_of.js";

const CHUNK = 200; // rows drawn at once; more when the list is scrolled to its end

/** source: {name, text, beside?, files?} (a file of this browser) or {name, path}. Looks and shows; throws ApiError. */
export async function openPreview(source) {
  const view = { source, relinked: {}, back: new Map(), makeDo: false, shown: "scenes", rows: CHUNK, open: new Set(), said: "" };
  view.report = await look(view);
  if (source.files && view.report.missing.length) await fromDropped(view);
  view.name = el("input", { class: "l-input", value: view.report.title || source.name, maxlength: 200, id: "import-name" });
  view.body = el("div", { class: "l-stack l-import-body" });
  view.foot = el("div", { class: "l-import-foot" });
  view.dialog = openDialog({ title: t("import.title"), wide: true, className: "l-import", content: view.body, actions: [view.foot] });
  view.dialog.addEventListener("dragover", (event) => event.preventDefault());
  view.dialog.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (view.report.missing.length) view.tools.drop(event);
  });
  view.tools = relinkTools(() => view.report.missing, (told) => takeIn(view, told), "import-relink");
  if (view.report.missing.length) view.shown = "missing";
  draw(view);
  view.foot.querySelector(".l-btn-primary:not(:disabled)")?.focus();
}

function look(view) {
  const { source, relinked, makeDo } = view;
  if (source.path) {
    const query = new URLSearchParams({ path: source.path, make_do: String(makeDo) });
    return api("POST", `/queues/check?${query}`, { relinked }).then((found) => {
      if (found.files[0].error) throw found.files[0].error;
      return found.files[0].report;
    });
  }
  return api("POST", `/queues/check?make_do=${makeDo}`, formOf(view));
}

function formOf({ source, relinked }, cast = null) {
  const form = new FormData();
  form.append("file", new Blob([source.text], { type: "application/json" }), `${source.name}.json`);
  form.append("relinked", JSON.stringify(relinked));
  if (source.beside) form.append("beside", JSON.stringify(source.beside));
  if (cast) form.append("cast", JSON.stringify(cast));
  return form;
}

/** A folder was dropped: what the episode misses may well lie in it. */
async function fromDropped(view) {
  const told = await findAmong(view.report.missing, view.source.files);
  if (!told) return;
  remember(view, told);
  view.report = await look(view);
}

async function takeIn(view, told) {
  remember(view, told);
  await again(view);
}

/** What came back and from where, in the order of the file. */
function remember(view, { relinked, refused, choices }) {
  const by = new Map(view.report.missing.map((one) => [one.name, one]));
  for (const ref of Object.keys(relinked)) view.back.set(ref, { ...by.get(ref), path: choices[ref] });
  Object.assign(view.relinked, relinked);
  const found = Object.keys(relinked).length;
  view.said = [found ? t("relink.found", { count: found }) : t("relink.nothing"), ...refusedWords(refused)].join(" · ");
}

/** Looks again, with what was found or decided; until it has, nothing can be pressed. */
async function again(view) {
  view.dialog.toggleAttribute("data-busy", true);
  view.body.setAttribute("aria-busy", "true");
  setText(view.foot.querySelector(".l-import-left"), t("common.loading"));
  for (const one of view.foot.querySelectorAll("button")) one.disabled = true;
  try {
    view.report = await look(view);
  } catch (error) {
    toastError(error);
  }
  view.dialog.removeAttribute("data-busy");
  view.body.removeAttribute("aria-busy");
  draw(view);
}

// ------------------------------------------------------------------------------------------------ the page
function draw(view) {
  const { report } = view;
  const tabs = ["scenes", "missing", "cast", "time"].filter((name) => name !== "missing" || report.missing.length || view.said);
  if (!tabs.includes(view.shown)) view.shown = "scenes";
  const kept = document.activeElement?.id;
  recast(view);
  view.body.replaceChildren(
    head(view), strip(view),
    report.head.length ? el("div", { class: "l-import-head-wrong" }, report.head.map(said("bad"))) : "",
    tabBar(view, tabs),
    el("div", { class: "l-import-page", role: "tabpanel", id: "import-page", "aria-labelledby": `import-tab-${view.shown}` }, page(view)));
  drawFoot(view);
  if (kept) document.getElementById(kept)?.focus();
}

const head = (view) => el("div", { class: "l-import-head" },
  el("label", { class: "l-field" }, el("span", {}, t("queues.name")), view.name),
  el("span", { class: "l-import-from" }, el("span", { class: "l-chip-dialect" }, t(`dialect.${view.report.dialect}`)), el("span", { class: "l-import-file" }, view.source.path || view.source.fileName || view.source.name)));

function strip({ report }) {
  const { totals, preflight } = report;
  const out = totals.scenes - totals.ok;
  const tile = (key, value, more = "", kind = "") => el("div", { class: "l-pf-tile" }, el("span", { class: "l-label" }, t(key)), el("b", { class: `l-mono ${kind}` }, value), more ? el("span", {}, more) : null);
  return el("div", { class: "l-pf-strip" },
    tile("import.tile.scenes", fmt.number(totals.scenes), fmt.clock(totals.seconds)),
    tile("import.tile.ok", fmt.number(totals.ok), out ? t("import.problems", { count: out }) : t("import.tile.all"), out ? "" : "l-pf-ok"),
    tile("import.tile.missing", fmt.number(totals.missing), totals.missing ? t("import.tile.files") : t("import.tile.nothing"), totals.missing ? "l-pf-errors" : ""),
    tile("import.tile.time", `${preflight.time.seconds.guess ? "≈ " : ""}${fmt.rough(preflight.time.seconds.median)}`, totals.translated ? t("import.tile.translated", { count: totals.translated }) : ""));
}

function tabBar(view, tabs) {
  const counts = { scenes: view.report.scenes.length, missing: view.report.missing.length, cast: view.report.casting.length };
  const show = (name) => {
    Object.assign(view, { shown: name, rows: CHUNK });
    draw(view);
  };
  const bar = el("div", { class: "l-seg l-import-tabs", role: "tablist", "aria-label": t("import.title") }, tabs.map((name) =>
    el("button", { role: "tab", id: `import-tab-${name}`, "aria-selected": String(view.shown === name), "aria-pressed": String(view.shown === name), "aria-controls": "import-page", tabindex: view.shown === name ? "0" : "-1", onclick: () => show(name) },
      t(`import.tab.${name}`), counts[name] ? el("span", { class: "l-mono" }, ` ${fmt.number(counts[name])}`) : null)));
  bar.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    show(tabs[(tabs.indexOf(view.shown) + step + tabs.length) % tabs.length]);
    document.getElementById(`import-tab-${view.shown}`).focus();
  });
  return bar;
}

const page = (view) => ({ scenes: scenePage, missing: missingPage, cast: castPage, time: timePage })[view.shown](view);

// ------------------------------------------------------------------------------------------------ scenes
function scenePage(view) {
  const { scenes } = view.report;
  const box = el("div", { class: "l-report", role: "list", "aria-label": t("import.tab.scenes") });
  const more = () => box.append(...scenes.slice(box.childElementCount, view.rows).map((scene) => sceneRow(view, scene)));
  more();
  box.addEventListener("scroll", () => {
    if (box.scrollTop + box.clientHeight < box.scrollHeight - 200 || view.rows >= scenes.length) return;
    view.rows += CHUNK;
    more();
  }, { passive: true });
  return box;
}

function sceneRow(view, scene) {
  const more = scene.problems.length + scene.notes.length + scene.defaults.length;
  const shown = view.open.has(scene.index) || !scene.ok;
  const chips = [
    scene.missing.length ? chip("bad", t("import.chip.missing", { count: scene.missing.length })) : scene.ok ? null : chip("bad", t("import.wrong")),
    scene.notes.length ? chip("note", t("import.chip.translated")) : null,
    scene.defaults.length ? chip("", t("import.chip.defaults", { count: scene.defaults.length })) : null,
    scene.ok && !scene.notes.length ? chip("ok", t("import.ok")) : null,
  ];
  const facts = el("div", { class: "l-report-more", hidden: !shown },
    scene.problems.map(said("bad")), scene.notes.map(said("note")),
    scene.defaults.length ? el("div", { class: "l-report-problem" }, el("span", {}, t("import.defaults", { fields: scene.defaults.map(fieldName).join(", ") }))) : null);
  const main = el("button", {
    class: "l-report-main", disabled: !more, "aria-expanded": String(shown),
    onclick: () => {
      facts.hidden = !facts.hidden;
      main.setAttribute("aria-expanded", String(!facts.hidden));
      view.open[facts.hidden ? "delete" : "add"](scene.index);
    },
  },
    el("span", { class: "l-mono l-report-n" }, String(scene.number).padStart(2, "0")),
    el("span", { class: "l-report-name" }, scene.label || t("import.unnamed")),
    el("span", { class: "l-report-task" }, taskName(scene.task_type || "?")),
    el("span", { class: "l-mono l-report-s" }, scene.seconds === null ? "–" : fmt.seconds(scene.seconds)),
    el("span", { class: "l-report-chips" }, chips));
  return el("div", { class: "l-report-row", role: "listitem", "data-ok": scene.ok }, main, more ? facts : null);
}

const chip = (kind, words) => el("span", { class: `l-chip-said ${kind && `l-chip-${kind}`}` }, words);

const said = (kind) => ({ field, message, hint }) =>
  el("div", { class: `l-report-problem l-report-${kind}` }, field ? el("code", { title: field }, fieldName(field)) : null, el("span", {}, message), hint && kind === "bad" ? el("span", { class: "l-hint" }, hint) : null);

// ------------------------------------------------------------------------------------------------ missing
function missingPage(view) {
  const { missing } = view.report;
  const able = missing.filter((one) => one.can_make_do).length;
  return el("div", { class: "l-stack" },
    view.said ? el("p", { class: "l-import-said", role: "status" }, view.said) : null,
    missing.length ? el("div", { class: "l-import-drop" }, icon("folder-search"),
      el("p", {}, t("relink.about")), el("div", { class: "l-import-tools" }, view.tools.buttons)) : el("p", { class: "l-dialog-text" }, t("relink.all_found")),
    missing.length || view.back.size ? el("div", { class: "l-report l-missing", role: "list", "aria-label": t("import.tab.missing") }, missing.map(missingRow), [...view.back.values()].map(missingRow)) : null,
    able || view.makeDo ? makeDo(view, able) : null);
}

function missingRow({ name, kind, scenes, can_make_do: able, path }) {
  const at = Math.max(name.lastIndexOf("/"), name.lastIndexOf("\\")) + 1;
  return el("div", { class: "l-missing-row", role: "listitem" }, icon(KIND_ICONS[kind]),
    el("div", { class: "l-missing-name" }, el("b", {}, name.slice(at)), path ? el("span", { class: "l-hint" }, `→ ${path}`) : at ? el("span", { class: "l-hint" }, name.slice(0, at)) : null),
    el("span", { class: "l-hint l-missing-scenes" }, scenes.length ? t("import.in_scenes", { count: scenes.length, scenes: scenes.slice(0, 8).join(", ") + (scenes.length > 8 ? " …" : "") }) : t("import.in_music")),
    path ? chip("ok", t("import.chip.found")) : able ? chip("note", t("import.chip.can_make_do")) : chip("bad", t("import.chip.not_found")));
}

function makeDo(view, able) {
  const box = el("input", { type: "checkbox", role: "switch", checked: view.makeDo, id: "import-make-do", onchange: () => {
    view.makeDo = box.checked;
    again(view);
  } });
  return el("label", { class: "l-pf-ask" }, box, el("span", {}, t("import.make_do"), el("small", {}, t("import.make_do.about", { count: able }))));
}

// ------------------------------------------------------------------------------------------------ cast and time
/** New rows only where the proposal is another one: what was typed stays. */
function recast(view) {
  const key = JSON.stringify(view.report.casting.map(({ key: id, name, files, thumb }) => [id, name, files, thumb.length]));
  if (view.castKey !== key) Object.assign(view, { castKey: key, cast: castRows(view.report.casting, () => drawFoot(view)) });
}

function castPage(view) {
  if (!view.report.casting.length) return el("p", { class: "l-dialog-text" }, t("casting.none"));
  return el("div", { class: "l-stack" }, el("p", { class: "l-dialog-text" }, t("casting.about")), view.cast.element);
}

function timePage({ report }) {
  const { time, disk, counts, scenes } = report.preflight;
  const engines = new Map();
  for (const scene of scenes) if (scene.engine) engines.set(scene.engine, (engines.get(scene.engine) || 0) + 1);
  const row = (key, value, hint = "") => el("div", { class: "l-time-row" }, el("dt", {}, t(key)), el("dd", {}, el("span", { class: "l-mono" }, value), hint ? el("span", { class: "l-hint" }, hint) : null));
  const guess = time.seconds.guess;
  return el("dl", { class: "l-time" },
    row("preflight.time", `${guess ? "≈ " : ""}${fmt.rough(time.seconds.median)}`, `${guess ? `${t("preflight.guess")} · ` : ""}${t("preflight.range", { low: fmt.rough(time.seconds.low), high: fmt.rough(time.seconds.high) })}`),
    row("import.engines", [...engines].map(([name, count]) => `${name} × ${count}`).join(", ") || "–"),
    row("preflight.disk", `${disk.guess ? "≈ " : ""}${fmt.bytes(disk.needed)}`, t("preflight.free", { free: fmt.bytes(disk.free) })),
    row("import.can_run", `${counts.total - counts.errors} / ${counts.total}`, t("import.time.about")));
}

// ------------------------------------------------------------------------------------------------ in it goes
function drawFoot(view) {
  const { report } = view;
  const all = report.scenes.length;
  const clean = report.valid === all && (!report.head.length || view.makeDo);
  const words = clean ? t("import.all", { count: all }) : t("import.valid", { count: report.valid });
  const go = button(words, () => bring(view, !clean, go), { kind: "primary", id: "import-go" });
  go.disabled = report.valid === 0;
  const left = all - report.valid;
  const cast = Object.keys(view.cast.chosen()).length;
  const facts = [left && report.valid ? t("import.left_out", { count: left }) : "", cast ? t("import.casts", { count: cast }) : ""];
  view.foot.replaceChildren(
    el("span", { class: "l-hint l-import-left", role: "status" }, facts.filter(Boolean).join(" · ")),
    button(t("common.cancel"), () => view.dialog.close()), go);
}

async function bring(view, onlyValid, go) {
  const { source } = view;
  const cast = view.cast.chosen();
  const query = new URLSearchParams({ name: view.name.value.trim(), only_valid: String(onlyValid), make_do: String(view.makeDo) });
  if (source.path) query.set("path", source.path);
  go.disabled = true;
  const made = await act(async () => {
    const told = await api("POST", `/queues/import?${query}`, source.path ? { relinked: view.relinked, cast } : formOf(view, cast));
    if (told.files?.[0].error) throw told.files[0].error;
    return told.files?.[0] || told;
  });
  go.disabled = false;
  if (!made) return;
  view.dialog.close();
  showTab("queues");
  await openNew(made.queue.id);
  const left = view.report.scenes.length - view.report.valid;
  toast(t("import.done", { count: view.report.valid }), left ? t("import.left_out", { count: left }) : "", "ok");
}

/** Several storyboards of one folder: which to look at, or all that are complete at once. */
export function openMany(source, files) {
  const good = files.filter((one) => one.report && one.report.valid === one.report.scenes.length && !one.report.head.length);
  const box = el("div", { class: "l-report", role: "list", "aria-label": t("import.many") }, files.map((one) => manyRow(one, (picked) => {
    dialog.close();
    openPreview(picked).catch(toastError);
  })));
  const go = button(t("import.many.do", { count: good.length }), async () => {
    go.disabled = true;
    let last = null;
    for (const [number, one] of good.entries()) {
      setText(about, t("import.many.doing", { n: number + 1, count: good.length }));
      const told = await act(() => api("POST", `/queues/import?${new URLSearchParams({ path: one.path })}`));
      last = told?.files?.[0].queue || last;
    }
    dialog.close();
    showTab("queues");
    if (last) await openNew(last.id);
  }, { kind: "primary", id: "import-many" });
  go.disabled = !good.length;
  const about = el("p", { class: "l-dialog-text", role: "status" }, t("import.many.about", { count: files.length, good: good.length }));
  const dialog = openDialog({ title: t("import.many"), wide: true, className: "l-import l-import-many", content: el("div", { class: "l-stack" }, about, box), actions: [button(t("common.cancel"), () => dialog.close()), go] });
}

function manyRow(one, onpick) {
  const { file, path, report, error } = one;
  const state = error ? chip("bad", errorWords(error).message) : report.missing.length ? chip("bad", t("import.chip.missing", { count: report.missing.length })) : chip("ok", t("import.ok"));
  return el("div", { class: "l-report-row", role: "listitem", "data-ok": !error && report.valid === report.scenes.length },
    el("button", { class: "l-report-main l-many-main", disabled: Boolean(error), onclick: () => onpick({ path, name: report.title }) },
      icon("file-json"), el("span", { class: "l-report-name" }, report?.title || file, el("span", { class: "l-hint" }, file)),
      el("span", { class: "l-mono l-report-s" }, report ? t("casting.scenes", { count: report.scenes.length }) : ""), el("span", { class: "l-report-chips" }, state)));
}
