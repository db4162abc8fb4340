// Where two people are: rectangles drawn on the portrait of the same form. Its value is [[left, top, right, bottom], …]
// in shares of the picture; none: the left half speaks first, the right half second.
import { el, iconButton, t } from "./core.js";

const MOST = 2;
const LEAST = 0.03; // of a side: less is a click, not a box

/** props: value, prefix (of the form whose portrait it draws on). */
export function speakerBoxes(element, props, watch) {
  const root = element.querySelector(".l-boxes");
  const picture = el("img", { alt: "", draggable: false });
  const layer = el("div", { class: "l-boxes-layer" });
  const board = el("div", { class: "l-boxes-board" }, picture, layer);
  const hint = el("div", { class: "l-boxes-hint" });
  const clear = iconButton("x", t("form.boxes.clear"), () => hold([]));
  root.append(el("div", { class: "l-well-label" }, t("form.speaker_boxes")), board, el("div", { class: "l-boxes-foot" }, hint, clear));

  let drawing = null; // [x, y, x, y] of the box that is being drawn
  const boxes = () => (Array.isArray(props.value) ? props.value : []);

  function hold(value) {
    props.value = value;
    root.dispatchEvent(new Event("input", { bubbles: true }));
    draw();
  }

  function at(event) {
    const frame = layer.getBoundingClientRect();
    const share = (value, from, size) => Math.min(1, Math.max(0, (value - from) / size));
    return [share(event.clientX, frame.left, frame.width), share(event.clientY, frame.top, frame.height)];
  }

  function box([left, top, right, bottom], number) {
    const percent = (share) => `${share * 100}%`;
    const style = { left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) };
    return el("div", { class: "l-box", style }, el("span", {}, String(number + 1)));
  }

  const upright = ([ax, ay, bx, by]) =>
    [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)].map((share) => Math.round(share * 1000) / 1000);

  function draw() {
    board.hidden = !picture.getAttribute("src");
    clear.hidden = !boxes().length;
    hint.textContent = t(board.hidden ? "form.boxes.none" : boxes().length < MOST ? "form.boxes.draw" : "form.boxes.done");
    layer.replaceChildren(...[...boxes(), ...(drawing ? [upright(drawing)] : [])].map(box));
  }

  layer.addEventListener("pointerdown", (event) => {
    if (boxes().length >= MOST || event.button) return;
    event.preventDefault();
    layer.setPointerCapture(event.pointerId);
    drawing = [...at(event), ...at(event)];
    draw();
  });
  layer.addEventListener("pointermove", (event) => {
    if (!drawing) return;
    drawing = [...drawing.slice(0, 2), ...at(event)];
    draw();
  });
  const end = () => {
    const drawn = drawing && upright(drawing);
    drawing = null;
    if (drawn && drawn[2] - drawn[0] > LEAST && drawn[3] - drawn[1] > LEAST) hold([...boxes(), drawn]);
    else draw();
  };
  layer.addEventListener("pointerup", end);
  layer.addEventListener("pointercancel", () => {
    drawing = null;
    draw();
  });

  /** The portrait as its well shows it now. */
  function look() {
    const shown = document.querySelector(`#${props.prefix}-input_image .l-well-item img`)?.getAttribute("src") ?? "";
    if (shown !== (picture.getAttribute("src") ?? "")) {
      if (shown) picture.src = shown;
      else picture.removeAttribute("src");
      draw();
    }
  }
  const well = document.getElementById(`${props.prefix}-input_image`);
  if (well) new MutationObserver(look).observe(well, { childList: true, subtree: true, attributes: true, attributeFilter: ["src"] });
  watch("value", draw);
  look();
  draw();
}
