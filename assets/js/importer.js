// The door for episodes: a file, a folder or a package, dropped anywhere or chosen; a folder of the studio's machine; a whole
// installation of SkyReels. What comes in is looked at first (import_preview.js).
import { api, button, el, errorWords, icon, openDialog, setText, t, toast, toastError } from "./core.js";
import { pickFolder } from "./folder_picker.js";
import { openMany, openPreview } from "./import_preview.js";
import { OWNERS } from "./me.js";
import { bringPackage, isPackage } from "./packages.js";
import { chooseFolder, filesIn } from "./relink.js";

const LARGEST = 20_000_000; // bytes; the studio refuses more
const POLL_MS = 700;
const isEpisode = (file) => Boolean(file) && (/\.(json|md|txt)$/i.test(file.name) || file.type === "application/json");
const bare = (name) => name.replace(/\.(json|md|txt)$/i, "");

/** The door: what may come in, and from where. */
export function chooseEpisode() {
  const close = (then) => () => {
    dialog.close();
    then();
  };
  const way = (id, picture, then, more = {}) => el("button", { class: "l-way", id: `import-${id}`, ...more, onclick: close(then) }, icon(picture),
    el("span", {}, el("b", {}, t(`import.way.${id}`)), el("span", { class: "l-hint" }, t(`import.way.${id}.about`))));
  const zone = el("button", { class: "l-import-zone", id: "import-file", onclick: close(chooseFile) }, icon("upload"), el("b", {}, t("import.way.file")), el("span", { class: "l-hint" }, t("import.way.file.about")));
  const path = el("input", { class: "l-input l-mono", id: "import-path", placeholder: t("import.path"), "aria-label": t("import.path"), spellcheck: "false", autocomplete: "off" });
  const go = () => path.value.trim() && close(() => lookAt(path.value.trim()))();
  path.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    go();
  });
  const dialog = openDialog({
    title: t("queues.import"), className: "l-door",
    content: el("div", { class: "l-stack" }, zone,
      el("div", { class: "l-ways" },
        way("folder", "folder-open", () => chooseFolder(bringFolder)),
        way("here", "folder", fromHere, OWNERS),
        way("skyreels", "hard-drive", fromSkyReels, OWNERS)),
      el("div", { class: "l-path-row" }, path, button(t("import.look"), go, { id: "import-look" }))),
  });
  for (const name of ["dragover", "dragenter"]) dialog.addEventListener(name, (event) => event.preventDefault());
  dialog.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    dialog.close();
    dropped(event.dataTransfer);
  });
  zone.focus();
}

function chooseFile() {
  const input = el("input", { type: "file", accept: ".json,.md,.txt,.zip,application/json,application/zip", id: "l-episode-file", hidden: true });
  input.addEventListener("change", () => {
    if (input.files[0]) look(input.files[0]);
    input.remove();
  });
  document.body.append(input);
  input.click();
}

