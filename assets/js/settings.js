// The Settings tab: a list of sections and the one that is open. Each has an address, "#settings/memory". Knows of a
// section its name, its icon and how to draw it.
import { command, currentTab, el, emit, icon, on, setAttr, showTab, t, toast } from "./core.js";
import { isGuest } from "./me.js";
import { drawAbout } from "./settings_about.js";
import { drawEngines } from "./settings_engines.js";
import { drawMemory } from "./settings_memory.js";
import { drawModels } from "./settings_models.js";
import { drawKeys, drawLanguage, drawPaths } from "./settings_values.js";

const SECTIONS = {
  models: { icon: "package", draw: drawModels },
  memory: { icon: "cpu", draw: drawMemory },
  engines: { icon: "clapperboard", draw: drawEngines },
  paths: { icon: "folder", draw: drawPaths },
  keys: { icon: "lock", draw: drawKeys },
  language: { icon: "globe", draw: drawLanguage },
  about: { icon: "info", draw: drawAbout },
};
const LAST = "lanterna_settings"; // the section that was open last
const ADDRESS = /^#settings(?:\/(\w+))?$/;

let parts = null; // once the tab was opened
let shown = "";

/** The section that the address asks for; "" where it asks for none. */
function addressed() {
  const found = location.hash.match(ADDRESS);
  if (!found) return "";
  return found[1] in SECTIONS ? found[1] : localStorage.getItem(LAST) || "models";
}

/** Shows a section, and the tab around it. They are the owner's. */
export function openSettings(section) {
  if (isGuest()) return toast(t("who.owner_only"), t("who.owner_only.hint"), "bad");
  history.replaceState(null, "", `#settings/${section}`);
  if (currentTab() !== "settings") showTab("settings");
  if (parts) show(section);
  return undefined;
}

export function mount(root) {
  root.classList.add("l-settings");
  const links = Object.fromEntries(Object.entries(SECTIONS).map(([name, { icon: picture }]) => [name,
    el("button", { class: "l-settings-link", id: `settings-${name}`, onclick: () => openSettings(name) }, icon(picture), el("span", {}, t(`settings.${name}`)))]));
  const select = el("select", { class: "l-select", id: "settings-section", "aria-label": t("settings.section"), onchange: () => openSettings(select.value) },
    Object.keys(SECTIONS).map((name) => el("option", { value: name }, t(`settings.${name}`))));
  const page = el("div", { class: "l-settings-page", role: "region", tabindex: -1 });
  parts = { links, select, page };
  root.append(el("nav", { class: "l-settings-list", "aria-label": t("settings.section") }, el("h1", {}, t("nav.settings")), select, Object.values(links)), page);
  show(addressed() || localStorage.getItem(LAST) || "models");
}

function show(wished) {
  const name = wished in SECTIONS ? wished : "models";
  if (name === shown) return;
  shown = name;
  localStorage.setItem(LAST, name);
  history.replaceState(null, "", `#settings/${name}`);
  for (const [other, node] of Object.entries(parts.links)) setAttr(node, "aria-current", other === name ? "page" : null);
  parts.select.value = name;
  const body = el("div", { class: "l-settings-body", dataset: { section: name } },
    el("header", { class: "l-settings-head" }, el("h2", {}, t(`settings.${name}`)), el("p", {}, t(`settings.${name}.about`))));
  parts.page.replaceChildren(body);
  parts.page.scrollTop = 0;
  setAttr(parts.page, "aria-label", t(`settings.${name}`));
  SECTIONS[name].draw(body);
}

on("settings", openSettings);
on("tab", (tab) => {
  if (tab === "settings") {
    if (parts) history.replaceState(null, "", `#settings/${shown}`);
  } else if (addressed() && !parts) showTab("settings"); // the page was opened at this address
  else if (addressed()) history.replaceState(null, "", location.pathname + location.search);
});
if (addressed()) showTab("settings"); // the rail may be there before this is
addEventListener("hashchange", () => addressed() && openSettings(addressed()));

command("go.settings", { label: "go.settings", icon: "settings-2", group: 5, when: () => currentTab() !== "settings" && !isGuest(), run: () => showTab("settings") });
for (const [name, { icon: picture }] of Object.entries(SECTIONS))
  command(`settings.${name}`, { label: `settings.${name}`, about: "nav.settings", icon: picture, group: 90, when: () => !isGuest(), run: () => emit("settings", name) });
