// "Export as picture": a take as a moving or still picture for pages and messages. The file is saved once it is made.
import { button, command, el, fmt, openDialog, setText, t } from "./core.js";
import { makeClip } from "./film_exports.js";
import { selectedCard } from "./queues.js";

const FORMATS = { webp: "WebP", avif: "AVIF", gif: "GIF", png: "PNG", jpg: "JPEG" };
const MOVING = ["webp", "avif", "gif"];
const SIDES = [240, 360, 480, 720];
const RATES = [8, 12, 15, 24];
const MOST_PICTURES = 600; // the studio refuses more

/** openClip({id, kind, duration}) */
export function openClip(take) {
  let dialog = null;
  const moves = take.kind === "video";
  const select = (id, choices, value) => {
    const node = el("select", { class: "l-select", id, onchange: look }, choices.map(([key, label]) => el("option", { value: key }, label)));
    node.value = value;
    return node;
  };
  const number = (id, value) => el("input", { class: "l-input l-mono", type: "number", id, min: 0, max: take.duration, step: 0.1, value, oninput: look });
  const said = el("p", { class: "l-hint" });
  const go = button(t("clip.export"), send, { kind: "primary", id: "clip-export" });
  const formats = Object.entries(FORMATS).filter(([name]) => moves || !["gif"].includes(name));
  const format = select("clip-format", formats.map(([name, label]) => [name, t(moves && MOVING.includes(name) ? "clip.moving" : "clip.still", { format: label })]), "webp");
  const side = select("clip-side", SIDES.map((px) => [String(px), `${px} px`]), "480");
  const rate = select("clip-rate", RATES.map((fps) => [String(fps), `${fps} fps`]), "12");
  const from = number("clip-from", 0);
  const to = number("clip-to", Math.round(take.duration * 10) / 10);
  const field = (key, node) => el("label", { class: "l-field" }, el("span", {}, t(key)), node);
  const part = el("div", { class: "l-fields-two" }, field("clip.from", from), field("clip.to", to));
  const still = el("div", { class: "l-fields-two" }, field("clip.at", number("clip-at", 0)));
  const rateField = field("film.rate", rate);
  dialog = openDialog({
    title: t("clip.title"), actions: [button(t("common.cancel"), () => dialog.close()), go],
    content: el("div", { class: "l-stack" }, field("clip.format", format), el("div", { class: "l-fields-two" }, field("clip.side", side), rateField), part, still, said),
  });
  look();

  function animated() {
    return moves && MOVING.includes(format.value);
  }

  function look() {
    if (!dialog) return;
    part.hidden = rateField.hidden = !animated();
    still.hidden = !moves || animated();
    const seconds = Number(to.value) - Number(from.value);
    const pictures = Math.round(seconds * Number(rate.value));
    const wrong = animated() && (pictures < 1 || pictures > MOST_PICTURES);
    setText(said, animated() ? t("clip.pictures", { count: Math.max(0, pictures), seconds: fmt.seconds(Math.max(0, seconds)) }) : "");
    said.classList.toggle("l-bad", wrong);
    go.disabled = wrong;
  }

  async function send() {
    go.disabled = true;
    const wish = { format: format.value, animated: animated(), short_side: Number(side.value) };
    if (animated()) Object.assign(wish, { fps: Number(rate.value), start: Number(from.value), end: Math.min(take.duration, Number(to.value)) });
    else if (moves) wish.at = Number(still.querySelector("input").value);
    if (await makeClip(take.id, wish)) dialog.close();
    go.disabled = false;
  }
}

const one = (take) => take ?? selectedCard()?.take;
command("take.clip", { label: "clip.menu", icon: "image-play", menu: "take", group: 60, when: (take) => Boolean(one(take)) && one(take).kind !== "audio", run: (take) => openClip(one(take)) });
