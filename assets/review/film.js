// The film: playing, seeking, its clock, and what to do when it does not come. Knows scenes only by where they begin.
const video = $("video");
const scenes = view.version.scenes;
const seconds = view.version.seconds;
const frameSeconds = 1 / view.version.fps;
const still = matchMedia("(prefers-reduced-motion: reduce)");
const RETRY_S = [2, 5, 10, 20, 40];
const followers = []; // called with the time that is shown
let broken = null; // {at, playing, tries}: where it was when it stopped coming
let begin = 0; // where it is to begin: asked for before anything of it was here

const film = {
  now: () => (broken ? broken.at : video.readyState ? video.currentTime : begin),
  playing: () => !video.paused && !video.ended,
  play: () => video.play().catch((error) => error.name === "AbortError" || stopped()),
  pause: () => video.pause(),
  toggle: () => (film.playing() ? film.pause() : film.play()),
  seek(to) {
    const at = Math.min(Math.max(0, to), Math.max(0, seconds - frameSeconds / 2));
    begun();
    if (broken) broken.at = at;
    else if (video.readyState) video.currentTime = at;
    else begin = at;
    moved();
  },
  jump: (by) => film.seek(film.now() + by),
  step(frames) {
    film.pause();
    film.seek((Math.floor(film.now() / frameSeconds + 1e-3) + frames + 0.5) * frameSeconds); // the middle of a frame
  },
  mute() {
    video.muted = !video.muted;
    $("mute").setAttribute("aria-pressed", String(video.muted));
    setIcon($("mute"), video.muted ? "muted" : "sound");
    tell(t(video.muted ? "muted" : "unmuted"));
  },
  full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else if ($("film").requestFullscreen) $("film").requestFullscreen();
    else video.webkitEnterFullscreen(); // phones that let only a video fill the screen
  },
};

/** The scene that is seen then; of two that dissolve the later one. */
function sceneAt(time) {
  return scenes.findLast((scene) => scene.start <= time + 1e-3 && time < scene.start + scene.duration) ?? null;
}

function toScene(by) {
  const at = film.now();
  const index = scenes.findLastIndex((scene) => scene.start <= at + 1e-3);
  const again = by < 0 && index >= 0 && at - scenes[index].start > 1; // as on every player: first to its beginning
  const scene = scenes[Math.min(scenes.length - 1, Math.max(0, index + (again ? 0 : by)))];
  if (scene) goTo(scene);
}

function goTo(scene) {
  film.seek(scene.start + frameSeconds / 2);
  tell(t("at_scene", { scene: numbered(scene), time: clock(scene.start) }));
}

/** From here on nothing lies over the picture that is looked at. */
const begun = () => $("frame").classList.add("begun");

// ---- the clock
function moved() {
  const at = film.now();
  const scene = sceneAt(at);
  $("now").textContent = clock(at);
  $("seek").value = at;
  $("seek").setAttribute("aria-valuetext", t("of", { time: clock(at), total: clock(seconds) }) + (scene ? `, ${numbered(scene)}` : ""));
  const loaded = [...Array(video.buffered.length).keys()].map((n) => [video.buffered.start(n), video.buffered.end(n)]);
  const ahead = loaded.find(([from, to]) => from <= at + 0.1 && to >= at)?.[1] ?? 0;
  $("track").style.setProperty("--at", at / seconds);
  $("track").style.setProperty("--loaded", Math.max(at, ahead) / seconds);
  followers.forEach((follow) => follow(at, scene));
}

function running() {
  moved();
  if (film.playing()) requestAnimationFrame(running);
}

function drawPlaying() {
  const playing = film.playing();
  if (playing) begun();
  setIcon($("play"), playing ? "pause" : "play");
  name($("play"), t(playing ? "pause" : "play"));
  if (playing) running();
  else moved();
}

function name(node, label) {
  node.setAttribute("aria-label", label);
  node.title = label;
}

