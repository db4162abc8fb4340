// The one door to the studio's REST API. Errors arrive as ApiError with words in the page's language.
import { address } from "./address.js";
import { lang, t } from "./i18n.js";

export class ApiError extends Error {
  constructor(status, { code, params = {}, message, hint = "" }) {
    super(message || code);
    Object.assign(this, { status, code, params, hint });
  }
}

/** randomUUID needs a secure context; a phone on the local network has none. */
export function uniqueKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, "0")).join("");
}

/**
 * await api("PATCH", `/scenes/${id}`, {prompt}, {headers: {"If-Match": version}}) -> the answer's JSON (null for 204).
 * A FormData or string body is sent as it is. Throws ApiError {status, code, params, message, hint}.
 */
export async function api(method, path, body = undefined, { headers = {}, signal = undefined } = {}) {
  const all = { Accept: "application/json", "Accept-Language": lang, ...headers };
  if (method === "POST") all["Idempotency-Key"] ??= uniqueKey();
  let payload = body;
  if (body !== undefined && !(body instanceof FormData) && typeof body !== "string") {
    payload = JSON.stringify(body);
    all["Content-Type"] = "application/json";
  } else if (typeof body === "string") all["Content-Type"] = "application/json";
  const mark = path.includes("?") ? "&" : "?";
  let answer;
  try {
    answer = await fetch(address(`/api${path}${method === "GET" ? "" : `${mark}lang=${lang}`}`), {
      method, headers: all, body: payload, signal, credentials: "same-origin",
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, { code: "offline", message: t("common.unreachable"), hint: t("common.unreachable.hint") });
  }
  const isJson = (answer.headers.get("content-type") || "").includes("json");
  const content = answer.status === 204 ? null : isJson ? await answer.json() : await answer.text();
  if (answer.ok) return content;
  throw new ApiError(answer.status, content?.error || { code: `http.${answer.status}`, message: t("common.refused") });
}

/** Addresses of a take's files. */
export const urls = {
  file: (takeId) => address(`/api/takes/${takeId}/file`),
  download: (takeId) => address(`/api/takes/${takeId}/file?download=1`),
  poster: (takeId) => address(`/api/takes/${takeId}/poster`),
  strip: (takeId) => address(`/api/takes/${takeId}/strip`),
  still: (sha) => address(`/api/assets/${sha}/poster`), // of a picture in the library
  preview: (sceneId) => address(`/api/scenes/${sceneId}/preview`),
};
