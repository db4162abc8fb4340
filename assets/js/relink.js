// Missing files are found again: in a folder of the studio's machine, or in one that this browser holds. Answers with a
// mapping from what is missing to an asset; what cannot be told apart is asked. Knows no episode and no queue.
import { api, button, el, errorWords, openDialog, setText, t, toastError } from "./core.js";
import { pickFolder } from "./folder_picker.js";
import { sendFile } from "./rest_upload.js";

const POLL_MS = 400;
export const KIND_ICONS = { image: "image", audio: "audio-lines", video: "film" };

/** await findInFolder(wanted) -> {relinked: {ref: asset}, refused, choices: {ref: path}}, or null. wanted: [{ref, name, kind, sha256?, size?}] */
export async function findInFolder(wanted) {
  const path = await pickFolder({ title: t("relink.folder"), yes: t("relink.search") });
  if (path === null) return null;
  return withProgress(t("relink.searching"), async (say, signal) => {
    let search = await api("POST", "/searches", { path, wanted: wanted.map(plain) });
    signal.addEventListener("abort", () => api("DELETE", `/searches/${search.id}`).catch(() => {}));
    while (search.state === "queued" || search.state === "running") {
      say(t("relink.seen", { count: search.seen }));
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      if (signal.aborted) return null;
      search = await api("GET", `/searches/${search.id}`);
    }
    if (search.error) throw search.error;
    return { search, take: (choices) => takeHere(search, choices) };
  }).then((found) => found && settle(wanted, found));
}

/** await findAmong(wanted, files) -> the same among files that a browser holds: [{path, file}]. */
export async function findAmong(wanted, files) {
  return withProgress(t("relink.searching"), async () => {
    const held = files.map(({ path, file }) => ({ path, size: file.size }));
    const search = await api("POST", "/searches", { files: held, wanted: wanted.map(plain) });
    const by = new Map(files.map(({ path, file }) => [path, file]));
    return { search, take: (choices) => uploadThem(choices, by) };
  }).then((found) => found && settle(wanted, found));
}

const plain = ({ ref, name, kind, sha256 = "", size = 0 }) => ({ ref: ref || name, name, kind, sha256, size });

/** What is sure is taken at once; the rest is shown and asked. */
async function settle(wanted, { search, take }) {
  const open = search.matches.filter(({ state, candidates }) => state !== "found" && candidates.length);
  const chosen = open.length ? await askWhich(wanted, open) : {};
  if (chosen === null) return null;
  const choices = Object.fromEntries(search.matches.map(({ ref, path }) => [ref, chosen[ref] ?? path]));
  const count = Object.values(choices).filter(Boolean).length;
  const told = count ? await take(choices) : { relinked: {}, refused: [] };
  return told && { ...told, choices };
}

async function takeHere(search, choices) {
  return withProgress(t("relink.reading"), () => api("POST", `/searches/${search.id}/take`, { choices }));
}

function uploadThem(choices, files) {
  return withProgress(t("relink.uploading"), async (say, signal) => {
    const relinked = {}, refused = [];
    const todo = Object.entries(choices).filter(([, path]) => path);
    for (const [number, [ref, path]] of todo.entries()) {
      const on = (share) => say(`${path.split("/").at(-1)} · ${number + 1}/${todo.length}`, (number + share) / todo.length);
      try {
        const made = await sendFile("/assets", files.get(path), { onprogress: on, signal });
        relinked[ref] = made.ref;
      } catch (error) {
        if (error.name === "AbortError") return null;
        refused.push({ ref, error });
      }
    }
    return { relinked, refused };
  });
}

