// A large file on its way to REST, with how far it is: fetch cannot say that of what it sends.
import { address } from "./address.js";
import { lang, t } from "./i18n.js";
import { ApiError, uniqueKey } from "./rest.js";

/** await sendPackage("/queues/import?name=", file, {onprogress, signal}) -> the answer's JSON. Throws ApiError. */
export const sendPackage = (path, file, more) => send(path, file, { ...more, type: "application/zip" });

/** The same of one file in a form, as uploads take it. */
export function sendFile(path, file, more) {
  const form = new FormData();
  form.append("file", file, file.name);
  return send(path, form, more);
}

function send(path, body, { onprogress = () => {}, signal, type = "" }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address(`/api${path}${path.includes("?") ? "&" : "?"}lang=${lang}`));
    request.setRequestHeader("Accept", "application/json");
    if (type) request.setRequestHeader("Content-Type", type);
    request.setRequestHeader("Idempotency-Key", uniqueKey());
    request.upload.addEventListener("progress", (event) => onprogress(event.total ? event.loaded / event.total : 0));
    request.upload.addEventListener("load", () => onprogress(1));
    request.addEventListener("error", () => reject(new ApiError(0, { code: "offline", message: t("common.unreachable"), hint: t("common.unreachable.hint") })));
    request.addEventListener("abort", () => reject(new DOMException("", "AbortError")));
    request.addEventListener("load", () => {
      let content = null;
      try {
        content = JSON.parse(request.responseText);
      } catch {
        // a proxy between us may answer with a page
      }
      if (request.status < 300 && content) resolve(content);
      else reject(new ApiError(request.status, content?.error || { code: `http.${request.status}`, message: t("common.refused") }));
    });
    signal?.addEventListener("abort", () => request.abort());
    request.send(body);
  });
}
