// What the form builder (studio/tabs/kit/form.py) cannot draw with Gradio's own parts: places to drop files into,
// and the message beside a field. A well's value is a list of references; the files themselves go to the library.
import { address, api, el, icon, iconButton, t, toast, toastError, urls } from "./core.js";

const ACCEPT = {
  image: "image/png,image/jpeg,image/webp,image/gif,image/bmp",
  video: "video/*",
  audio: "audio/*,.wav,.mp3,.flac,.ogg,.m4a",
};
const ICONS = { image: "image", video: "film", audio: "mic" };

/** Follow a reference to something a browser can show: {picture, sound, label}. */
async function facesOf(ref, media) {
  const [kind, rest] = [ref.slice(0, ref.indexOf(":")), ref.slice(ref.indexOf(":") + 1)];
  if (kind === "asset") {
    return media === "audio"
      ? { sound: address(`/api/assets/${rest}/file`) }
      : { picture: media === "image" ? address(`/api/assets/${rest}/file`) : address(`/api/assets/${rest}/poster`) };
  }
  if (kind === "scene") {
    const [id, frame] = rest.split("#");
    const scene = await api("GET", `/scenes/${id}`);
    const label = [t("form.well.scene"), scene.title, frame].filter(Boolean).join(" · ");
    return { label, picture: scene.take && media !== "audio" ? urls.poster(scene.take.id) : null };
  }
  return { label: ref };
}

/**
 * Gradio's text boxes tell Python of keys that write something, but of no paste, no deletion and no input method: what
 * came that way would be forgotten on the way to another task. A key press nobody made makes them tell.
 */
let pressed = false;
document.addEventListener("keypress", () => (pressed = true), true);
document.addEventListener("input", ({ target }) => {
  const told = pressed;
  pressed = false;
  if (told || !target.matches(".l-form textarea, .l-form input[type=text]")) return;
  target.dispatchEvent(new KeyboardEvent("keypress", { bubbles: true }));
  pressed = false;
});

/** The well of one field. props: value [ref], media "image" | "video" | "audio", most, name, optional. */
export function mediaWell(element, props, watch) {
  const root = element.querySelector(".l-well");
  const { media, most } = props;
  let sending = 0;
  const input = el("input", { type: "file", accept: ACCEPT[media], multiple: most > 1, class: "l-well-input",
    "aria-label": t(`form.${props.name}`), onchange: () => {
      take([...input.files]);
      input.value = "";
    } });
  const items = el("div", { class: "l-well-items" });
  const invitation = el("button", { type: "button", class: "l-well-empty", onclick: () => input.click() },
    icon(ICONS[media]), el("span", {}, t(`form.well.${media}${most > 1 ? "s" : ""}`, { most })));
  root.classList.add(`l-well-${media}`);
  const label = [t(`form.${props.name}`), props.optional && t("form.optional")].filter(Boolean).join(" · ");
  root.append(el("div", { class: "l-well-label" }, label), items, input);

  async function take(files) {
    const room = most > 1 ? most - props.value.length - sending : 1;
    if (files.length > room) toast(t("form.well.too_many", { most }));
    const taken = files.slice(0, room);
    sending += taken.length;
    draw();
    for (const file of taken) {
      try {
        const body = new FormData();
        body.append("file", file);
        const asset = await api("POST", "/assets", body);
        hold(most > 1 ? [...props.value, asset.ref] : [asset.ref]);
      } catch (error) {
        toastError(error);
      }
      sending -= 1;
      draw();
    }
  }

  /** A scene of the list was dropped here: its picture, where an image is wanted its last frame. */
  function takeScene(id) {
    if (media === "audio" || !/^[0-9A-HJKMNP-TV-Z]{26}$/.test(id)) return;
    const ref = `scene:${id}${media === "image" ? "#last" : ""}`;
    if (most > 1 && props.value.length >= most) toast(t("form.well.too_many", { most }));
    else hold(most > 1 ? [...props.value, ref] : [ref]);
    draw();
  }

  function hold(refs) {
    props.value = refs;
    root.dispatchEvent(new Event("input", { bubbles: true })); // as any control does when its user changes it
  }

  function tile(ref, index) {
    const node = el("div", { class: "l-well-item" });
    const remove = iconButton("x", t("form.well.remove"), () => {
      hold(props.value.filter((_, at) => at !== index));
      draw();
    });
    node.append(remove);
    facesOf(ref, media).then(({ picture, sound, label }) => {
      if (picture) node.prepend(el("img", { src: picture, alt: "", loading: "lazy" }));
      if (sound) node.prepend(el("audio", { src: sound, controls: true, preload: "metadata" }));
      if (label) node.append(el("span", { class: "l-well-name" }, label));
    }, (error) => node.append(el("span", { class: "l-well-name l-bad" }, error.message)));
    return node;
  }

  let drawn = null;
  function draw() {
    const refs = Array.isArray(props.value) ? props.value : [];
    const state = JSON.stringify([refs, sending]);
    if (state === drawn) return;
    drawn = state;
    items.replaceChildren(...refs.map(tile));
    for (let i = 0; i < sending; i += 1) items.append(el("div", { class: "l-well-item l-well-sending" }, t("form.well.sending")));
    if (!refs.length && !sending) items.append(invitation);
    else if (refs.length + sending < most) {
      items.append(el("button", { type: "button", class: "l-well-add", title: t("form.well.add"),
        "aria-label": t("form.well.add"), onclick: () => input.click() }, icon("plus")));
    }
  }

  root.addEventListener("dragover", (event) => {
    event.preventDefault();
    event.dataTransfer.dropEffect = event.dataTransfer.types.includes("Files") ? "copy" : "move"; // as the row allows
    root.classList.add("l-well-over");
  });
  root.addEventListener("dragleave", () => root.classList.remove("l-well-over"));
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation(); // the page takes a dropped file for an episode
    root.classList.remove("l-well-over");
    if (event.dataTransfer.files.length) take([...event.dataTransfer.files]);
    else takeScene(event.dataTransfer.getData("text/plain"));
  });
  watch("value", draw);
  draw();
}

/** The message of an error, put under the control it belongs to. props.value: {message, hint, field, prefix} | null. */
export function problem(element, props, watch) {
  const root = element.querySelector(".l-problem");
  const home = root.parentElement;
  let control = null;

  function hide() {
    root.hidden = true;
    control?.classList.remove("l-wrong");
    control?.removeEventListener("input", hide);
    control = null;
  }

  function show() {
    hide();
    home.append(root);
    for (const old of home.closest(".l-form")?.querySelectorAll(".l-problem") ?? []) if (old !== root) old.remove(); // of a form that stood here
    const said = props.value;
    if (!said) return;
    root.replaceChildren(el("div", {}, said.message), said.hint ? el("div", { class: "l-hint" }, said.hint) : "");
    root.hidden = false;
    control = said.field ? document.getElementById(`${said.prefix}-${said.field.replaceAll(".", "-")}`) : null;
    if (control) {
      control.classList.add("l-wrong");
      control.addEventListener("input", hide);
      control.after(root);
    }
    root.scrollIntoView({ block: "nearest" });
  }

  watch("value", show);
  show();
}
