// What was said: a list by time, each comment leading to its moment; boxes that were drawn on the frame.
const NEAR_S = 0.3; // how close to a comment's moment its box is shown
const rows = new Map();

/** Those that have arrived, and those on their way. */
function allComments() {
  const there = new Set(view.comments.map((comment) => comment.id));
  const onTheirWay = outbox.filter((one) => one.kind === "comment" && !there.has(one.id));
  const placed = onTheirWay.map((one) => {
    const scene = one.version === view.version.number ? sceneAt(one.at) : null;
    return { ...one, scene_id: scene?.scene_id ?? "", number: scene?.number ?? null, state: "open", author: view.me.name || t("you"), mine: true, frame: false, waits: true };
  });
  return [...view.comments, ...placed].sort((one, other) => one.at - other.at);
}

const sceneOf = (comment) => scenes.find((scene) => scene.scene_id === comment.scene_id);
const isHere = (comment) => comment.version === view.version.number;

/** To its moment; from another version, to where its scene begins in this one. */
function goToComment(comment) {
  const scene = sceneOf(comment);
  film.pause();
  film.seek(isHere(comment) ? comment.at : scene.start + frameSeconds / 2);
  tell(t("at_scene", { scene: scene ? numbered(scene) : "", time: clock(film.now()) }));
}

function timeButton(comment) {
  const scene = sceneOf(comment);
  const reachable = isHere(comment) || scene;
  const label = t("go_to", { time: clock(comment.at), scene: scene ? numbered(scene) : "" });
  return el("button", { type: "button", class: "at", "data-key": `at-${comment.id}`, disabled: !reachable, "aria-label": label, title: label, onclick: () => goToComment(comment) }, clock(comment.at));
}

function waitingLine(comment) {
  if (!comment.waits || offline) return null;
  if (!comment.problem) return el("p", { class: "waits" }, icon("wait"), t("waits"));
  return el("p", { class: "waits problem" }, icon("alert"), el("span", {}, comment.problem),
    el("button", { type: "button", class: "text", "data-key": `edit-${comment.id}`, onclick: () => editAgain(comment) }, t("edit")));
}

/** Asks once more in the same place before something is gone. */
function deleteButton(comment) {
  if (!comment.mine) return null;
  const key = `delete-${comment.id}`;
  const ask = el("button", { type: "button", class: "ib small", "data-key": key, "aria-label": t("delete"), title: t("delete"), onclick: () => {
    const sure = el("button", { type: "button", class: "text", "data-key": key, onclick: () => remove(comment) }, t("delete.sure"));
    ask.replaceWith(sure);
    sure.focus();
    sure.addEventListener("blur", () => sure.replaceWith(ask));
  } }, icon("trash"));
  return ask;
}

function picture(comment) {
  if (!comment.frame || offline) return null;
  const image = el("img", { alt: "", loading: "lazy", src: `${facts.api}comments/${comment.id}/frame` });
  image.addEventListener("error", () => figure.remove());
  const figure = el("div", { class: "still" }, image, comment.region && regionBox(comment));
  return figure;
}

function regionBox(comment) {
  const [left, top, right, bottom] = comment.region;
  const box = el("i", { class: `region ${comment.wish}` });
  for (const [side, share] of [["left", left], ["top", top], ["width", right - left], ["height", bottom - top]]) box.style[side] = `${share * 100}%`;
  return box;
}

function makeRow(comment) {
  const scene = sceneOf(comment);
  const kind = el("span", { class: `kind ${comment.wish}` }, icon(comment.wish === "retake" ? "retake" : "comment"), t(`wish.${comment.wish}.short`));
  const where = scene ? numbered(scene) : comment.number ? t("scene", { n: comment.number }) : "";
  const by = [comment.author, isHere(comment) ? "" : t("version", { n: comment.version }), comment.created ? day(comment.created) : ""].filter(Boolean).join(" · ");
  return el("li", { class: `entry ${comment.state}`, "data-id": comment.id },
    el("div", { class: "top" }, timeButton(comment), el("span", { class: "where" }, where), kind, comment.state === "done" && el("span", { class: "kind done" }, icon("check"), t("done"))),
    el("div", { class: "body" }, el("p", { class: "words" }, comment.text), picture(comment)),
    el("div", { class: "foot" }, el("span", {}, by), deleteButton(comment)), waitingLine(comment));
}

/** A row is made again only when what it shows has changed: pictures stay, and so does the focus. */
function rowOf(comment) {
  const shown = JSON.stringify(comment);
  const known = rows.get(comment.id);
  if (known?.shown === shown) return known.node;
  const node = makeRow(comment);
  rows.set(comment.id, { shown, node });
  return node;
}

function drawComments() {
  const all = allComments();
  const open = all.filter((comment) => comment.state === "open");
  const here = open.filter(isHere);
  const groups = [["earlier", open.filter((comment) => !isHere(comment))], ["dealt", all.filter((comment) => comment.state === "done")]];
  const focused = document.activeElement?.dataset?.key;
  const unfolded = new Set([...document.querySelectorAll("#comments details[open]")].map((node) => node.dataset.group));
  const list = (comments) => el("ul", {}, comments.map(rowOf));
  $("comments").replaceChildren(...[
    here.length ? list(here) : el("p", { class: "empty" }, t(all.length ? "comments.none_here" : "comments.none")),
    ...groups.filter(([, comments]) => comments.length).map(([group, comments]) =>
      el("details", { "data-group": group, open: unfolded.has(group) }, el("summary", { "data-key": group }, t(group, { n: comments.length })), list(comments))),
  ]);
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  $("comments-count").textContent = here.length || "";
  $("marks").replaceChildren(...here.map((comment) => {
    const mark = el("i", { class: `mark ${comment.wish}`, title: `${clock(comment.at)} ${comment.text.slice(0, 80)}`, onclick: () => goToComment(comment) });
    mark.style.left = `${(comment.at / seconds) * 100}%`;
    return mark;
  }));
  followComments(film.now());
}

function followComments(at) {
  const near = allComments().filter((comment) => isHere(comment) && comment.state === "open" && Math.abs(comment.at - at) < NEAR_S);
  const ids = new Set(near.map((comment) => comment.id));
  for (const [id, { node }] of rows) node.classList.toggle("near", ids.has(id));
  const boxes = near.filter((comment) => comment.region);
  const shown = boxes.map((comment) => comment.id).join();
  if ($("regions").dataset.shown === shown) return;
  $("regions").dataset.shown = shown;
  $("regions").replaceChildren(...boxes.map((comment) => {
    const box = regionBox(comment);
    box.append(el("b", {}, comment.author));
    return box;
  }));
}

async function remove(comment) {
  if (comment.waits) {
    drop(comment);
    return deleted();
  }
  const { status, answer } = await ask("DELETE", `comments/${comment.id}`);
  if (NOT_NOW.includes(status)) return unanswered(status), tell(t("away"));
  if (status >= 300) return notice("refused", answer.error.message);
  view.comments = view.comments.filter((one) => one.id !== comment.id);
  deleted();
}

function deleted() {
  redraw();
  tell(t("deleted"));
  document.querySelector(".comments").focus();
}

function startComments() {
  followers.push(followComments);
}
