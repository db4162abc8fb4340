// Saying something about the moment that is shown: words, a box on the frame, and whether it wishes for a retake.
let pinned = null; // seconds: the moment that words or box belong to

const wish = () => $("form").elements.wish.value;
const writes = () => Boolean($("text").value.trim() || box);

function drawMoment(at = film.now()) {
  if (!writes()) pinned = null;
  const moment = pinned ?? at;
  const scene = sceneAt(moment);
  const key = `${clock(moment)} ${scene?.scene_id} ${pinned !== null && Math.abs(pinned - at) > frameSeconds ? clock(at) : ""}`;
  if ($("moment").dataset.shown === key) return;
  $("moment").dataset.shown = key;
  const parts = [el("b", {}, clock(moment)), el("span", { class: "where" }, scene ? numbered(scene) : "")];
  if (pinned !== null && Math.abs(pinned - at) > frameSeconds)
    parts.push(el("button", { type: "button", class: "text", onclick: () => pin(film.now()) }, t("move_to", { time: clock(at) })));
  $("moment").replaceChildren(...parts);
}

function pin(at) {
  pinned = at;
  if (box) dropBox();
  keepDraft();
}

function keepDraft() {
  if (writes() && pinned === null) pinned = film.now();
  keep("draft", writes() ? { text: $("text").value, wish: wish(), box, pinned, version: view.version.number } : null);
  const left = 2000 - [...$("text").value].length;
  $("left").textContent = left < 200 ? t("left", { n: left }) : "";
  $("problem").textContent = "";
  drawMoment();
}

function restoreDraft(draft) {
  $("text").value = draft.text;
  $("form").elements.wish.value = draft.wish;
  if (draft.version !== view.version.number) return keepDraft();
  ({ box, pinned } = draft);
  if (pinned !== null) film.seek(pinned);
  drawBox();
}

/** Back from the list into the field: what the studio would not take. */
function editAgain(comment) {
  drop(comment);
  restoreDraft({ ...comment, box: comment.region, pinned: comment.at });
  redraw();
  $("text").focus();
}

function submit(event) {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text) {
    $("problem").textContent = t("empty");
    return $("text").focus();
  }
  const last = seconds - frameSeconds / 2; // a player stops behind the last frame
  const at = Math.round(Math.min(pinned ?? film.now(), last) * 1000) / 1000;
  post({ kind: "comment", id: newId(), version: view.version.number, at, region: box, text, wish: wish(), created: new Date().toISOString() });
  tell(t(offline ? "kept" : "sending"));
  $("text").value = "";
  $("form").elements.wish.value = "comment";
  pinned = null;
  endDrawing();
  dropBox();
  keepDraft();
  drawSend();
  if (matchMedia("(pointer: coarse)").matches) document.activeElement.blur(); // the keyboard goes, the list is seen
}

function drawSend() {
  const retake = wish() === "retake";
  $("send").replaceChildren(icon(retake ? "retake" : "comment"), t(retake ? "send.retake" : offline ? "send.keep" : "send"));
}

function write() {
  film.pause();
  $("text").focus();
}

function startComposer() {
  $("form").addEventListener("submit", submit);
  $("text").addEventListener("input", keepDraft);
  $("text").addEventListener("focus", () => {
    film.pause();
    if (matchMedia("(max-width: 899px)").matches) setTimeout(() => $("form").scrollIntoView({ block: "nearest" }), 300); // once the keyboard is there
  });
  $("form").addEventListener("focusin", () => document.body.classList.add("writing"));
  $("form").addEventListener("focusout", () => setTimeout(() => { // not before the press that took the focus has ended
    if (!$("form").contains(document.activeElement)) document.body.classList.remove("writing");
  }, 300));
  $("text").addEventListener("keydown", (event) => (event.ctrlKey || event.metaKey) && event.key === "Enter" && $("form").requestSubmit());
  for (const radio of $("form").elements.wish) radio.addEventListener("change", () => (keepDraft(), drawSend()));
  $("box").addEventListener("click", toggleBox);
  watchBoard();
  followers.push((at) => drawMoment(at));
  const draft = recall("draft", null);
  if (draft) restoreDraft(draft);
  drawBoxButton();
  drawSend();
  drawMoment();
}
