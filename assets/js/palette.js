// Ctrl+K: everything that can be done, every scene and every queue, found by a few letters in the page's language.
// Reads the table of commands; knows none of them.
import { command, commandsOf, el, fmt, has, icon, on, paramsOf, setAttr, showTab, t } from "./core.js";
import { openQueue, ordered, select, state } from "./queues.js";

const RECENT_KEY = "lanterna_recent_commands";
const RECENT = 8;
const SHOWN = 60;

const recent = () => JSON.parse(localStorage.getItem(RECENT_KEY) || "[]");
const remember = (id) => localStorage.setItem(RECENT_KEY, JSON.stringify([id, ...recent().filter((one) => one !== id)].slice(0, RECENT)));

/** Without accents and case: "sao" finds "São". */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLocaleLowerCase();

/**
 * How well the letters of `find` stand in `text`, in order: more for whole words and for letters side by side;
 * -1 where one is missing. Both are plain.
 */
export function score(find, text) {
  if (!find) return 0;
  const at = text.indexOf(find);
  if (at >= 0) return 1000 - at + (at === 0 || text[at - 1] === " " ? 500 : 0);
  let from = 0;
  let points = 0;
  let last = -2;
  for (const letter of find) {
    if (letter === " ") continue;
    const found = text.indexOf(letter, from);
    if (found < 0) return -1;
    points += found === last + 1 ? 8 : found === 0 || text[found - 1] === " " ? 6 : 1;
    last = found;
    from = found + 1;
  }
  return points - text.length / 100;
}

/** What a command is about, where its label leaves that to the menu it stands in: "Rename" – queue. */
function aboutOf(one) {
  if (one.about) return t(one.about);
  const thing = { run: "queue" }[one.menu] || one.menu;
  return has(`palette.${thing}`) ? t(`palette.${thing}`) : "";
}

/** Everything that can be chosen now: {id, label, about, keys, icon, run}. */
function entries() {
  const verbs = commandsOf().filter((one) => one.enabled()).map((one) => ({
    id: one.id, label: t(one.label, paramsOf(one)), about: aboutOf(one), keys: one.keys || [], danger: one.danger,
    icon: one.checked?.() ? "check" : one.icon || "command", run: one.run,
  }));
  const scenes = ordered().map((scene) => ({
    id: `scene.${scene.id}`, label: `${fmt.shot(scene.number)} ${scene.title}`, about: t("palette.scene"), icon: "film",
    run: () => {
      showTab("queues");
      select(scene.id);
    },
  }));
  const queues = (state.list || []).map((queue) => ({
    id: `queue.${queue.id}`, label: queue.inbox ? t("queues.inbox") : queue.name, about: t("palette.queue"), icon: "list-video",
    run: () => {
      showTab("queues");
      openQueue(queue.id);
    },
  }));
  return [...verbs, ...queues, ...scenes];
}

function found(all, find) {
  const before = recent();
  const rank = (entry) => (before.includes(entry.id) ? RECENT - before.indexOf(entry.id) : 0);
  if (!find) return [...all].sort((a, b) => rank(b) - rank(a)).slice(0, SHOWN);
  const wanted = plain(find).trim();
  return all.map((entry) => ({ entry, points: score(wanted, plain(`${entry.label} ${entry.about}`)) }))
    .filter(({ points }) => points >= 0)
    .sort((a, b) => b.points + rank(b.entry) - a.points - rank(a.entry))
    .slice(0, SHOWN).map(({ entry }) => entry);
}

export function openPalette() {
  if (document.querySelector("dialog.l-palette[open]")) return;
  const all = entries();
  let shown = [];
  let at = 0;
  const list = el("div", { class: "l-palette-list", role: "listbox", id: "l-palette-list" });
  const input = el("input", { class: "l-palette-input", placeholder: t("palette.find"), "aria-label": t("palette.find"), role: "combobox",
    "aria-expanded": "true", "aria-controls": "l-palette-list", autocomplete: "off", spellcheck: "false" });
  const dialog = el("dialog", { class: "l-dialog l-palette", "aria-label": t("palette.title") },
    el("div", { class: "l-palette-head" }, icon("search"), input, el("kbd", {}, "Esc")), list);
  const mark = () => {
    [...list.children].forEach((row, i) => setAttr(row, "aria-selected", String(i === at)));
    setAttr(input, "aria-activedescendant", list.children[at]?.id);
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const choose = (entry) => {
    dialog.close();
    remember(entry.id);
    entry.run();
  };
  const draw = () => {
    shown = found(all, input.value);
    at = 0;
    list.replaceChildren(...(shown.length ? shown.map((entry, i) => el("div", {
      class: `l-palette-row ${entry.danger ? "l-palette-danger" : ""}`, role: "option", id: `l-palette-${i}`, onclick: () => choose(entry),
      onpointermove: () => {
        if (at === i) return;
        at = i;
        mark();
      },
    }, icon(entry.icon), el("span", { class: "l-palette-label" }, entry.label), el("span", { class: "l-palette-aside" }, el("span", {}, entry.about),
      el("span", { class: "l-palette-keys" }, (entry.keys || []).map((key) => el("kbd", {}, key))))))
      : [el("p", { class: "l-hint l-palette-none" }, t("palette.none"))]));
    mark();
  };
  input.addEventListener("input", draw);
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) {
      event.preventDefault();
      at = (at + step + shown.length) % shown.length;
      mark();
    } else if (event.key === "Enter" && !event.isComposing && shown[at]) {
      event.preventDefault();
      choose(shown[at]);
    }
  });
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("pointerdown", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  draw();
  input.focus();
}

command("palette.open", { label: "palette.title", icon: "command", keys: ["Ctrl K"], when: () => !document.querySelector("dialog.l-palette[open]"), run: openPalette });
on("palette", openPalette);
document.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
  event.preventDefault(); // the browser's own search field
  const open = document.querySelector("dialog.l-palette[open]");
  if (open) open.close();
  else if (!document.querySelector("dialog[open]")) openPalette();
});
