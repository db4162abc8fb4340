// Who is in an episode: one row for each face, to be named and confirmed. Before an import as a part of its page, after
// it as a dialog of the queue.
import { api, button, command, el, icon, openDialog, t, toast, toastError } from "./core.js";
import { act, state } from "./queues.js";

const VOICES = ["woman-1", "woman-2", "woman-3", "man-1", "man-2", "man-3", "child-1"];

command("queue.cast", {
  label: "casting.open", icon: "users-round", menu: "queue", group: 20, when: () => Boolean(state.queue),
  enabled: () => state.queue.counts.total > 0, run: () => openCasting(state.queue),
});

/** Rows for these roles: {element, chosen() -> {key: {name, voice}}}. */
export function castRows(roles, onchange = () => {}) {
  const rows = roles.map((role, number) => castRow(role, number, onchange));
  const element = el("div", { class: "l-cast", role: "list" }, rows.map((row) => row.element),
    voiceNames());
  const chosen = () => Object.fromEntries(rows.filter((row) => row.on()).map((row) => [row.key, row.part()]));
  return { element, chosen, everyName: () => rows.every((row) => !row.on() || row.part().name) };
}

/** Voices to choose from: those that somebody made, then the draft engine's. */
function voiceNames() {
  const names = el("datalist", { id: "l-voices" }, VOICES.map((voice) => el("option", { value: voice })));
  api("GET", "/voices").then(({ voices }) => names.prepend(...voices.map((voice) => el("option", { value: voice.name }))), toastError);
  return names;
}

function castRow(role, number, onchange) {
  const label = role.name || t("casting.somebody");
  const box = el("input", { type: "checkbox", checked: Boolean(role.name), id: `cast-${number}`, "aria-label": t("casting.confirm", { name: label }), onchange });
  const name = el("input", { class: "l-input", value: role.name, maxlength: 120, placeholder: t(role.portrait ? "casting.name" : "casting.nobody"), "aria-label": t("casting.name") });
  const voice = el("input", { class: "l-input", value: role.voice, maxlength: 120, list: "l-voices", placeholder: t("casting.own_voice"), "aria-label": t("casting.voice") });
  name.addEventListener("input", () => {
    box.checked = Boolean(name.value.trim());
    onchange();
  });
  const facts = [
    t("casting.scenes", { count: role.scenes.length }), role.lines ? t("casting.lines", { count: role.lines }) : "",
    role.files > role.pictures && role.pictures ? t("casting.same_picture", { count: role.files }) : "", role.known ? t("casting.known") : "",
  ].filter(Boolean).join(" · ");
  const element = el("div", { class: "l-cast-row", role: "listitem" },
    box,
    role.thumb ? el("img", { class: "l-cast-face", src: role.thumb, alt: "" }) : el("span", { class: "l-cast-face l-cast-voice" }, icon("mic")),
    el("div", { class: "l-cast-who" }, name, el("span", { class: "l-hint", title: role.scenes.join(", ") }, facts)),
    voice);
  return {
    key: role.key, element, on: () => box.checked && Boolean(name.value.trim()),
    part: () => ({ name: name.value.trim(), voice: voice.value.trim() }),
  };
}

// ------------------------------------------------------------------------------------------------ a stored queue
export async function openCasting(queue) {
  let found;
  try {
    found = await api("GET", `/queues/${queue.id}/casting`);
  } catch (error) {
    return toastError(error);
  }
  const rows = castRows(found.roles, () => (go.disabled = !Object.keys(rows.chosen()).length));
  const go = button(t("casting.do"), async () => {
    go.disabled = true;
    const told = await act(() => api("POST", `/queues/${queue.id}/casting`, { cast: rows.chosen() }));
    go.disabled = false;
    if (!told) return;
    dialog.close();
    toast(t("casting.done", { count: told.characters }), told.refused.map((one) => `${one.scene}: ${one.error.message}`).join("\n"), told.refused.length ? "bad" : "ok");
  }, { kind: "primary", id: "casting-go" });
  const dialog = openDialog({
    title: t("casting.title"), wide: true, className: "l-casting",
    content: el("div", { class: "l-stack" }, el("p", { class: "l-dialog-text" }, t(found.roles.length ? "casting.about" : "casting.none")), rows.element),
    actions: [button(t("common.cancel"), () => dialog.close()), go],
  });
  go.disabled = !Object.keys(rows.chosen()).length;
  return undefined;
}
