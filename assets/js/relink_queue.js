// Files of a stored queue that have gone: what they are, and the two ways to find them again.
import { api, button, command, el, icon, openDialog, t, toast, toastError } from "./core.js";
import { act, state } from "./queues.js";
import { KIND_ICONS, refusedWords, relinkTools } from "./relink.js";

command("queue.relink", {
  label: "relink.find", icon: "folder-search", menu: "queue", group: 20, when: () => Boolean(state.queue),
  enabled: () => state.queue.counts.total > 0, run: () => openRelink(state.queue.id),
});

/** openRelink(queue id, ondone?): ondone hears when something came back. */
export async function openRelink(id, ondone = () => {}) {
  let { files } = await api("GET", `/queues/${id}/missing`).catch((error) => toastError(error) || { files: null });
  if (!files) return;
  const body = el("div", { class: "l-stack" });
  const tools = relinkTools(() => files, take, "queue-relink");
  const dialog = openDialog({ title: t("relink.title"), wide: true, className: "l-relink", content: body, actions: [button(t("common.close"), () => dialog.close())] });
  dialog.addEventListener("dragover", (event) => event.preventDefault());
  dialog.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    tools.drop(event);
  });
  draw();

  async function take({ relinked, refused }) {
    const count = Object.keys(relinked).length;
    const told = count ? await act(() => api("POST", `/queues/${id}/relink`, { relinked })) : null;
    const wrong = [...refusedWords(refused), ...(told?.refused || []).map((one) => `${one.scene}: ${one.error.message}`)];
    toast(count ? t("relink.done", { count }) : t("relink.nothing"), wrong.join(" · "), count && !wrong.length ? "ok" : "bad");
    if (!told) return;
    ondone();
    if (!told.missing) return dialog.close();
    ({ files } = await api("GET", `/queues/${id}/missing`));
    draw();
  }

  function draw() {
    if (!files.length) return body.replaceChildren(el("p", { class: "l-dialog-text" }, t("relink.all_found")));
    return body.replaceChildren(
      el("div", { class: "l-import-drop" }, icon("folder-search"), el("p", {}, t("relink.about")), el("div", { class: "l-import-tools" }, tools.buttons)),
      el("div", { class: "l-report", role: "list", "aria-label": t("relink.title") }, files.map((one) => el("div", { class: "l-missing-row", role: "listitem" }, icon(KIND_ICONS[one.kind]),
        el("div", { class: "l-missing-name" }, el("b", {}, one.name.split("/").at(-1)), one.name.includes("/") ? el("span", { class: "l-hint" }, one.name.slice(0, one.name.lastIndexOf("/") + 1)) : null),
        el("span", { class: "l-hint l-missing-scenes" }, one.scenes.length ? t("import.in_scenes", { count: one.scenes.length, scenes: one.scenes.slice(0, 8).join(", ") }) : t("import.in_music"))))));
  }
}
