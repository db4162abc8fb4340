// Sections side by side in a dialog: a list of them and the one that is open; arrows walk through the list. Knows no
// section by more than its name, its icon and its panel.
import { el, icon, setAttr } from "./core.js";

export class Sections {
  /** sections: {name: {icon, label, panel}}; id: what their ids begin with; onshow(name): whenever one is opened. */
  constructor({ id, label, sections, onshow = () => {} }) {
    Object.assign(this, { sections, onshow, shown: "" });
    this.tabs = Object.entries(sections).map(([name, one]) => el("button", { type: "button", role: "tab", id: `${id}-tab-${name}`, dataset: { name }, onclick: () => this.show(name) },
      icon(one.icon), el("span", {}, one.label)));
    const nav = el("div", { class: "l-sections-nav", role: "tablist", "aria-label": label }, this.tabs);
    nav.addEventListener("keydown", (event) => this.#walk(event));
    const panels = Object.entries(sections).map(([name, { panel }]) => {
      panel.id = `${id}-panel-${name}`;
      setAttr(panel, "role", "tabpanel");
      setAttr(panel, "aria-labelledby", `${id}-tab-${name}`);
      return panel;
    });
    this.element = el("div", { class: "l-sections" }, nav, el("div", { class: "l-sections-panels" }, panels));
  }

  show(name, focus = false) {
    this.shown = name;
    for (const tab of this.tabs) {
      const on = tab.dataset.name === name;
      setAttr(tab, "aria-selected", String(on));
      tab.tabIndex = on ? 0 : -1;
      if (on && focus) tab.focus();
    }
    for (const [other, { panel }] of Object.entries(this.sections)) panel.hidden = other !== name;
    this.onshow(name);
  }

  #walk(event) {
    const by = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const names = Object.keys(this.sections);
    this.show(names[(names.indexOf(this.shown) + by + names.length) % names.length], true);
  }
}