// ------------------------------------------------------------------------------------------------ asking
/** For each that is open a list of candidates; what is not chosen stays missing. */
function askWhich(wanted, open) {
  const names = new Map(wanted.map((one) => [one.ref || one.name, one.name]));
  const chosen = {};
  return new Promise((resolve) => {
    let answer = null;
    const rows = open.map((match, number) => {
      const pick = el("select", { class: "l-select", "aria-label": names.get(match.ref), onchange: () => (chosen[match.ref] = pick.value) },
        el("option", { value: "" }, t("relink.leave")), match.candidates.map((path) => el("option", { value: path }, path)));
      return el("div", { class: "l-which", id: `which-${number}` },
        el("div", { class: "l-which-name" }, names.get(match.ref) || match.ref), el("p", { class: "l-hint" }, t(`relink.why.${match.state}`)), pick);
    });
    const dialog = openDialog({
      title: t("relink.which"), wide: true, onclose: () => resolve(answer), className: "l-relink",
      content: el("div", { class: "l-stack" }, el("p", { class: "l-dialog-text" }, t("relink.which.about")), rows),
      actions: [button(t("common.cancel"), () => dialog.close()), button(t("relink.use"), () => {
        answer = chosen;
        dialog.close();
      }, { kind: "primary", id: "relink-use" })],
    });
  });
}

/** Runs work(say, signal) with a small dialog over the page; Cancel stops it. Null when it was stopped or went wrong. */
async function withProgress(title, work) {
  const stopper = new AbortController();
  const words = el("p", { class: "l-dialog-text", role: "status" }, t("common.loading"));
  const fill = el("i");
  const track = el("div", { class: "l-package-track", hidden: true }, fill);
  const dialog = openDialog({
    title, className: "l-relink", onclose: () => stopper.abort(), content: el("div", { class: "l-stack" }, words, track),
    actions: [button(t("common.cancel"), () => dialog.close())],
  });
  const say = (text, share) => {
    setText(words, text);
    track.hidden = share === undefined;
    if (share !== undefined) fill.style.transform = `scaleX(${share})`;
  };
  try {
    return await work(say, stopper.signal);
  } catch (error) {
    if (!stopper.signal.aborted) toastError(error);
    return null;
  } finally {
    dialog.close();
  }
}

// ------------------------------------------------------------------------------------------------ folders in a browser
/** All files that were dropped or chosen, folders walked: [{path, file}]. */
export async function filesIn(transfer) {
  const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.() || item.getAsFile());
  const found = [];
  for (const entry of entries) await walk(entry, "", found);
  return found;
}

async function walk(entry, below, found) {
  if (!entry || entry.name.startsWith(".")) return;
  const path = below + entry.name;
  if (entry instanceof File) found.push({ path, file: entry });
  else if (entry.isFile) found.push({ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
  else {
    const reader = entry.createReader();
    for (let batch = await read(reader); batch.length; batch = await read(reader)) // it gives a hundred at a time
      for (const inner of batch) await walk(inner, `${path}/`, found);
  }
}

const read = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));

/** Lets somebody choose a folder of their own machine: [{path, file}], or nothing. */
export function chooseFolder(onfiles) {
  const input = el("input", { type: "file", webkitdirectory: true, multiple: true, hidden: true, id: "l-folder-files" });
  input.addEventListener("change", () => {
    const files = [...input.files].filter((file) => !/(^|\/)\./.test(file.webkitRelativePath));
    input.remove();
    if (files.length) onfiles(files.map((file) => ({ path: file.webkitRelativePath || file.name, file })));
  });
  document.body.append(input);
  input.click();
}

/** What could not be used, in words. */
export const refusedWords = (refused) => refused.map(({ ref, error }) => `${ref.split("/").at(-1)}: ${errorWords(error).message}`);

/** The two ways to look, as buttons; `onfound(relinked)` hears of what came back. Files may be dropped on `zone`. */
export function relinkTools(wantedOf, onfound, ids = "relink") {
  const here = async () => tell(await findInFolder(wantedOf()));
  const held = (files) => findAmong(wantedOf(), files).then(tell);
  const tell = (told) => told && onfound(told);
  return {
    buttons: [
      button(t("relink.in_folder"), here, { iconName: "folder-search", id: `${ids}-folder` }),
      button(t("relink.own_folder"), () => chooseFolder(held), { iconName: "upload", id: `${ids}-own` }),
    ],
    async drop(event) {
      const files = await filesIn(event.dataTransfer);
      if (files.length) held(files);
    },
  };
}
