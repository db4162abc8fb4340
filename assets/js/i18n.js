// Words of the screen in the page's one language. The head script picks the language and starts the fetch
// (studio/tabs/kit/theme.py); a switch stores the choice and reloads. Knows no component.

const page = window.lanterna;
const words = await page.words;

export const lang = page.lang;
export const LANGUAGES = { en: "English", pt: "Português", zh: "中文" };

/** The words of `key` with {name} filled from params; with {count: 1} the key `<key>.one` wins where it exists. */
export function t(key, params = {}) {
  const text = (params.count === 1 && words[`${key}.one`]) || words[key];
  if (text === undefined) return key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in params ? String(params[name]) : whole));
}

/** True where the dictionary has words for `key`: for codes that come from the server. */
export const has = (key) => key in words;

/**
 * The words of an error {code, params, message?, hint?}: the server's own when it sent them. An error may explain
 * another: then `params.why` is that one, and its message fills {reason}. An engine is called by the title of its model.
 */
export function errorWords(error) {
  if (!error) return { message: "", hint: "" };
  const { code, params = {} } = error;
  const filled = params.why ? { ...params, reason: errorWords(params.why).message } : params;
  const { engine, failed = "", why } = params;
  // the longest first: one id may begin another
  const inner = [...new Set([engine, ...String(failed).split(", "), why?.params?.engine])]
    .filter((id) => has(`engine.title.${id}`)).sort((a, b) => b.length - a.length);
  const message = error.message || (has(`error.${code}`) ? t(`error.${code}`, filled) : code);
  return {
    message: inner.reduce((text, id) => text.replaceAll(id, t(`engine.title.${id}`)), message),
    hint: error.hint || (has(`error.${code}.hint`) ? t(`error.${code}.hint`, filled) : ""),
  };
}

export function setLanguage(code) {
  localStorage.setItem("lanterna_lang", code);
  document.cookie = `lanterna_lang=${code}; path=${page.base}/; max-age=31536000; samesite=lax`;
  location.reload();
}
