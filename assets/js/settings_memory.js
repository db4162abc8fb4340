// Settings > Memory: what this machine is and how fast, how much of it we may use, and what each profile would do.
import { api, button, confirmDialog, debounce, el, fmt, has, setAttr, setText, showTab, t, toast } from "./core.js";
import { act, openQueue, state } from "./queues.js";
import { block, facts, mark, note, profileName, progressBar, trouble, waiting, whileShown } from "./settings_parts.js";
import { reasonOf } from "./plan.js";

const MEASURING_MS = 1000;
const IDLE_MS = 8000;
const SAVE_MS = 500;
const CONSENT = "memory.no_consent";
const EIGHT_BIT = "stream8";
const TEST = { task_type: "text_to_video", resolution: "480P", duration: 2, seed: 1 };

export function drawMemory(root) {
  const machine = el("div", {});
  const measured = measuredBlock(() => look());
  const limits = limitsBlock();
  const profiles = profilesBlock();
  const loading = waiting();
  const bad = el("div", {});
  root.append(bad, loading);

  async function look() {
    let memory;
    try {
      memory = await api("GET", "/memory");
    } catch (error) {
      loading.remove();
      bad.replaceChildren(trouble(error, look));
      return IDLE_MS;
    }
    bad.replaceChildren();
    if (loading.isConnected) loading.replaceWith(block("memory.machine", machine), measured.element, limits.element, profiles.element);
    once(machine, memory.machine, () => machine.replaceChildren(facts(machineRows(memory.machine))));
    measured.fill(memory);
    limits.fill(memory);
    profiles.fill(memory);
    return memory.measuring ? MEASURING_MS : IDLE_MS;
  }
  whileShown(root, look);
}

function once(node, value, write) {
  const key = JSON.stringify(value);
  if (node.shows === key) return;
  node.shows = key;
  write();
}

const gb = (value) => `${fmt.gigabytes(value)} GB`;

function machineRows(machine) {
  const free = (all, left) => (left === null || left === undefined ? gb(all) : t("memory.free_of", { free: fmt.gigabytes(left), total: fmt.gigabytes(all) }));
  return [
    [t("memory.gpu"), machine.gpu || t("memory.no_gpu")],
    [t("memory.vram"), machine.gpu ? free(machine.vram_gb, machine.vram_free_gb) : ""],
    [t("memory.ram"), free(machine.ram_gb, machine.ram_free_gb)],
    [t("memory.pin"), machine.gpu && machine.pin_gb ? t("memory.pin.upto", { size: gb(machine.pin_gb) }) : ""],
    [t("memory.cores"), fmt.number(machine.cores)],
  ];
}

// ------------------------------------------------------------------------------------------------ measured
function measuredBlock(after) {
  const said = el("div", {});
  const bar = progressBar(t("memory.measure.progress"));
  const words = el("span", { class: "l-hint", role: "status" });
  const moving = el("div", { class: "l-set-moving", hidden: true }, bar.element, words);
  const go = button(t("memory.measure"), async () => {
    await act(() => api("POST", go.dataset.verb === "cancel" ? "/memory/measure/cancel" : "/memory/measure"));
    after();
  }, { iconName: "refresh-cw", id: "memory-measure" });
  const element = block("memory.measured", said, moving, el("div", { class: "l-set-acts" }, go, el("span", { class: "l-hint" }, t("memory.measure.about"))));
  return {
    element,
    fill({ machine, measured, measuring, measure_error: failed }) {
      once(said, [machine.gpu, measured, failed], () => said.replaceChildren(...(failed ? [trouble(failed)] : []), measured ? facts([
        [t("memory.copy"), machine.gpu && measured.copy_gb_s ? t("memory.gb_s", { n: fmt.gigabytes(measured.copy_gb_s) }) : ""],
        [t("memory.disk"), measured.disk_gb_s ? t("memory.gb_s", { n: fmt.gigabytes(measured.disk_gb_s) }) : ""],
        [t("memory.tflops"), measured.tflops ? t("memory.tflops.n", { n: measured.tflops < 1 ? measured.tflops.toPrecision(1) : fmt.gigabytes(measured.tflops) }) : ""],
        [t("memory.at"), measured.at ? fmt.date(measured.at) : ""],
      ]) : note(t("memory.not_measured"))));
      moving.hidden = !measuring;
      const verb = measuring ? "cancel" : "go";
      if (go.dataset.verb !== verb) go.firstChild.className = `l-ic l-ic-${measuring ? "x" : "refresh-cw"}`;
      go.dataset.verb = verb;
      setText(go.querySelector(".l-btn-label"), t(measuring ? "common.cancel" : measured ? "memory.measure.again" : "memory.measure"));
      if (!measuring) return;
      bar.fill(measuring.total ? measuring.done / measuring.total : 0);
      setText(words, has(`memory.measure.${measuring.what}`) ? t(`memory.measure.${measuring.what}`) : t("memory.measure.running"));
    },
  };
}

