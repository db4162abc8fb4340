// One model of the catalogue: what it makes, its licence, how it fits this machine, and its download.
import { api, button, confirmDialog, el, errorWords, fmt, has, icon, iconButton, openMenu, setAttr, setText, t, toast } from "./core.js";
import { gatedNote, getModel } from "./fetching.js";
import { act } from "./queues.js";
import { mark, outside, profileName, progressBar } from "./settings_parts.js";
import { taskName } from "./words_of.js";

const SLOW = ["tight", "disk", "cpu", "stream8"]; // they work, at a price that is said

export class ModelCard {
  constructor(id, { after }) {
    this.id = id;
    this.after = after;
    const p = (this.parts = {
      title: el("b"), tasks: el("span", { class: "l-model-tasks" }), licence: el("span"), facts: el("span", { class: "l-hint" }),
      fit: el("span", { class: "l-model-fit" }), state: el("span", { class: "l-model-state" }),
      bar: progressBar(t("models.progress")), moving: el("span", { class: "l-mono" }), said: el("div", { class: "l-model-said" }),
      more: el("div", { class: "l-model-parts" }),
    });
    p.go = button("", () => this.#go(), { kind: "soft", iconName: "download", class: "l-btn l-btn-soft l-model-go" });
    p.menu = iconButton("ellipsis", t("common.more"), (event) => this.#menu(event.currentTarget), { "aria-haspopup": "menu" });
    p.download = el("div", { class: "l-model-download", hidden: true }, p.bar.element, p.moving);
    p.details = el("details", { class: "l-model-details" }, el("summary", {}, t("models.parts")), p.more);
    this.element = el("article", { class: "l-model", role: "listitem", dataset: { id } },
      el("div", { class: "l-model-words" }, el("div", { class: "l-model-name" }, p.title, p.state), p.tasks, el("div", { class: "l-model-facts" }, p.licence, p.facts)),
      p.fit, el("div", { class: "l-model-tools" }, p.go, p.menu), p.download, p.said, p.details);
    this.element.card = this;
  }

  fill(model, catalogue) {
    const p = this.parts;
    this.model = model;
    this.catalogue = catalogue;
    const { download, check } = model;
    const moving = live(download);
    const work = moving ? download : live(check) ? check : null;
    if (this.moved && download?.state === "done") toast(t("models.got", { title: model.title }), "", "ok");
    this.moved = moving;
    this.#once(p.title, model.title, () => setText(p.title, model.title));
    this.#once(p.tasks, uses(model), () => setText(p.tasks, uses(model).map(useName).join(" · ")));
    this.#once(p.licence, [model.licence, model.accepted], () => p.licence.replaceChildren(outside(model.licence_url, model.licence)));
    setText(p.facts, [fmt.bytes(model.bytes), model.gated ? t("models.gated.short") : "", (model.languages || []).map((code) => languageName(code)).join(", ")].filter(Boolean).join(" · "));
    this.#once(p.fit, model.fit, () => p.fit.replaceChildren(...fitOf(model.fit)));
    this.#once(p.state, [model.state, model.missing_bytes, moving], () => p.state.replaceChildren(stateOf(model, moving)));
    setAttr(this.element, "data-state", moving ? "downloading" : model.state);
    p.download.hidden = !work;
    if (work) this.#progress(work, !moving);
    this.#once(p.said, [download?.state, download?.error, check?.state, check?.bad, check?.error, model.fit, model.gated && model.state !== "ready"], () => p.said.replaceChildren(...this.#trouble()));
    this.#once(p.more, model.parts, () => p.more.replaceChildren(...model.parts.map((part) => partRow(part))));
    this.#button(Boolean(work));
  }

  /** Writes a part only when what it shows has changed: focus and selection stay where they are. */
  #once(node, value, write) {
    const key = JSON.stringify(value) ?? "";
    if (node.shows === key) return;
    node.shows = key;
    write();
  }

  #progress({ state, done, total, bytes_per_second: pace, eta }, checking) {
    const p = this.parts;
    p.bar.fill(total ? done / total : 0);
    setText(p.moving, state === "waiting" ? t("models.waiting")
      : [checking ? t("models.checking") : "", t("models.done_of", { done: fmt.bytes(done), total: fmt.bytes(total) }), pace ? t("models.pace", { size: fmt.bytes(pace) }) : "",
        eta === null || eta === undefined ? "" : t("common.left", { time: fmt.rough(eta) })].filter(Boolean).join(" · "));
  }

