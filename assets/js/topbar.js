// The bar over everything: where we are, what is being rendered right now with its brakes, the machine, the language.
import { LANGUAGES, address, api, button, currentTab, el, emit, fmt, icon, iconButton, lang, on, openMenu, pulse, setAttr, setLanguage, setText, t } from "./core.js";
import { watchTabs } from "./nav.js";
import { makeBell } from "./notices.js";
import { act, sceneVerbs, state, verbs } from "./queues.js";
import { makeShare } from "./share.js";
import { makeWho } from "./who.js";

let parts;
let away = false; // the studio does not answer

export function mount(element) {
  element.classList.add("l-top");
  parts = {
    project: el("span"), queue: el("b"),
    title: el("span", { class: "l-now-title" }), of: el("span", { class: "l-now-of" }), bar: el("i"),
    eta: el("span", { class: "l-mono l-now-eta" }), all: el("span", { class: "l-mono l-now-all" }),
    pause: iconButton("pause", t("top.pause"), togglePause), skip: iconButton("skip-forward", t("top.skip"), sceneVerbs.skip),
    stop: iconButton("square", t("top.stop"), stop), machine: el("span", { class: "l-pill-words" }), memory: el("span", { class: "l-mono" }),
  };
  parts.words = el("button", { type: "button", class: "l-now-words", onclick: goThere, title: t("top.show") }, el("span", { class: "l-dot" }), el("span", {}, parts.title, parts.of));
  parts.stay = button(t("top.stay_on"), () => act(() => api("POST", "/power/cancel")), { class: "l-btn l-now-stay", hidden: true });
  parts.track = el("span", { class: "l-now-bar", role: "progressbar", "aria-label": t("top.progress"), "aria-valuemin": 0, "aria-valuemax": 100 }, parts.bar);
  parts.now = el("div", { class: "l-now", role: "region", "aria-label": t("top.now") }, parts.words, parts.track, parts.eta, parts.all,
    parts.stay, el("span", { class: "l-now-tools" }, parts.pause, parts.skip, parts.stop));
  const language = el("button", { type: "button", class: "l-pill", title: t("top.language"), "aria-label": t("top.language"), onclick: (event) => languages(event.currentTarget) },
    icon("globe"), el("span", {}, lang.toUpperCase()));
  element.append(
    el("div", { class: "l-top-left" }, el("span", { class: "l-logo" }, el("img", { src: address("/ui/logo.svg"), alt: "Lanterna", width: 22, height: 22 })),
      el("nav", { class: "l-crumbs", "aria-label": t("top.where") }, parts.project, el("i", {}, "/"), parts.queue)),
    parts.now,
    el("div", { class: "l-top-right" }, el("span", { class: "l-pill l-machine" }, icon("cpu"), parts.machine, parts.memory), language, makeBell(), makeShare(), makeWho()));
  on("now", drawNow);
  on("offline", () => {
    away = true;
    drawNow(null);
  });
  on("online", () => (away = false));
  on("status", drawMachine);
  on("q:open", drawCrumbs);
  on("tab", drawCrumbs);
  on("q:list", () => {
    drawCrumbs();
    if (away === false) drawNow(pulse.now);
  });
  drawNow(pulse.now);
  watchTabs();
  drawCrumbs();
  if (pulse.status) drawMachine(pulse.status);
  pulse.poke();
}

function drawCrumbs() {
  const tab = currentTab();
  const queue = tab === "queues" ? state.queue : null;
  setText(parts.project, queue?.project && queue.project.toLowerCase() !== "default" ? queue.project : t("top.project"));
  setText(parts.queue, queue ? (queue.inbox ? t("queues.inbox") : queue.name) : t(`nav.${tab}`));
}

function drawNow(now) {
  const first = now?.running[0];
  const held = (state.list || []).filter((queue) => queue.state === "paused"); // their scenes do not count as waiting
  const mode = now === null && pulse.now ? "offline" : first ? "running" : now?.power ? "power" : now?.waiting ? "waiting" : held.length ? "paused" : "idle";
  const waiting = mode === "paused" ? held.reduce((sum, queue) => sum + queue.counts.queued, 0) : now?.waiting || 0;
  setAttr(parts.now, "data-mode", mode);
  parts.stay.hidden = mode !== "power";
  if (mode === "power") setText(parts.title, t(`top.${now.power.what}`, { seconds: now.power.in }));
  else setText(parts.title, first && mode === "running" ? t("scene.number", { n: fmt.shot(first.number) }) : t(`top.${mode}`, { count: waiting }));
  setText(parts.of, mode === "running" ? ` ${t("top.of", { of: first.of })}` : "");
  setAttr(parts.words, "title", first ? `${first.queue} · ${first.title}` : null);
  const share = first && mode === "running" ? first.done / Math.max(1, first.total) : 0;
  parts.bar.style.transform = `scaleX(${share})`;
  setAttr(parts.track, "aria-valuenow", Math.round(share * 100));
  setText(parts.eta, mode === "running" ? fmt.eta(first.eta) || fmt.percent(share) : "");
  setText(parts.all, mode === "running" && now.waiting && now.eta !== null && first.eta !== null ? t(now.eta_is_guess ? "top.all_guess" : "top.all", { time: fmt.rough(now.eta) }) : "");
  document.title = mode === "running" ? `${fmt.percent(share)} · ${first.title} — Lanterna` : "Lanterna";
  parts.track.hidden = mode !== "running";
  const active = mode === "running" || mode === "paused" || mode === "waiting";
  for (const node of [parts.pause, parts.skip, parts.stop]) node.disabled = !active;
  parts.skip.disabled = mode !== "running";
  const resume = mode === "paused" || Boolean(nowQueue(now)?.paused);
  parts.pause.firstChild.className = `l-ic l-ic-${resume ? "play" : "pause"}`;
  setAttr(parts.pause, "title", t(resume ? "top.resume" : "top.pause"));
  setAttr(parts.pause, "aria-label", t(resume ? "top.resume" : "top.pause"));
}

const nowQueue = (now) => state.list?.find((queue) => queue.id === now?.running[0]?.queue_id);

/** The queue that is being rendered; when nothing is, every queue that waits. */
const concerned = () => {
  const now = nowQueue(pulse.now);
  return now ? [now] : (state.list || []).filter((queue) => queue.counts.queued);
};

function togglePause() {
  const queues = concerned();
  const held = queues.every((queue) => queue.paused);
  act(() => Promise.all(queues.map((queue) => api("POST", `/queues/${queue.id}/${held ? "resume" : "pause"}`))));
}

async function stop() {
  for (const queue of concerned()) await verbs.stop(queue.id);
}

function goThere() {
  const first = pulse.now?.running[0];
  if (first) emit("open-queue", { queueId: first.queue_id, sceneId: first.scene_id });
}

function drawMachine(status) {
  setText(parts.machine, status.gpu || t("top.cpu", { count: status.cores }));
  setText(parts.memory, status.gpu && status.vram_gb ? `${fmt.gigabytes(status.vram_used_gb || 0)} / ${fmt.gigabytes(status.vram_gb)} GB` : "");
}

function languages(anchor) {
  openMenu(anchor, Object.entries(LANGUAGES).map(([code, label]) => ({
    label, icon: code === lang ? "check" : "globe", onclick: () => setLanguage(code),
  })));
}
