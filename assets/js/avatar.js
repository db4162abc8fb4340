// The Avatar tab: portraits on the left, the stage in the middle, what is said and who renders it on the right. One
// scene is in hand: what was heard in its draft is heard in its render, for the voice is spoken once.
import { api, button, el, emit, errorWords, iconButton, on, openMenu, promptDialog, pulse, setText, showTab, t, toast, toastError } from "./core.js";
import { SHAPES, batchOf, change, chosen, desk, keyOf, missing, recall, sceneOf, scenesOf } from "./avatar_desk.js";
import { EnginePicker } from "./avatar_engine.js";
import { Faces, watchPictures } from "./avatar_faces.js";
import { Portrait } from "./avatar_portrait.js";
import { takeFacts } from "./avatar_result.js";
import { Speech } from "./avatar_speech.js";
import { useSettings } from "./generate.js";
import { PlanLine, wire } from "./plan.js";
import { Recent } from "./result.js";
import { SceneStage } from "./scene_stage.js";
import { engineName } from "./words_of.js";

const DRAFT = { engine: "draft", resolution: "480P" };
const BUSY = new Set(["queued", "running"]);
const WEIGHTY = ["engine", "resolution", "aspect", "lines", "recordings", "many", "mode", "portrait", "boxes"]; // for the plan

let page = null;

export function mount(root) {
  page = new Page(root);
  watchPictures(root);
}

class Page {
  #sending = false;

