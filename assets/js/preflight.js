// Preflight: what a run of the open queue will do, before anybody waits for it. The Check button and its dialog, and the
// Run button's way to a run: clean and answered, it just runs; anything else is shown first.
import { openCasting } from "./casting.js";
import { api, button, command, el, errorWords, fmt, icon, lang, openDialog, t, toast, toastError } from "./core.js";
import { needsButton, needsOf } from "./fetching.js";
import { act, select, state } from "./queues.js";
import { openRelink } from "./relink_queue.js";
import { engineName } from "./words_of.js";

const CONSENTS = ["allow_draft", "allow_8bit", "allow_paid"];
const CHUNK = 200; // rows drawn at once; more when the list is scrolled to its end
const GONE = ["input.gone", "input.changed", "media.root_gone"]; // problems that finding the file again cures
const open = () => Boolean(state.queue?.counts?.total);

command("queue.check", { label: "preflight.check", icon: "check", menu: "queue", group: 5, when: open, run: () => openPreflight() });

const look = (id) => api("GET", `/queues/${id}/preflight`);

/** Runs what is left of the open queue: at once where nothing speaks against it, after the dialog where something does. */
export async function runChecked() {
  const { id } = state.queue;
  try {
    const found = await look(id);
    if (!found.clean || found.asks.open) openPreflight(found);
    else await start(id, found);
  } catch (error) {
    toastError(error);
  }
}

async function start(id, found) {
  const override = found.counts.errors > 0;
  const done = await act(() => api("POST", `/queues/${id}/run`, { override }));
  if (done) toast(t("preflight.started", { time: roughly(found.time.seconds), at: clockOf(found.time.finish_at) }), "", "ok");
  return done;
}

/** openPreflight(found?): the dialog, with a report that was just fetched or a fresh one. */
export async function openPreflight(found = null) {
  const { id, name } = state.queue;
  const view = { id, found, onlyProblems: false, shown: CHUNK };
  try {
    [view.found, view.needs] = await Promise.all([view.found ?? look(id), needsOf(id)]);
  } catch (error) {
    toastError(error);
    return;
  }
  view.onlyProblems = view.found.counts.errors + view.found.counts.warnings > 0 && view.found.counts.total > 12;
  view.body = el("div", { class: "l-stack l-preflight" });
  view.go = button("", () => go(view), { kind: "primary", id: "preflight-run" });
  view.dialog = openDialog({
    title: t("preflight.title", { name }), wide: true, className: "l-preflight-dialog", content: view.body,
    actions: [button(t("common.cancel"), () => view.dialog.close()), view.go],
  });
  view.dialog.addEventListener("keydown", (event) => keys(event, view));
  draw(view);
  view.go.focus();
}

async function go(view) {
  view.go.disabled = true;
  const asked = view.found.asks.asked || (await save(view, { asked: true }));
  if (asked && (await start(view.id, view.found))) view.dialog.close();
  view.go.disabled = false;
}

const save = (view, changes) => act(() => api("PATCH", `/queues/${view.id}`, changes));

/** An answer changes what can run: ask again. */
async function answer(view, changes) {
  if (Object.keys(changes).length && !(await save(view, changes))) return;
  try {
    view.found = await look(view.id);
    draw(view);
  } catch (error) {
    toastError(error);
  }
}

// ------------------------------------------------------------------------------------------------ drawing
function draw(view) {
  const { found } = view;
  const { counts } = found;
  const can = counts.total - counts.errors;
  const label = counts.errors && can ? t("preflight.run_rest", { count: can, out: counts.errors })
    : can ? t("preflight.run", { count: can }) : t("preflight.run_none");
  view.go.querySelector(".l-btn-label").textContent = label;
  view.go.disabled = !can;
  if (!counts.total) {
    view.body.replaceChildren(el("p", { class: "l-dialog-text" }, t(counts.done ? "preflight.all_done" : "preflight.no_scenes")));
    return;
  }
  const kept = document.activeElement?.id;
  view.body.replaceChildren(strip(view), ...found.problems.map((problem) => trouble(problem, view)), ...wanted(view), ...lost(view), consents(view), list(view));
  if (kept) document.getElementById(kept)?.focus();
}

