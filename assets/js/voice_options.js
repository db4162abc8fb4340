// The knobs of an engine, drawn from its JSON schema as small controls. Knows no engine.
import { el, has, t } from "./core.js";

/** The schema of a knob without its "or nothing": {…schema, nullable}. */
function plain(schema, defs) {
  if (schema.$ref) return plain({ ...defs[schema.$ref.split("/").at(-1)], ...schema, $ref: undefined }, defs);
  if (schema.allOf?.length === 1) return plain({ ...schema.allOf[0], ...schema, allOf: undefined }, defs);
  if (!schema.anyOf) return schema;
  const some = schema.anyOf.filter((one) => one.type !== "null");
  return { ...plain(some[0], defs), ...schema, anyOf: undefined, nullable: some.length < schema.anyOf.length };
}

export const knobName = (engine, name, schema) => (has(`form.option.${engine}.${name}`) ? t(`form.option.${engine}.${name}`) : has(`form.option.${name}`) ? t(`form.option.${name}`) : schema.title || name);

/** Every knob that can be drawn, by name. */
export function knobsOf(engine) {
  const defs = engine.options.$defs || {};
  const all = Object.entries(engine.options.properties || {}).map(([name, schema]) => [name, plain(schema, defs)]);
  return Object.fromEntries(all.filter(([, schema]) => schema.enum || ["number", "integer", "boolean", "string"].includes(schema.type)));
}

/** Fields for the knobs of an engine: {element, count, values()}. `held`: how a voice has them; values() are those, and
 * what was turned away from the engine's own. */
export function knobFields(engine, held, { prefix, onchange = () => {} }) {
  const knobs = knobsOf(engine);
  const values = Object.fromEntries(Object.entries(held).filter(([name]) => name in knobs));
  const fields = Object.entries(knobs).map(([name, schema]) => {
    const set = (value) => {
      const wanted = value === undefined ? schema.default : value;
      if (wanted === schema.default && !(name in held)) delete values[name];
      else values[name] = wanted;
      onchange();
    };
    const control = controlOf(schema, values[name] ?? schema.default, set, `${prefix}-${name}`);
    const about = schema.description ? el("span", { class: "l-hint" }, schema.description) : null;
    return el("label", { class: `l-field l-knob ${schema.type === "boolean" ? "l-knob-switch" : ""}` }, el("span", {}, knobName(engine.id, name, schema)), control, about);
  });
  return { element: el("div", { class: "l-knobs" }, fields), count: fields.length, values: () => ({ ...values }) };
}

function controlOf(schema, value, set, id) {
  if (schema.enum) {
    const node = el("select", { class: "l-select", id, onchange: () => set(schema.enum[Number(node.value)]) },
      schema.enum.map((one, at) => el("option", { value: at, selected: one === value }, String(one))));
    return node;
  }
  if (schema.type === "boolean") {
    const node = el("input", { type: "checkbox", role: "switch", class: "l-switch", id, checked: Boolean(value), onchange: () => set(node.checked) });
    return node;
  }
  if (schema.type === "string") {
    const node = el("input", { class: "l-input", id, value: value ?? "", maxlength: schema.maxLength || 400, autocomplete: "off", onchange: () => set(node.value) });
    return node;
  }
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  const step = schema.type === "integer" ? 1 : "any";
  const node = el("input", { class: "l-input l-mono", type: "number", id, min: low, max: high, step, value: value ?? "", onchange: () => {
    if (node.value === "") return set(undefined);
    const number = Math.min(high ?? Infinity, Math.max(low ?? -Infinity, Number(node.value)));
    node.value = number;
    return set(schema.type === "integer" ? Math.round(number) : number);
  } });
  return node;
}

/** "speed 1.2 · warm" of what somebody turned; "" where all is the engine's own. */
export function knobWords(engine, values) {
  const knobs = knobsOf(engine);
  return Object.entries(values || {}).filter(([name]) => name in knobs).map(([name, value]) => `${knobName(engine.id, name, knobs[name])} ${typeof value === "boolean" ? t(value ? "engines.yes" : "engines.no") : value}`).join(" · ");
}
