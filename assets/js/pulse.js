// The single poller of the page: one request at a time, so that six tabs never exhaust the browser's connections.
// Emits "now" (Now), "delta" ({queue, scenes, removed, progress, full}), "queues", "library" and "notices" when their
// versions moved, "status" (Status) now and then, "offline" and "online". Knows no component.
import { address } from "./address.js";
import { emit } from "./bus.js";
import { api } from "./rest.js";

const BUSY_MS = 1000;
const IDLE_MS = 2500;
const HIDDEN_MS = 6000;
const STATUS_MS = 15000;
const BUSY_STATUS_MS = 4000; // while something is being made, memory moves

class Pulse {
  now = null; // the newest Now, null before the first answer
  queueId = null; // the open queue: its delta is asked for instead of /now
  status = null; // the newest Status: the machine and its memory
  #version = null;
  #statusAt = -Infinity;
  #seen = { library: null, queues: null, notices: null };
  #timer = 0;
  #asking = false;
  #again = false;
  #online = true;
  #signedOut = false;

  /** Follow this queue (null: none). The next delta is a full one. */
  open(queueId) {
    this.queueId = queueId;
    this.#version = null;
    this.poke();
  }

  /** Ask at once: after every action of the user. */
  poke() {
    clearTimeout(this.#timer);
    if (this.#asking) this.#again = true;
    else this.#beat();
  }

  async #beat() {
    this.#asking = true;
    const queueId = this.queueId;
    try {
      if (queueId) {
        const since = this.#version;
        const delta = await api("GET", `/queues/${queueId}${since ? `?since=${encodeURIComponent(since)}` : ""}`);
        if (queueId === this.queueId) this.#delta(delta, since);
      } else this.#hear(await api("GET", "/now"));
      await this.#machine();
      if (!this.#online) emit("online");
      this.#online = true;
      this.#signedOut = false;
    } catch (error) {
      if (error.status === 404 && queueId && queueId === this.queueId) {
        this.queueId = null;
        emit("gone", queueId);
      } else if (error.status === 401 && this.#signedOut) location.assign(address("/sign-in"));
      else if (error.status === 401) {
        this.#signedOut = true; // it may have been asked just before this page was signed in: a beat later once more
      } else {
        if (this.#online) emit("offline", error);
        this.#online = false;
      }
    }
    this.#asking = false;
    this.#timer = setTimeout(() => this.#beat(), this.#again ? 0 : this.#pause());
    this.#again = false;
  }

  #delta(delta, since) {
    const sameBoot = since && since.split("-")[0] === delta.version.split("-")[0];
    this.#version = delta.version;
    this.#hear(delta.now);
    emit("delta", { ...delta, full: !sameBoot });
  }

  #hear(now) {
    this.now = now;
    emit("now", now);
    for (const name of ["queues", "library", "notices"]) {
      if (now[name] === this.#seen[name]) continue;
      this.#seen[name] = now[name];
      emit(name, now[name]);
    }
  }

  async #machine() {
    const pause = this.now?.running.length ? BUSY_STATUS_MS : STATUS_MS;
    if (performance.now() - this.#statusAt < pause || document.hidden) return;
    this.#statusAt = performance.now();
    this.status = await api("GET", "/status");
    emit("status", this.status);
  }

  #pause() {
    if (document.hidden) return HIDDEN_MS;
    return this.#online && (this.now?.running.length || this.now?.waiting) ? BUSY_MS : IDLE_MS;
  }
}

export const pulse = new Pulse();
document.addEventListener("visibilitychange", () => document.hidden || pulse.poke());
