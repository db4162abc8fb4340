// The bell: what happened while nobody looked. A panel of recent notices, an unread dot, browser notifications, a sound.
// What was seen and what was announced is remembered in the browser, so that several tabs speak once.
import { address, api, el, emit, fmt, icon, iconButton, lang, on, setAttr, t } from "./core.js";
import { openTelling, wishes } from "./telling.js";

const SHOWN = 40;
const SEEN = "lanterna_notices_seen"; // the newest notice that the panel has shown
const TOLD = "lanterna_notices_told"; // the newest one that was announced, in whichever tab
const LOOKS = {
  finished: { done: ["check", "ok"], failed: ["triangle-alert", "bad"], stopped: ["square", "wait"] },
  failure: ["triangle-alert", "bad"],
  stalled: ["clock", "lamp"],
  disk_full: ["hard-drive", "bad"],
  resumed: ["rotate-ccw", "lamp"],
};

let notices = null; // newest first; null before the first answer
let bell;
let panel = null;

const remembered = (key) => Number(localStorage.getItem(key) || 0);
const newest = () => notices?.[0]?.id || 0;

/** The button for the top bar. */
export function makeBell() {
  bell = iconButton("bell", t("notices.title"), () => (panel ? close() : open()), { id: "notices-bell", class: "l-ib l-bell", "aria-haspopup": "dialog" });
  on("notices", load);
  return bell;
}

async function load() {
  let found;
  try {
    found = await api("GET", `/notices?limit=${SHOWN}`);
  } catch {
    return; // the pulse says that nobody answers, and asks again
  }
  const first = notices === null;
  notices = found;
  for (const key of [SEEN, TOLD]) if (remembered(key) > newest()) localStorage.setItem(key, 0); // another database
  if (first && !localStorage.getItem(TOLD)) localStorage.setItem(TOLD, newest()); // nobody wants last week's chimes
  announce();
  drawBell();
  if (panel) drawPanel();
}

function drawBell() {
  const count = notices.filter((notice) => notice.id > remembered(SEEN)).length;
  setAttr(bell, "data-unread", count ? "" : null);
  const label = count ? t("notices.unread", { count }) : t("notices.title");
  setAttr(bell, "title", label);
  setAttr(bell, "aria-label", label);
}

/** Says once, in one tab, what came since. */
function announce() {
  const fresh = notices.filter((notice) => notice.id > remembered(TOLD));
  if (!fresh.length) return;
  localStorage.setItem(TOLD, newest());
  const { browser, sound, volume } = wishes();
  if (sound && fresh.some((notice) => notice.kind === "finished")) play(volume);
  if (!browser || !("Notification" in window) || Notification.permission !== "granted") return;
  for (const notice of fresh.slice(0, 3)) {
    const shown = new Notification(notice.title, { body: notice.text, tag: `lanterna-${notice.id}`, icon: address("/ui/favicon.svg"), lang });
    shown.onclick = () => {
      window.focus();
      show(notice);
      shown.close();
    };
  }
}

export function play(volume) {
  const chime = new Audio(address("/ui/sounds/chime.wav"));
  chime.volume = volume;
  return chime.play().catch(() => {}); // a page that nobody has touched yet may not sound
}

// ------------------------------------------------------------------------------------------------ the panel
function open() {
  panel = el("div", { class: "l-notices l-host", role: "dialog", "aria-label": t("notices.title") });
  document.body.append(panel);
  drawPanel();
  const at = bell.getBoundingClientRect();
  panel.style.top = `${at.bottom + 8}px`;
  panel.style.right = `${Math.max(8, innerWidth - at.right - 4)}px`;
  setAttr(bell, "aria-expanded", "true");
  document.addEventListener("pointerdown", outside, true);
  document.addEventListener("keydown", keys, true);
  localStorage.setItem(SEEN, newest());
  if (notices) drawBell();
  panel.querySelector("button")?.focus();
}

function close() {
  panel?.remove();
  panel = null;
  setAttr(bell, "aria-expanded", null);
  document.removeEventListener("pointerdown", outside, true);
  document.removeEventListener("keydown", keys, true);
}

const outside = (event) => panel.contains(event.target) || bell.contains(event.target) || close();

function keys(event) {
  if (event.key !== "Escape") return;
  event.stopPropagation();
  close();
  bell.focus();
}

function drawPanel() {
  const list = notices?.length
    ? el("ul", {}, notices.map(row))
    : el("p", { class: "l-notices-none" }, t("notices.empty"));
  panel.replaceChildren(
    el("header", {}, el("h2", {}, t("notices.title")),
      iconButton("sliders-horizontal", t("notices.settings"), () => {
        close();
        openTelling(play);
      }, { id: "notices-settings" })),
    list);
}

function row(notice) {
  const looks = LOOKS[notice.kind] || ["info", "wait"];
  const [name, mood] = Array.isArray(looks) ? looks : looks[notice.state] || looks.done;
  const words = [el("b", {}, notice.title), notice.text && el("span", {}, notice.text), el("time", { class: "l-mono", datetime: notice.at }, fmt.date(notice.at))];
  const main = notice.gone
    ? el("div", { class: "l-notice-main" }, words)
    : el("button", { type: "button", class: "l-notice-main", onclick: () => show(notice) }, words);
  const report = notice.kind === "finished" && !notice.gone
    && el("a", { class: "l-link", href: reportUrl(notice.run_id), target: "_blank", rel: "noopener" }, t("notices.report"));
  return el("li", { dataset: { mood } }, icon(name), main, report);
}

export const reportUrl = (runId) => address(`/api/runs/${runId}/report.html?lang=${lang}`);

function show(notice) {
  close();
  emit("open-queue", { queueId: notice.queue_id, sceneId: notice.scene_id });
}

/** A link in a message leads to `/?queue=…&scene=…`. */
function followLink() {
  const here = new URL(location);
  const queueId = here.searchParams.get("queue");
  if (!queueId) return;
  const sceneId = here.searchParams.get("scene");
  const off = on("q:list", () => {
    off();
    emit("open-queue", { queueId, sceneId });
  });
  for (const name of ["queue", "scene"]) here.searchParams.delete(name);
  history.replaceState(null, "", here);
}
followLink();