function strip(view) {
  const { counts, time, disk } = view.found;
  const verdicts = el("div", { class: "l-pf-verdicts" }, ["ok", "warnings", "errors"].filter((level) => counts[level]).map((level) =>
    el("span", { class: `l-pf-count l-pf-${level}` }, `${fmt.number(counts[level])} ${t(`preflight.count.${level}`)}`)));
  const by = el("input", { // no type=time: it follows the browser's language and shows AM and PM where the page does not
    class: "l-input l-mono", value: time.ready_by, id: "preflight-ready", placeholder: "07:00", maxlength: 5,
    inputmode: "numeric", autocomplete: "off", "aria-label": t("preflight.ready_by"),
  });
  by.addEventListener("change", () => {
    const wished = timeOf(by.value);
    by.toggleAttribute("aria-invalid", wished === null);
    if (wished !== null) answer(view, { ready_by: wished });
  });
  const none = counts.errors === counts.total; // nothing to reckon
  const late = time.ready_by_ok === false ? "bad" : time.ready_by_sure === false ? "tight" : "";
  return el("div", { class: "l-pf-strip" },
    tile("preflight.scenes", fmt.number(counts.total), verdicts),
    tile("preflight.time", none ? "–" : roughly(time.seconds), none ? null : el("span", {}, range(time.seconds)),
      time.ahead.median >= 1 ? el("span", {}, t("preflight.ahead", { time: fmt.rough(time.ahead.median) })) : null),
    tile("preflight.finish", none ? "–" : clockOf(time.finish_at), el("label", { class: "l-pf-by" }, el("span", {}, t("preflight.ready_by")), by),
      late ? el("span", { class: `l-pf-late l-pf-late-${late}` }, t(`preflight.late.${late}`)) : null),
    tile("preflight.disk", none ? "–" : `${disk.guess ? "≈ " : ""}${fmt.bytes(disk.needed)}`,
      el("span", { class: disk.ok ? "" : "l-bad" }, t("preflight.free", { free: fmt.bytes(disk.free) }))));
}

const tile = (key, value, ...more) => el("div", { class: "l-pf-tile" }, el("span", { class: "l-label" }, t(key)), el("b", { class: "l-mono" }, value), ...more);

const MOODS = { error: "failed", warning: "degraded", info: "info" };
const trouble = ({ level, hint, ...error }, view) =>
  el("div", { class: `l-trouble l-trouble-${MOODS[level]}` }, errorWords(error).message, hint ? el("div", { class: "l-hint" }, hint) : null,
    error.code === "preflight.speaker_unknown" ? button(t("casting.open"), () => {
      view.dialog.close();
      openCasting({ id: view.id });
    }, { iconName: "users-round" }) : null);

/** A way to the models that its scenes need and that are not here. */
const wanted = (view) => (view.needs ? [el("div", { class: "l-pf-needs" }, needsButton(view.id, view.needs, () => view.dialog.close()),
  el("span", { class: "l-hint" }, t("needs.models", { models: view.needs.models.map((model) => model.title).join(", ") })))] : []);

/** A way back to files that have gone. */
function lost(view) {
  const problems = [...view.found.problems, ...view.found.scenes.flatMap((scene) => scene.problems)];
  if (!problems.some((problem) => GONE.includes(problem.code))) return [];
  const again = () => answer(view, {});
  return [el("div", {}, button(t("relink.find"), () => openRelink(view.id, again), { iconName: "folder-search", id: "preflight-relink" }))];
}

function consents(view) {
  const { asks } = view.found;
  return el("fieldset", { class: "l-pf-asks" }, el("legend", { class: "l-label" }, t(asks.open ? "preflight.asks.open" : "preflight.asks")),
    CONSENTS.map((name) => {
      const box = el("input", { type: "checkbox", role: "switch", checked: asks[name].value, id: `preflight-${name}` });
      box.addEventListener("change", () => answer(view, { [name]: box.checked, asked: true }));
      const about = asks[name].scenes ? t("preflight.ask.scenes", { count: asks[name].scenes }) : t("preflight.ask.none");
      return el("label", { class: "l-pf-ask", "data-idle": !asks[name].scenes }, box,
        el("span", {}, t(`preflight.${name}`), el("small", {}, about)));
    }));
}

