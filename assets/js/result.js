// The middle of the Generate tab: the scene that was started last, from waiting to playing, and recent work below.
// Follows one scene over REST with every beat of the pulse. Knows nothing of the form.
import { api, button, el, errorWords, fmt, icon, keyed, on, pulse, setText, showTab, t, toastError, urls } from "./core.js";
import { useSettings } from "./generate.js";
import { LiveBar, paceWords } from "./live_bar.js";
import { Player, itemOf, sizeText } from "./player.js";
import { see, tile, titleOf, update } from "./tiles.js";
import { taskName } from "./words_of.js";

const RECENT = 12;
const FINAL = new Set(["done", "failed", "cancelled", "in_doubt"]);

let stage = null; // the mounted Stage
let wanted = ""; // a scene to follow from before that

export function follow(sceneId) {
  if (stage) stage.follow(sceneId);
  else wanted = sceneId;
}

export function mount(root) {
  stage = new Stage(root);
  if (wanted) stage.follow(wanted);
}

class Stage {
  #sceneId = "";
  #scene = null;
  #asking = false;
  #shown = "empty"; // what stands on the stage: "<state> <scene>" or "take <take>"
  #preview = { url: null, asking: false };
  #tiles = new Map();

  constructor(root) {
    this.title = el("h1", { class: "l-stage-title" });
    this.sub = el("span", { class: "l-stage-sub" });
    this.tools = el("div", { class: "l-result-tools" });
    this.player = new Player();
    this.player.element.id = "generate-result";
    this.live = new LiveBar();
    this.player.frame.append(this.live.element);
    this.strip = el("div", { class: "l-recent", id: "generate-recent" });
    this.strip.dataset.empty = t("generate.recent.empty");
    root.classList.add("l-result");
    root.append(
      el("header", { class: "l-stage-head" }, el("div", { class: "l-stage-words" }, this.title, this.sub), this.tools),
      this.player.element,
      el("div", { class: "l-sec" }, el("h2", {}, t("generate.recent")),
        el("button", { type: "button", class: "l-link", onclick: () => showTab("gallery") }, t("generate.recent.all"))),
      this.strip);
    setText(this.title, t("generate.title"));
    this.player.empty(t("generate.empty"));
    this.#recent();
    on("library", () => this.#recent());
    on("now", (now) => this.#sceneId && !FINAL.has(this.#scene?.state) && this.#ask(now));
  }

  follow(sceneId) {
    if (sceneId === this.#sceneId) return;
    this.#sceneId = sceneId;
    this.#scene = null;
    this.#ask(pulse.now);
  }

  async #ask(now) {
    if (this.#asking || !this.#sceneId) return;
    this.#asking = true;
    const sceneId = this.#sceneId;
    try {
      const scene = await api("GET", `/scenes/${sceneId}`);
      if (sceneId === this.#sceneId) this.#draw(scene, now);
    } catch (error) {
      if (error.status === 404) this.#sceneId = ""; // deleted meanwhile
    }
    this.#asking = false;
    if (sceneId !== this.#sceneId) this.#ask(pulse.now);
  }

  #draw(scene, now) {
    this.#scene = scene;
    if (scene.state === "done") return this.#done(scene);
    setText(this.title, scene.title || t("generate.untitled"));
    setText(this.sub, taskName(scene.task_type));
    if (scene.state === "running") this.#running(scene, now?.running.find((one) => one.scene_id === scene.id));
    else if (FINAL.has(scene.state)) this.#over(scene);
    else this.#waiting(scene, now);
  }

  /** True when the stage turns to something else; then the tools beside the title are its own. */
  #turn(shown, ...tools) {
    if (this.#shown === shown) return false;
    this.#shown = shown;
    this.live.fill(null); // whoever is being rendered fills it again
    this.tools.replaceChildren(...tools);
    return true;
  }

  #waiting(scene, now) {
    const before = (now?.running.length || 0) + Math.max(0, (now?.waiting || 0) - 1);
    this.#turn(`waiting ${scene.id}`, this.#cancel(scene));
    const reason = scene.blocked && errorWords(scene.blocked);
    if (reason) this.player.empty(`${reason.message} ${reason.hint}`);
    else this.player.empty(before ? `${t("generate.waiting")} · ${t("generate.waiting.before", { count: before })}` : t("generate.waiting"));
  }

  #running(scene, progress) {
    if (this.#turn(`running ${scene.id}`)) this.#preview = { url: null, asking: false };
    this.live.fill(scene.id, progress);
    const verb = !progress ? "starting" : progress.layer === "voice" ? "speaking" : "drawing";
    const words = t(`generate.${verb}`);
    const pace = progress ? paceWords(progress) : "";
    if (scene.task_type === "speech") return this.player.empty([words, pace].filter(Boolean).join(" · ")); // there is nothing to look at
    const share = progress?.total ? progress.done / progress.total : 0;
    const live = (url) => this.player.live(url, share, words, pace);
    live(this.#preview.url);
    this.#look(scene.id, live);
  }

  async #look(sceneId, live) {
    const preview = this.#preview;
    if (preview.asking || document.hidden || !this.player.element.offsetParent) return;
    preview.asking = true;
    try {
      const answer = await fetch(urls.preview(sceneId));
      if (answer.status !== 200 || this.#shown !== `running ${sceneId}`) return;
      const url = URL.createObjectURL(await answer.blob());
      if (preview.url) URL.revokeObjectURL(preview.url);
      preview.url = url;
      live(url);
    } catch {
      // the studio is away: the pulse says so
    } finally {
      preview.asking = false;
    }
  }

  #over(scene) {
    const again = button(t("generate.again"), () => this.#do("run", scene.id), { iconName: "rotate-ccw" });
    if (!this.#turn(`${scene.state} ${scene.id}`)) return;
    const said = scene.error ? errorWords(scene.error) : { message: "", hint: "" };
    this.player.empty(t(`generate.${scene.state}`), el("div", { class: "l-result-why" },
      said.message ? el("p", { class: "l-bad" }, said.message) : null, said.hint ? el("p", { class: "l-hint" }, said.hint) : null, again,
      el("a", { class: "l-link", href: `/api/scenes/${scene.id}/log`, target: "_blank" }, t("generate.log"))));
  }

  async #done(scene) {
    const spoken = scene.task_type === "speech"; // a scene that is only heard plays all its lines
    const lines = scene.lines.filter((line) => spoken && scene.line_takes[line.id])
      .map((line) => itemOf(scene.line_takes[line.id], { title: line.text }));
    const id = lines[0]?.id ?? scene.take?.id;
    if (!id || this.#shown === `take ${id}`) return;
    try {
      this.show(await api("GET", `/takes/${id}`), lines.length ? lines : undefined, scene.title);
    } catch (error) {
      toastError(error);
    }
  }

  /** Put a take on the stage; `items`: what the player plays for it. */
  show(take, items = [itemOf(take, { title: titleOf(take) })], title = titleOf(take)) {
    const tools = [
      button(t("generate.use"), () => useSettings(take), { iconName: "sliders-horizontal" }),
      el("a", { class: "l-btn", href: urls.download(take.id), download: "" }, icon("download"),
        el("span", { class: "l-btn-label" }, t("generate.download"))),
    ];
    if (!this.#turn(`take ${take.id}`, ...tools)) return;
    const seconds = items.reduce((sum, item) => sum + (item.duration || 0), 0);
    setText(this.title, title);
    setText(this.sub, [taskName(take.task_type), take.kind === "image" ? "" : fmt.seconds(seconds), sizeText(items[0])].filter(Boolean).join(" · "));
    this.player.load(items, { play: take.kind !== "image" && Boolean(this.player.element.offsetParent) });
  }

  #cancel(scene) {
    return button(t("generate.cancel"), () => this.#do("cancel", scene.id), { iconName: "circle-stop" });
  }

  async #do(verb, sceneId) {
    try {
      await api("POST", `/scenes/${sceneId}/${verb}`);
    } catch (error) {
      toastError(error);
    }
    this.#scene = null; // also a finished one is asked for again
    pulse.poke();
  }

  async #recent() {
    let takes;
    try {
      ({ takes } = await api("GET", `/takes?limit=${RECENT * 2}`));
    } catch {
      return; // the pulse says when the studio cannot be reached
    }
    const shown = takes.filter((take) => take.layer === "picture" || take.task_type === "speech").slice(0, RECENT);
    const create = (take) => {
      const node = tile(take, { onclick: (one) => {
        this.#sceneId = "";
        this.show(one);
      } });
      see(node);
      return node;
    };
    keyed(this.strip, this.#tiles, shown, (take) => take.id, create, update);
    this.strip.classList.toggle("l-recent-none", !shown.length);
  }
}
