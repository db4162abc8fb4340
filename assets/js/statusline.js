// The line under everything: memory, disk, that nothing leaves the machine, and the keys that work here.
import { el, emit, fmt, icon, on, pulse, setAttr, setIcon, setText, t } from "./core.js";
import { makeMeters } from "./meters.js";

let parts;

export function mount(element) {
  parts = { meters: makeMeters(), disk: el("span"), net: el("span") };
  const key = (keys, words, tabs) => el("span", { class: "l-status-item", dataset: { tabs } }, ...keys.map((name) => el("kbd", {}, name)), t(words));
  parts.place = el("span", { class: "l-status-item l-status-net" }, icon("wifi-off"), parts.net);
  element.classList.add("l-statusline");
  element.append(
    el("div", {}, parts.meters.items, el("button", { type: "button", class: "l-status-item", title: t("storage.title"), onclick: () => emit("storage") }, icon("hard-drive"), parts.disk), parts.place),
    el("div", { class: "l-status-keys" }, key(["Ctrl ↵"], "status.render", "generate queues avatar"), key(["Space"], "status.play", "queues"),
      key(["J", "K", "L"], "status.shuttle", "queues"), key(["↑", "↓"], "status.scenes", "queues"), key(["1–5"], "status.rate", "queues"),
      key(["R"], "status.retake", "queues"), key(["N"], "status.next", "queues"),
      el("button", { type: "button", class: "l-status-item", dataset: { tabs: "generate queues avatar gallery settings" }, onclick: () => emit("palette") }, el("kbd", {}, "Ctrl K"), t("status.commands"))));
  setText(parts.net, t("status.offline"));
  on("status", draw);
  on("offline", () => say(true));
  on("online", () => say(false));
  on("now", () => say(false));
  if (pulse.status) draw(pulse.status);
}

/** Whether anything leaves this machine: while it is shared, films do. */
function say(away) {
  const shared = !away && Boolean(pulse.now?.sharing?.on);
  setAttr(parts.place, "data-away", away ? "" : null);
  setAttr(parts.place, "data-shared", shared ? "" : null);
  setIcon(parts.place.firstChild, shared ? "share-2" : "wifi-off");
  setText(parts.net, t(away ? "status.unreachable" : shared ? "status.shared" : "status.offline"));
}

function draw(status) {
  parts.meters.draw(status);
  setText(parts.disk, t("status.disk", { free: fmt.number(status.disk_free_gb) }));
}
