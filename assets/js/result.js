// The middle of the Generate tab: the scene that was started last, and recent work below. Knows nothing of the form.
import { api, button, el, keyed, on, showTab, t } from "./core.js";
import { useSettings } from "./generate.js";
import { SceneStage } from "./scene_stage.js";
import { see, tile, update } from "./tiles.js";

const RECENT = 12;

let stage = null; // what was mounted
let wanted = ""; // a scene to follow from before that

export function follow(sceneId) {
  if (stage) stage.follow(sceneId);
  else wanted = sceneId;
}

export function mount(root) {
  const tools = (take) => [button(t("generate.use"), () => useSettings(take), { iconName: "sliders-horizontal" })];
  stage = new SceneStage({ id: "generate-result", title: t("generate.title"), text: t("generate.empty"), tools });
  const recent = new Recent("generate-recent", {
    onclick: (take) => stage.show(take), wanted: (take) => take.layer === "picture" || take.task_type === "speech",
  });
  root.classList.add("l-result");
  root.append(
    stage.head,
    stage.player.element,
    el("div", { class: "l-sec" }, el("h2", {}, t("generate.recent")),
      el("button", { type: "button", class: "l-link", onclick: () => showTab("gallery") }, t("generate.recent.all"))),
    recent.element);
  if (wanted) stage.follow(wanted);
}

/** A row of the newest takes. query: more of GET /takes; wanted(take): which of them. */
export class Recent {
  #tiles = new Map();

  constructor(id, { onclick, wanted: asked = () => true, query = "" }) {
    Object.assign(this, { onclick, asked, query });
    this.element = el("div", { class: "l-recent", id, dataset: { empty: t("generate.recent.empty") } });
    this.#read();
    on("library", () => this.#read());
  }

  async #read() {
    let takes;
    try {
      ({ takes } = await api("GET", `/takes?limit=${RECENT * 2}${this.query}`));
    } catch {
      return; // the pulse says when the studio cannot be reached
    }
    const shown = takes.filter(this.asked).slice(0, RECENT);
    const create = (take) => {
      const node = tile(take, { onclick: this.onclick });
      see(node);
      return node;
    };
    keyed(this.element, this.#tiles, shown, (take) => take.id, create, update);
    this.element.classList.toggle("l-recent-none", !shown.length);
  }
}
