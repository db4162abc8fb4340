// Where portraits come from: a file that is chosen, dropped or pasted, a character, a picture of the gallery.
import { address, api, currentTab, el, icon, keyed, on, setText, t, toastError, urls } from "./core.js";
import { change, desk, setPortrait } from "./avatar_desk.js";
import { sendFile } from "./rest_upload.js";

const ACCEPT = "image/png,image/jpeg,image/webp,image/bmp,image/gif";
const PICTURES = 24; // of the gallery that are offered

const input = el("input", { type: "file", accept: ACCEPT, class: "l-well-input", id: "avatar-file", tabindex: -1, "aria-hidden": "true", onchange: () => {
  if (input.files[0]) takeFile(input.files[0]);
  input.value = "";
} });

export const chooseFile = () => input.click();

const isPicture = (file) => file.type.startsWith("image/");

/** Upload a picture and make it the portrait. */
export async function takeFile(file) {
  const node = document.getElementById("avatar-upload");
  node?.setAttribute("aria-busy", "true");
  try {
    const asset = await sendFile("/assets", file, { onprogress: (share) => node?.style.setProperty("--share", share) });
    setPortrait({ ref: asset.ref, name: file.name, from: "" });
  } catch (error) {
    toastError(error);
  }
  node?.removeAttribute("aria-busy");
  node?.style.removeProperty("--share");
}

/** A picture may be dropped anywhere on `root`, or pasted while the tab is open. */
export function watchPictures(root) {
  root.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.items].some((item) => item.kind === "file" && item.type.startsWith("image/"))) return;
    event.preventDefault();
    root.classList.add("l-av-over");
  });
  root.addEventListener("dragleave", (event) => !root.contains(event.relatedTarget) && root.classList.remove("l-av-over"));
  root.addEventListener("drop", (event) => {
    root.classList.remove("l-av-over");
    const file = [...event.dataTransfer.files].find(isPicture);
    if (!file) return;
    event.preventDefault();
    takeFile(file);
  });
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files || [])].find(isPicture);
    if (!file || currentTab() !== "avatar" || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    takeFile(file);
  });
}

/** The column of portraits. */
export class Faces {
  #cast = new Map();
  #pictures = new Map();

  constructor() {
    this.characters = el("div", { class: "l-av-faces", id: "avatar-characters" });
    this.pictures = el("div", { class: "l-av-faces", id: "avatar-pictures" });
    this.sections = [["characters", this.characters], ["pictures", this.pictures]].map(([name, grid]) => el("section", { dataset: { empty: "" } },
      el("div", { class: "l-sec" }, el("h2", {}, t(`avatar.${name}`))), grid, el("p", { class: "l-hint" }, t(`avatar.${name}.none`))));
    const upload = el("button", { class: "l-av-upload", id: "avatar-upload", onclick: chooseFile }, icon("upload"), el("span", {}, t("avatar.upload")));
    this.element = el("div", { class: "l-av-from" },
      el("div", { class: "l-sec" }, el("h2", {}, t("avatar.portrait"))), upload, input, this.sections);
    on("tab", (tab) => tab === "avatar" && this.read());
    on("library", () => this.element.offsetParent && this.read());
    on("avatar", (names) => names.includes("portrait") && this.#mark());
    this.read();
  }

  async read() {
    let cast;
    let takes;
    try {
      [{ characters: cast }, { takes }] = await Promise.all([
        api("GET", "/characters"), api("GET", `/takes?kind=image&private=false&limit=${PICTURES}`)]);
    } catch {
      return; // the pulse says when the studio cannot be reached
    }
    const seen = cast.filter((one) => one.portrait?.startsWith("asset:"));
    keyed(this.characters, this.#cast, seen, (one) => one.id,
      (one) => face(address(`/api/assets/${one.portrait.slice(6)}/poster`), one.name, () => takeCharacter(one)),
      (node, one) => setText(node.lastChild, one.name));
    keyed(this.pictures, this.#pictures, takes, (take) => take.id,
      (take) => face(urls.poster(take.id), take.title, () => takePicture(take)), () => {});
    [seen, takes].forEach((found, at) => this.sections[at].toggleAttribute("data-empty", !found.length));
    for (const one of seen) this.#cast.get(one.id).dataset.ref = one.portrait;
    this.#mark();
  }

  #mark() {
    const refs = [desk.portrait?.ref, desk.portrait?.from].filter(Boolean);
    for (const node of this.#cast.values()) node.setAttribute("aria-pressed", String(refs.includes(node.dataset.ref)));
  }
}

const face = (src, name, onclick) => el("button", { class: "l-av-thumb", title: name, "aria-label": name, onclick },
  el("img", { src, alt: "", loading: "lazy" }), el("span", {}, name));

/** Their portrait; lines that nobody speaks yet are theirs. */
function takeCharacter({ name, portrait }) {
  setPortrait({ ref: portrait, name, from: "" });
  const theirs = (line) => (line.character || line.voice ? line : { ...line, character: name });
  change({ lines: desk.lines.map(theirs), many: theirs(desk.many) });
}

/** The file of that very take, which its scene may not show any more. */
async function takePicture(take) {
  try {
    const answer = await fetch(urls.file(take.id));
    const content = await answer.blob();
    await takeFile(new File([content], take.file_name, { type: content.type }));
  } catch (error) {
    toastError(error);
  }
}
