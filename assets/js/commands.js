// Everything that can be done, by name: menus and the palette read this table, a feature adds its own lines to it.
const table = new Map();

/**
 * command("queue.check", {label, icon, menu, group, run, when, keys, danger, checked}).
 * label: a key of the dictionary. menu: "queue" (…), "run" (beside Run), "scene", "take", "film"; left out: palette only.
 * group: menus draw a line between groups, in the order of their numbers. when(): false hides it. enabled(): false
 * greys it. checked(): draws a tick. keys: what the keyboard help shows. run(target): does it; target is what the menu
 * was opened for, and undefined from the palette. key: a single key that does it on the Queues tab. params: of the label.
 * about: a key of the dictionary that the palette shows beside it, where the label alone says too little.
 */
export function command(id, spec) {
  table.set(id, { id, group: 50, when: () => true, enabled: () => true, ...spec });
}

/** What can be done now, in order; of one menu, or of all. */
export function commandsOf(menu = null, target = undefined) {
  return [...table.values()]
    .filter((one) => (menu ? one.menu === menu : true) && one.when(target))
    .sort((a, b) => a.group - b.group);
}

/** What fills a label: its params, or what they are now where they are a function. */
export const paramsOf = (one, target = undefined) => (typeof one.params === "function" ? one.params(target) : one.params);

/** What a single key does now, if anything. */
export const commandOfKey = (key) => [...table.values()].find((one) => one.key === key && one.when() && one.enabled());

/** The same as entries for openMenu, lines between the groups. */
export function menuOf(menu, words, target = undefined) {
  const entries = [];
  let group = null;
  for (const one of commandsOf(menu, target)) {
    if (group !== null && group !== one.group) entries.push(null);
    group = one.group;
    entries.push({
      label: words(one.label, paramsOf(one, target)),
      icon: one.checked ? (one.checked(target) ? "check" : "square") : one.icon, danger: one.danger,
      disabled: !one.enabled(target), onclick: () => one.run(target),
    });
  }
  return entries;
}