function list(view) {
  const { scenes } = view.found;
  const bad = scenes.filter((scene) => scene.level !== "ok");
  const rows = view.onlyProblems ? bad : scenes;
  const box = el("div", { class: "l-report l-pf-list", role: "list", "aria-label": t("preflight.scenes") });
  const more = () => box.append(...rows.slice(box.childElementCount, view.shown).map((scene) => row(view, scene)));
  more();
  box.addEventListener("scroll", () => {
    if (box.scrollTop + box.clientHeight < box.scrollHeight - 200 || view.shown >= rows.length) return;
    view.shown += CHUNK;
    more();
  }, { passive: true });
  const choose = (only) => el("button", {
    "aria-pressed": String(view.onlyProblems === only), id: `preflight-${only ? "bad" : "all"}`,
    onclick: () => {
      Object.assign(view, { onlyProblems: only, shown: CHUNK });
      draw(view);
    },
  }, only ? t("preflight.only_problems", { count: bad.length }) : t("preflight.every", { count: scenes.length }));
  return el("div", { class: "l-pf-scenes" },
    bad.length ? el("div", { class: "l-seg", role: "group", "aria-label": t("preflight.show") }, choose(false), choose(true)) : null, box);
}

function row(view, scene) {
  const standIn = scene.why.id === "stand_in";
  return el("button", {
    class: "l-pf-row", role: "listitem", "data-level": scene.level,
    onclick: () => {
      view.dialog.close();
      select(scene.id);
    },
  },
    el("span", { class: "l-mono l-pf-n" }, fmt.shot(scene.number)),
    el("span", { class: "l-pf-title" }, scene.title || t("import.unnamed")),
    el("span", { class: `l-pf-engine ${standIn ? "l-pf-stand-in" : ""}`, title: errorWords(scene.why).message }, scene.engine && engineName(scene.engine)),
    el("span", { class: "l-mono l-pf-time", title: range(scene.seconds) }, scene.level === "error" ? "–" : roughly(scene.seconds)),
    el("span", { class: `l-pf-chip l-pf-${{ ok: "ok", warning: "warnings", error: "errors" }[scene.level]}` }, t(`preflight.verdict.${scene.level}`)),
    scene.problems.map(({ level, hint, ...error }) => el("span", { class: `l-pf-problem l-pf-problem-${level}` },
      icon(level === "info" ? "info" : "triangle-alert"), el("span", {}, errorWords(error).message, level === "info" ? null : el("small", {}, hint)))));
}

// ------------------------------------------------------------------------------------------------ words and keys
/** "≈ 12 min" while it is a guess, "12 min" from history. */
const roughly = (span) => `${span.guess ? "≈ " : ""}${fmt.rough(span.median)}`;

const range = (span) => {
  const between = t("preflight.range", { low: fmt.rough(span.low), high: fmt.rough(span.high) });
  return span.guess ? `${t("preflight.guess")} · ${between}` : between;
};

/** "2026-03-11T07:00:00+01:00" -> "07:00" on the studio's own clock, with the day where it is not today. */
function clockOf(iso) {
  const [day, time] = [iso.slice(0, 10), iso.slice(11, 16)];
  const offset = iso.slice(19).match(/([+-])(\d\d):(\d\d)/);
  const shift = offset ? Number(`${offset[1]}1`) * (Number(offset[2]) * 60 + Number(offset[3])) : 0;
  const today = new Date(Date.now() + shift * 60_000).toISOString().slice(0, 10);
  if (day === today) return time;
  const weekday = new Intl.DateTimeFormat(lang, { weekday: "short", timeZone: "UTC" }).format(new Date(`${day}T12:00:00Z`));
  return `${weekday} ${time}`;
}

/** "7", "700", "7.00" and "07:00" are all seven in the morning; null is no time at all. */
function timeOf(text) {
  const plain = text.trim();
  if (!plain) return "";
  const found = plain.match(/^(\d{1,2})(?:[:.h\uff1a ]?(\d\d))?h?$/);
  if (!found || Number(found[1]) > 23 || Number(found[2] || 0) > 59) return null;
  return `${found[1].padStart(2, "0")}:${found[2] || "00"}`;
}

function keys(event, view) {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    if (!view.go.disabled) go(view);
    return;
  }
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.matches(".l-pf-row")) return;
  event.preventDefault();
  (step > 0 ? event.target.nextElementSibling : event.target.previousElementSibling)?.focus();
}
