// The plan before the run: one quiet line beside the Render button says how a scene would fit into memory and how long
// a step takes; a scene that does not fit gets the reason and the next best size. Python hands the form's scene over
// (studio/tabs/kit/plan.py); the answer is POST /api/memory/plan.
import { api, button, debounce, el, emit, errorWords, fmt, icon, on, pulse, setText, t } from "./core.js";
import { getById } from "./fetching.js";
import { profileName } from "./settings_parts.js";

const QUIET_MS = 350;
const MISSING = ["engine.needs_download", "model.part_half"];
const asked = new Map(); // place -> {scene, queue, prefix}: what its form says now

/** The invisible part of a form that says what it would make: props.value {place, scene, queue, prefix, turn}. */
export function wire(element, props, watch) {
  const hear = () => {
    if (!props.value) return;
    asked.set(props.value.place, props.value);
    emit("plan", props.value.place);
  };
  watch("value", hear);
  hear();
}

/** The line of one place. It asks again when the form, the queue or what is installed has changed. */
export class PlanLine {
  #place;
  #turn = 0;
  #shown = "";

  constructor(place) {
    this.#place = place;
    this.element = el("div", { class: "l-plan", "aria-live": "polite", dataset: { empty: "" } });
    let shown = false;
    const soon = debounce(() => {
      if (this.element.isConnected) this.#ask();
      else if (shown) for (const quiet of ears) quiet(); // the form was drawn again, with another line
      shown ||= this.element.isConnected;
    }, QUIET_MS);
    const ears = [on("plan", (which) => which === place && soon()), ...["catalogue", "library", "online"].map((news) => on(news, soon))];
    if (asked.has(place)) soon();
  }

  /** Nothing is chosen. */
  clear() {
    this.#turn += 1;
    this.#draw(null);
  }

