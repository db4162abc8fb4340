// Numbers as people read them, in the page's language. Pure.
import { lang, t } from "./i18n.js";

const number = (digits) =>
  new Intl.NumberFormat(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const whole = number(0);
const tenths = number(1);

const pad = (n) => String(n).padStart(2, "0");

export const fmt = {
  /** 63.74 -> "1:03.7" */
  time(seconds) {
    const all = Math.max(0, Math.floor((seconds || 0) * 10 + 1e-6));
    const rest = `${pad(Math.floor(all / 10) % 60)}.${all % 10}`;
    const minutes = Math.floor(all / 600);
    return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${rest}`;
  },
  /** 63.7 -> "1:03" */
  clock(seconds) {
    const all = Math.max(0, Math.round(seconds || 0));
    const minutes = Math.floor(all / 60);
    return minutes < 60
      ? `${minutes}:${pad(all % 60)}`
      : `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(all % 60)}`;
  },
  /** 4 -> "4.0 s" */
  seconds: (value) => (value === null || value === undefined ? "–" : `${tenths.format(value)} s`),
  /** 192 -> "3:12 left"; null, or next to nothing -> "" */
  eta: (value) => (value === null || value === undefined || value < 1 ? "" : t("common.left", { time: fmt.clock(value) })),
  /** 2460 -> "41 min" */
  rough(seconds) {
    if (seconds < 90) return t("common.sec", { n: Math.max(1, Math.round(seconds)) });
    const minutes = Math.round(seconds / 60);
    return minutes < 90 ? t("common.min", { n: minutes }) : t("common.hours", { h: Math.floor(minutes / 60), n: minutes % 60 });
  },
  bytes(value) {
    let size = value || 0;
    for (const unit of ["B", "KB", "MB", "GB"]) {
      if (size < 1000 || unit === "GB") return `${unit === "B" ? whole.format(size) : tenths.format(size)} ${unit}`;
      size /= 1000;
    }
    return "";
  },
  number: (value) => whole.format(value),
  /** 17.2 -> "17.2" */
  gigabytes: (value) => (Number.isInteger(value) ? whole.format(value) : tenths.format(value)),
  percent: (share) => `${Math.round(100 * Math.min(1, Math.max(0, share || 0)))}%`,
  /** "2026-11-20T10:00:00Z" -> "20 Nov, 10:00" */
  date: (iso) =>
    new Intl.DateTimeFormat(lang, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }).format(
      new Date(iso),
    ),
  /** "10:05" of a Date */
  hour: (when) => new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit" }).format(when),
  /** What is still to come: "23:30" on the same day or night, else with its day. */
  when: (iso) => new Date(iso) - Date.now() < 20 * 3_600_000
    ? fmt.hour(new Date(iso)) : fmt.date(iso),
  /** 6 -> "06" */
  shot: (n) => pad(n),
};
