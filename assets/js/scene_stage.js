// One scene on a stage, from waiting to playing: what it is called, the player, how far it is, what can be done with it.
// Follows it over REST with every beat of the pulse. Knows no form and no list.
import { address, api, button, el, errorWords, fmt, icon, on, pulse, setText, t, toastError, urls } from "./core.js";
import { LiveBar, paceWords } from "./live_bar.js";
import { Player, itemOf, sizeText } from "./player.js";
import { titleOf } from "./tiles.js";
import { taskName } from "./words_of.js";

const FINAL = new Set(["done", "failed", "cancelled", "in_doubt"]);

export class SceneStage {
  #sceneId = "";
  #asking = false;
  #shown = "empty"; // what stands on the stage: "<state> <scene>" or "take <take>"
  #preview = { url: null, asking: false };

  /**
   * title, text: of the empty stage. tools(take): buttons beside the title of a take. onstate(scene): whenever its state
   * was heard of. ontake(take | null): what is shown now.
   */
  constructor({ id, title, text, tools = () => [], onstate = () => {}, ontake = () => {} }) {
    this.hooks = { tools, onstate, ontake };
    this.scene = null;
    this.title = el("h1", { class: "l-stage-title" });
    this.sub = el("span", { class: "l-stage-sub" });
    this.tools = el("div", { class: "l-result-tools" });
    this.head = el("header", { class: "l-stage-head" }, el("div", { class: "l-stage-words" }, this.title, this.sub), this.tools);
    this.player = new Player();
    this.player.element.id = id;
    this.live = new LiveBar();
    this.player.frame.append(this.live.element);
    setText(this.title, title);
    this.player.empty(text);
    on("now", (now) => this.#sceneId && !FINAL.has(this.scene?.state) && this.#ask(now));
  }

  follow(sceneId) {
    if (sceneId === this.#sceneId) return;
    this.#sceneId = sceneId;
    this.scene = null;
    if (sceneId) this.#ask(pulse.now);
  }

  /** Look at the scene again, also where it was over. */
  again() {
    this.scene = null;
    this.#shown = "";
    pulse.poke();
  }

  async #ask(now) {
    if (this.#asking || !this.#sceneId) return;
    this.#asking = true;
    const sceneId = this.#sceneId;
    try {
      const scene = await api("GET", `/scenes/${sceneId}`);
      if (sceneId === this.#sceneId) this.#draw(scene, now);
    } catch (error) {
      if (error.status === 404 && sceneId === this.#sceneId) this.#sceneId = ""; // deleted meanwhile
    }
    this.#asking = false;
    if (sceneId !== this.#sceneId) this.#ask(pulse.now);
  }

  #draw(scene, now) {
    this.scene = scene;
    this.hooks.onstate(scene);
    if (scene.state === "done") return this.#done(scene);
    setText(this.title, scene.title || t("generate.untitled"));
    setText(this.sub, taskName(scene.task_type));
    if (scene.state === "running") this.#running(scene, now?.running.find((one) => one.scene_id === scene.id));
    else if (FINAL.has(scene.state)) this.#over(scene);
    else this.#waiting(scene, now);
  }

  /** True when the stage turns to something else; then the tools beside the title are its own. */
  #turn(shown, tools = [], take = null) {
    if (this.#shown === shown) return false;
    this.#shown = shown;
    this.live.fill(null); // whoever is being rendered fills it again
    this.tools.replaceChildren(...tools);
    this.hooks.ontake(take);
    return true;
  }

  #waiting(scene, now) {
    const before = (now?.running.length || 0) + Math.max(0, (now?.waiting || 0) - 1);
    this.#turn(`waiting ${scene.id}`, [this.#cancel(scene)]);
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
      el("a", { class: "l-link", href: address(`/api/scenes/${scene.id}/log`), target: "_blank" }, t("generate.log"))));
  }

  async #done(scene) {
    const spoken = scene.task_type === "speech"; // a scene that is only heard plays all its lines
    const lines = scene.lines.filter((line) => spoken && scene.line_takes[line.id])
      .map((line) => itemOf(scene.line_takes[line.id], { title: line.text }));
    const id = lines[0]?.id ?? scene.take?.id;
    if (!id || this.#shown === `take ${id}`) return;
    try {
      this.#put(await api("GET", `/takes/${id}`), lines.length ? lines : undefined, scene.title);
    } catch (error) {
      toastError(error);
    }
  }

  /** Put a take on the stage that nobody waits for; `take`: with its settings and facts. */
  show(take) {
    this.#sceneId = "";
    this.#put(take);
  }

  #put(take, items = [itemOf(take, { title: titleOf(take) })], title = titleOf(take)) {
    const tools = [
      ...this.hooks.tools(take),
      el("a", { class: "l-btn", href: urls.download(take.id), download: "" }, icon("download"),
        el("span", { class: "l-btn-label" }, t("generate.download"))),
    ];
    if (!this.#turn(`take ${take.id}`, tools, take)) return;
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
    this.scene = null; // also a finished one is asked for again
    pulse.poke();
  }
}
