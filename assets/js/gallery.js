// The Gallery tab: every take as a picture. Loads pages as they are scrolled to, fetches a poster only when its tile
// comes near the screen and a clip only on hover, so that thousands of takes cost what one screen costs.
import { api, button, confirmDialog, debounce, el, icon, iconButton, on, setAttr, setText, showTab, t, toast, toastError } from "./core.js";
import { OWNERS } from "./me.js";
import { openTake } from "./take_dialog.js";
import { see, tile, update } from "./tiles.js";
import { engineName, taskName } from "./words_of.js";

const PAGE = 60;
const POSTERS_AHEAD = "300px"; // of the screen
const PAGES_AHEAD = "900px";
const TASKS = ["text_to_video", "image_to_video", "reference_to_video", "talking_avatar", "single_shot_extension",
  "shot_switching_extension", "text_to_image", "speech"];
const KINDS = ["video", "image", "audio"];
const MARKS = { draft: { draft: "true" }, final: { draft: "false" }, private: { private: "true" } };
const HIDE_KEY = "lanterna_hide_private";

let gallery = null;

export function mount(root) {
  gallery = new Gallery(root);
}

class Gallery {
  #filter = { q: "", task: "", kind: "", engine: "", queue: "", mark: "", trashed: false };
  #order = []; // ids, newest first
  #tiles = new Map(); // id -> node
  #picked = new Set();
  #next = null; // the last id of the newest page, null at the end
  #turn = 0; // a slow answer to an old question is dropped
  #loading = false;
  #stale = false;