  #trouble() {
    const { check, download, fit, gated, state } = this.model;
    const said = [];
    if (fit && !fit.ok && fit.reason) said.push(el("p", { class: "l-hint" }, errorWords(fit.reason).message));
    if (download?.state === "failed" && state !== "ready") said.push(failure(download.error));
    if (check?.error) said.push(failure(check.error));
    else if (check?.bad?.length) said.push(failure({ message: t("models.verify.bad", { count: check.bad.length }), hint: `${t("models.verify.bad.hint")} ${check.bad.map(fileName).join(", ")}` }));
    else if (check?.state === "done") said.push(el("p", { class: "l-hint" }, t("models.verify.well", { count: check.files })));
    if (gated && state !== "ready") said.push(gatedNote());
    return said;
  }

  #button(working) {
    const { go } = this.parts;
    const { download, state, missing_bytes: missing, parts } = this.model;
    go.hidden = state === "ready" && !working;
    const left = ["failed", "cancelled"].includes(download?.state) || begun(this.model, this.catalogue.models); // a part that other models share is no beginning
    const verb = working ? "cancel" : left && parts.some((part) => part.state === "partial") ? "resume" : "get";
    if (go.dataset.verb !== verb) go.firstChild.className = `l-ic l-ic-${{ cancel: "x", resume: "play", get: "download" }[verb]}`;
    go.dataset.verb = verb;
    setAttr(go, "data-calm", verb === "cancel" || state === "unfit" ? "" : null);
    const label = verb === "cancel" ? t("common.cancel") : verb === "resume" ? t("models.resume", { size: fmt.bytes(missing) }) : t("models.get.size", { size: fmt.bytes(missing) });
    setText(go.querySelector(".l-btn-label"), label);
    setAttr(go, "aria-label", `${label} – ${this.model.title}`);
    go.disabled = !working && this.catalogue.offline;
  }

  async #go() {
    const { go } = this.parts;
    if (go.dataset.verb === "cancel") await act(() => api("POST", `/catalogue/${this.id}/cancel`));
    else await getModel(this.model, this.catalogue.free_bytes);
    this.after();
  }

  #menu(anchor) {
    const here = this.model.parts.some((part) => part.state !== "missing");
    openMenu(anchor, [
      { label: t("models.verify"), icon: "list-checks", disabled: !here, onclick: () => this.#verify() },
      { label: t("models.delete"), icon: "trash-2", danger: true, disabled: !here, onclick: () => this.#delete() },
    ]);
  }

  async #verify() {
    const started = await act(() => api("POST", `/catalogue/${this.id}/verify`));
    if (started) toast(t("models.verify.started", { title: this.model.title }), "", "ok");
    this.after();
  }

  /** Says what goes and what stays because another model reads it too. */
  async #delete() {
    const users = (part) => this.catalogue.models.filter((one) => one.id !== this.id && begun(one, this.catalogue.models) && one.parts.some((other) => same(other, part)));
    const here = this.model.parts.filter((part) => part.state !== "missing");
    const shared = here.filter((part) => users(part).length);
    const freed = here.filter((part) => !shared.includes(part)).reduce((sum, part) => sum + part.bytes, 0);
    const stays = shared.map((part) => el("li", {}, el("b", {}, part.name), el("span", { class: "l-mono" }, fmt.bytes(part.bytes)),
      el("span", { class: "l-hint" }, t("models.shared_with", { models: users(part).map((one) => one.title).join(", ") }))));
    const sure = await confirmDialog({
      title: t("models.delete.title", { title: this.model.title }), yes: t("common.delete"), danger: true,
      text: t("models.delete.text", { size: fmt.bytes(freed) }),
      content: stays.length ? el("div", { class: "l-stack l-shared" }, el("p", { class: "l-label" }, t("models.stays")), el("ul", { class: "l-needs" }, stays)) : null,
    });
    if (!sure) return;
    if (await act(() => api("DELETE", `/catalogue/${this.id}`))) toast(t("models.deleted", { title: this.model.title }), "", "ok");
    this.after();
  }
}

/** The tasks it does; of a model that makes no scene what it is for. */
export const uses = (model) => (model.tasks.length ? model.tasks : [model.serves]);
export const useName = (use) => (has(`models.serves.${use}`) ? t(`models.serves.${use}`) : taskName(use));

const live = (work) => ["waiting", "running"].includes(work?.state);
const same = (one, other) => one.repo === other.repo && one.name === other.name;
const fileName = (path) => path.split(/[\\/]/).slice(-2).join("/");

/** Something is here that only this model reads: somebody wanted to have it. */
export const begun = (model, models) => model.parts.some((part) => part.state !== "missing"
  && !models.some((other) => other.id !== model.id && other.parts.some((theirs) => same(theirs, part))));

function failure(error) {
  const { message, hint } = errorWords(error);
  return el("div", { class: "l-trouble l-trouble-failed", role: "alert" }, message, hint ? el("div", { class: "l-hint" }, hint) : null);
}

/** "hybrid · peak 11.2 GB", amber where it is slow, red where it does not fit, with the reason. */
function fitOf(fit) {
  if (!fit) return [];
  if (!fit.ok) return [mark("bad", t("models.unfit"))]; // why stands below, where there is room for a sentence
  if (!fit.profile) return [mark("ok", t("models.fits"))];
  return [mark(SLOW.includes(fit.profile) ? "warn" : "ok", t(SLOW.includes(fit.profile) ? "models.fits.slowly" : "models.fits.as", { profile: profileName(fit.profile) }), t(`form.profile.${fit.profile}`)),
    fit.peak_bytes ? el("span", { class: "l-mono l-model-peak" }, t("models.peak", { size: fmt.bytes(fit.peak_bytes) })) : ""];
}

function stateOf(model, moving) {
  if (moving) return mark("now", t("models.state.downloading"));
  const kept = model.bytes - model.missing_bytes;
  if (model.state === "ready") return mark("ok", t("models.state.ready"));
  return kept > 0 ? mark("warn", t("models.state.partial", { done: fmt.bytes(kept), total: fmt.bytes(model.bytes) })) : mark("wait", t("models.state.missing"));
}

function partRow(part) {
  return el("div", { class: "l-model-part" },
    mark({ here: "ok", partial: "warn" }[part.state] || "wait", part.name, t(`models.part.${part.state}`)),
    el("span", { class: "l-mono" }, fmt.bytes(part.bytes)),
    el("span", { class: "l-mono l-model-where" }, icon(part.path ? "folder" : "package"), part.path || [part.repo, part.revision?.slice(0, 8)].filter(Boolean).join(" @ ")));
}

function languageName(code) {
  try {
    return new Intl.DisplayNames([document.documentElement.lang], { type: "language" }).of(code);
  } catch {
    return code;
  }
}
