// Settings > Paths, Keys and Language: values of data/settings.toml, each with where it comes from. A value that a flag or
// the environment sets is shown and not changed here: it would win over the file.
import { LANGUAGES, api, button, confirmDialog, el, emit, has, icon, iconButton, lang, setLanguage, t, toast, toastError } from "./core.js";
import { pickFolder } from "./folder_picker.js";
import { block, note, trouble, waiting } from "./settings_parts.js";

const ORIGINS = { flag: "flag", environment: "environment", ".env": "env_file", "data/settings.toml": "file", default: "default" };
const STRONGER = ["flag", "environment", ".env"]; // than the file that is written here
const PATHS = ["output_dir", "data_dir", "hf_home", "transformers_cache"];
const LOADING = ["offline", "hf_endpoint", "proxy"]; // how models are fetched
const ELSEWHERE = ["lang", "vram_ceiling_gb", "vram_headroom_gb"]; // they have a place of their own
const FOR = { hf_token: "models", webhook_secret: "runs", auth: "door" }; // the others are keys of providers

export const drawPaths = (root) => values(root, (found, again) => [
  block("paths.folders", rowsOf(found, PATHS, again), el("div", { class: "l-set-acts" }, button(t("storage.title"), () => emit("storage"), { iconName: "hard-drive" }))),
  ...(found.media_roots ? [block("paths.media", mediaRoots(found.media_roots, again))] : []),
  ...(LOADING.some((name) => found[name]) ? [block("paths.loading", rowsOf(found, LOADING, again))] : []),
]);

export const drawKeys = (root) => values(root, (found, again) => {
  const keys = Object.values(found).filter((one) => one.kind === "secret");
  const of = (what) => keys.filter((one) => (FOR[one.name] || "providers") === what).map((one) => one.name);
  return [note(t("keys.note"), { iconName: "lock" }),
    ...["models", "providers", "runs", "door"].filter((what) => of(what).length).map((what) => block(`keys.${what}`, rowsOf(found, of(what), again)))];
});

export const drawLanguage = (root) => {
  const choose = Object.entries(LANGUAGES).map(([code, name]) => el("label", { class: "l-set-check l-set-language" },
    el("input", { type: "radio", name: "page-language", value: code, checked: code === lang, onchange: () => setLanguage(code) }), el("span", { lang: code }, name)));
  root.append(block("language.page", el("div", { role: "radiogroup", "aria-label": t("language.page") }, choose)));
  values(root, (found, again) => (found.lang ? [block("language.default", rowsOf(found, ["lang"], again))] : []));
};

/** What has no section of its own, for About. */
export const drawRest = (root) => values(root, (found, again) => {
  const known = [...PATHS, ...LOADING, ...ELSEWHERE, "media_roots"];
  const rest = Object.values(found).filter((one) => !known.includes(one.name) && one.kind !== "secret").map((one) => one.name);
  return rest.length ? [el("details", { class: "l-set-block l-set-rest" }, el("summary", {}, t("about.rest")), rowsOf(found, rest, again))] : [];
});

// ------------------------------------------------------------------------------------------------ reading
/** Draws what `make(found, again)` answers; found: the settings by name. */
async function values(root, make) {
  const box = el("div", { class: "l-set-values" }, waiting());
  root.append(box);
  const again = async () => {
    try {
      const { settings } = await api("GET", "/preferences");
      const kept = document.activeElement?.id;
      box.replaceChildren(...make(Object.fromEntries(settings.map((one) => [one.name, one])), again));
      if (kept) document.getElementById(kept)?.focus({ preventScroll: true });
    } catch (error) {
      box.replaceChildren(trouble(error, again));
    }
  };
  await again();
}

/** Saves one value; true when the studio has it. */
async function save(one, value, again) {
  try {
    await api("PATCH", "/preferences", { [one.name]: value });
    toast(t("settings.saved"), one.restart ? t("settings.restart") : "", "ok");
    await again();
    return true;
  } catch (error) {
    toastError(error);
    return false;
  }
}

// ------------------------------------------------------------------------------------------------ rows
const labelOf = (one) => (has(`set.${one.name}`) ? t(`set.${one.name}`) : one.name);
const aboutOf = (one) => (has(`set.${one.name}.about`) ? t(`set.${one.name}.about`) : has(`set.${one.name}`) ? "" : one.description || "");

const rowsOf = (found, names, again) => el("div", { class: "l-set-rows" }, names.filter((name) => found[name]).map((name) => row(found[name], again)));

function row(one, again) {
  const locked = STRONGER.includes(one.origin);
  const about = [aboutOf(one), locked ? t("settings.locked", { origin: t(`settings.origin.${ORIGINS[one.origin]}`) }) : one.pending ? t("settings.pending") : one.restart ? t("settings.restart.short") : ""].filter(Boolean).join(" ");
  const control = (CONTROLS[one.kind] || CONTROLS.text)(one, { locked, again, id: `set-${one.name}` });
  return el("div", { class: "l-set-row", dataset: { name: one.name } },
    el("div", { class: "l-set-label" }, el("label", { for: `set-${one.name}` }, labelOf(one)), one.kind === "secret" && !one.value ? null : origin(one), about ? el("p", { class: "l-hint" }, about) : null),
    control);
}

