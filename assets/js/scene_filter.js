// Which scenes the list shows: all, or those that still want something of somebody. Pure but for its menu.
import { command, el, emit, iconButton, menuOf, openMenu, setAttr, setText, t } from "./core.js";
import { ordered, state } from "./queues.js";

const FILTERS = {
  all: () => true,
  review: (scene) => scene.review === "new" || scene.review === "retaken",
  retake: (scene) => Boolean(scene.retake),
  notes: (scene) => scene.comments.open > 0,
  failed: (scene) => scene.state === "failed" || scene.state === "cancelled" || Boolean(scene.blocked),
  changed: (scene) => scene.changed?.length > 0,
};
let chosen = "all";

export const passes = (scene) => FILTERS[chosen](scene);

/** Back to all of them, when another queue is opened. */
export const showAll = () => filterBy("all");

/** filterBy("notes"): only those are listed until somebody wants to see all again. */
export function filterBy(name) {
  if (name === chosen) return;
  chosen = name;
  emit("q:filter");
}

const count = (name) => ordered().filter(FILTERS[name]).length;

for (const name of Object.keys(FILTERS)) {
  command(`scenes.filter.${name}`, {
    label: `scene.filter.${name}`, about: "scene.filter", icon: "list-filter", menu: "filter", when: () => Boolean(state.queue),
    enabled: () => name === "all" || count(name) > 0, checked: () => chosen === name, run: () => filterBy(name),
  });
}

/** The button beside the search, and the line that says what is being shown. */
export function filterTools() {
  const tool = iconButton("list-filter", t("scene.filter"), () => openMenu(tool, menuOf("filter", t)), { "aria-haspopup": "menu" });
  const words = el("span");
  const line = el("div", { class: "l-filter-line", hidden: true }, words, iconButton("x", t("scene.filter.all"), showAll));
  const draw = () => {
    line.hidden = chosen === "all";
    setAttr(tool, "aria-pressed", String(chosen !== "all"));
    if (chosen !== "all") setText(words, `${t(`scene.filter.${chosen}`)} · ${count(chosen)}`);
  };
  return { tool, line, draw };
}
