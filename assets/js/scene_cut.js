// "Cut": how one scene stands in the film. Transition, trims, the point that stays in sight, sounds laid under it.
// Knows REST; another take is never needed for anything here.
import { address, api, button, command, el, fmt, icon, iconButton, openDialog, setAttr, setText, t, toastError, urls } from "./core.js";
import { card, selectedCard } from "./queues.js";
import { TRANSITIONS, changeScene } from "./timeline_edits.js";
import { LEAST_S } from "./timeline_model.js";

const LEVELS = { min: -50, max: -6, step: 1 }; // LUFS of an effect
const STEP_S = 0.04;

/** openCut(sceneId) */
export async function openCut(sceneId) {
  try {
    const view = await api("GET", `/scenes/${sceneId}`);
    new CutDialog(view).open();
  } catch (error) {
    toastError(error);
  }
}

class CutDialog {
  constructor({ id, title, number, take, version, scene }) {
    Object.assign(this, { id, take, version, title: `${fmt.shot(number)} · ${title}` });
    this.values = { transition: scene.transition, trim_start: scene.trim_start, trim_end: scene.trim_end, focus: scene.focus, effects: scene.effects.map((effect) => ({ ...effect })) };
    this.sound = el("audio", { preload: "none" });
  }

  open() {
    this.trouble = el("p", { class: "l-hint l-bad", hidden: true });
    this.save = button(t("common.save"), () => this.#save(), { kind: "primary", id: "cut-save" });
    this.dialog = openDialog({
      title: this.title, className: "l-cut-dialog", onclose: () => this.sound.pause(),
      content: el("div", { class: "l-stack" }, this.#transition(), this.#trims(), this.take && this.take.kind !== "audio" ? this.#focus() : null, this.#effects(), this.trouble),
      actions: [button(t("common.cancel"), () => this.dialog.close()), this.save],
    });
  }

  #transition() {
    const buttons = Object.entries(TRANSITIONS).map(([kind, name]) => el("button", { type: "button", dataset: { kind }, onclick: () => choose(kind) },
      icon(name), t(`form.transition.${kind}`)));
    const choose = (kind) => {
      this.values.transition = kind;
      buttons.forEach((node) => setAttr(node, "aria-pressed", String(node.dataset.kind === kind)));
    };
    choose(this.values.transition);
    return el("div", { class: "l-field" }, el("span", {}, t("form.transition")), el("div", { class: "l-seg l-seg-wide", role: "group", "aria-label": t("form.transition") }, buttons));
  }

  #trims() {
    if (!this.take || this.take.kind === "image") return null;
    const left = el("span", { class: "l-mono" });
    const look = () => {
      const seconds = this.take.duration - this.values.trim_start - this.values.trim_end;
      const wrong = seconds < Math.min(LEAST_S, this.take.duration) - 1e-6;
      setText(left, t("cut.left", { seconds: fmt.seconds(Math.max(0, seconds)), whole: fmt.seconds(this.take.duration) }));
      left.classList.toggle("l-bad", wrong);
      this.save.disabled = wrong;
    };
    const field = (name, key) => el("label", { class: "l-field" }, el("span", {}, t(key)), el("input", {
      class: "l-input l-mono", type: "number", min: 0, max: this.take.duration, step: STEP_S, id: `cut-${name}`, value: this.values[name],
      oninput: (event) => {
        this.values[name] = Math.max(0, Number(event.target.value) || 0);
        look();
      } }));
    look();
    return el("div", { class: "l-stack-tight" },
      el("div", { class: "l-fields-two" }, field("trim_start", "cut.trim_start"), field("trim_end", "cut.trim_end")),
      el("p", { class: "l-hint" }, left));
  }

