// An empty studio greets: three steps over the work area. Shown only while there is no queue and no take, until it is
// dismissed or something was made. Knows no tab by more than its name.
import { api, button, el, fmt, icon, iconButton, on, showTab, t, toastError } from "./core.js";
import { chooseEpisode } from "./importer.js";
import { openNew } from "./queues.js";
import { openSettings } from "./settings.js";

const DISMISSED = "lanterna_welcome";

export async function mount() {
  if (localStorage.getItem(DISMISSED)) return;
  try {
    if (!(await isEmpty())) return;
    show(await api("GET", "/status"));
  } catch {
    // not reachable: the pulse says so, and nobody needs a welcome then
  }
}

async function isEmpty() {
  const [queues, takes] = await Promise.all([api("GET", "/queues"), api("GET", "/takes?limit=1")]);
  return !takes.takes.length && queues.every((queue) => queue.inbox && !queue.counts.total);
}

function show(machine) {
  const close = () => {
    quiet();
    localStorage.setItem(DISMISSED, "1");
    page.remove();
  };
  const quiet = on("queues", async () => (await isEmpty()) || close()); // an episode came in, from wherever
  const sample = button(t("welcome.sample.do"), () => play(sample, close), { kind: "primary", iconName: "play", id: "welcome-sample" });
  const page = el("section", { class: "l-welcome l-host", id: "welcome", "aria-label": t("welcome.title") },
    iconButton("x", t("welcome.later"), close, { id: "welcome-close", class: "l-ib l-welcome-close" }),
    el("header", {}, el("h1", {}, t("welcome.title")), el("p", {}, t("welcome.about"))),
    el("ol", {},
      step("sample", "film", [sample]),
      step("import", "file-json", [button(t("welcome.import.do"), chooseEpisode, { iconName: "upload", id: "welcome-import" })]),
      step("model", "hard-drive", [needs(machine), button(t("welcome.model.do"), () => {
        page.remove();
        openSettings("models");
      }, { iconName: "package", id: "welcome-models" })])),
    el("footer", {}, el("button", { type: "button", class: "l-link", id: "welcome-later", onclick: close }, t("welcome.later"))));
  document.body.append(page);
  // somebody who turns to a tab wants to see it: the welcome comes back with the next visit
  document.querySelector("#l-nav > .tab-wrapper").addEventListener("click", () => page.remove(), { once: true });
}

function step(name, picture, content) {
  return el("li", { class: `l-welcome-step l-welcome-${name}` }, icon(picture), el("h2", {}, t(`welcome.${name}`)),
    el("p", {}, t(`welcome.${name}.about`)), ...content);
}

/** What a real model asks of a machine, and what this one has. */
function needs({ gpu, vram_gb: vram, ram_gb: ram, disk_free_gb: disk }) {
  const here = [gpu ? `${gpu} · ${fmt.number(vram)} GB` : t("welcome.here.no_gpu"), t("welcome.here.ram", { gb: fmt.number(ram) }),
    t("welcome.here.disk", { gb: fmt.number(disk) })].join(" · ");
  return el("div", { class: "l-welcome-needs" },
    el("dl", {}, ["card", "disk", "licence"].map((name) =>
      [el("dt", {}, t(`welcome.need.${name}`)), el("dd", {}, t(`welcome.need.${name}.about`))])),
    el("p", { class: "l-welcome-here" }, el("b", {}, t("welcome.here")), here));
}

async function play(sample, close) {
  sample.disabled = true;
  try {
    const queue = await api("POST", "/queues/sample");
    await api("POST", `/queues/${queue.id}/run`);
    close();
    showTab("queues");
    await openNew(queue.id);
  } catch (error) {
    sample.disabled = false;
    toastError(error);
  }
}
