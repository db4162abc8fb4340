// "Finish film": asks what to do with missing scenes, follows the cut, offers the film. Knows no player.
import { api, ask, button, el, fmt, on, openMenu, setText, t, toast, toastError } from "./core.js";
import { state } from "./queues.js";

export class FilmButton {
  constructor({ onplay }) {
    this.onplay = onplay;
    this.cut = null; // the ExportView that is being made
    this.film = null; // the newest finished one
    this.bar = el("i", { class: "l-btn-bar" });
    this.element = button("", (event) => this.#press(event.currentTarget), { iconName: "clapperboard", class: "l-btn l-btn-film" });
    this.element.append(this.bar);
    on("now", () => this.cut && this.#follow());
  }

  fill(queue) {
    this.film = queue?.film || null;
    const making = this.cut && this.cut.queue_id === queue?.id;
    const share = making ? this.cut.progress || 0 : 0;
    const label = making ? t("film.cutting", { share: fmt.percent(share) }) : this.film ? t("film.ready") : t("film.finish");
    setText(this.element.querySelector(".l-btn-label"), label);
    this.element.title = label;
    this.bar.style.transform = `scaleX(${share})`;
    this.element.disabled = !queue?.counts?.total;
  }

  #press(anchor) {
    if (this.cut) openMenu(anchor, [{ label: t("film.cancel"), icon: "x", onclick: () => this.#cancel() }]);
    else if (!this.film) this.finish();
    else openMenu(anchor, this.#offers());
  }

  #offers() {
    const { film } = this;
    const facts = [fmt.clock(film.seconds), film.bytes ? fmt.bytes(film.bytes) : ""].filter(Boolean).join(" · ");
    return [
      { label: t("film.play"), icon: "play", onclick: () => this.onplay(film) },
      { label: `${t("film.download")} · ${facts}`, icon: "download", onclick: () => save(`/api/exports/${film.id}/file?download=1`) },
      { label: t("film.subtitles"), icon: "scroll-text", onclick: () => save(`/api/exports/${film.id}/subtitles.vtt`, `${film.file_name}.vtt`) },
      null,
      { label: t("film.again"), icon: "rotate-ccw", onclick: () => this.finish() },
    ];
  }

  async finish(missing = "ask") {
    try {
      this.cut = await api("POST", `/queues/${state.queue.id}/exports`, { kind: "film", missing });
      this.fill(state.queue);
      this.#follow();
    } catch (error) {
      if (error.code !== "cut.missing") return toastError(error);
      const choice = await this.#askAbout(error);
      if (choice && choice !== "stop") await this.finish(choice);
    }
  }

  #askAbout(error) {
    return ask({
      title: t("film.missing.title", { count: error.params.count }),
      text: t("film.missing.text", { count: error.params.count }),
      content: el("p", { class: "l-dialog-list" }, String(error.params.scenes || "")),
      choices: [
        { value: "stop", label: t("film.missing.stop") },
        { value: "draft_card", label: t("film.missing.draft_card") },
        { value: "leave_out", label: t("film.missing.leave_out"), kind: "primary" },
      ],
    });
  }

  async #follow() {
    if (this.asking) return;
    this.asking = true;
    try {
      const seen = await api("GET", `/exports/${this.cut.id}`);
      this.cut = seen;
      if (seen.state === "done") this.#done(seen);
      else if (seen.state === "failed" || seen.state === "cancelled") {
        this.cut = null;
        if (seen.state === "failed") toastError(seen.error);
      }
    } catch (error) {
      if (error.code !== "offline") {
        this.cut = null;
        toastError(error);
      }
    } finally {
      this.asking = false;
      this.fill(state.queue);
    }
  }

  #done(film) {
    this.cut = null;
    toast(t("film.done", { time: fmt.clock(film.seconds) }), t("film.done.hint"), "ok");
    if (state.queue?.id !== film.queue_id) return;
    state.queue.film = film;
    this.onplay(film);
  }

  async #cancel() {
    const { id } = this.cut;
    try {
      await api("DELETE", `/exports/${id}`);
    } catch (error) {
      toastError(error);
    }
  }
}

function save(href, name = "") {
  el("a", { href, download: name }).click();
}
