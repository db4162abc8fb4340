// Words, elements, times, and what the browser keeps. Knows no film.
const facts = JSON.parse(document.getElementById("facts").textContent);
const { words, lang, offline } = facts;
let view = facts.view;

const $ = (id) => document.getElementById(id);

/** The words of `key`; {n} and other places are filled from `params`, and n = 1 prefers `<key>.one`. */
function t(key, params = {}) {
  const text = (params.n === 1 && words[`${key}.one`]) || words[key] || key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

/** An element with attributes, handlers (onclick) and children; text is never read as markup. */
function el(tag, attrs = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child || child === 0));
  return node;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("class", "ic");
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

const setIcon = (button, name) => button.querySelector("use").setAttribute("href", `#i-${name}`);
const button = (kind, label, onclick, ...children) => el("button", { type: "button", class: kind, "aria-label": label, title: label, onclick }, ...children);

/** 62.5 -> 1:02.5, as the studio writes it. */
function clock(seconds) {
  const tenths = Math.round(Math.max(0, seconds) * 10);
  const minutes = Math.floor(tenths / 600);
  const rest = `${String(Math.floor(tenths / 10) % 60).padStart(2, "0")}.${tenths % 10}`;
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

const day = (iso) => new Date(iso).toLocaleString(lang, { dateStyle: "medium", timeStyle: "short" });
const numbered = (scene) => (scene.title ? `${String(scene.number).padStart(2, "0")} ${scene.title}` : String(scene.number).padStart(2, "0"));

/** For those who do not see it happen. */
function tell(text) {
  $("said").textContent = "";
  setTimeout(() => ($("said").textContent = text), 50); // the same sentence twice is said twice
}

// ---- what the browser keeps of this person for this film: as much as it lets us, else until the page is closed
const remembered = {};
const place = (name) => `lanterna.review.${view.id}.${view.me.name}.${name}`; // nothing is sent in another one's name

function recall(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(place(name))) ?? otherwise;
  } catch {
    return remembered[name] ?? otherwise;
  }
}

/** Whether it will still be there tomorrow. */
function keep(name, value) {
  remembered[name] = value;
  try {
    localStorage.setItem(place(name), JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** A ULID: 10 characters of time, 16 of chance. Made here, so that what is sent twice is there once. */
function newId() {
  const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  let id = "";
  for (let time = Date.now(), n = 0; n < 10; n += 1, time = Math.floor(time / 32)) id = letters[time % 32] + id;
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) id += letters[byte % 32];
  return id;
}