/** An episode file or a folder may be dropped anywhere; pictures and videos stay with the form they are dropped on. */
export function watchDrops() {
  const veil = el("div", { class: "l-drop", hidden: true }, el("div", {}, icon("file-json"), el("p", {}, t("import.drop"))));
  document.body.append(veil);
  const mayBeEpisode = (event) =>
    [...(event.dataTransfer?.items || [])].some((item) => item.kind === "file" && (/json|zip|markdown/.test(item.type) || !item.type));
  document.addEventListener("dragover", (event) => {
    if (!mayBeEpisode(event) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    veil.hidden = false;
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget === null && (veil.hidden = true));
  document.addEventListener("drop", (event) => {
    veil.hidden = true;
    const items = [...(event.dataTransfer?.items || [])];
    const folder = items.some((item) => item.webkitGetAsEntry?.()?.isDirectory);
    const file = [...(event.dataTransfer?.files || [])].find((one) => isEpisode(one) || isPackage(one));
    if (!file && !folder) return;
    event.preventDefault();
    dropped(event.dataTransfer);
  }, true);
}

async function dropped(transfer) {
  const files = await filesIn(transfer);
  if (files.length === 1) return look(files[0].file);
  return bringFolder(files);
}

export async function look(file) {
  if (isPackage(file)) return bringPackage(file);
  if (file.size > LARGEST) return toast(t("import.too_large", { name: file.name }), "", "bad");
  return shown({ name: bare(file.name), fileName: file.name, text: await file.text() });
}

async function shown(source) {
  try {
    await openPreview(source);
  } catch (error) {
    toastError(error);
  }
}

// ------------------------------------------------------------------------------------------------ a folder of the browser
/** The episodes of a folder, with everything in it at hand: what they miss is taken from there. */
async function bringFolder(files) {
  const boards = files.filter(({ file }) => isEpisode(file) && file.size <= LARGEST);
  if (!boards.length) return toast(t("import.no_episode"), t("import.no_episode.hint"), "bad");
  const named = boards.filter(({ file }) => /^storyboard|episode|^ep\d|fila|queue/i.test(file.name));
  const choices = named.length ? named : boards;
  const one = choices.length === 1 ? choices[0] : await askFor(choices);
  if (!one) return undefined;
  const below = one.path.slice(0, one.path.lastIndexOf("/") + 1);
  const beside = files.filter(({ path }) => path.startsWith(below) && path !== one.path).map(({ path }) => path.slice(below.length));
  return shown({ name: bare(one.file.name), fileName: one.path, text: await one.file.text(), files, beside });
}

function askFor(boards) {
  return new Promise((resolve) => {
    let answer = null;
    const dialog = openDialog({
      title: t("import.which"), onclose: () => resolve(answer), className: "l-folders",
      content: el("div", { class: "l-folder-list" }, boards.map((one) => el("button", { class: "l-folder-row", onclick: () => {
        answer = one;
        dialog.close();
      } }, icon("file-json"), el("span", { class: "l-folder-name" }, one.path)))),
    });
  });
}

// ------------------------------------------------------------------------------------------------ a folder of the machine
async function fromHere() {
  const path = await pickFolder({ title: t("import.way.here"), yes: t("import.look"), episodes: true });
  if (path) lookAt(path);
}

/** A storyboard, or a folder of them. */
async function lookAt(path) {
  try {
    const { files } = await api("POST", `/queues/check?${new URLSearchParams({ path })}`, {});
    if (files.length > 1) return openMany({ path }, files);
    if (files[0].error) throw files[0].error;
    return await openPreview({ path: files[0].path, name: bare(files[0].file.split("/").at(-1)) });
  } catch (error) {
    return toastError(error);
  }
}

// ------------------------------------------------------------------------------------------------ an installation
async function fromSkyReels() {
  const path = await pickFolder({ title: t("import.way.skyreels"), yes: t("import.skyreels.do") });
  if (!path) return;
  let row;
  try {
    row = await api("POST", "/installations", { path });
  } catch (error) {
    toastError(error);
    return;
  }
  const words = el("p", { class: "l-dialog-text", role: "status" });
  const fill = el("i");
  const list = el("div", { class: "l-report", hidden: true });
  let watched = true;
  const dialog = openDialog({
    title: t("import.way.skyreels"), wide: true, onclose: () => (watched = false), className: "l-import",
    content: el("div", { class: "l-stack" }, words, el("div", { class: "l-package-track" }, fill), list),
    actions: [button(t("import.skyreels.stop"), () => api("DELETE", `/installations/${row.id}`).catch(toastError), { id: "skyreels-stop" }), button(t("common.close"), () => dialog.close(), { kind: "primary" })],
  });
  while (watched) {
    fill.style.transform = `scaleX(${row.progress})`;
    setText(words, row.error ? errorWords(row.error).message : t(`import.skyreels.${row.state}`, { queues: row.queues.length, takes: row.takes }));
    list.hidden = !row.problems.length;
    list.replaceChildren(...row.problems.slice(0, 200).map((one) => el("div", { class: "l-report-row" },
      el("span", { class: "l-report-name" }, [one.queue, one.scene].filter(Boolean).join(" · ")), el("div", { class: "l-report-problem l-report-note" }, el("span", {}, one.message)))));
    if (!["queued", "running"].includes(row.state)) {
      dialog.querySelector("#skyreels-stop").disabled = true;
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    row = await api("GET", `/installations/${row.id}`).catch(() => row);
  }
}
