// The folder picker: folders of the machine that the studio runs on, as far as it shows them. Knows nobody who asks.
import { api, button, el, icon, openDialog, setText, t, toastError } from "./core.js";

const LAST = "lanterna_folder";

/** await pickFolder({title, yes, episodes: true}) -> the path of a folder (or of an episode file in it), or null. */
export function pickFolder({ title, yes, episodes = false }) {
  return new Promise((resolve) => {
    let answer = null;
    const view = { here: null, episodes };
    const path = el("input", { class: "l-input l-mono", id: "folder-path", "aria-label": t("folder.path"), placeholder: t("folder.path"), spellcheck: "false", autocomplete: "off" });
    const list = el("div", { class: "l-folder-list", role: "group", "aria-label": t("folder.inside") });
    const about = el("p", { class: "l-hint l-folder-about", role: "status" });
    const done = (found) => {
      answer = found;
      if (view.here) localStorage.setItem(LAST, view.here.path);
      dialog.close();
    };
    const go = button(yes, () => done(view.here.path), { kind: "primary", id: "folder-pick" });
    const dialog = openDialog({
      title, className: "l-folders", onclose: () => resolve(answer), actions: [button(t("common.cancel"), () => dialog.close()), go],
      content: el("div", { class: "l-stack" }, path, list, about),
    });
    path.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      event.preventDefault();
      open(path.value.trim());
    });
    list.addEventListener("keydown", arrows);

    async function open(wanted, quiet = false) {
      try {
        view.here = await api("GET", `/folders?path=${encodeURIComponent(wanted)}`);
        draw();
      } catch (error) {
        if (quiet) return open("");
        toastError(error);
        path.focus();
      }
      return undefined;
    }

    function draw() {
      const { here } = view;
      path.value = here.path;
      go.disabled = !here.path;
      const rows = [];
      if (here.path) rows.push(row("arrow-left", here.parent === null ? t("folder.places") : t("folder.up"), "", () => open(here.parent ?? "")));
      else rows.push(...here.places.map((place) => row(place.name === "home" ? "hard-drive" : "folder", placeName(place), place.path, () => open(place.path))));
      if (view.episodes) rows.push(...here.episodes.map((file) => row("file-json", file.name, "", () => done(file.path))));
      rows.push(...here.folders.map((folder) => row("folder", folder.name, folder.media ? t("folder.media", { count: folder.media }) : "", () => open(folder.path))));
      list.replaceChildren(...rows);
      list.scrollTop = 0;
      const counts = ["image", "audio", "video"].filter((kind) => here.media[kind]).map((kind) => t(`folder.${kind}`, { count: here.media[kind] }));
      setText(about, !here.path ? t("folder.start") : counts.length ? counts.join(" · ") : t("folder.none"));
      (list.querySelector("button") || path).focus();
    }

    open(localStorage.getItem(LAST) || "", true);
  });
}

const placeName = ({ name }) => (name === "home" ? t("folder.home") : name === "outputs" ? t("folder.outputs") : name);

const row = (picture, name, more, onclick) =>
  el("button", { class: "l-folder-row", onclick }, icon(picture), el("span", { class: "l-folder-name" }, name), more ? el("span", { class: "l-hint" }, more) : null);

function arrows(event) {
  const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
  if (!step) return;
  event.preventDefault();
  document.activeElement[step]?.focus();
}
