// The meters of the status line: video memory and RAM, read more often while something is being made. A click leads to
// what may be used of them.
import { el, emit, fmt, setAttr, setText, t } from "./core.js";

const HIGH = 0.9; // of what there is: from here on it is the colour of the lamp

/** One meter: {item, fill(used, total, words)}. Hidden while its total is not known. */
function meter(name) {
  const bar = el("i");
  const words = el("span");
  const item = el("button", { class: "l-status-item", id: `meter-${name}`, hidden: true, title: t("settings.memory"), onclick: () => emit("settings", "memory") },
    el("span", { class: "l-meter" }, bar), words);
  return {
    item,
    fill(used, total, said) {
      item.hidden = !total;
      const share = total ? (used || 0) / total : 0;
      bar.style.transform = `scaleX(${Math.min(1, share)})`;
      setAttr(bar, "data-high", share > HIGH ? "" : null);
      setText(words, said);
    },
  };
}

export function makeMeters() {
  const vram = meter("vram");
  const ram = meter("ram");
  return {
    items: [vram.item, ram.item],
    draw(status) {
      vram.fill(status.vram_used_gb, status.gpu ? status.vram_gb : 0, t("status.vram", { used: fmt.gigabytes(status.vram_used_gb || 0), total: fmt.gigabytes(status.vram_gb || 0) }));
      ram.fill(status.ram_used_gb, status.ram_gb, t("status.ram", { used: fmt.number(status.ram_used_gb), total: fmt.number(status.ram_gb) }));
    },
  };
}
