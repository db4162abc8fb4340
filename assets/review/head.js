// The top of the page: which version this is and what changed, the film's approval, who is here, and what has to be said.
const LANGUAGES = { en: "English", pt: "Português", zh: "中文" };
const notes = new Map();
const newestAtStart = Math.max(...view.versions.map((version) => version.number));
let announced = newestAtStart;

function approve(sceneId, approved) {
  post({ kind: "verdict", version: view.version.number, scene_id: sceneId, approved: approved || null });
  const scene = scenes.find((one) => one.scene_id === sceneId);
  tell(t(approved ? "approve.said" : "approve.withdrawn", { what: scene ? numbered(scene) : view.name }));
}

/** A line above the film, until `text` is empty. What was closed stays closed until there is something else to say. */
function notice(id, text, ...more) {
  const known = notes.get(id);
  if ((known?.text ?? "") === text) return;
  known?.node.remove();
  notes.delete(id);
  if (!text) return;
  const close = button("ib small", t("close"), () => node.remove(), icon("x"));
  const node = el("div", { class: "notice", role: "status" }, el("span", {}, text), more, close);
  notes.set(id, { node, text });
  $("notices").append(node);
}

const linkTo = (number) => {
  const query = new URLSearchParams(location.search);
  if (number) query.set("version", number);
  else query.delete("version");
  return `${location.pathname}${query.size ? `?${query}` : ""}`;
};

function drawHead() {
  const { number, scenes: shown, removed } = view.version;
  const changes = shown.filter((scene) => scene.change).length + removed.length;
  $("version").replaceChildren(el("span", {}, t("version", { n: number })), number > 1 ? el("span", { class: "dim" }, t("changes", { n: changes })) : "", icon("down"));
  $("version").disabled = view.versions.length < 2 && !changes;
  const { mine, others, before } = approvals("");
  $("approve").setAttribute("aria-pressed", String(mine));
  $("approve").replaceChildren(icon("check"), t(mine ? "film.approved" : "film.approve"));
  const who = [others.length ? t("approved.by", { names: others.join(", ") }) : "", before ? t("approved.before", { n: before }) : ""].filter(Boolean).join(" · ");
  $("approve").title = who || t(mine ? "approve.take_back" : "film.approve.hint");
  const newest = Math.max(...view.versions.map((version) => version.number));
  if (newest > announced) {
    announced = newest;
    tell(t("newer", { n: newest }));
  }
  if (newest > number) notice("newer", t(newest > newestAtStart ? "newer" : "older", { n: newest, shown: number }), el("a", { class: "btn primary", href: linkTo(0) }, t("watch", { n: newest })));
  if (view.version.withheld.length) notice("withheld", t("withheld", { scenes: view.version.withheld.join(", ") }));
  if (!view.open) notice("closed", t("closed.hint"));
}

function changesPanel() {
  const { scenes: shown, removed } = view.version;
  const changed = shown.filter((scene) => scene.change).map((scene) =>
    el("li", {}, el("button", { type: "button", class: "row", onclick: () => (closePanels(), goTo(scene)) }, el("span", {}, numbered(scene)), el("span", { class: `badge ${scene.change}` }, t(`change.${scene.change}`)))));
  const gone = removed.map((scene) => el("li", { class: "row" }, el("span", {}, numbered(scene)), el("span", { class: "badge removed" }, t("change.removed"))));
  const versions = [...view.versions].reverse().map((version) => {
    const here = version.number === view.version.number;
    return el("li", {}, el("a", { class: "row", href: linkTo(version.number), "aria-current": here && "page" }, el("span", {}, t("version", { n: version.number }), here && el("small", {}, t("shown"))), el("time", {}, day(version.created))));
  });
  return [
    view.version.number > 1 && el("h2", {}, t("changed")),
    view.version.number > 1 && (changed.length + gone.length ? el("ul", {}, changed, gone) : el("p", { class: "lead" }, t("changed.nothing"))),
    versions.length > 1 && el("h2", {}, t("versions")),
    versions.length > 1 && el("ul", {}, versions),
  ].filter(Boolean);
}

function personPanel() {
  const { name: who, role } = view.me;
  const languages = Object.entries(LANGUAGES).map(([code, label]) => {
    const query = new URLSearchParams(location.search);
    query.set("lang", code);
    return el("li", {}, el("a", { class: "row", lang: code, hreflang: code, href: `?${query}`, "aria-current": lang.startsWith(code) && "true" }, label));
  });
  return [
    el("p", { class: "lead" }, who || t("you"), el("small", {}, t(`role.${role}`))),
    el("h2", {}, t("language")), el("ul", {}, languages),
    role !== "reviewer" && el("p", {}, el("a", { class: "btn", href: "../" }, t("studio"))),
    who && el("form", { method: "post", action: "../sign-out" }, el("button", { class: "btn" }, t("sign_out"))),
  ].filter(Boolean);
}

// ---- drops
const drops = { version: ["changes", changesPanel], me: ["person", offline ? savePanel : personPanel] };

function closePanels(focus = false) {
  for (const [opener, [panel]] of Object.entries(drops)) {
    if ($(panel).hidden) continue;
    $(panel).hidden = true;
    $(opener).setAttribute("aria-expanded", "false");
    if (focus) $(opener).focus();
  }
}

function openPanel(opener) {
  const [panel, fill] = drops[opener];
  const wasOpen = !$(panel).hidden;
  closePanels();
  if (wasOpen) return;
  $(panel).replaceChildren(...fill());
  $(panel).hidden = false;
  $(opener).setAttribute("aria-expanded", "true");
}

// ---- without a studio: comments go home as a file
function savePanel() {
  const field = el("input", { id: "author", autocomplete: "name", maxlength: 60, value: recall("author", "") });
  const count = outbox.length;
  const problem = el("p", { class: "problem", role: "alert" });
  const save = () => {
    const author = field.value.trim();
    problem.textContent = author ? "" : t("save.name");
    if (!author) return field.focus();
    keep("author", author);
    download({ lanterna_review: 1, review_id: view.id, author, comments: outbox.filter((one) => one.kind === "comment").map(({ kind, ...rest }) => rest), verdicts: outbox.filter((one) => one.kind === "verdict").map(({ kind, ...rest }) => rest) });
    closePanels(true);
    tell(t("saved"));
    notice("saved", t("saved"));
  };
  return [
    el("h2", {}, t("save")), el("p", { class: "lead" }, t("save.how")),
    el("label", { for: "author" }, t("save.your_name")), field, problem,
    el("button", { type: "button", class: "btn primary", onclick: save }, icon("save"), t("save.count", { n: count })),
  ];
}

function download(saved) {
  const link = el("a", { href: URL.createObjectURL(new Blob([JSON.stringify(saved, null, 1)], { type: "application/json" })), download: `${view.name.replace(/[^\p{L}\p{N} _-]/gu, "").trim() || "film"}-${t("save.file")}.json` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function startHead() {
  for (const opener of Object.keys(drops)) $(opener).addEventListener("click", () => openPanel(opener));
  document.addEventListener("pointerdown", (event) => !event.target.closest(".drop") && closePanels());
  $("me").replaceChildren(icon(offline ? "save" : "person"), el("span", {}, offline ? t("save") : view.me.name || t("you")), icon("down"));
  $("approve").addEventListener("click", () => approve("", !approvals("").mine));
}
