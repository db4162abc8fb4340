// Sharing in the top bar: whether the studio is open to others and how many are in, and the dialog with everything about
// it. The owner's alone.
import { command, el, icon, on, openDialog, pulse, setAttr, setText, t } from "./core.js";
import { isOwner } from "./me.js";
import { Sections } from "./sections.js";
import { AuditSection } from "./share_audit.js";
import { InviteSection } from "./share_invite.js";
import { PeopleSection } from "./share_people.js";
import { SessionsSection } from "./share_sessions.js";
import { WaysSection } from "./share_ways.js";

const ICONS = { ways: "share-2", invite: "user-plus", people: "users-round", sessions: "monitor-smartphone", audit: "history" };

/** The button for the top bar. */
export function makeShare() {
  const words = el("span", { class: "l-share-words" });
  const count = el("span", { class: "l-mono l-share-count" });
  const node = el("button", { type: "button", class: "l-pill l-share", id: "share", hidden: true, "aria-haspopup": "dialog", onclick: () => openShare() },
    el("span", { class: "l-dot" }), icon("share-2"), words, count);
  const draw = () => {
    node.hidden = !isOwner();
    const { on: open = false, people = 0 } = pulse.now?.sharing || {};
    setAttr(node, "data-on", open ? "" : null);
    setText(words, t(open ? "share.shared" : "share.title"));
    setText(count, open ? String(people) : "");
    const label = open ? t("share.shared.people", { count: people }) : t("share.title");
    setAttr(node, "title", label);
    setAttr(node, "aria-label", label);
  };
  on("me", draw);
  on("now", draw);
  draw();
  return node;
}

/** openShare("ways" | "invite" | "people" | "sessions" | "audit", {queueId}): queueId is the film to invite somebody to. */
export function openShare(section = "ways", { queueId = undefined } = {}) {
  if (document.querySelector(".l-share-dialog")) return;
  const goto = (name) => sections.show(name, true);
  const ways = new WaysSection({ oninvite: () => goto("invite") });
  const parts = {
    ways, invite: new InviteSection({ addresses: () => ways.open, onways: () => goto("ways") }),
    people: new PeopleSection(), sessions: new SessionsSection(), audit: new AuditSection(),
  };
  let film = queueId;
  const sections = new Sections({
    id: "share", label: t("share.title"),
    sections: Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, { icon: ICONS[name], label: t(`share.section.${name}`), panel: part.element }])),
    onshow: async (name) => {
      if (name === "invite") await ways.refresh(); // where a link leads to
      if (name !== "ways") parts[name].show(name === "invite" ? film : undefined);
      if (name === "invite") film = undefined;
    },
  });
  openDialog({ title: t("share.title"), className: "l-dialog-sections l-share-dialog", content: sections.element });
  sections.show(section, true);
  ways.watch();
}

on("share", ({ section, queueId } = {}) => isOwner() && openShare(section, { queueId }));

command("share.open", { label: "share.open_dialog", icon: "share-2", group: 91, when: isOwner, run: () => openShare() });
for (const name of ["invite", "people", "sessions", "audit"])
  command(`share.${name}`, { label: `share.section.${name}`, about: "share.title", icon: ICONS[name], group: 91, when: isOwner, run: () => openShare(name) });