  constructor(root) {
    this.root = root;
    this.portrait = new Portrait();
    this.stage = new SceneStage({
      id: "avatar-result", title: t("avatar.result"), text: t("avatar.result.none"),
      tools: (take) => [button(t("generate.use"), () => this.#use(take), { iconName: "sliders-horizontal", id: "avatar-use" })],
      onstate: (scene) => {
        if (scene.state !== "done") this.stage.player.frame.style.setProperty("--ratio", SHAPES[scene.aspect]);
        this.#acts();
      },
      ontake: (take) => this.facts.replaceChildren(...takeFacts(take, () => this.#show("portrait"))),
    });
    this.facts = el("div", { class: "l-av-truths", id: "avatar-truths" });
    this.speech = new Speech();
    this.engines = new EnginePicker({ onread: () => this.#acts() });
    this.recent = new Recent("avatar-recent", { query: "&task=talking_avatar", wanted: (take) => take.layer === "picture", onclick: (take) => this.#open(take.id) });
    root.classList.add("l-avatar");
    root.append(new Faces().element, this.#middle(), this.#side());
    on("avatar", (names) => {
      this.#acts();
      if (names.some((name) => WEIGHTY.includes(name))) this.#weigh();
      if (names.includes("portrait") && desk.portrait) this.#show("portrait");
    });
    on("tab", (tab) => tab === "avatar" && this.#weigh());
    this.#show(desk.scene ? "result" : "portrait");
    if (desk.scene) this.stage.follow(desk.scene.id);
    this.#acts();
    this.#weigh();
  }

  // ---------------------------------------------------------------------------------------------- drawing
  #middle() {
    this.views = el("div", { class: "l-seg", role: "group", "aria-label": t("avatar.view") }, ["portrait", "result"].map((view) =>
      el("button", { id: `avatar-view-${view}`, onclick: () => this.#show(view) }, t(`avatar.${view}`))));
    this.plain = el("div", { class: "l-stage-words" }, el("h1", { class: "l-stage-title" }, t("avatar.title")));
    this.player = el("div", { class: "l-av-played" }, this.facts, this.stage.player.element);
    return el("div", { class: "l-av-middle" },
      el("header", { class: "l-av-head" }, this.plain, this.stage.head, this.views),
      el("div", { class: "l-av-view" }, this.portrait.element, this.player),
      el("div", { class: "l-sec" }, el("h2", {}, t("generate.recent")),
        el("button", { class: "l-link", onclick: () => showTab("gallery") }, t("generate.recent.all"))),
      this.recent.element);
  }

  #side() {
    this.plan = new PlanLine("avatar");
    this.by = el("div", { class: "l-by", id: "avatar-by" });
    this.why = el("p", { class: "l-av-why", id: "avatar-why", role: "status" });
    this.problem = el("div", { class: "l-problem", role: "alert", hidden: true });
    this.draft = button(t("avatar.draft"), () => this.#render(DRAFT), { iconName: "play", id: "avatar-draft", title: t("avatar.draft.about"), "aria-describedby": "avatar-why" });
    this.go = button(t("avatar.render"), () => this.#render({}), { kind: "primary", id: "avatar-go", "aria-describedby": "avatar-why" });
    this.queue = iconButton("list-video", t("avatar.queue"), () => this.#queues(this.queue), { id: "avatar-queue", class: "l-btn l-btn-presets", "aria-haspopup": "menu" });
    this.batch = button("", () => this.#queues(this.batch), { kind: "primary", iconName: "list-video", id: "avatar-batch", "aria-haspopup": "menu", "aria-describedby": "avatar-why" });
    return el("div", { class: "l-av-side" },
      el("div", { class: "l-av-scroll" }, this.speech.element, this.engines.element),
      el("div", { class: "l-av-foot" }, this.problem, this.by, this.plan.element, this.why,
        el("div", { class: "l-av-acts" }, this.draft, this.go, this.queue, this.batch)));
  }

  #show(view) {
    for (const node of this.views.children) node.setAttribute("aria-pressed", String(node.id === `avatar-view-${view}`));
    this.portrait.element.hidden = this.plain.hidden = view !== "portrait";
    this.player.hidden = this.stage.head.hidden = view !== "result";
    if (view === "portrait") this.stage.player.pause();
  }

  /** Which buttons can be pressed, and beside them why not. */
  #acts() {
    const { engines } = this.engines;
    const many = desk.mode === "many";
    const count = scenesOf();
    const rendering = this.#rendering();
    const waiting = this.speech.sending ? t("avatar.missing.sending") : "";
    const bare = waiting || missing();
    const full = bare || missing(engines || undefined);
    const held = rendering ? t("avatar.missing.rendering") : "";
    this.draft.disabled = Boolean(bare || held || this.#sending);
    this.go.disabled = Boolean(full || held || this.#sending);
    this.queue.disabled = this.batch.disabled = Boolean(bare || this.#sending);
    this.go.hidden = this.queue.hidden = many;
    this.batch.hidden = !many;
    setText(this.batch.lastChild, t("avatar.batch", { count }));
    setText(this.draft.lastChild, t(many ? "avatar.draft.first" : "avatar.draft"));
    const engine = engines && chosen(engines);
    const byline = !engine || full !== bare ? "" : engine.draft ? t("generate.by_draft") : t("generate.by", { engine: engineName(engine.id) }) + (engine.costs_money ? ` · ${t("generate.costs")}` : "");
    this.by.classList.toggle("l-by-draft", Boolean(engine?.draft));
    setText(this.by, byline);
    this.by.hidden = !byline;
    setText(this.why, held || full);
    this.why.hidden = !(held || full);
  }

  /** What memory the scene would take here; asked anew when the form rests. */
  #weigh() {
    if (!desk.portrait) return this.plan.clear();
    wire(null, { value: { place: "avatar", prefix: "avatar", queue: "", scene: sceneOf() } }, () => {});
    return undefined;
  }

  /** What is on the desk is being made already. */
  #rendering() {
    const { scene } = this.stage;
    return BUSY.has(scene?.state) && scene.id === desk.scene?.id && desk.scene.key === keyOf(sceneOf());
  }

  // ---------------------------------------------------------------------------------------------- rendering
  async #render(changes) {
    this.problem.hidden = true;
    this.#busy(true);
    try {
      const id = await this.#scene(sceneOf(changes));
      const { existing } = await api("POST", `/scenes/${id}/run`);
      this.#show("result");
      if (existing) await this.#open(existing);
      else {
        this.stage.follow(id);
        this.stage.again();
      }
    } catch (error) {
      this.#tell(error);
    }
    this.#busy(false);
    pulse.poke();
  }

  /** The scene in hand, which says this now; a new one where portrait or words are others. */
  async #scene(body) {
    const { lines } = body;
    const key = keyOf(body);
    const held = desk.scene;
    if (held?.key === key) {
      try {
        const known = { ...body, lines: lines.map((line, at) => ({ ...line, id: held.lines[at] || "" })) }; // with its id a line keeps its voice
        await api("PATCH", `/scenes/${held.id}`, known);
        return held.id;
      } catch (error) {
        if (error.status !== 404) throw error;
      }
    }
    const made = await api("POST", "/scenes?run=false", body);
    change({ scene: { id: made.id, key, lines: made.scene.lines.map((line) => line.id) } });
    return made.id;
  }

  async #open(takeId) {
    try {
      const take = await api("GET", `/takes/${takeId}`);
      this.#show("result"); // first: what is not seen does not begin to play
      this.stage.show(take);
    } catch (error) {
      toastError(error);
    }
    this.#acts();
  }

  /** What made a take, on the desk again. A portrait out of a scene becomes a picture of its own, as it was seen. */
  async #use(take) {
    const { settings } = take;
    if (!settings.input_image) return useSettings(take); // people in a video
    try {
      const { input_image: ref, input_audio: one, input_audio_2: two } = settings;
      const portrait = ref.startsWith("asset:") ? ref : (await api("POST", "/portraits/crop", { ref, box: [0, 0, 1, 1] })).ref;
      const recordings = await Promise.all([one, two].filter(Boolean).map(async (heard) => {
        const { name, duration } = heard.startsWith("asset:") ? await api("GET", `/assets/${heard.slice(6)}`) : { name: "", duration: null };
        return { ref: heard, name, seconds: duration };
      }));
      recall(settings, portrait, recordings);
      this.#show("portrait");
    } catch (error) {
      toastError(error);
    }
    return undefined;
  }

  // ---------------------------------------------------------------------------------------------- queues
  async #queues(anchor) {
    let queues;
    try {
      queues = (await api("GET", "/queues")).filter((queue) => !queue.inbox);
    } catch (error) {
      toastError(error);
      return;
    }
    openMenu(anchor, [
      ...queues.slice(0, 12).map(({ id, name }) => ({ label: name, icon: "list-video", onclick: () => this.#enqueue({ id, name }) })),
      ...(queues.length ? [null] : []),
      { label: t("generate.new_queue"), icon: "plus", onclick: async () => {
        const name = await promptDialog({ title: t("generate.new_queue.title"), label: t("generate.new_queue.name"), yes: t("generate.new_queue.yes") });
        if (name) this.#enqueue({ id: "", name });
      } },
    ]);
  }

  async #enqueue(queue) {
    this.problem.hidden = true;
    this.#busy(true);
    try {
      const made = desk.mode === "many" ? await api("POST", "/avatars", batchOf(queue)) : await this.#one(queue);
      this.#sent(queue, made);
    } catch (error) {
      this.#tell(error);
    }
    this.#busy(false);
    pulse.poke();
  }

  async #one(queue) {
    const id = queue.id || (await api("POST", "/queues", { name: queue.name })).id;
    try {
      const { id: scene } = await api("POST", `/queues/${id}/scenes`, sceneOf());
      return { queue: id, scenes: [scene] };
    } catch (error) {
      if (!queue.id) await api("DELETE", `/queues/${id}`); // nobody asked for an empty one
      throw error;
    }
  }

  /** They wait in the queue until it is run; one press leads there. */
  #sent({ name }, { queue, scenes }) {
    toast(t("avatar.sent", { count: scenes.length, queue: name }), t("avatar.sent.run"), "ok");
    document.querySelector("#l-toasts > :last-child .l-toast-words")?.append(
      button(t("avatar.sent.open"), () => emit("open-queue", { queueId: queue, sceneId: scenes[0] }), { class: "l-btn l-av-open" }));
  }

  #busy(busy) {
    this.#sending = busy;
    this.#acts();
  }

  #tell(error) {
    const { message, hint } = errorWords(error);
    this.problem.replaceChildren(el("div", {}, message), hint ? el("div", { class: "l-hint" }, hint) : "");
    this.problem.hidden = false;
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || event.isComposing) return;
  if (!page?.go.offsetParent || document.querySelector("dialog[open]")) return; // another tab, or a question is open
  event.preventDefault();
  page.go.click();
});
