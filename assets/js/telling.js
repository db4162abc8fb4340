// "How to be told": browser notifications and sound (kept in this browser), and the hooks (kept in the studio).
import { api, button, confirmDialog, el, iconButton, lang, openDialog, t, toast, toastError } from "./core.js";
import { OWNERS } from "./me.js";

const KINDS = ["ntfy", "telegram", "discord", "generic"];
const EVENTS = ["first_failure", "stall", "finish"];
const WISHES = "lanterna_telling";

/** {browser, sound, volume} of this browser. */
export function wishes() {
  try {
    return { browser: false, sound: false, volume: 0.6, ...JSON.parse(localStorage.getItem(WISHES) || "{}") };
  } catch {
    return { browser: false, sound: false, volume: 0.6 };
  }
}

const wish = (changes) => localStorage.setItem(WISHES, JSON.stringify({ ...wishes(), ...changes }));

/** openTelling(play): play(volume) lets the chime be heard. */
export function openTelling(play) {
  const hooks = el("ul", { class: "l-hooks" });
  const draw = async () => {
    try {
      const found = await api("GET", "/hooks");
      hooks.replaceChildren(...(found.length ? found.map((hook) => hookRow(hook, draw)) : [el("li", { class: "l-hint" }, t("hooks.none"))]));
    } catch (error) {
      toastError(error);
    }
  };
  openDialog({
    title: t("notices.settings"), className: "l-telling",
    content: el("div", { class: "l-stack" }, browserWish(), soundWish(play),
      el("section", { class: "l-stack", ...OWNERS },
        el("div", { class: "l-telling-head" }, el("h3", {}, t("hooks.title")),
          button(t("hooks.add"), () => editHook(null, draw), { iconName: "plus", id: "hooks-add" })),
        el("p", { class: "l-hint" }, t("hooks.about")), hooks)),
  });
  draw();
}

// ------------------------------------------------------------------------------------------------ this browser
function browserWish() {
  const able = "Notification" in window && window.isSecureContext;
  const hint = el("p", { class: "l-hint" });
  const box = el("input", { type: "checkbox", id: "tell-browser", disabled: !able, checked: able && wishes().browser && Notification.permission === "granted" });
  const say = () => {
    hint.textContent = t(!able ? "notices.browser.insecure" : Notification.permission === "denied" ? "notices.browser.denied" : "notices.browser.hint");
  };
  box.addEventListener("change", async () => {
    if (box.checked && Notification.permission !== "granted") box.checked = (await Notification.requestPermission()) === "granted";
    wish({ browser: box.checked });
    say();
  });
  say();
  return el("div", {}, el("label", { class: "l-tick" }, box, el("span", {}, t("notices.browser"))), hint);
}

function soundWish(play) {
  const { sound, volume } = wishes();
  const box = el("input", { type: "checkbox", id: "tell-sound", checked: sound });
  const level = el("input", { type: "range", class: "l-range", min: 0.05, max: 1, step: 0.05, value: volume, "aria-label": t("notices.volume") });
  const draw = () => {
    level.disabled = !box.checked;
  };
  box.addEventListener("change", () => {
    wish({ sound: box.checked });
    draw();
    if (box.checked) play(Number(level.value));
  });
  level.addEventListener("change", () => {
    wish({ volume: Number(level.value) });
    play(Number(level.value));
  });
  draw();
  return el("div", { class: "l-telling-sound" }, el("label", { class: "l-tick" }, box, el("span", {}, t("notices.sound"))), level,
    iconButton("volume-2", t("notices.play"), () => play(Number(level.value))));
}

// ------------------------------------------------------------------------------------------------ hooks
const nameOf = (hook) => hook.name || t(`hooks.kind.${hook.kind}`);

