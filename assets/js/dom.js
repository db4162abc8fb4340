// Small hands for the DOM: elements with text only, icons, keyed lists. User text can never become markup here.

/**
 * el("button", {class: "l-btn", title: "Play", onclick: fn, dataset: {id}}, icon("play"), "Play")
 * Children: nodes, strings, numbers; null and false are left out. `style` takes an object; `--x` names work.
 */
export function el(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "type" && tag === "button") continue; // Gradio's reset of [type=button] would win over our colours
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else if (name === "dataset") Object.assign(node.dataset, value);
    else if (name === "style") for (const [key, v] of Object.entries(value)) node.style.setProperty(key, v);
    else if (name === "value" || name === "checked" || name === "muted" || name === "indeterminate") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** A Lucide icon by its file name in assets/icons; decorative, so name the button instead. */
export function icon(name) {
  return el("i", { class: `l-ic l-ic-${name}`, "aria-hidden": "true" });
}

export function setIcon(node, name) {
  const wanted = `l-ic l-ic-${name}`;
  if (node.className !== wanted) node.className = wanted;
}

/** A button that is only an icon: the label is its title and its name for screen readers. */
export function iconButton(name, label, onclick, attrs = {}) {
  return el("button", { type: "button", class: "l-ib", title: label, "aria-label": label, onclick, ...attrs }, icon(name));
}

/** A button with words, and an icon where one helps. kind: "" | "primary" | "soft" | "danger". */
export function button(label, onclick, { kind = "", iconName = "", ...attrs } = {}) {
  const node = el("button", { type: "button", class: `l-btn ${kind && `l-btn-${kind}`}`, onclick, ...attrs });
  if (iconName) node.append(icon(iconName));
  node.append(el("span", { class: "l-btn-label" }, label));
  return node;
}

/** Writes text only when it differs: an unchanged node costs no layout. */
export function setText(node, text) {
  const wanted = text === null || text === undefined ? "" : String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

export function setAttr(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else {
    const wanted = value === true ? "" : String(value);
    if (node.getAttribute(name) !== wanted) node.setAttribute(name, wanted);
  }
}

/**
 * Patch `box` so that it shows `items` in order, one element per key. `by` is the caller's Map key -> element.
 * Unchanged elements are neither moved nor rewritten unless update() writes them.
 */
export function keyed(box, by, items, key, create, update) {
  const wanted = new Set(items.map(key));
  for (const [id, node] of by) {
    if (!wanted.has(id)) {
      node.remove();
      by.delete(id);
    }
  }
  let at = box.firstElementChild;
  for (const item of items) {
    const id = key(item);
    let node = by.get(id);
    if (!node) by.set(id, (node = create(item)));
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else box.insertBefore(node, at);
  }
}

/** Calls fn once things were quiet for `ms`. */
export function debounce(fn, ms) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => fn(...args), ms);
  };
}

/** True while the user types somewhere: single-key shortcuts must stay quiet. */
export function typing(event) {
  const at = event.target;
  return at instanceof HTMLElement && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName));
}
