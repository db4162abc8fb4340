// The portrait on the Avatar tab's stage: the faces found in it, what could be better, cutting it out, mouth and eyes by
// three clicks, and who is where. What is decided goes to the desk.
import { address, api, button, el, errorWords, icon, iconButton, on, setText, t, toastError } from "./core.js";
import { Box } from "./avatar_box.js";
import { PEOPLE, change, desk, faceOf, people, ratioOf, round, setPortrait, shapeOf } from "./avatar_desk.js";
import { chooseFile } from "./avatar_faces.js";

const MARKS = ["mouth", "eye", "eye"]; // in the order of the clicks
const STEP = 0.01;
const BIG_STEP = 0.05;
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const MENDED = new Set(["portrait.no_face", "portrait.side_face", "portrait.unclear_mouth"]); // by three clicks
const LEVELS = { error: "triangle-alert", warning: "triangle-alert", info: "info" };

const percent = (share) => `${share * 100}%`;

/** Where a portrait's picture is. */
export const pictureOf = (ref) => (ref.startsWith("asset:") ? address(`/api/assets/${ref.slice(6)}/file`) : "");

export class Portrait {
  #mode = ""; // "" | "crop" | "marks"
  #asked = ""; // the portrait and shape that were looked at last
  #crop = null; // its Box
  #cursor = [0.5, 0.5]; // of the keyboard, while marks are set
  #busy = false; // it is being cut