  async #ask() {
    const wish = asked.get(this.#place);
    if (!wish) return;
    const turn = (this.#turn += 1);
    let answer;
    try {
      answer = await api("POST", "/memory/plan", { scene: wish.scene, ...(wish.queue ? { queue_id: wish.queue } : {}) });
    } catch (error) {
      // an unfinished form is told of by its own fields, not here
      answer = error.code?.startsWith("engine.") ? { plan: null, refused: error, next_best: null, profiles: [] } : null;
    }
    if (turn === this.#turn) this.#draw(answer, wish);
  }

  #draw(answer, wish = null) {
    const key = JSON.stringify([answer, wish?.prefix]);
    if (key === this.#shown) return;
    this.#shown = key;
    const nodes = !answer ? [] : answer.refused ? refusal(answer, wish) : answer.plan ? [promise(answer)] : [];
    this.element.toggleAttribute("data-empty", !nodes.length);
    this.element.toggleAttribute("data-refused", Boolean(answer?.refused));
    this.element.toggleAttribute("data-missing", MISSING.includes(answer?.refused?.code));
    this.element.replaceChildren(...nodes);
  }
}

// ------------------------------------------------------------------------------------------------ words
/** "hybrid · 11.2 GB of 24 GB · 22 of 40 blocks stay · about 15 s a step (guess)" */
export function planWords(plan, vram) {
  const gpu = vram && plan.profile !== "cpu";
  const peak = gpu ? plan.peak_bytes : plan.ram_bytes || plan.peak_bytes;
  const streamed = plan.blocks > 0 && plan.resident_blocks < plan.blocks && plan.profile !== "cpu" && plan.profile !== "swap";
  return [
    profileName(plan.profile),
    !peak ? "" : gpu ? t("plan.of", { peak: fmt.bytes(peak), vram: `${fmt.gigabytes(vram)} GB` }) : t("plan.ram", { peak: fmt.bytes(peak) }),
    streamed ? t("plan.blocks", { stay: plan.resident_blocks, all: plan.blocks }) : "",
    plan.step_seconds ? t(plan.guess ? "plan.step_guess" : "plan.step", { time: stepTime(plan.step_seconds) }) : "",
  ].filter(Boolean).join(" · ");
}

/** 0.42 -> "0.4 s", 15.3 -> "15 s", 130 -> "2 min" */
export const stepTime = (seconds) => (seconds < 10 ? fmt.seconds(Math.max(0.1, seconds)) : fmt.rough(seconds));

/** Why a profile does not fit, in words; "" where nobody said. */
export const reasonOf = ({ reason }) => (!reason ? "" : errorWords(typeof reason === "string" ? { code: reason } : reason).message);

function promise(answer) {
  const words = planWords(answer.plan, pulse.status?.vram_gb);
  const node = el("button", { class: "l-plan-words", title: t("plan.details"), "aria-haspopup": "dialog", onclick: () => details(node, answer) },
    icon("cpu"), el("span", {}, words), icon("chevron-down"));
  return node;
}

function refusal({ refused, next_best: next, profiles }, wish) {
  const { message, hint } = errorWords(refused);
  const node = el("button", { class: "l-plan-words", title: hint || null, "aria-haspopup": profiles?.length ? "dialog" : null,
    onclick: () => (profiles?.length ? details(node, { profiles, plan: null }) : undefined) }, icon("triangle-alert"), el("span", {}, message));
  const acts = [];
  if (MISSING.includes(refused.code)) acts.push(button(t("models.get"), () => getById(refused.params.engine), { iconName: "download", class: "l-btn l-plan-get" }));
  if (next) acts.push(button(t("plan.use", { size: nextWords(next, wish) }), () => apply(next, wish.prefix), { class: "l-btn l-plan-use" }));
  return [node, ...acts];
}

/** What changes with the next best shape: the resolution, the length, or both. */
function nextWords(next, { scene }) {
  const size = next.resolution && next.resolution !== scene.resolution ? next.resolution : "";
  const length = next.seconds && scene.duration && next.seconds < scene.duration - 0.01 ? fmt.seconds(next.seconds) : "";
  return [size, length].filter(Boolean).join(" · ") || `${next.width} × ${next.height}`;
}

/** Writes the next best shape into the form, as a hand would. */
function apply(next, prefix) {
  const size = document.querySelector(`#${prefix}-resolution input[value="${next.resolution}"]`);
  if (size && !size.checked) size.click();
  const length = document.querySelector(`#${prefix}-duration input[type=number]`);
  if (!length || !next.seconds || Number(length.value) <= next.seconds) return;
  length.value = String(next.seconds);
  for (const event of ["input", "change", "blur"]) length.dispatchEvent(new Event(event, { bubbles: true }));
}

// ------------------------------------------------------------------------------------------------ every profile
/** What each profile would do, in a panel above the line. */
function details(anchor, { plan, profiles }) {
  document.querySelector(".l-plan-panel")?.remove();
  const head = ["memory.profile", "memory.peak", "plan.column.step", "memory.fits"];
  const panel = el("div", { class: "l-plan-panel l-host", popover: "auto", role: "dialog", "aria-label": t("plan.title") },
    el("h3", {}, t("plan.title")),
    plan ? facts(plan) : null,
    el("table", { class: "l-set-table" }, el("thead", {}, el("tr", {}, head.map((key) => el("th", { scope: "col" }, t(key))))),
      el("tbody", {}, (profiles || []).map((row) => profileRow(row, plan)))),
    el("button", { class: "l-link", onclick: () => {
      panel.hidePopover();
      emit("settings", "memory");
    } }, t("plan.more")));
  panel.addEventListener("toggle", (event) => event.newState === "closed" && panel.remove());
  document.body.append(panel);
  panel.showPopover();
  const at = anchor.getBoundingClientRect();
  panel.style.left = `${Math.max(8, Math.min(at.right - panel.offsetWidth, innerWidth - panel.offsetWidth - 8))}px`;
  panel.style.top = `${Math.max(8, at.top - panel.offsetHeight - 8)}px`;
  panel.querySelector("button").focus({ preventScroll: true });
}

const facts = (plan) => el("p", { class: "l-hint" }, [
  plan.ram_bytes ? t("plan.ram", { peak: fmt.bytes(plan.ram_bytes) }) : "",
  plan.pinned_bytes ? t("plan.pinned", { size: fmt.bytes(plan.pinned_bytes) }) : "",
].filter(Boolean).join(" · "));

function profileRow(row, plan) {
  const node = el("tr", { dataset: { ok: String(row.ok) }, "aria-current": plan?.profile === row.profile ? "true" : null },
    el("th", { scope: "row", title: t(`form.profile.${row.profile}`) }, profileName(row.profile)),
    el("td", { class: "l-mono" }, row.peak_bytes ? fmt.bytes(row.peak_bytes) : "–"),
    el("td", { class: "l-mono" }, row.ok && row.step_seconds ? stepTime(row.step_seconds) : "–"),
    el("td", {}, ""));
  setText(node.lastChild, row.ok ? t("memory.fits.yes") : reasonOf(row) || t("memory.fits.no"));
  return node;
}
