// A box on the frame, drawn with a pointer or by keys. Belongs to the comment that is being written; knows no words of it.
const LEAST = 0.02; // of a side: less is a click, not a box
const STEP = 0.02;
const FIRST = [0.35, 0.3, 0.65, 0.7];
let box = null; // [left, top, right, bottom] in shares of the picture
let drawing = false;

function startDrawing(byKeyboard) {
  film.pause();
  drawing = true;
  begun();
  pin(film.now());
  $("board").hidden = false;
  drawBoxButton();
  tell(t("box.how"));
  if (byKeyboard) {
    box = FIRST;
    drawBox();
    $("board").querySelector(".mine").focus();
  } else $("frame").scrollIntoView({ block: "nearest" });
}

function endDrawing() {
  drawing = false;
  $("board").hidden = !box;
  drawBoxButton();
}

function dropBox() {
  box = null;
  drawBox();
}

function drawBoxButton() {
  $("box").setAttribute("aria-pressed", String(drawing || Boolean(box)));
  $("box").replaceChildren(icon(box ? "x" : "box"), t(box ? "box.remove" : drawing ? "box.how" : "box"));
  $("board").classList.toggle("drawing", drawing);
}

function drawBox() {
  const had = document.activeElement?.classList.contains("mine");
  $("board").replaceChildren();
  $("board").hidden = !box && !drawing;
  if (box) {
    const node = regionBox({ region: box, wish: "mine" });
    node.setAttribute("tabindex", "0");
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", t("box.keys"));
    node.addEventListener("keydown", moveBox);
    $("board").append(node);
    if (had) node.focus();
  }
  drawBoxButton();
}

const upright = ([ax, ay, bx, by]) => [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)].map((share) => Math.round(share * 1000) / 1000);

/** Arrows move it, with Shift they make it larger and smaller, Enter leads to the words, Delete takes it away. */
function moveBox(event) {
  const by = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
  if (by) {
    let [left, top, right, bottom] = box;
    const [x, y] = by;
    if (event.shiftKey) [right, bottom] = [Math.min(1, Math.max(left + LEAST, right + x)), Math.min(1, Math.max(top + LEAST, bottom + y))];
    else {
      const [dx, dy] = [Math.min(1 - right, Math.max(-left, x)), Math.min(1 - bottom, Math.max(-top, y))];
      [left, top, right, bottom] = [left + dx, top + dy, right + dx, bottom + dy];
    }
    box = upright([left, top, right, bottom]);
    drawBox();
    keepDraft();
  } else if (event.key === "Delete" || event.key === "Backspace") {
    endDrawing();
    dropBox();
    keepDraft();
    $("box").focus();
  } else if (event.key === "Enter") {
    endDrawing();
    $("text").focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

function watchBoard() {
  const board = $("board");
  let from = null;
  const at = (event) => {
    const frame = board.getBoundingClientRect();
    const share = (value, start, size) => Math.min(1, Math.max(0, (value - start) / size));
    return [share(event.clientX, frame.left, frame.width), share(event.clientY, frame.top, frame.height)];
  };
  board.addEventListener("pointerdown", (event) => {
    if (!drawing || event.button) return;
    event.preventDefault();
    board.setPointerCapture(event.pointerId);
    from = at(event);
  });
  board.addEventListener("pointermove", (event) => {
    if (!from) return;
    box = upright([...from, ...at(event)]);
    drawBox();
  });
  const end = (event) => {
    if (!from) return;
    const drawn = upright([...from, ...at(event)]);
    from = null;
    box = drawn[2] - drawn[0] > LEAST && drawn[3] - drawn[1] > LEAST ? drawn : null;
    if (box) endDrawing();
    drawBox();
    keepDraft();
    if (box) $("text").focus({ preventScroll: true });
  };
  board.addEventListener("pointerup", end);
  board.addEventListener("pointercancel", () => {
    from = null;
    dropBox();
  });
}

function toggleBox(event) {
  if (box || drawing) {
    endDrawing();
    dropBox();
    return keepDraft();
  }
  startDrawing(event.detail === 0); // a click without a pointer: the box is moved by keys
}
