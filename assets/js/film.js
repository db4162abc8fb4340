// The Film button of the stage: how far the film is, and what can be done with it. Knows no player.
import { address, button, command, el, fmt, menuOf, on, openMenu, setText, t } from "./core.js";
import { openFilm } from "./film_dialog.js";
import { cancelExport, fileOf, filmInWork, save } from "./film_exports.js";
import { state } from "./queues.js";

export class FilmButton {
  constructor({ onplay }) {
    this.onplay = onplay;
    this.bar = el("i", { class: "l-btn-bar" });
    this.element = button("", (event) => this.#press(event.currentTarget), { iconName: "clapperboard", class: "l-btn l-btn-film" });
    this.element.append(this.bar);
    on("exports", () => this.fill(state.queue));
    on("film:done", (film) => {
      if (state.queue?.id !== film.queue_id) return;
      if ((film.facts.aspect || "own") === "own") state.queue.film = film;
      this.fill(state.queue);
      if (!document.querySelector("dialog[open]")) this.onplay(film);
    });
    on("film:play", (film) => this.onplay(film));
  }

  fill(queue) {
    const making = queue && filmInWork(queue.id);
    const share = making?.progress || 0;
    const label = making ? t("film.cutting", { share: fmt.percent(share) }) : t(queue?.film ? "film.ready" : "film.finish");
    setText(this.element.querySelector(".l-btn-label"), label);
    this.element.title = label;
    this.bar.style.transform = `scaleX(${share})`;
    this.element.disabled = !queue?.counts?.total;
  }

  #press(anchor) {
    if (!filmInWork(state.queue.id) && !state.queue.film) openFilm("export");
    else openMenu(anchor, menuOf("film", t, { play: this.onplay }));
  }
}

const film = () => state.queue?.film;
const making = () => Boolean(state.queue && filmInWork(state.queue.id));
const some = () => (state.queue?.counts?.total || 0) > 0;
const facts = () => ({ facts: [fmt.clock(film().seconds), film().bytes ? fmt.bytes(film().bytes) : ""].filter(Boolean).join(" · ") });

command("film.play", { label: "film.play", icon: "play", menu: "film", group: 10, when: () => Boolean(film()), run: (target) => target?.play(film()) });
command("film.download", { label: "film.download.facts", params: facts, icon: "download", menu: "film", group: 10, when: () => Boolean(film()), run: () => save(`${fileOf(film())}?download=1`) });
command("film.subtitles", { label: "film.subtitles", icon: "scroll-text", menu: "film", group: 10, when: () => Boolean(film()), run: () => save(address(`/api/exports/${film().id}/subtitles.vtt`), `${film().file_name}.vtt`) });
command("film.cancel", { label: "film.cancel", icon: "x", menu: "film", group: 20, danger: true, when: making, run: () => cancelExport(filmInWork(state.queue.id).id) });
for (const [section, icon] of Object.entries({ export: "clapperboard", sound: "music", titles: "scroll-text", frame: "sliders-horizontal", review: "message-square" }))
  command(`film.open_${section}`, { label: `film.open.${section}`, icon, menu: "film", group: 30, when: some, run: () => openFilm(section) });
