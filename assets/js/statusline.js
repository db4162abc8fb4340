// The line under everything: memory, disk, that nothing leaves the machine, and the keys that work here.
import { el, emit, fmt, icon, on, pulse, setAttr, setText, t } from "./core.js";

let parts;

export function mount(element) {
  const meter = (name) => {
    const bar = el("i");
    const words = el("span");
    const item = el("span", { class: "l-status-item", hidden: true }, el("span", { class: "l-meter" }, bar), words);
    return { item, bar, words, name };
  };
  parts = { vram: meter("vram"), ram: meter("ram"), disk: el("span"), net: el("span") };
  const key = (keys, words, tabs) => el("span", { class: "l-status-item", dataset: { tabs } }, ...keys.map((name) => el("kbd", {}, name)), t(words));
  parts.place = el("span", { class: "l-status-item l-status-net" }, icon("wifi-off"), parts.net);
  element.classList.add("l-statusline");
  element.append(
    el("div", {}, parts.vram.item, parts.ram.item, el("button", { type: "button", class: "l-status-item", title: t("storage.title"), onclick: () => emit("storage") }, icon("hard-drive"), parts.disk), parts.place),
    el("div", { class: "l-status-keys" }, key(["Ctrl ↵"], "status.render", "generate queues"), key(["Space"], "status.play", "queues"),
      key(["J", "K", "L"], "status.shuttle", "queues"), key(["↑", "↓"], "status.scenes", "queues"), key(["1–5"], "status.rate", "queues"),
      key(["R"], "status.retake", "queues"), key(["N"], "status.next", "queues"),
      el("button", { type: "button", class: "l-status-item", dataset: { tabs: "generate queues gallery" }, onclick: () => emit("palette") }, el("kbd", {}, "Ctrl K"), t("status.commands"))));
  setText(parts.net, t("status.offline"));
  on("status", draw);
  on("offline", () => lost(true));
  on("online", () => lost(false));
  if (pulse.status) draw(pulse.status);
}

function lost(away) {
  setAttr(parts.place, "data-away", away ? "" : null);
  setText(parts.net, t(away ? "status.unreachable" : "status.offline"));
}

function draw(status) {
  const gpu = status.gpu && status.vram_gb;
  parts.vram.item.hidden = !gpu;
  if (gpu) fill(parts.vram, status.vram_used_gb / status.vram_gb, t("status.vram", { share: fmt.percent(status.vram_used_gb / status.vram_gb) }));
  parts.ram.item.hidden = !status.ram_gb;
  fill(parts.ram, status.ram_used_gb / status.ram_gb, t("status.ram", { used: fmt.number(status.ram_used_gb), total: fmt.number(status.ram_gb) }));
  setText(parts.disk, t("status.disk", { free: fmt.number(status.disk_free_gb) }));
}

function fill({ bar, words }, share, text) {
  bar.style.transform = `scaleX(${Math.min(1, share || 0)})`;
  setAttr(bar, "data-high", share > 0.9 ? "" : null);
  setText(words, text);
}
