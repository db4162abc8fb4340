// The review of the open queue's film, in the Film dialog: which version reviewers see, what they said, and how somebody
// comes to see it, by a link or as a folder. Emits "review" with the ReviewView, or null, when it was read.
import { address, api, button, el, emit, icon, iconButton, on, setText, t, toast, toastError } from "./core.js";
import { fillComments, verdictLines } from "./comments.js";
import { save } from "./film_exports.js";
import { isOwner } from "./me.js";
import { filterBy } from "./scene_filter.js";
import { note } from "./settings_parts.js";
import { addressBox, at } from "./share_parts.js";
import { sendFile } from "./rest_upload.js";

export class ReviewSection {
  constructor(queue) {
    Object.assign(this, { queue, review: null, shown: false });
    this.state = el("div", { class: "l-review-state" });
    this.ways = el("div", { class: "l-stack" });
    this.verdicts = el("div", { class: "l-verdicts" });
    this.versions = el("ul", { class: "l-share-list", "aria-label": t("film.review.versions") });
    this.count = el("span");
    this.list = el("ul", { class: "l-notes-list" });
    this.file = el("input", { type: "file", accept: ".json,application/json", hidden: true, id: "review-file", onchange: () => this.#bring() });
    this.body = el("div", { class: "l-stack", hidden: true }, this.state, this.ways,
      el("div", { class: "l-field" }, el("span", {}, t("film.review.versions")), this.versions),
      el("div", { class: "l-field" }, el("span", { class: "l-review-said" }, this.count,
        button(t("film.review.on_scenes"), () => this.#onScenes(), { class: "l-btn l-btn-small", iconName: "list-filter", id: "review-on-scenes" }),
        button(t("film.review.import"), () => this.file.click(), { class: "l-btn l-btn-small", iconName: "upload", id: "review-import" }), this.file), this.verdicts, this.list));
    this.none = el("div", { class: "l-empty l-empty-small", hidden: true }, icon("message-square"), el("p", {}, t("film.review.none")));
    this.element = el("div", {}, this.none, this.body);
  }

  async read() {
    try {
      this.review = await api("GET", `/queues/${this.queue.id}/review`);
    } catch (error) {
      toastError(error);
    }
    this.draw();
    emit("review", this.review);
  }

  /** What a finished film would be, or is: {label, number, shown}. */
  standing(exportId) {
    const versions = this.review?.versions || [];
    const known = versions.findLast((one) => one.export_id === exportId);
    if (known && known === versions.at(-1)) return { number: known.number, label: t("film.review.version", { n: known.number }), shown: true };
    return { number: versions.length + 1, label: versions.length ? t("film.review.next", { n: versions.at(-1).number + 1 }) : t("film.review.open"), shown: false };
  }

  /** The number of the version that this film is, or 0. */
  versionOf = (exportId) => this.review?.versions.findLast((one) => one.export_id === exportId)?.number ?? 0;

  async publish(exportId) {
    try {
      this.review = await api("POST", `/queues/${this.queue.id}/review`, { export_id: exportId });
    } catch (error) {
      toastError(error);
      return false;
    }
    this.draw();
    emit("review", this.review);
    return true;
  }

  // ---------------------------------------------------------------------------------------------- drawing
  draw() {
    const { review } = this;
    this.none.hidden = Boolean(review);
    this.body.hidden = !review;
    if (!review) return;
    this.#drawState();
    this.#drawWays();
    this.versions.replaceChildren(...[...review.versions].reverse().map((one) => this.#version(one)));
    const open = review.comments.filter((one) => one.state === "open").length;
    setText(this.count, review.comments.length ? t("film.review.comments", { open, done: review.comments.length - open }) : t("film.review.silent"));
    this.body.querySelector("#review-on-scenes").hidden = !open;
    this.verdicts.replaceChildren(...verdictLines(review.verdicts.filter((one) => !one.scene_id && one.version === review.versions.at(-1).number)));
    this.#drawComments();
  }

  #drawState() {
    const { open, versions, version } = this.review;
    const newest = versions.at(-1);
    const toggle = el("input", { type: "checkbox", role: "switch", class: "l-switch", id: "review-open", checked: open, onchange: () => this.#open(toggle.checked) });
    this.state.replaceChildren(el("label", { class: "l-share-way-words", for: "review-open" },
      el("b", {}, t(open ? "film.review.is_open" : "film.review.is_closed", { n: newest.number })), el("span", { class: "l-hint" }, t(open ? "film.review.is_open.hint" : "film.review.is_closed.hint", { n: newest.number }))), toggle);
    if (version.withheld.length) this.state.append(note(t("film.review.withheld", { scenes: version.withheld.join(", ") }), { tone: "warn", iconName: "eye-off", hint: t("film.review.withheld.hint") }));
  }

  /** The page as reviewers reach it. Who may not share reaches the studio as they do. */
  async #drawWays() {
    const path = `/review/${this.review.id}`;
    const here = { way: "local", url: location.origin + address("") };
    const shared = isOwner() ? await api("GET", "/sharing").catch(() => null) : null;
    const open = shared ? shared.ways.filter((one) => one.state === "on").flatMap(({ urls }) => urls) : [];
    const pages = open.length ? open : [here.url];
    const acts = el("div", { class: "l-review-acts" },
      isOwner() ? button(t("film.review.invite"), () => this.#invite(), { iconName: "user-plus", kind: "primary", id: "review-invite" }) : null,
      button(t("film.review.package"), () => this.#pack(), { iconName: "package", id: "review-package" }));
    this.ways.replaceChildren(...pages.map((url) => addressBox(url.replace(/\/$/, "") + path, { label: t("film.review.page"), coded: open.length > 0 })),
      ...(isOwner() && !open.length ? [el("p", { class: "l-hint" }, t("film.review.alone"))] : []), acts);
  }

  #version(one) {
    const current = one === this.review.versions.at(-1);
    const changes = one.number === this.review.version.number ? changesOf(this.review.version) : "";
    const said = this.review.comments.filter((comment) => comment.version === one.number).length;
    const facts = [at(one.created), said ? t("film.review.said", { count: said }) : "", changes].filter(Boolean).join(" · ");
    return el("li", { class: "l-share-row", dataset: { version: one.number } }, icon("film"),
      el("div", { class: "l-share-row-words" }, el("b", {}, t("film.review.version", { n: one.number }), current ? el("span", { class: "l-tag" }, t("film.review.current")) : null), el("span", { class: "l-hint" }, facts)),
      el("div", { class: "l-share-row-tools" }, iconButton("play", t("film.review.play", { n: one.number }), () => {
        document.querySelector(".l-film-dialog")?.close();
        emit("version:play", { review_id: this.review.id, version: one.number, at: 0 });
      })));
  }

  #drawComments() {
    fillComments(this.list, this.review.comments, {
      shown: this.shown, scene: true, changed: () => this.read(),
      toggle: () => {
        this.shown = !this.shown;
        this.#drawComments();
      },
    });
  }

  // ---------------------------------------------------------------------------------------------- verbs
  async #open(open) {
    try {
      this.review = await api("PATCH", `/reviews/${this.review.id}`, { open });
    } catch (error) {
      toastError(error);
    }
    this.draw();
  }

  #invite() {
    document.querySelector(".l-film-dialog")?.close();
    emit("share", { section: "invite", queueId: this.queue.id });
  }

  #pack() {
    save(address(`/api/reviews/${this.review.id}/package`));
    toast(t("film.review.package.coming"), t("film.review.package.hint"));
  }

  async #bring() {
    const [file] = this.file.files;
    this.file.value = "";
    if (!file) return;
    try {
      const { added, known, verdicts } = await sendFile(`/reviews/${this.review.id}/comments/import`, file, {});
      toast(t("film.review.imported", { count: added }), known || verdicts ? t("film.review.imported.hint", { known, verdicts }) : "", "ok");
    } catch (error) {
      toastError(error);
    }
    this.read();
  }

  #onScenes() {
    document.querySelector(".l-film-dialog")?.close();
    filterBy("notes");
  }
}

/** "2 retaken, 1 new, 1 gone" against the version before. */
function changesOf({ scenes, removed }) {
  const count = (name) => scenes.filter((one) => one.change === name).length;
  const words = ["new", "retaken", "trimmed", "moved"].filter(count).map((name) => t(`film.review.change.${name}`, { count: count(name) }));
  return [...words, ...(removed.length ? [t("film.review.change.removed", { count: removed.length })] : [])].join(", ");
}

// a version of the film, as reviewers see it, from a second on
on("version:play", async ({ review_id: id, version: number, at: second, paused = false }) => {
  try {
    const { version, name } = await api("GET", `/reviews/${id}?version=${number}`);
    emit("stage:film", {
      item: {
        id: `${id}-${number}`, src: address(`/api/reviews/${id}/versions/${number}/film`), kind: "video", duration: version.seconds, fps: version.fps,
        title: `${name} · ${t("film.review.version", { n: number })}`, width: version.width, height: version.height,
        vtt: version.subtitles ? address(`/api/reviews/${id}/versions/${number}/subtitles.vtt`) : null,
      },
      second, paused,
    });
  } catch (error) {
    toastError(error);
  }
});