function hookRow(hook, draw) {
  const test = iconButton("send", t("hooks.test"), async () => {
    test.disabled = true;
    try {
      await api("POST", `/hooks/${hook.id}/test`);
      toast(t("hooks.tested", { name: nameOf(hook) }), "", "ok");
    } catch (error) {
      toastError(error);
    }
    test.disabled = false;
  });
  return el("li", {},
    el("div", { class: "l-hook-words" }, el("b", {}, nameOf(hook)),
      el("span", { class: "l-hint" }, [t(`hooks.kind.${hook.kind}`), hook.url].join(" · ")),
      el("span", { class: "l-hint" }, EVENTS.filter((event) => hook.events.includes(event)).map((event) => t(`hooks.event.${event}`)).join(" · "))),
    test, iconButton("pencil", t("hooks.edit"), () => editHook(hook, draw)), iconButton("trash-2", t("common.delete"), () => removeHook(hook, draw)));
}

async function removeHook(hook, draw) {
  if (!(await confirmDialog({ title: t("hooks.delete.ask", { name: nameOf(hook) }), yes: t("common.delete"), danger: true }))) return;
  try {
    await api("DELETE", `/hooks/${hook.id}`);
  } catch (error) {
    toastError(error);
  }
  draw();
}

/** A form for one hook; null: a new one. */
function editHook(hook, draw) {
  const input = (id, value, more = {}) => el("input", { class: "l-input", id: `hook-${id}`, value: value || "", maxlength: 2000, autocomplete: "off", ...more });
  const kind = el("select", { class: "l-select", id: "hook-kind" }, KINDS.map((id) => el("option", { value: id }, t(`hooks.kind.${id}`))));
  kind.value = hook?.kind || KINDS[0];
  kind.disabled = Boolean(hook);
  const name = input("name", hook?.name, { maxlength: 80 });
  const url = input("url", "", { placeholder: hook ? t("hooks.url.kept", { url: hook.url }) : "" });
  const target = input("target", hook?.target, { maxlength: 120 });
  const secret = input("secret", "", { type: "password", maxlength: 400, placeholder: hook?.has_secret ? t("hooks.secret.kept") : "" });
  const local = el("input", { type: "checkbox", id: "hook-local", checked: hook?.local });
  const events = EVENTS.map((event) => [event, el("input", { type: "checkbox", checked: !hook || hook.events.includes(event) })]);
  const secretName = el("span");
  const targetField = el("label", { class: "l-field" }, el("span", {}, t("hooks.target")), target);
  const secretField = el("label", { class: "l-field" }, secretName, secret);
  const fit = () => {
    targetField.hidden = kind.value !== "telegram";
    secretField.hidden = kind.value === "discord";
    secretName.textContent = kind.value === "discord" ? "" : t(`hooks.secret.${kind.value}`);
    if (!hook) url.placeholder = t(`hooks.place.${kind.value}`);
  };
  kind.addEventListener("change", fit);
  fit();
  const yes = button(t("common.save"), async () => {
    const body = {
      name: name.value, url: url.value.trim(), target: target.value, local: local.checked, lang,
      events: events.filter(([, box]) => box.checked).map(([event]) => event),
      ...(secret.value ? { secret: secret.value } : {}), ...(hook ? {} : { kind: kind.value }),
    };
    yes.disabled = true;
    try {
      await api(hook ? "PATCH" : "POST", hook ? `/hooks/${hook.id}` : "/hooks", body);
      dialog.close();
      draw();
    } catch (error) {
      toastError(error);
    }
    yes.disabled = false;
  }, { kind: "primary", id: "hook-save" });
  const dialog = openDialog({
    title: hook ? nameOf(hook) : t("hooks.title"),
    content: el("div", { class: "l-stack" },
      el("div", { class: "l-fields-two" }, field("hooks.kind", kind), field("hooks.name", name)),
      field("hooks.url", url), targetField, secretField,
      el("label", { class: "l-tick" }, local, el("span", {}, t("hooks.local"))),
      el("fieldset", { class: "l-ticks" }, el("legend", {}, t("hooks.events")),
        events.map(([event, box]) => el("label", { class: "l-tick" }, box, el("span", {}, t(`hooks.event.${event}`)))))),
    actions: [button(t("common.cancel"), () => dialog.close()), yes],
  });
}

const field = (key, control) => el("label", { class: "l-field" }, el("span", {}, t(key)), control);
