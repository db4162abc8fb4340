// Pictures that cannot be had: they leave their place empty instead of showing the browser's broken icon, and are
// asked for again once the studio answers again. Knows no component; core.js starts it for the whole page.
import { on } from "./bus.js";

const BROKEN = "l-broken";

const mark = (event) => event.target.tagName === "IMG" && event.target.classList.toggle(BROKEN, event.type === "error");
for (const type of ["error", "load"]) document.addEventListener(type, mark, true); // neither bubbles

on("online", () => {
  for (const picture of document.querySelectorAll(`img.${BROKEN}`)) picture.src = picture.getAttribute("src");
});