// ---- when it does not come
let waiting = 0;
const arrived = () => {
  clearTimeout(waiting);
  $("wait").hidden = true;
};

function stopped() {
  if (broken || gone) return;
  broken = { at: film.now(), playing: film.playing(), tries: 0 };
  offerAgain();
}

function offerAgain() {
  arrived();
  const pause = RETRY_S[Math.min(broken.tries, RETRY_S.length - 1)];
  $("trouble").replaceChildren(el("p", {}, t(offline ? "film.missing" : "film.stopped")), el("button", { type: "button", class: "btn primary", onclick: again }, t("again")));
  $("trouble").hidden = false;
  if (!offline) broken.timer = setTimeout(again, pause * 1000);
}

async function again() {
  if (!broken || gone) return;
  clearTimeout(broken.timer);
  broken.tries += 1;
  if (!offline && !(await look())) return offerAgain(); // says what is wrong where the studio knows
  video.src = facts.film;
  video.load();
}

video.addEventListener("error", () => (broken ? offerAgain() : stopped()));
video.addEventListener("loadedmetadata", () => {
  if (broken) {
    const { at, playing } = broken;
    broken = null;
    $("trouble").hidden = true;
    video.currentTime = at;
    if (playing) film.play();
  } else if (begin) video.currentTime = begin;
  moved();
});
video.addEventListener("waiting", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => ($("wait").hidden = false), 400);
});
for (const event of ["playing", "seeked", "canplay"]) video.addEventListener(event, arrived);
for (const event of ["play", "pause", "ended"]) video.addEventListener(event, drawPlaying);
for (const event of ["seeking", "seeked", "progress"]) video.addEventListener(event, moved);
addEventListener("online", () => broken && again());

// ---- subtitles, in both kinds of page from their text: from a disk no file can be read
function cues(text) {
  const stamp = (time) => time.trim().split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  const found = text.replace(/\r/g, "").split(/\n\n+/).map((block) => block.split("\n")).map((lines) => [lines.findIndex((line) => line.includes("-->")), lines]);
  return found.filter(([at]) => at >= 0).map(([at, lines]) => {
    const [from, to] = lines[at].split("-->").map((side) => side.trim().split(/\s/)[0]);
    return new VTTCue(stamp(from), stamp(to), lines.slice(at + 1).join("\n"));
  });
}

let captions = null;
function offerCaptions(text) {
  if (!text.trim()) return;
  captions = video.addTextTrack("subtitles", t("captions"), lang);
  captions.mode = "hidden";
  cues(text).forEach((cue) => captions.addCue(cue));
  $("captions").hidden = false;
  if (recall("captions", false)) toggleCaptions();
}

function toggleCaptions() {
  if (!captions) return;
  captions.mode = captions.mode === "showing" ? "hidden" : "showing";
  $("captions").setAttribute("aria-pressed", String(captions.mode === "showing"));
  keep("captions", captions.mode === "showing");
}

// ---- its controls
const doings = {
  play: film.toggle, previous: () => toScene(-1), next: () => toScene(1), frame_back: () => film.step(-1), frame_on: () => film.step(1),
  mute: film.mute, full: film.full, captions: toggleCaptions, help: () => showHelp(),
};

function startFilm() {
  const { width, height } = view.version;
  document.documentElement.style.setProperty("--ar", width / height);
  $("seek").max = seconds;
  $("total").textContent = ` / ${clock(seconds)}`;
  for (const node of document.querySelectorAll("[data-do]")) {
    name(node, t(node.dataset.do));
    node.addEventListener("click", doings[node.dataset.do]);
  }
  $("seek").addEventListener("input", () => film.seek(Number($("seek").value)));
  $("big").addEventListener("click", film.toggle);
  video.addEventListener("click", film.toggle);
  $("track").append(...scenes.map((scene) => {
    const part = el("i", {});
    part.style.left = `${(scene.start / seconds) * 100}%`;
    return part;
  }));
  drawPlaying();
}
