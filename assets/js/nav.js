// The rail of tabs: which one is shown, and how to show another. Emits "tab" with its id. Knows no tab.
import { emit } from "./bus.js";

let shown = null;

const button = (id) => document.querySelector(`#l-nav button[data-tab-id="${id}"]`);

/** Shows one of the tabs of the rail: "generate" | "queues" | "gallery" | "settings". */
export function showTab(id) {
  button(id)?.click();
}

/** The id of the tab on screen; its title stands on its button. */
export const currentTab = () => document.querySelector("#l-nav button.selected")?.dataset.tabId || "queues";

/** Gradio tells nobody when its tabs change: the class on their buttons does. The rail is drawn after the top bar. */
export function watchTabs() {
  const rail = document.querySelector("#l-nav > .tab-wrapper");
  if (!rail) {
    requestAnimationFrame(watchTabs);
    return;
  }
  const look = () => {
    const now = currentTab();
    if (now === shown) return;
    shown = now;
    document.body.dataset.tab = now; // styles hide what is of no use there
    emit("tab", now);
  };
  new MutationObserver(look).observe(rail, { subtree: true, attributeFilter: ["class"] });
  look();
}
