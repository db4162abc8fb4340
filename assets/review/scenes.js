// The strip of scenes: where each begins, what is new in it, who approved it. Their pictures come from the studio; offline,
// and where it has none, from the film as it is seen.
const PICTURE = [192, 108]; // pixels of a card's picture, at most
const cards = new Map();
const pictured = new Set(); // ids of scenes that show something

/** {mine, others: [names], before}: who approved a scene, or the film (""), in this version; `before`: an earlier one. */
function approvals(sceneId) {
  const all = view.verdicts.filter((verdict) => verdict.scene_id === sceneId && verdict.approved);
  const here = all.filter((verdict) => verdict.version === view.version.number);
  const waits = outbox.findLast((one) => one.kind === "verdict" && one.scene_id === sceneId);
  return {
    mine: waits ? waits.approved === true : here.some((verdict) => verdict.mine),
    others: here.filter((verdict) => !verdict.mine).map((verdict) => verdict.author),
    before: Math.max(0, ...all.filter((verdict) => verdict.version < view.version.number).map((verdict) => verdict.version)),
  };
}

function makeCard(scene) {
  const ratio = view.version.width / view.version.height;
  const [width, height] = ratio >= PICTURE[0] / PICTURE[1] ? [PICTURE[0], Math.round(PICTURE[0] / ratio)] : [Math.round(PICTURE[1] * ratio), PICTURE[1]];
  const card = {
    picture: el("canvas", { width, height, "aria-hidden": true }),
    facts: el("span", { class: "facts" }),
    approve: el("button", { type: "button", class: "ok", onclick: () => approve(scene.scene_id, !approvals(scene.scene_id).mine) }),
  };
  const still = !offline && el("img", {
    alt: "", loading: "lazy", fetchpriority: "low", src: `${facts.api}reviews/${view.id}/versions/${view.version.number}/scenes/${scene.scene_id}/poster.jpg`,
    onload: () => (pictured.add(scene.scene_id), still.classList.add("there")), onerror: () => still.remove(),
  });
  const badge = scene.change && el("span", { class: `badge ${scene.change}` }, t(`change.${scene.change}`));
  card.go = el("button", { type: "button", class: "go", onclick: () => goTo(scene) },
    el("span", { class: "pic" }, still, card.picture, el("span", { class: "num" }, String(scene.number).padStart(2, "0")), badge),
    el("span", { class: "name" }, scene.title || t("scene", { n: scene.number })), card.facts);
  card.node = el("li", { class: "scene" }, card.go, card.approve);
  return card;
}

function drawScenes() {
  const comments = allComments();
  for (const scene of scenes) {
    const card = cards.get(scene.scene_id);
    const about = comments.filter((comment) => comment.scene_id === scene.scene_id && comment.state === "open");
    const { mine, others, before } = approvals(scene.scene_id);
    card.facts.textContent = [`${scene.duration.toFixed(1)} s`, about.length ? t("count", { n: about.length }) : ""].filter(Boolean).join(" · ");
    card.approve.setAttribute("aria-pressed", String(mine));
    card.approve.setAttribute("aria-label", t("approve.scene", { scene: numbered(scene) }));
    const who = others.length ? t("approved.by", { names: others.join(", ") }) : before ? t("approved.before", { n: before }) : "";
    card.approve.title = who;
    card.approve.replaceChildren(icon("check"), t(mine ? "approved" : before ? "approve.again" : "approve"), others.length ? el("span", { class: "who" }, `+${others.length}`) : "");
    if (who) card.approve.setAttribute("aria-label", `${t("approve.scene", { scene: numbered(scene) })}. ${who}`);
  }
  const count = scenes.filter((scene) => approvals(scene.scene_id).mine).length;
  $("scenes-count").textContent = t("scenes.count", { n: scenes.length, approved: count });
}

let lit = null;

function followScenes(at, scene) {
  if (scene && video.readyState >= 2 && !video.seeking && !pictured.has(scene.scene_id) && at > scene.start + Math.min(0.6, scene.duration / 4)) {
    pictured.add(scene.scene_id);
    const { picture } = cards.get(scene.scene_id);
    picture.getContext("2d").drawImage(video, 0, 0, picture.width, picture.height);
    picture.classList.add("there");
  }
  if (lit === scene) return;
  if (lit) cards.get(lit.scene_id).go.removeAttribute("aria-current");
  lit = scene;
  if (!scene) return;
  const { go, node } = cards.get(scene.scene_id);
  go.setAttribute("aria-current", "true");
  const list = $("scenes");
  list.scrollTo({ left: node.offsetLeft - (list.clientWidth - node.clientWidth) / 2, behavior: still.matches ? "auto" : "smooth" });
}

function startScenes() {
  for (const scene of scenes) cards.set(scene.scene_id, makeCard(scene));
  $("scenes").append(...[...cards.values()].map((card) => card.node));
  followers.push(followScenes);
}