// ------------------------------------------------------------------------------------------------ limits
function limitsBlock() {
  const save = debounce((changes) => act(() => api("PATCH", "/preferences", changes), t("settings.saved")), SAVE_MS);
  const ceiling = slider("memory-ceiling", "memory.ceiling", (value, most) => (value >= most ? t("memory.ceiling.all") : gb(value)),
    (value, most) => save({ vram_ceiling_gb: value >= most ? 0 : value }));
  const headroom = slider("memory-headroom", "memory.headroom", (value) => gb(value), (value) => save({ vram_headroom_gb: value }));
  const element = block("memory.limits", ceiling.element, headroom.element);
  return {
    element,
    fill({ machine, ceiling_gb: most, headroom_gb: spare }) {
      element.hidden = !machine.gpu; // without a GPU there is no video memory to share
      if (element.hidden) return;
      const vram = Math.floor(machine.vram_gb * 2) / 2;
      ceiling.fill({ min: Math.min(2, vram), max: vram, value: most || vram });
      headroom.fill({ min: 0, max: Math.max(1, Math.floor(vram / 3)), value: spare });
    },
  };
}

/** A slider that says its value, and is left alone while somebody holds it. */
function slider(id, key, say, onchange) {
  const words = el("output", { class: "l-mono", for: id });
  const input = el("input", { type: "range", class: "l-range", id, step: 0.5, "aria-describedby": `${id}-about` });
  let held = false;
  const tell = () => {
    setText(words, say(Number(input.value), Number(input.max)));
    setAttr(input, "aria-valuetext", words.textContent);
    input.style.setProperty("--share", `${(100 * (input.value - input.min)) / Math.max(0.1, input.max - input.min)}%`);
  };
  input.addEventListener("input", () => {
    held = true;
    tell();
  });
  input.addEventListener("change", () => {
    held = false;
    onchange(Number(input.value), Number(input.max));
  });
  const element = el("div", { class: "l-set-slider" }, el("label", { for: id }, t(key)), words, input, el("p", { class: "l-hint", id: `${id}-about` }, t(`${key}.about`)));
  return {
    element,
    fill({ min, max, value }) {
      if (held || element.shows === `${min} ${max} ${value}`) return;
      element.shows = `${min} ${max} ${value}`;
      Object.assign(input, { min, max });
      input.value = value;
      tell();
    },
  };
}

