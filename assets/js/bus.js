// Who hears what: a small event bus for the page. Knows no event by name.

const ears = new Map();

/** on("now", fn) -> a function that stops listening. */
export function on(event, fn) {
  if (!ears.has(event)) ears.set(event, new Set());
  ears.get(event).add(fn);
  return () => ears.get(event).delete(fn);
}

export function emit(event, value) {
  for (const fn of [...(ears.get(event) || [])]) {
    try {
      fn(value);
    } catch (error) {
      console.error(event, error); // one deaf listener must not silence the others
    }
  }
}
