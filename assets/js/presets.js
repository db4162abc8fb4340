// The Presets menu: apply, save as, delete. The same under the form of Generate, in the inspector and for picked scenes.
import { api, command, confirmDialog, openMenu, promptDialog, t, toast, toastError } from "./core.js";
import { tellRefused } from "./picked.js";
import { act, card, state } from "./queues.js";

const read = async (task) => {
  try {
    return await api("GET", `/presets${task ? `?task_type=${task}` : ""}`);
  } catch (error) {
    toastError(error);
    return [];
  }
};

/** openPresets(button, task, {apply(preset), save(name)}): the menu of one task's presets. */
export async function openPresets(anchor, task, { apply, save }) {
  const presets = await read(task);
  openMenu(anchor, [
    ...presets.map((preset) => ({ label: preset.name, icon: "bookmark", onclick: () => apply(preset) })),
    ...(presets.length ? [null] : []),
    { label: t("preset.save"), icon: "plus", onclick: () => askAndSave(presets, save) },
    ...(presets.length ? [{ label: t("preset.delete"), icon: "trash-2", onclick: () => chooseToDelete(anchor, presets) }] : []),
  ]);
}

async function askAndSave(presets, save) {
  const name = await promptDialog({ title: t("preset.save"), label: t("preset.name"), yes: t("common.save"), maxlength: 80 });
  if (!name) return;
  const known = presets.some((preset) => preset.name === name);
  if (known && !(await confirmDialog({ title: t("preset.replace", { name }), text: t("preset.replace.text"), yes: t("common.save") }))) return;
  await save(name);
}

function chooseToDelete(anchor, presets) {
  openMenu(anchor, presets.map((preset) => ({ label: preset.name, icon: "trash-2", danger: true, onclick: async () => {
    if (await act(() => api("DELETE", `/presets/${preset.id}`))) toast(t("preset.deleted", { name: preset.name }), "", "ok");
  } })));
}

/** Presets of every task, for scenes of any. */
export async function applyPreset(anchor, ids) {
  const presets = await read("");
  if (!presets.length) return toast(t("preset.none"), t("preset.none.hint"));
  openMenu(anchor, presets.map((preset) => ({ label: `${preset.name} · ${t(`task.${preset.task_type}`)}`, icon: "bookmark",
    onclick: async () => tellRefused(await applyTo(preset, ids)) })));
}

const applyTo = (preset, ids) => act(() => api("POST", `/presets/${preset.id}/apply`, { queue_id: state.queue.id, scene_ids: ids }));

/** The menu for one scene; `saved` makes sure that what stands in its form is stored. */
export async function scenePresets(anchor, id, saved) {
  if (!(await saved())) return;
  await openPresets(anchor, card(id).task_type, {
    apply: async (preset) => tellRefused(await applyTo(preset, [id])),
    save: async (name) => {
      if (await act(() => api("POST", "/presets", { name, scene_id: id }))) toast(t("preset.saved", { name }), "", "ok");
    },
  });
}

command("scene.preset", { label: "preset.apply", icon: "bookmark", menu: "scene", group: 20, when: (id) => Boolean(card(id ?? state.selected)),
  run: (id) => applyPreset(document.querySelector(`.l-scene[data-id="${id ?? state.selected}"]`) || document.body, [id ?? state.selected]) });