  constructor(root) {
    root.classList.add("l-gallery");
    this.root = root;
    this.hidePrivate = localStorage.getItem(HIDE_KEY) === "1";
    this.grid = el("div", { class: "l-grid", id: "gallery-grid", role: "list" });
    this.empty = el("div", { class: "l-empty", id: "gallery-empty", hidden: true });
    this.end = el("div", { class: "l-grid-end" });
    this.scroll = el("div", { class: "l-gallery-scroll" }, this.grid, this.empty, this.end);
    this.bar = this.#bar();
    this.picks = this.#picks();
    root.append(this.bar, this.picks, this.scroll);
    this.watcher = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
      if (!isIntersecting) return;
      see(target);
      this.watcher.unobserve(target);
    }), { root: this.scroll, rootMargin: POSTERS_AHEAD });
    this.ender = new IntersectionObserver((entries) => entries.at(-1).isIntersecting && this.#more(),
      { root: this.scroll, rootMargin: PAGES_AHEAD });
    on("library", () => this.#freshen());
    on("gallery:trash", (trashed) => this.#set("trashed", trashed));
    on("queues", () => this.#choices());
    new IntersectionObserver(([entry]) => entry.isIntersecting && this.#stale && this.#freshen()).observe(root);
    this.reload();
    this.#choices();
  }

  // ---------------------------------------------------------------------------------------------- the bar on top
  #bar() {
    const search = el("input", { class: "l-input l-gallery-search", id: "gallery-search", type: "search",
      placeholder: t("gallery.search"), "aria-label": t("gallery.search"),
      oninput: debounce(() => this.#set("q", search.value.trim()), 220) });
    this.task = this.#select("task", t("gallery.every_task"), TASKS.map((task) => [task, taskName(task)]));
    this.kind = this.#select("kind", t("gallery.every_kind"), KINDS.map((kind) => [kind, t(`gallery.kind.${kind}`)]));
    this.engine = this.#select("engine", t("gallery.every_engine"), []);
    this.queue = this.#select("queue", t("gallery.every_queue"), []);
    this.mark = this.#select("mark", t("gallery.every_take"), Object.keys(MARKS).map((mark) => [mark, t(`gallery.mark.${mark}`)]));
    this.hide = iconButton("eye", t("gallery.hide_private"), () => this.#hide(!this.hidePrivate),
      { id: "gallery-hide-private", "aria-pressed": String(this.hidePrivate) });
    this.trash = iconButton("trash-2", t("gallery.trash"), () => this.#set("trashed", !this.#filter.trashed),
      { id: "gallery-trash", "aria-pressed": "false" });
    this.choose = iconButton("check", t("gallery.choose"), () => this.#choosing(!this.choosing),
      { id: "gallery-choose", "aria-pressed": "false" });
    this.count = el("span", { class: "l-gallery-count l-mono", "aria-live": "polite" });
    this.#hide(this.hidePrivate, true);
    return el("header", { class: "l-gallery-bar" },
      el("label", { class: "l-gallery-find" }, icon("search"), search),
      el("div", { class: "l-gallery-filters" }, this.task, this.kind, this.engine, this.queue, this.mark),
      el("div", { class: "l-gallery-tools" }, this.count, this.choose, this.hide, this.trash));
  }

  #select(name, every, choices) {
    const node = el("select", { class: "l-select", id: `gallery-${name}`, "aria-label": every,
      onchange: () => this.#set(name, node.value) });
    fill(node, every, choices);
    return node;
  }

  /** Engines and queues that there are takes of; asked for once the tab is open. */
  async #choices() {
    try {
      const [engines, queues] = await Promise.all([api("GET", "/engines"), api("GET", "/queues")]);
      fill(this.engine, t("gallery.every_engine"), engines.map(({ id }) => [id, engineName(id)]), this.#filter.engine);
      fill(this.queue, t("gallery.every_queue"), queues.map(({ id, name, inbox }) =>
        [id, inbox ? t("queues.inbox") : name]), this.#filter.queue);
    } catch {
      // the pulse says when the studio cannot be reached
    }
  }

  #set(name, value) {
    if (this.#filter[name] === value) return;
    this.#filter[name] = value;
    setAttr(this.trash, "aria-pressed", String(this.#filter.trashed));
    this.root.classList.toggle("l-in-trash", this.#filter.trashed);
    this.#choosing(false);
    this.reload();
  }

  #hide(hide, quiet = false) {
    this.hidePrivate = hide;
    localStorage.setItem(HIDE_KEY, hide ? "1" : "0");
    this.hide.firstChild.className = `l-ic l-ic-${hide ? "eye-off" : "eye"}`;
    setAttr(this.hide, "aria-pressed", String(hide));
    setAttr(this.hide, "title", t(hide ? "gallery.show_private" : "gallery.hide_private"));
    if (!quiet) this.reload();
  }

  // ---------------------------------------------------------------------------------------------- pages
  #query(before, limit = PAGE) {
    const { q, task, kind, engine, queue, mark, trashed } = this.#filter;
    const all = { q, task, kind, engine, queue, trashed: trashed || "", private: this.hidePrivate ? "false" : "", ...MARKS[mark], before, limit };
    return new URLSearchParams(Object.entries(all).filter(([, value]) => value !== "" && value !== null)).toString();
  }

  /** From the top, with what the bar says now. */
  async reload() {
    this.#turn += 1;
    this.#next = null;
    const turn = this.#turn;
    const page = await this.#page(null);
    if (!page || turn !== this.#turn) return;
    this.#tiles.forEach((node) => this.watcher.unobserve(node));
    this.#tiles.clear();
    this.#order = [];
    this.grid.replaceChildren();
    this.scroll.scrollTop = 0;
    this.#add(page);
  }

  async #more() {
    if (!this.#next || this.#loading) return;
    const turn = this.#turn;
    const page = await this.#page(this.#next);
    if (page && turn === this.#turn) this.#add(page);
  }

  async #page(before, limit = PAGE) {
    this.#loading = true;
    try {
      return await api("GET", `/takes?${this.#query(before, limit)}`);
    } catch (error) {
      toastError(error);
      return null;
    } finally {
      this.#loading = false;
    }
  }

  #add({ takes, next, total }) {
    const nodes = takes.filter((take) => !this.#tiles.has(take.id)).map((take) => this.#tile(take));
    this.grid.append(...nodes);
    this.#order.push(...nodes.map((node) => node.take.id));
    this.#next = next;
    this.#say(total);
  }

  /** New work came in or marks changed: bring the first page up to date without losing the place. */
  async #freshen() {
    this.#stale = !this.root.offsetParent;
    if (this.#stale || this.#loading) return;
    const turn = this.#turn;
    const page = await this.#page(null, Math.min(200, Math.max(PAGE, this.#order.length)));
    if (!page || turn !== this.#turn) return;
    const wanted = new Map(page.takes.map((take) => [take.id, take]));
    const reach = page.next ? page.takes.at(-1).id : "";
    for (const id of [...this.#order]) {
      if (!wanted.has(id) && id >= reach) this.#drop(id); // takes are ULIDs: newer is greater
    }
    let at = this.grid.firstElementChild;
    for (const take of page.takes) {
      let node = this.#tiles.get(take.id);
      if (node) update(node, take);
      else this.grid.insertBefore((node = this.#tile(take)), at);
      if (node === at) at = at.nextElementSibling;
    }
    this.#order = [...this.grid.children].map((node) => node.dataset.id);
    if (this.#order.length <= page.takes.length) this.#next = page.next;
    this.#say(page.total);
  }

  #tile(take) {
    const node = tile(take, { onclick: (one, event) => this.#click(one, event) });
    node.setAttribute("role", "listitem");
    const mark = el("span", { class: "l-tile-mark", "aria-hidden": "true" }, icon("check"));
    node.append(mark);
    this.#tiles.set(take.id, node);
    this.watcher.observe(node);
    return node;
  }

  #drop(id) {
    this.#tiles.get(id)?.remove();
    this.#tiles.delete(id);
    this.#picked.delete(id);
    this.#order = this.#order.filter((one) => one !== id);
  }

  #say(total) {
    this.ender.unobserve(this.end); // asks anew: the end may still be in reach, which alone is no event
    this.ender.observe(this.end);
    setText(this.count, total ? t("gallery.count", { count: total }) : "");
    const nothing = !this.#order.length;
    this.empty.hidden = !nothing;
    if (nothing) this.#nothing();
    this.#chosen();
  }

  #nothing() {
    const { trashed, ...filter } = this.#filter;
    const filtered = Object.values(filter).some(Boolean);
    const [name, action] = trashed ? ["trash", button(t("gallery.back"), () => this.#set("trashed", false))]
      : filtered ? ["found", button(t("gallery.clear"), () => this.#clear())]
        : ["all", button(t("gallery.empty.all.do"), () => showTab("generate"), { kind: "primary" })];
    this.empty.replaceChildren(icon(trashed ? "trash-2" : filtered ? "search" : "layout-grid"),
      el("div", { class: "l-empty-words" }, t(`gallery.empty.${name}`)),
      el("p", { class: "l-hint" }, t(`gallery.empty.${name}.next`)), action);
  }

  #clear() {
    Object.assign(this.#filter, { q: "", task: "", kind: "", engine: "", queue: "", mark: "" });
    for (const node of this.bar.querySelectorAll("input, select")) node.value = "";
    this.reload();
  }

  // ---------------------------------------------------------------------------------------------- one take
  #click(take, event) {
    if (this.choosing || event.ctrlKey || event.metaKey || event.shiftKey) {
      this.#choosing(true);
      return this.#pick(take.id, event.shiftKey);
    }
    openTake(take.id, {
      trashed: this.#filter.trashed,
      queueName: (one) => [...this.queue.options].find(({ value }) => value === one.queue_id)?.label || one.queue,
      after: (id, step) => this.#order[this.#order.indexOf(id) + step],
      remove: (id) => this.discard([id]),
      restore: (id) => this.restore([id]),
      forever: (id) => this.forever([id]),
      changed: (changedTake) => this.#tiles.has(changedTake.id) && update(this.#tiles.get(changedTake.id), changedTake),
    });
  }

  // ---------------------------------------------------------------------------------------------- several takes
  #picks() {
    this.picksWords = el("span", {});
    this.picksTools = el("div", { class: "l-picks-tools" });
    return el("div", { class: "l-picks", id: "gallery-picks", hidden: true }, this.picksWords, this.picksTools);
  }

  #choosing(choosing) {
    this.choosing = choosing;
    this.root.classList.toggle("l-choosing", choosing);
    setAttr(this.choose, "aria-pressed", String(choosing));
    if (!choosing) {
      for (const id of this.#picked) this.#tiles.get(id)?.classList.remove("l-picked");
      this.#picked.clear();
    }
    this.#chosen();
  }

  #pick(id, through) {
    const from = this.#order.indexOf(this.lastPick);
    const to = this.#order.indexOf(id);
    const ids = through && from >= 0 ? this.#order.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
    const add = through || !this.#picked.has(id);
    for (const one of ids) {
      if (add) this.#picked.add(one);
      else this.#picked.delete(one);
      this.#tiles.get(one)?.classList.toggle("l-picked", add);
    }
    this.lastPick = id;
    this.#chosen();
  }

  #chosen() {
    this.picks.hidden = !this.choosing;
    if (!this.choosing) return;
    const ids = [...this.#picked];
    setText(this.picksWords, ids.length ? t("gallery.chosen", { count: ids.length }) : t("gallery.chosen.none"));
    const many = ids.length > 0;
    const tools = this.#filter.trashed
      ? [button(t("gallery.restore"), () => this.restore(ids), { iconName: "rotate-ccw", disabled: !many }),
        button(t("gallery.forever"), () => this.forever(ids), { iconName: "trash-2", kind: "danger", disabled: !many, ...OWNERS })]
      : [button(t("gallery.make_private"), () => this.#mark(ids, true), { iconName: "eye-off", disabled: !many }),
        button(t("gallery.make_open"), () => this.#mark(ids, false), { iconName: "eye", disabled: !many }),
        button(t("gallery.delete"), () => this.discard(ids), { iconName: "trash-2", disabled: !many })];
    this.picksTools.replaceChildren(...tools, button(t("gallery.chosen.done"), () => this.#choosing(false)));
  }

  async #mark(ids, isPrivate) {
    await this.#each(ids, (id) => api("PATCH", `/takes/${id}`, { private: isPrivate }));
    this.#choosing(false);
    this.#freshen();
  }

  /** To the trash, after asking; a toast offers the way back. True when it was done. */
  async discard(ids) {
    const sure = await confirmDialog({ title: t("gallery.delete.ask", { count: ids.length }),
      text: t("gallery.delete.ask.text"), yes: t("gallery.delete"), danger: true });
    if (!sure) return false;
    const gone = await this.#each(ids, (id) => api("DELETE", `/takes/${id}`));
    gone.forEach((id) => this.#drop(id));
    this.#choosing(false);
    this.#freshen();
    if (gone.length) undoToast(t("gallery.deleted", { count: gone.length }), () => this.restore(gone));
    return true;
  }

  async restore(ids) {
    const back = await this.#each(ids, (id) => api("POST", `/takes/${id}/restore`));
    if (this.#filter.trashed) back.forEach((id) => this.#drop(id));
    this.#choosing(false);
    await this.#freshen();
    if (back.length) toast(t("gallery.restored", { count: back.length }), "", "ok");
    return back.length > 0;
  }

  /** Off the disk, after asking. True when something went. */
  async forever(ids) {
    const sure = await confirmDialog({ title: t("gallery.forever.ask", { count: ids.length }),
      text: t("gallery.forever.ask.text"), yes: t("gallery.forever"), danger: true });
    if (!sure) return false;
    const gone = await this.#each(ids, (id) => api("DELETE", `/takes/${id}?forever=true`));
    gone.forEach((id) => this.#drop(id));
    this.#choosing(false);
    await this.#freshen();
    return gone.length > 0;
  }

  /** One after the other; the ids that went well. */
  async #each(ids, act) {
    const done = [];
    for (const id of ids) {
      try {
        await act(id);
        done.push(id);
      } catch (error) {
        toastError(error);
      }
    }
    return done;
  }
}

function fill(select, every, choices, value = "") {
  select.replaceChildren(...[["", every], ...choices].map(([id, label]) => el("option", { value: id }, label)));
  select.value = value;
}

/** A toast with one button. */
function undoToast(words, undo) {
  toast(words, "", "ok");
  const node = document.getElementById("l-toasts")?.lastElementChild;
  node?.querySelector(".l-toast-words").append(el("button", { type: "button", class: "l-undo", id: "gallery-undo", onclick: () => {
    node.remove();
    undo();
  } }, t("gallery.undo")));
}

