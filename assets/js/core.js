// What every module of the screen builds on, in one import. Keep this surface stable.
import "./pictures.js";

export { address } from "./address.js";
export { on, emit } from "./bus.js";
export { command, commandOfKey, commandsOf, menuOf, paramsOf } from "./commands.js";
export { ask, confirmDialog, openDialog, openMenu, promptDialog, toast, toastError } from "./dialogs.js";
export { button, debounce, el, icon, iconButton, keyed, setAttr, setIcon, setText, typing } from "./dom.js";
export { fmt } from "./format.js";
export { LANGUAGES, errorWords, has, lang, setLanguage, t } from "./i18n.js";
export { currentTab, showTab } from "./nav.js";
export { pulse } from "./pulse.js";
export { ApiError, api, uniqueKey, urls } from "./rest.js";
