// What reviewers said, one by one: the frame with the region that is meant, who, when, what, and whether it is dealt with.
// Knows REST, not where it is shown.
import { address, api, button, confirmDialog, el, emit, fmt, icon, iconButton, openDialog, pulse, setAttr, t, toastError } from "./core.js";

const frameUrl = (id) => address(`/api/comments/${id}/frame`);
const percent = (share) => `${share * 100}%`;

/** The picture of a comment, with the region that was drawn on it. */
function frameOf(comment, loading) {
  const [left, top, right, bottom] = comment.region || [];
  return el("span", { class: "l-note-frame" }, el("img", { src: frameUrl(comment.id), alt: "", loading }),
    comment.region && el("i", { class: "l-note-region", style: { left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) } }));
}

/** Said by whom, when, of which version: "Ana · 0:12.4 · version 2". */
const byline = (comment) => [comment.author, fmt.time(comment.at), t("film.review.version", { n: comment.version })].join(" · ");

/** One comment in a list. `scene`: the scene's number stands with it; changed(): after it was marked or deleted. */
export function commentRow(comment, { scene = false, changed = () => {} } = {}) {
  const done = comment.state === "done";
  const mark = (state) => act(() => api("PATCH", `/comments/${comment.id}`, { state }), changed);
  return el("li", { class: "l-note", dataset: { id: comment.id, state: comment.state, wish: comment.wish } },
    comment.frame ? el("button", { type: "button", class: "l-note-show", title: t("notes.show"), "aria-label": t("notes.show.of", { who: comment.author, time: fmt.time(comment.at) }), onclick: () => openComment(comment, changed) }, frameOf(comment, "lazy")) : el("span", { class: "l-note-show" }),
    el("div", { class: "l-note-words" },
      el("div", { class: "l-note-by" }, comment.wish === "retake" ? icon("flag") : null, el("b", {}, comment.author),
        el("button", { type: "button", class: "l-mono l-note-time", title: t("notes.seek"), onclick: () => seekTo(comment) }, fmt.time(comment.at)),
        el("span", { class: "l-tag" }, t("film.review.version.short", { n: comment.version })),
        scene && comment.number ? el("span", { class: "l-hint" }, t("scene.number", { n: fmt.shot(comment.number) })) : null,
        comment.imported ? el("span", { class: "l-tag", title: t("notes.imported.hint") }, t("notes.imported")) : null),
      el("p", {}, comment.text)),
    el("div", { class: "l-note-tools" },
      iconButton(done ? "rotate-ccw" : "check", t(done ? "notes.reopen" : "notes.done"), () => mark(done ? "open" : "done")),
      iconButton("trash-2", t("common.delete"), () => remove(comment, changed))));
}

/** The player goes to the moment that somebody spoke of, and nothing lies over it any more. */
function seekTo(comment) {
  clear();
  emit("comment:seek", comment);
}

function clear() {
  document.querySelectorAll("dialog[open]").forEach((dialog) => dialog.close());
  document.body.removeAttribute("data-inspector");
}

function openComment(comment, changed) {
  emit("comment:seek", comment);
  const again = comment.state === "done";
  const dialog = openDialog({
    title: byline(comment), wide: true, className: "l-note-dialog",
    content: el("div", { class: "l-stack" }, frameOf(comment, "eager"), el("p", { class: "l-note-text" }, comment.wish === "retake" ? icon("flag") : null, comment.text)),
    actions: [
      button(t("notes.play", { n: comment.version }), () => {
        clear();
        emit("version:play", comment);
      }, { iconName: "play" }),
      button(t(again ? "notes.reopen" : "notes.done"), async () => {
        dialog.close();
        await act(() => api("PATCH", `/comments/${comment.id}`, { state: again ? "open" : "done" }), changed);
      }, { iconName: again ? "rotate-ccw" : "check", kind: "primary" }),
    ],
  });
}

async function remove(comment, changed) {
  if (await confirmDialog({ title: t("notes.delete"), text: t("notes.delete.text", { who: comment.author }), yes: t("common.delete"), danger: true }))
    await act(() => api("DELETE", `/comments/${comment.id}`), changed);
}

async function act(verb, changed) {
  try {
    await verb();
  } catch (error) {
    toastError(error);
  }
  pulse.poke();
  changed();
}

/** Who approved, and who asks for a retake: verdicts [{author, approved}] as one line for each answer. */
export function verdictLines(verdicts) {
  const names = (approved) => verdicts.filter((one) => one.approved === approved).map((one) => one.author).join(", ");
  return [[true, "check", "notes.approved"], [false, "flag", "notes.refused"]].filter(([approved]) => names(approved))
    .map(([approved, picture, key]) => el("p", { class: "l-verdict", dataset: { approved: String(approved) } }, icon(picture), el("span", {}, t(key, { who: names(approved) }))));
}

/** Gives a list its comments: the open ones, and those that are dealt with behind a button that says how many. */
export function fillComments(list, comments, { shown, toggle, ...hooks }) {
  const done = comments.filter((one) => one.state === "done");
  const more = done.length ? el("li", { class: "l-note-more" }, button(t(shown ? "notes.hide_done" : "notes.show_done", { count: done.length }), toggle, { class: "l-btn l-btn-small" })) : null;
  list.replaceChildren(...comments.filter((one) => one.state === "open").map((one) => commentRow(one, hooks)), ...(more ? [more] : []), ...(shown ? done.map((one) => commentRow(one, hooks)) : []));
  setAttr(list, "hidden", comments.length ? null : "");
}