  constructor() {
    this.picture = el("img", { alt: t("avatar.portrait"), draggable: false });
    this.layer = el("div", { class: "l-av-layer" });
    this.empty = el("button", { class: "l-av-empty", id: "avatar-empty", onclick: chooseFile },
      icon("scan-face"), el("b", {}, t("avatar.drop")), el("span", {}, t("avatar.drop.about")));
    this.board = el("div", { class: "l-frame l-av-board", id: "avatar-board" }, this.picture, this.layer);
    this.facts = el("span", { class: "l-hint l-av-facts", "aria-live": "polite" });
    this.tools = el("div", { class: "l-av-tools" });
    this.advice = el("ul", { class: "l-av-advice", id: "avatar-advice" });
    this.element = el("div", { class: "l-av-portrait" },
      el("div", { class: "l-screen" }, this.board, this.empty),
      el("div", { class: "l-av-bar" }, this.facts, this.tools), this.advice);
    this.picture.addEventListener("load", () => this.#shape());
    this.picture.addEventListener("error", () => desk.portrait && this.#look()); // the studio says what is wrong with it
    this.layer.addEventListener("pointerdown", (event) => this.#click(event));
    this.layer.addEventListener("keydown", (event) => this.#key(event));
    on("avatar", (names) => names.some((name) => ["portrait", "look", "marks", "boxes", "lines", "recordings", "mode", "aspect"].includes(name)) && this.draw());
    this.draw();
  }

  // ---------------------------------------------------------------------------------------------- looking
  /** Ask for its faces, and for the crop that suits the shape of the scene; once for each picture and shape. */
  async #look() {
    const { ref } = desk.portrait;
    const asked = `${ref} ${desk.aspect}`;
    if (asked === this.#asked) return;
    this.#asked = asked;
    this.error = null;
    try {
      const look = await api("POST", "/portraits/look", { ref, aspect: desk.aspect });
      if (this.#asked === asked) change({ look });
    } catch (error) {
      if (this.#asked !== asked) return;
      this.error = error;
      this.draw();
    }
  }

  /** The picture is here: its shape becomes the board's, and the scene's where nobody chose one. */
  #shape() {
    const { naturalWidth: width, naturalHeight: height } = this.picture;
    if (!width || !height || !desk.portrait) return;
    this.board.style.setProperty("--ratio", width / height);
    if (!desk.shaped && !desk.look) change({ aspect: shapeOf(width / height) });
    if (!desk.look) this.#look();
  }

  // ---------------------------------------------------------------------------------------------- drawing
  draw() {
    const { portrait, look } = desk;
    this.empty.hidden = Boolean(portrait);
    this.board.hidden = !portrait;
    if (!portrait) {
      this.#mode = "";
      this.picture.removeAttribute("src");
      this.#asked = "";
    } else if (this.picture.getAttribute("src") !== pictureOf(portrait.ref)) {
      this.#mode = "";
      this.error = null;
      this.picture.src = pictureOf(portrait.ref);
    } else if (look && this.picture.complete) this.#look(); // for another shape
    if (this.#mode !== "crop") this.#crop = null;
    this.layer.replaceChildren(...this.#onPicture());
    this.layer.dataset.mode = this.#mode;
    this.layer.toggleAttribute("data-dim", Boolean(this.#crop));
    if (this.#mode === "marks") this.layer.setAttribute("tabindex", "0");
    else this.layer.removeAttribute("tabindex");
    this.layer.setAttribute("aria-label", this.#mode === "marks" ? t("avatar.marks.keys") : t("avatar.portrait"));
    this.layer.setAttribute("role", "group");
    setText(this.facts, this.#words());
    this.tools.replaceChildren(...this.#buttons());
    this.advice.replaceChildren(...this.#advices());
  }

  #onPicture() {
    if (!desk.portrait) return [];
    if (this.#mode === "crop") return [this.#crop.element];
    const faces = (desk.look?.faces || []).map((face, number) => faceBox(face, number));
    const marks = desk.marks.map((at, number) => mark(at, MARKS[number]));
    if (this.#mode === "marks") return [...marks, this.#cross()];
    return [...faces, ...marks, ...this.#places()];
  }

  /** Where the two people are, if two speak. */
  #places() {
    const names = people();
    if (this.#mode || names.length !== PEOPLE) return [];
    const tag = (number) => `${number + 1} · ${names[number] || t("avatar.nobody")}`;
    if (desk.boxes.length !== PEOPLE) {
      return [0, 1].map((number) => el("div", { class: "l-av-half", dataset: { side: number } }, el("span", { class: "l-av-box-tag" }, tag(number))));
    }
    return desk.boxes.map((value, number) => new Box({
      kind: "person", label: t("avatar.boxes.keys", { name: tag(number) }), tag: tag(number), value,
      onchange: (moved, done) => done && this.#place(number, moved),
    }).element);
  }

  /** A person is here now; the frame is drawn anew and stays in the hand. */
  #place(number, moved) {
    const held = this.layer.contains(document.activeElement);
    change({ boxes: desk.boxes.map((box, at) => (at === number ? moved : box)) });
    if (held) this.layer.querySelectorAll(".l-av-box-person")[number]?.focus({ preventScroll: true });
  }

  #cross() {
    const [x, y] = this.#cursor;
    return el("i", { class: "l-av-cross", style: { left: percent(x), top: percent(y) } });
  }

  #words() {
    if (!desk.portrait) return "";
    if (this.#mode === "crop") return t("avatar.crop.keys");
    if (this.#mode === "marks") return t(["avatar.marks.mouth", "avatar.marks.eye", "avatar.marks.other"][desk.marks.length] || "avatar.marks.done");
    if (this.error) return "";
    if (!desk.look) return t("avatar.looking");
    const { width, height, faces } = desk.look;
    const found = desk.marks.length === MARKS.length ? t("avatar.marked") : faces.length ? t("avatar.faces", { count: faces.length }) : t("avatar.faces.none");
    return [`${width} × ${height}`, found].join(" · ");
  }

  // ---------------------------------------------------------------------------------------------- tools
  #buttons() {
    if (!desk.portrait) return [];
    if (this.#mode === "crop") {
      return [button(t("common.cancel"), () => this.#turn("")),
        button(t(this.#busy ? "avatar.cropping" : "avatar.crop.apply"), () => this.#cut(), { kind: "primary", iconName: "check", id: "avatar-crop-apply", disabled: this.#busy })];
    }
    if (this.#mode === "marks") {
      return [
        iconButton("undo-2", t("avatar.marks.undo"), () => this.#unmark(), { id: "avatar-marks-undo", disabled: !desk.marks.length }),
        button(t("common.cancel"), () => {
          change({ marks: [] });
          this.#turn("");
        }),
        button(t("avatar.marks.keep"), () => this.#turn(""), { kind: "primary", iconName: "check", id: "avatar-marks-keep", disabled: desk.marks.length < MARKS.length })];
    }
    const two = people().length === PEOPLE;
    const framed = desk.boxes.length === PEOPLE;
    return [
      two ? button(t(framed ? "avatar.boxes.halves" : "avatar.boxes.draw"), () => change({ boxes: framed ? [] : this.#guess() }), { iconName: "users-round", id: "avatar-boxes" }) : null,
      two ? button(t("avatar.boxes.swap"), () => change({ boxes: (framed ? desk.boxes : this.#guess()).toReversed() }), { iconName: "move-horizontal", id: "avatar-swap" }) : null,
      button(t("avatar.marks"), () => this.#turn("marks"), { iconName: "scan-face", id: "avatar-marks", title: t("avatar.marks.about"), disabled: !desk.look }),
      button(t("avatar.crop"), () => this.#turn("crop"), { iconName: "crop", id: "avatar-crop", disabled: !desk.look }),
      desk.portrait.from ? iconButton("undo-2", t("avatar.crop.undo"), () => setPortrait({ ...desk.portrait, ref: desk.portrait.from, from: "" }), { id: "avatar-crop-undo" }) : null,
      iconButton("x", t("avatar.remove"), () => setPortrait(null), { id: "avatar-remove" }),
    ].filter(Boolean);
  }

  /** Two people by their faces: each gets the picture up to the middle between them. */
  #guess() {
    const faces = (desk.look?.faces || []).slice(0, PEOPLE).map(({ box: [left, , right] }) => (left + right) / 2).sort((a, b) => a - b);
    const middle = faces.length === PEOPLE ? round((faces[0] + faces[1]) / 2) : 0.5;
    return [[0, 0, middle, 1], [middle, 0, 1, 1]];
  }

  #advices() {
    if (this.error) {
      const { message, hint } = errorWords(this.error);
      return [adviceRow("error", message, hint, button(t("generate.again"), () => {
        this.#asked = "";
        this.#look();
      }, { class: "l-btn l-av-again" }))];
    }
    if (this.#mode || !desk.look) return [];
    const told = desk.marks.length === MARKS.length ? desk.look.advice.filter(({ code }) => !MENDED.has(code)) : [...desk.look.advice];
    const names = people();
    const { faces } = desk.look;
    if (names.length === PEOPLE && faces.length < PEOPLE && desk.boxes.length < PEOPLE) {
      told.push({ level: "warning", code: "avatar.more_speakers_than_faces", params: { count: PEOPLE, faces: faces.length, names: names.filter(Boolean).join(", ") } });
    }
    return told.map(({ level, ...said }) => {
      const { message, hint } = errorWords(said);
      return adviceRow(level, message, hint);
    });
  }

  // ---------------------------------------------------------------------------------------------- what is decided
  #turn(mode) {
    if (this.#mode === "marks" && !mode && desk.marks.length < MARKS.length && desk.marks.length) change({ marks: [] });
    this.#mode = mode;
    if (mode === "crop") {
      this.#crop = new Box({ kind: "crop", label: t("avatar.crop.keys"), value: desk.look?.crop || [0.1, 0.05, 0.9, 0.95], onenter: () => this.#cut(), onescape: () => this.#turn("") });
    }
    if (mode === "marks") {
      this.#cursor = [0.5, 0.5];
      if (desk.marks.length) change({ marks: [] });
    }
    this.draw();
    if (mode === "crop") this.#crop.element.focus();
    else if (mode === "marks") this.layer.focus();
  }

  async #cut() {
    if (this.#busy) return;
    this.#busy = true;
    const { portrait } = desk;
    const box = this.#crop.value;
    this.tools.replaceChildren(...this.#buttons());
    try {
      const asset = await api("POST", "/portraits/crop", { ref: portrait.ref, box });
      if (desk.portrait?.ref === portrait.ref) {
        this.#mode = "";
        setPortrait({ ref: asset.ref, name: portrait.name, from: portrait.from || portrait.ref });
      }
    } catch (error) {
      toastError(error);
    }
    this.#busy = false;
    this.draw();
  }

  #mark(at) {
    if (desk.marks.length < MARKS.length) change({ marks: [...desk.marks, at.map(round)] });
  }

  #unmark() {
    change({ marks: desk.marks.slice(0, -1) });
    this.layer.focus();
  }

  #click(event) {
    if (this.#mode !== "marks" || event.button) return;
    event.preventDefault();
    const { left, top, width, height } = this.layer.getBoundingClientRect();
    this.#cursor = [(event.clientX - left) / width, (event.clientY - top) / height];
    this.#mark(this.#cursor);
    this.layer.focus();
  }

  #key(event) {
    if (this.#mode !== "marks") return;
    const step = KEYS[event.key];
    const act = { Enter: () => (desk.marks.length < MARKS.length ? this.#mark(this.#cursor) : this.#turn("")), Backspace: () => this.#unmark(), Escape: () => this.#turn("") }[event.key];
    if (!step && !act) return;
    event.preventDefault();
    event.stopPropagation();
    if (act) return act();
    const by = event.shiftKey ? BIG_STEP : STEP;
    this.#cursor = this.#cursor.map((share, axis) => round(share + step[axis] * by));
    const cross = this.layer.querySelector(".l-av-cross");
    Object.assign(cross.style, { left: percent(this.#cursor[0]), top: percent(this.#cursor[1]) });
    return undefined;
  }
}

function faceBox({ box: [left, top, right, bottom], eyes, mouth, clear }, number) {
  const style = { left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) };
  const dots = desk.marks.length ? [] : [...(eyes || []), ...(mouth ? [mouth.slice(0, 2)] : [])]
    .map(([x, y]) => el("i", { class: "l-av-dot", style: { left: percent((x - left) / (right - left)), top: percent((y - top) / (bottom - top)) } }));
  return el("div", { class: "l-av-face", style, dataset: { clear: String(clear !== false), number } }, dots);
}

function mark([x, y], what) {
  const face = what === "mouth" ? faceOf(desk.marks, ratioOf()) : null;
  const style = { left: percent(x), top: percent(y), ...(face ? { width: percent(face.mouth[2]) } : {}) };
  return el("i", { class: `l-av-mark l-av-mark-${what}`, style, title: t(`avatar.mark.${what}`) });
}

const adviceRow = (level, message, hint, act = null) => el("li", { dataset: { level } }, icon(LEVELS[level] || "info"),
  el("span", {}, message, hint ? el("span", { class: "l-av-cure" }, ` ${hint}`) : null), act);