  /** The point that stays in sight where the film is narrower than the take. */
  #focus() {
    const cross = el("i", { class: "l-focus-cross" });
    const box = el("button", { type: "button", class: "l-focus", "aria-label": t("cut.focus.set") },
      el("img", { src: urls.poster(this.take.id), alt: "", draggable: "false" }), cross);
    const said = el("span");
    const clear = button(t("cut.focus.auto"), () => set(null), { class: "l-btn" });
    const set = (point) => {
      this.values.focus = point;
      cross.hidden = !point;
      clear.hidden = !point;
      if (point) Object.assign(cross.style, { left: `${point[0] * 100}%`, top: `${point[1] * 100}%` });
      setText(said, t(point ? "cut.focus.chosen" : "cut.focus.faces"));
    };
    const share = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
    box.addEventListener("click", (event) => {
      const { left, top, width, height } = box.getBoundingClientRect();
      if (event.detail) set([share((event.clientX - left) / width), share((event.clientY - top) / height)]);
      else set([0.5, 0.5]);
    });
    box.addEventListener("keydown", (event) => {
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (!by || !this.values.focus) return;
      event.preventDefault();
      set(this.values.focus.map((value, n) => share(value + by[n] * 0.02)));
    });
    set(this.values.focus);
    return el("div", { class: "l-field" }, el("span", {}, t("cut.focus")), box, el("div", { class: "l-focus-line" }, said, clear));
  }

  #effects() {
    this.list = el("div", { class: "l-effects" });
    const file = el("input", { type: "file", accept: "audio/*,.wav,.mp3,.flac,.ogg,.m4a", hidden: true, id: "cut-effect-file" });
    const add = button(t("cut.effect.add"), () => file.click(), { iconName: "plus", id: "cut-effect" });
    file.addEventListener("change", async () => {
      const body = new FormData();
      body.append("file", file.files[0]);
      file.value = "";
      add.disabled = true;
      try {
        const asset = await api("POST", "/assets", body);
        if (asset.kind !== "audio") throw { code: "", message: t("film.music.wrong"), hint: "" };
        this.values.effects.push({ ref: asset.ref, at: 0, level: -24 });
        this.#draw();
      } catch (error) {
        toastError(error);
      }
      add.disabled = false;
    });
    this.#draw();
    return el("div", { class: "l-field" }, el("span", {}, t("cut.effects")), this.list, file, el("div", {}, add));
  }

  #draw() {
    this.list.replaceChildren(...this.values.effects.map((effect, index) => this.#effect(effect, index)));
  }

  #effect(effect, index) {
    const name = el("span", { class: "l-effect-name" }, "…");
    const sha = effect.ref.startsWith("asset:") ? effect.ref.slice(6) : "";
    if (sha) api("GET", `/assets/${sha}`).then((asset) => setText(name, `${asset.name} · ${fmt.seconds(asset.duration)}`), toastError);
    else setText(name, t("form.well.scene"));
    const said = el("span", { class: "l-mono" }, `${effect.level} LUFS`);
    const play = iconButton("play", t("player.play"), () => {
      const src = address(`/api/assets/${sha}/file`);
      if (this.sound.getAttribute("src") !== src) this.sound.src = src;
      if (this.sound.paused) this.sound.play();
      else this.sound.pause();
    }, { disabled: !sha });
    return el("div", { class: "l-effect" }, play, name,
      iconButton("x", t("cut.effect.remove"), () => {
        this.values.effects.splice(index, 1);
        this.#draw();
      }),
      el("label", { class: "l-effect-at" }, el("span", {}, t("cut.effect.at")), el("input", { class: "l-input l-mono", type: "number", min: 0, max: 600, step: 0.1, value: effect.at,
        oninput: (event) => (effect.at = Math.max(0, Number(event.target.value) || 0)) })),
      el("label", { class: "l-effect-level" }, el("input", { type: "range", class: "l-range", ...LEVELS, value: effect.level, "aria-label": t("cut.effect.level"),
        oninput: (event) => {
          effect.level = Number(event.target.value);
          setText(said, `${effect.level} LUFS`);
        } }), said));
  }

  async #save() {
    this.save.disabled = true;
    if (await changeScene(this.id, this.version, this.values)) this.dialog.close();
    this.save.disabled = false;
  }
}

const one = (id) => (id ? card(id) : selectedCard());
command("scene.cut", { label: "cut.title", icon: "scissors", menu: "scene", group: 25, when: (id) => Boolean(one(id)?.in_cut), run: (id) => openCut(one(id).id) });
