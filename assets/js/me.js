// Who looks at this page, and what they may do: read when the page opens and whenever that may have changed.
import { emit } from "./bus.js";
import { api } from "./rest.js";

/** {name, role, way, …}; the role is "" until the studio has said it. */
export const me = { name: "", role: "", way: "local" };

export const isOwner = () => me.role === "owner";

/** For el(): what is the owner's alone, and not shown to anybody else. */
export const OWNERS = { "data-owner": "" };

/** Somebody who may do everything but what is the owner's. */
export const isGuest = () => me.role === "editor";

export async function readMe() {
  try {
    Object.assign(me, await api("GET", "/me"));
  } catch {
    return; // the pulse says that nobody answers, and asks again
  }
  document.body.dataset.role = me.role; // styles hide what is the owner's alone
  emit("me", me);
}
