// Keys for those who do not use a mouse, the page that lists them, and the start of everything.
const SHORTCUTS = [
  [["Space", "K"], "play"], [["J", "L"], "keys.far"], [["←", "→"], "keys.second"], [[",", "."], "keys.frame"], [["P", "N"], "keys.scene"],
  [["C"], "keys.write"], [["Ctrl ↵"], "send"], [["B"], "box"], [["M"], "mute"], [["F"], "full"], [["?"], "help"], [["Esc"], "keys.escape"],
];
const FAR_S = 5;
const KEYS = {
  " ": film.toggle, k: film.toggle, j: () => film.jump(-FAR_S), l: () => film.jump(FAR_S), ArrowLeft: () => film.jump(-1), ArrowRight: () => film.jump(1),
  ",": () => film.step(-1), ".": () => film.step(1), n: () => toScene(1), p: () => toScene(-1), c: write, m: film.mute, f: film.full, "?": () => showHelp(),
  b: () => startDrawing(true),
};

function showHelp() {
  const single = el("input", { type: "checkbox", id: "single" });
  single.checked = recall("keys", true);
  single.addEventListener("change", () => keep("keys", single.checked));
  const list = SHORTCUTS.map(([keys, what]) => [el("dt", {}, keys.map((key) => el("kbd", {}, key))), el("dd", {}, t(what))]);
  const dialog = $("help");
  dialog.replaceChildren(el("h2", { id: "help-title" }, t("help")), el("dl", {}, list.flat()), el("label", { class: "check" }, single, t("keys.on")),
    el("button", { type: "button", class: "btn primary", autofocus: true, onclick: () => dialog.close() }, t("close")));
  dialog.showModal();
}

function escape() {
  if (drawing || box) {
    endDrawing();
    dropBox();
    keepDraft();
  } else if (document.activeElement === $("text")) $("text").blur();
  else closePanels(true);
}

function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (event.key === "Escape") return escape();
  const at = event.target;
  const types = at.matches("textarea, input:not([type=range])");
  const presses = event.key === " " && at.closest("button, a, summary");
  const run = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!run || types || presses || gone) return;
  if (event.key.length === 1 && event.key !== " " && !recall("keys", true)) return;
  event.preventDefault();
  run();
}

let drawn = false;
function redraw() {
  if (!drawn) return;
  drawHead();
  drawScenes();
  drawComments();
  drawLink();
}

document.title = `${view.name} · Lanterna`;
startFilm();
startScenes();
startComments();
startHead();
startComposer();
drawn = true;
redraw();
startSending();
if (facts.later) look(true);
document.addEventListener("keydown", pressed);
if (!view.version.film && !offline) vanishDeleted();
if (offline) offerCaptions(facts.subtitles);
else if (view.version.subtitles) fetch(facts.film.replace(/film$/, "subtitles.vtt")).then((answer) => (answer.ok ? answer.text() : "")).then(offerCaptions, () => {});
