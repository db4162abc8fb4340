// Settings > Models: what there is, what it takes, what is here; getting, checking and removing it. Reads the catalogue
// again while something is being fetched.
import { api, button, el, errorWords, fmt, keyed, on, t, toast } from "./core.js";
import { pickFolder } from "./folder_picker.js";
import { ModelCard, begun, useName, uses } from "./settings_model.js";
import { note, trouble, waiting, whileShown } from "./settings_parts.js";
import { act } from "./queues.js";

const BUSY_MS = 1000;
const IDLE_MS = 5000;

/** Something of it is being fetched or looked through. */
export const busy = (model) => [model.download, model.check].some((work) => ["waiting", "running"].includes(work?.state));

/** What was got or begun comes first, then what would fit, then the rest; each in the studio's own order. */
const place = (model, models) => (model.state === "ready" || busy(model) || begun(model, models) ? 0 : model.fit?.ok === false ? 2 : 1);

export function drawModels(root) {
  const cards = new Map();
  const view = { task: "", here: false, catalogue: null, places: new Map() };
  const facts = el("p", { class: "l-models-facts" });
  const tasks = el("select", { class: "l-select", id: "models-task", "aria-label": t("models.task"), onchange: () => {
    view.task = tasks.value;
    draw();
  } });
  const every = button(t("models.every"), () => choose(false), { id: "models-all" });
  const here = button(t("models.here"), () => choose(true), { id: "models-here" });
  for (const node of [every, here]) node.className = "";
  const bring = button(t("models.import"), importFolder, { iconName: "folder-search", id: "models-import" });
  const notes = el("div", { class: "l-models-notes" });
  const list = el("div", { class: "l-models", role: "list", "aria-label": t("settings.models") });
  const rest = el("div", {});
  const loading = waiting();
  root.append(el("div", { class: "l-models-bar" }, tasks, el("div", { class: "l-seg", role: "group", "aria-label": t("models.which") }, every, here), facts, bring), notes, loading, list, rest);

  function choose(only) {
    view.here = only;
    draw();
  }

  async function look() {
    try {
      view.catalogue = await api("GET", "/catalogue");
      loading.remove();
      draw();
      return view.catalogue.models.some(busy) ? BUSY_MS : IDLE_MS;
    } catch (error) {
      loading.remove();
      notes.replaceChildren(trouble(error, look));
      return IDLE_MS;
    }
  }

  function draw() {
    if (!view.catalogue) return;
    const { free_bytes: free, folder, offline } = view.catalogue;
    for (const model of view.catalogue.models) if (!view.places.has(model.id)) view.places.set(model.id, place(model, view.catalogue.models));
    const models = view.catalogue.models.toSorted((a, b) => view.places.get(a.id) - view.places.get(b.id)); // nothing jumps while somebody looks
    every.setAttribute("aria-pressed", String(!view.here));
    here.setAttribute("aria-pressed", String(view.here));
    drawTasks(models);
    facts.textContent = t("models.free", { free: fmt.bytes(free) });
    facts.title = folder;
    const shown = models.filter((model) => (!view.task || uses(model).includes(view.task)) && (!view.here || model.state !== "missing" && model.state !== "unfit"));
    keyed(list, cards, shown, (model) => model.id, (model) => new ModelCard(model.id, { after: look }).element,
      (node, model) => node.card.fill(model, view.catalogue));
    list.hidden = !shown.length;
    const said = [offline && note(t("models.offline"), { iconName: "wifi-off", tone: "warn", hint: t("models.offline.hint") }),
      !shown.length && note(t(view.here ? "models.none_here" : "models.none"), { hint: view.here ? t("models.none_here.hint") : "" })].filter(Boolean);
    const key = JSON.stringify([offline, shown.length > 0, view.here]);
    if (notes.dataset.key === key) return;
    notes.dataset.key = key;
    notes.replaceChildren(...said);
  }

  function drawTasks(models) {
    const all = [...new Set(models.flatMap(uses))];
    if (tasks.childElementCount === all.length + 1) return;
    tasks.replaceChildren(el("option", { value: "" }, t("gallery.every_task")), ...all.map((use) => el("option", { value: use }, useName(use))));
    tasks.value = view.task;
  }

  async function importFolder() {
    const folder = await pickFolder({ title: t("models.import.title"), yes: t("models.import.yes") });
    if (!folder) return;
    const found = await act(() => api("POST", "/catalogue/import", { folder }));
    if (found) tellOfImport(found);
    look();
    files();
  }

  async function files() {
    try {
      rest.replaceChildren(...ownFiles(await api("GET", "/catalogue/files")));
    } catch {
      rest.replaceChildren(); // the list above says what is wrong
    }
  }

  const quiet = on("catalogue", () => (root.isConnected ? look() : quiet()));
  whileShown(root, look);
  files();
}

/** What an import found, and what it could not use. */
function tellOfImport(found) {
  const { models, checkpoints, loras } = found;
  const refused = found.refused.map(({ name, error }) => [`${name}: ${errorWords(error).message}`, errorWords(error).hint].filter(Boolean).join(" "));
  const said = [models.map((model) => model.title).join(", "), checkpoints && t("models.imported.checkpoints", { count: checkpoints }), loras && t("models.imported.loras", { count: loras })];
  if (said.some(Boolean)) toast(t("models.imported"), said.filter(Boolean).join(" · "), "ok");
  if (refused.length) toast(t("models.refused"), refused.join("\n"), "bad");
}

/** Checkpoints and LoRAs of the user's own. */
function ownFiles({ checkpoints, loras }) {
  const rows = [...checkpoints, ...loras];
  return [el("section", { class: "l-set-block" }, el("h3", {}, t("models.own")),
    el("p", { class: "l-hint" }, t("models.own.about")),
    rows.length ? el("ul", { class: "l-needs" }, rows.map((one) => el("li", {}, el("b", {}, one.name), el("span", { class: "l-mono" }, fmt.bytes(one.bytes)),
      el("span", { class: "l-hint", title: one.path }, t(`models.${one.kind}`))))) : null)];
}

