// "Film settings": what the film of a queue is cut in, its music, and what the queue does when a scene fails.
// Knows the queue only as it is handed in; saving is the caller's verb.
import { api, button, el, fmt, icon, iconButton, openDialog, t, toastError } from "./core.js";

const SIZES = [[1280, 720], [1920, 1080], [720, 1280], [1080, 1920], [720, 720], [1080, 1080]];
const RATES = [24, 25, 30, 50, 60];
const LEVELS = { min: -40, max: -10, step: 1 }; // LUFS of the music where nobody speaks
const LEVEL = -24;

/** openFilmSettings(queue, save): save({frame, music, on_error}) -> Promise of something true when it went well. */
export function openFilmSettings(queue, save) {
  const { frame } = queue;
  const size = select(withOwn(SIZES, [frame.width, frame.height]).map(([w, h]) => [`${w}x${h}`, `${shapeOf(w, h)} · ${w} × ${h}`]),
    `${frame.width}x${frame.height}`, { id: "film-size" });
  const rate = select(withOwn(RATES, frame.fps).map((fps) => [String(fps), `${fps} fps`]), String(frame.fps), { id: "film-rate" });
  const trouble = select(["skip", "stop"].map((what) => [what, t(`film.on_error.${what}`)]), queue.on_error, { id: "film-on-error" });
  const bed = musicWell(queue.music);
  const yes = button(t("common.save"), async () => {
    const [width, height] = size.value.split("x").map(Number);
    yes.disabled = true;
    if (await save({ frame: { width, height, fps: Number(rate.value) }, music: bed.music(), on_error: trouble.value })) dialog.close();
    yes.disabled = false;
  }, { kind: "primary", id: "film-save" });
  const dialog = openDialog({
    title: t("film.settings"),
    content: el("div", { class: "l-stack" },
      el("div", { class: "l-fields-two" }, field("film.size", size), field("film.rate", rate)),
      el("p", { class: "l-hint" }, t("film.size.hint")),
      bed.element,
      field("film.on_error", trouble)),
    actions: [button(t("common.cancel"), () => dialog.close()), yes],
  });
}

/** The music: a file that goes to the library at once, and how loud it lies under the film. */
function musicWell(given) {
  let music = given && { ...given };
  let name = "";
  const file = el("input", { type: "file", accept: "audio/*,.wav,.mp3,.flac,.ogg,.m4a", hidden: true, id: "film-music-file" });
  const level = el("input", { type: "range", class: "l-range", ...LEVELS, value: given?.level ?? LEVEL, "aria-label": t("film.level") });
  const said = el("span", { class: "l-mono" });
  const loudness = el("label", { class: "l-field" }, el("span", { class: "l-field-line" }, t("film.level"), said), level);
  const row = el("div", { class: "l-music" });
  const choose = button(t("film.music.choose"), () => file.click(), { iconName: "upload", id: "film-music" });
  const remove = iconButton("x", t("film.music.remove"), () => {
    music = null;
    draw();
  });
  const draw = () => {
    row.replaceChildren(...(music ? [icon("audio-lines"), el("span", { class: "l-music-name" }, name || "…"), choose, remove]
      : [el("span", { class: "l-music-name" }, t("film.music.none")), choose]));
    loudness.hidden = !music;
    said.textContent = `${level.value} LUFS`;
  };
  level.addEventListener("input", draw);
  file.addEventListener("change", async () => {
    const body = new FormData();
    body.append("file", file.files[0]);
    choose.disabled = true;
    try {
      const asset = await api("POST", "/assets", body);
      if (asset.kind !== "audio") throw Object.assign(new Error(t("film.music.wrong")), { hint: "" });
      music = { ref: asset.ref };
      name = `${asset.name} · ${fmt.clock(asset.duration)}`;
    } catch (error) {
      toastError(error);
    }
    choose.disabled = false;
    file.value = "";
    draw();
  });
  if (music) {
    api("GET", `/assets/${music.ref.replace("asset:", "")}`).then((asset) => {
      name ||= `${asset.name} · ${fmt.clock(asset.duration)}`;
      draw();
    }, toastError);
  }
  draw();
  return {
    element: el("div", { class: "l-stack" }, field("film.music", row), file, loudness),
    music: () => music && { ...music, level: Number(level.value) },
  };
}

function shapeOf(width, height) {
  const divisor = ((a, b) => {
    while (b) [a, b] = [b, a % b];
    return a;
  })(width, height);
  return `${width / divisor}:${height / divisor}`;
}

/** The usual choices, and the queue's own where it is another. */
const withOwn = (choices, own) => (choices.some((choice) => String(choice) === String(own)) ? choices : [own, ...choices]);

const select = (choices, value, attrs) => {
  const node = el("select", { class: "l-select", ...attrs }, choices.map(([id, label]) => el("option", { value: id }, label)));
  node.value = value;
  return node;
};

const field = (key, control) => el(control.tagName === "DIV" ? "div" : "label", { class: "l-field" }, el("span", {}, t(key)), control);