const origin = (one) => el("span", { class: "l-tag", title: t("settings.origin") }, t(`settings.origin.${ORIGINS[one.origin] || "default"}`));

const CONTROLS = {
  path: (one, { locked, again, id }) => {
    const input = el("input", { class: "l-input l-mono", id, value: one.value ?? "", placeholder: t("settings.none"), readonly: locked, spellcheck: "false", autocomplete: "off" });
    const send = () => input.value.trim() !== (one.value ?? "") && save(one, input.value.trim() || null, again);
    input.addEventListener("change", send);
    const choose = iconButton("folder-open", t("settings.choose"), async () => {
      const folder = await pickFolder({ title: labelOf(one), yes: t("settings.use_folder") });
      if (!folder) return;
      input.value = folder;
      send();
    });
    return el("div", { class: "l-set-control" }, input, locked ? null : choose);
  },
  secret: (one, { locked, again, id }) => {
    const set = one.value === "set";
    const input = el("input", { class: "l-input l-mono", id, type: "password", value: "", placeholder: t(set ? "keys.set" : "keys.not_set"), readonly: locked, autocomplete: "new-password", spellcheck: "false" });
    const keep = button(t("common.save"), async () => {
      keep.disabled = true;
      if (!(await save(one, input.value.trim(), again))) keep.disabled = false;
    }, { disabled: true });
    input.addEventListener("input", () => (keep.disabled = !input.value.trim()));
    input.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && !keep.disabled && keep.click());
    const forget = iconButton("trash-2", t("keys.forget", { name: labelOf(one) }), async () => {
      const sure = await confirmDialog({ title: t("keys.forget", { name: labelOf(one) }), text: t("keys.forget.text"), yes: t("keys.forget.yes"), danger: true });
      if (sure) save(one, null, again);
    });
    return el("div", { class: "l-set-control", dataset: { set: String(set) } }, icon(set ? "check" : "minus"), input, locked ? null : keep, set && !locked ? forget : null);
  },
  choice: (one, { locked, again, id }) => {
    const select = el("select", { class: "l-select", id, disabled: locked, onchange: () => save(one, select.value, again) },
      one.choices.map((value) => el("option", { value, selected: value === one.value }, has(`set.${one.name}.${value}`) ? t(`set.${one.name}.${value}`) : LANGUAGES[value] || String(value))));
    return el("div", { class: "l-set-control" }, select);
  },
  switch: (one, { locked, again, id }) => {
    const box = el("input", { type: "checkbox", role: "switch", class: "l-switch", id, checked: Boolean(one.value), disabled: locked, onchange: () => save(one, box.checked, again) });
    return el("div", { class: "l-set-control" }, box);
  },
  number: (one, { locked, again, id }) => typed(one, { locked, again, id, type: "number", read: Number }),
  text: (one, { locked, again, id }) => typed(one, { locked, again, id, type: "text", read: (text) => (Array.isArray(one.value) ? text.split(",").map((part) => part.trim()).filter(Boolean) : text) }),
};

function typed(one, { locked, again, id, type, read }) {
  const shown = Array.isArray(one.value) ? one.value.join(", ") : one.value ?? "";
  const input = el("input", { class: "l-input l-mono", id, type, step: "any", value: shown, readonly: locked, spellcheck: "false", autocomplete: "off" });
  input.addEventListener("change", () => input.value.trim() === "" ? save(one, null, again) : save(one, read(input.value.trim()), again));
  return el("div", { class: "l-set-control" }, input);
}

// ------------------------------------------------------------------------------------------------ media roots
/** Folders from which scenes may read files; one more needs no restart. */
function mediaRoots(one, again) {
  const roots = one.value || [];
  const locked = STRONGER.includes(one.origin);
  const change = (paths) => save(one, paths, again);
  const input = el("input", { class: "l-input l-mono", id: "media-root", placeholder: t("folder.path"), "aria-label": t("folder.path"), spellcheck: "false", autocomplete: "off" });
  const add = button(t("paths.media.add"), () => input.value.trim() && change([...roots, input.value.trim()]), { iconName: "plus", id: "media-root-add" });
  input.addEventListener("keydown", (event) => event.key === "Enter" && !event.isComposing && add.click());
  const choose = iconButton("folder-open", t("settings.choose"), async () => {
    const folder = await pickFolder({ title: t("paths.media.add"), yes: t("paths.media.add") });
    if (folder) change([...roots, folder]);
  });
  return el("div", { class: "l-set-rows l-roots" },
    el("p", { class: "l-hint" }, t("paths.media.about"), " ", origin(one), locked ? ` ${t("settings.locked", { origin: t(`settings.origin.${ORIGINS[one.origin]}`) })}` : ""),
    ...roots.map((path) => el("div", { class: "l-root", dataset: { path } }, icon("folder"), el("span", { class: "l-mono" }, path),
      locked ? null : iconButton("x", t("paths.media.remove", { path }), () => change(roots.filter((other) => other !== path))))),
    roots.length ? null : el("p", { class: "l-hint" }, t("paths.media.none")),
    locked ? null : el("div", { class: "l-set-control" }, input, choose, add));
}
