// What keys and buttons of the page do, as commands: the palette finds them by name.
import { LANGUAGES, command, currentTab, lang, pulse, setLanguage, showTab } from "./core.js";
import { saveThenRun } from "./inspector.js";
import { isVisible, sceneVerbs, select, selectBy, selectedCard, state, verbs } from "./queues.js";
import { onStage, show } from "./stage.js";

const TABS = () => [...document.querySelectorAll("#l-nav button[data-tab-id]")].map((node) => node.dataset.tabId);
const chosen = () => Boolean(selectedCard());
const playable = () => isVisible() && Boolean(selectedCard()?.take);
const counts = () => state.queue?.counts || {};
const busy = () => (counts().running || 0) + (counts().queued || 0) > 0;

// ---- where to
for (const tab of ["generate", "queues", "gallery"])
  command(`go.${tab}`, { label: `go.${tab}`, icon: { generate: "clapperboard", queues: "list-video", gallery: "layout-grid" }[tab], group: 5, when: () => currentTab() !== tab && TABS().includes(tab), run: () => showTab(tab) });
for (const [code, name] of Object.entries(LANGUAGES))
  command(`language.${code}`, { label: "go.language", params: { name }, icon: "globe", group: 95, when: () => code !== lang, run: () => setLanguage(code) });

// ---- the player
const player = { group: 40, when: playable };
command("play.toggle", { ...player, label: "player.toggle", icon: "play", keys: ["Space"], run: () => onStage().toggle() });
command("play.back", { ...player, label: "player.back", icon: "skip-back", keys: ["J"], run: () => onStage().jump(-1) });
command("play.faster", { ...player, label: "player.faster", icon: "skip-forward", keys: ["L"], run: () => onStage().faster() });
command("play.frame_back", { ...player, label: "compare.back", icon: "skip-back", keys: ["←"], run: () => onStage().step(-1) });
command("play.frame_forth", { ...player, label: "compare.forth", icon: "skip-forward", keys: ["→"], run: () => onStage().step(1) });
command("play.mute", { ...player, label: "player.mute", icon: "volume-x", keys: ["M"], run: () => onStage().mute() });
command("play.fullscreen", { ...player, label: "player.fullscreen", icon: "maximize", keys: ["F"], run: () => onStage().fullscreen() });
command("stage.compare", { label: "compare.title", icon: "columns-2", group: 40, keys: ["C"], when: () => isVisible() && selectedCard()?.takes > 1, run: () => show("compare") });
command("stage.film", { label: "queues.play_film", icon: "film", group: 40, when: () => isVisible() && counts().done > 0, run: () => show("film") });

// ---- scenes
command("scene.next", { label: "scene.next", icon: "arrow-down", group: 45, keys: ["↓"], when: chosen, run: () => selectBy(1) });
command("scene.previous", { label: "scene.previous", icon: "arrow-up", group: 45, keys: ["↑"], when: chosen, run: () => selectBy(-1) });
command("scene.render", { label: "scene.run", icon: "play", group: 46, keys: ["Ctrl ↵"], when: chosen, run: () => saveThenRun() });
command("scene.cancel", { label: "scene.cancel", icon: "square", group: 46, when: () => ["queued", "running"].includes(selectedCard()?.state), run: () => sceneVerbs.cancel(state.selected) });
command("scene.up", { label: "scene.up", icon: "arrow-up", group: 46, keys: ["Alt ↑"], when: chosen, run: () => sceneVerbs.move(state.selected, -1) });
command("scene.down", { label: "scene.down", icon: "arrow-down", group: 46, keys: ["Alt ↓"], when: chosen, run: () => sceneVerbs.move(state.selected, 1) });
command("scene.running", { label: "top.show", icon: "film", group: 45, when: () => state.order.some((id) => state.cards.get(id)?.state === "running"), run: () => select(state.order.find((id) => state.cards.get(id).state === "running")) });

// ---- the open queue
command("queue.run", { label: "queues.run", icon: "play", group: 50, when: () => Boolean(state.queue) && !busy() && (counts().total || 0) > (counts().done || 0), run: () => verbs.run() });
command("queue.pause", { label: "queues.pause", icon: "pause", group: 50, when: () => busy() && !state.queue.paused, run: () => verbs.pause() });
command("queue.resume", { label: "queues.resume", icon: "play", group: 50, when: () => busy() && state.queue.paused, run: () => verbs.resume() });
command("queue.stop", { label: "queues.stop", icon: "square", group: 50, danger: true, when: busy, run: () => verbs.stop() });
command("queue.create", { label: "queues.new", icon: "plus", group: 55, run: () => verbs.create() });
command("top.skip", { label: "top.skip", icon: "skip-forward", group: 50, when: () => pulse.now?.running.length > 0, run: () => sceneVerbs.skip() });
