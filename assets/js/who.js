// Who is signed in, in the top bar: the name and the role, and a menu with one's own password and the way out. At home
// nobody is: then there is nothing to see.
import { address, api, command, el, icon, on, openMenu, setAttr, setText, t, toast } from "./core.js";
import { me, readMe } from "./me.js";
import { openPassword } from "./share_password.js";

const signedIn = () => Boolean(me.name);

/** The button for the top bar. */
export function makeWho() {
  const name = el("span", { class: "l-who-name" });
  const role = el("span", { class: "l-who-role" });
  const node = el("button", { type: "button", class: "l-pill l-who", id: "who", hidden: true, "aria-haspopup": "menu", onclick: () => openMenu(node, entries()) },
    icon("user-round"), el("span", { class: "l-who-words" }, name, role));
  const draw = () => {
    node.hidden = !signedIn();
    if (!signedIn()) return;
    setText(name, me.name);
    setText(role, t(`share.role.${me.role}`));
    setAttr(node, "title", t("who.title", { name: me.name, role: t(`share.role.${me.role}`) }));
    setAttr(node, "aria-label", node.title);
  };
  on("me", draw);
  on("online", readMe);
  readMe();
  return node;
}

const entries = () => [
  { label: t("who.title", { name: me.name, role: t(`share.role.${me.role}`) }), icon: "user-round", disabled: true, onclick() {} },
  null,
  ...(me.password ? [{ label: t("who.password"), icon: "lock", onclick: changePassword }] : []), // the settings' own owner has it there
  { label: t("who.leave"), icon: "log-out", onclick: leave },
];

/** Their session ends, and the door asks who they are. */
function leave() {
  const form = el("form", { method: "post", action: address("/sign-out") });
  document.body.append(form);
  form.submit();
}

const changePassword = () => openPassword({
  title: t("who.password"), own: true,
  async send(words) {
    await api("PATCH", "/me", words);
    toast(t("who.password.changed"), t("who.password.changed.hint"), "ok");
  },
});

command("who.password", { label: "who.password", icon: "lock", group: 92, when: () => Boolean(me.password), run: changePassword });
command("who.leave", { label: "who.leave", icon: "log-out", group: 92, when: signedIn, run: leave });