// ------------------------------------------------------------------------------------------------ profiles
function profilesBlock() {
  const queues = el("select", { class: "l-select", id: "memory-queue", "aria-label": t("memory.queue"), onchange: () => read() });
  const rows = el("tbody");
  const bad = el("div", {});
  const head = ["memory.profile", "memory.peak", "memory.time", "memory.fits", "memory.test"];
  const table = el("table", { class: "l-set-table l-profiles" }, el("thead", {}, el("tr", {}, head.map((key) => el("th", { scope: "col" }, t(key))))), rows);
  const none = el("p", { class: "l-hint", hidden: true }, t("memory.nothing_planned"));
  const element = block("memory.profiles", el("label", { class: "l-set-pick" }, el("span", {}, t("memory.queue")), queues), none, bad, table);
  const view = { profiles: [], queue: "", found: {} };

  function fill(memory) {
    view.profiles = memory.profiles.map((one) => (typeof one === "string" ? { profile: one } : one));
    drawQueues();
    draw();
  }

  function drawQueues() {
    const list = (state.list || []).filter((queue) => queue.counts.total);
    once(queues, list.map((queue) => [queue.id, queue.name]), () => {
      queues.replaceChildren(...list.map((queue) => el("option", { value: queue.id }, queue.inbox ? t("queues.inbox") : queue.name)));
      queues.disabled = !list.length;
      if (!list.length) queues.replaceChildren(el("option", { value: "" }, t("memory.no_queue")));
      else if (list.some((queue) => queue.id === (view.queue || state.queue?.id))) queues.value = view.queue || state.queue.id;
      if (queues.value && queues.value !== view.queue) read();
    });
  }

  async function read() {
    view.queue = queues.value;
    view.found = {};
    draw();
    if (!view.queue) return;
    const asked = view.queue;
    try {
      const { profiles } = await api("GET", `/memory/queues/${asked}`);
      if (asked !== view.queue) return;
      view.found = Object.fromEntries(profiles.map((one) => [one.profile, one]));
      none.hidden = profiles.length > 0;
      bad.replaceChildren();
    } catch (error) {
      if (asked === view.queue) bad.replaceChildren(trouble(error, read));
    }
    draw();
  }

  function draw() {
    once(rows, [view.profiles, view.found, view.queue], () => rows.replaceChildren(...view.profiles.map((one) => profileRow({ ...one, ...view.found[one.profile] }, Boolean(view.queue)))));
  }

  return { element, fill };
}

function profileRow(row, asked) {
  const { profile, ok, seconds, scenes_that_fit: fit } = row;
  const known = ok !== undefined && ok !== null;
  const time = !asked || !seconds ? "–" : `${seconds.guess ? "≈ " : ""}${fmt.rough(seconds.median)}`;
  const range = seconds ? [seconds.guess ? t("preflight.guess") : "", t("preflight.range", { low: fmt.rough(seconds.low), high: fmt.rough(seconds.high) })].filter(Boolean).join(" · ") : "";
  const asks = row.reason?.code === CONSENT; // of that queue; the test scene lies in the inbox
  const words = !known ? "–" : ok ? mark("ok", t("memory.fits.yes"))
    : fit ? mark("warn", t("memory.fits.some", { count: fit })) : mark("bad", t("memory.fits.no"), reasonOf(row));
  return el("tr", { dataset: { profile } },
    el("th", { scope: "row" }, el("b", {}, profileName(profile)), el("span", { class: "l-hint" }, t(`memory.profile.${profile}`))),
    el("td", { class: "l-mono", "data-none": !row.peak_bytes, dataset: { label: t("memory.peak") } }, row.peak_bytes ? fmt.bytes(row.peak_bytes) : "–"),
    el("td", { class: "l-mono", title: range || null, "data-none": time === "–", dataset: { label: t("memory.time") } }, time),
    el("td", { "data-none": !known, dataset: { label: t("memory.fits") } }, words, !ok && known && reasonOf(row) ? el("span", { class: "l-hint" }, reasonOf(row)) : ""),
    el("td", {}, button(t("memory.test.do"), () => testScene(profile), { iconName: "play", disabled: known && !ok && !asks, "aria-label": `${t("memory.test.do")}: ${profileName(profile)}` })));
}

/** One small scene with this profile, now: it lands in the inbox, which may have to allow weights in 8 bits first. */
async function testScene(profile) {
  if (profile === EIGHT_BIT && !(await allowed8bit())) return;
  const label = t("memory.test.label", { profile: profileName(profile) });
  const made = await act(() => api("POST", "/scenes?run=false", { ...TEST, label, prompt: t("form.sample.text_to_video"), profile }));
  if (!made) return;
  if (profile === EIGHT_BIT) await act(() => api("PATCH", `/queues/${made.queue_id}`, { allow_8bit: true }));
  if (!(await act(() => api("POST", `/scenes/${made.id}/run`)))) return;
  toast(t("memory.test.started"), "", "ok");
  showTab("queues");
  openQueue(made.queue_id, made.id);
}

/** The consent of the inbox: given before, or asked for now. */
async function allowed8bit() {
  const queues = await act(() => api("GET", "/queues"));
  if (!queues) return false;
  return queues.find((queue) => queue.inbox)?.allow_8bit
    || confirmDialog({ title: t("memory.test.eight_bit"), text: t("memory.test.eight_bit.about"), yes: t("memory.test.eight_bit.yes") });
}
