// Rows of a list that are dragged to another place in it. Knows only rows with an id in their data; moving is the caller's.

/**
 * dragRows(box, ".l-queue", {allowed: () => true, place(id, index)}): `index` is the place among the other rows. The row
 * itself must be draggable.
 */
export function dragRows(box, rows, { allowed = () => true, place }) {
  let dragged = null;
  const clear = () => box.querySelectorAll("[data-drop]").forEach((row) => row.removeAttribute("data-drop"));
  box.addEventListener("dragstart", (event) => {
    dragged = event.target.closest?.(rows);
    if (!dragged || !allowed()) return event.preventDefault();
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.id);
    dragged.dataset.dragged = "";
  });
  box.addEventListener("dragover", (event) => {
    const over = event.target.closest(rows);
    if (!dragged || !over) return;
    event.preventDefault();
    clear();
    const { top, height } = over.getBoundingClientRect();
    if (over !== dragged) over.dataset.drop = event.clientY < top + height / 2 ? "before" : "after";
  });
  box.addEventListener("drop", (event) => {
    const over = box.querySelector("[data-drop]");
    if (!dragged || !over) return;
    event.preventDefault();
    const others = [...box.querySelectorAll(rows)].filter((row) => row !== dragged);
    place(dragged.dataset.id, others.indexOf(over) + (over.dataset.drop === "after" ? 1 : 0));
  });
  box.addEventListener("dragend", () => {
    clear();
    dragged?.removeAttribute("data-dragged");
    dragged = null;
  });
}
