// A state as the URL's fragment has it.

/** @typedef {number[] | string | number | boolean | null} Value */

/**
 * The state as a fragment: what differs from `first`.
 *
 * @template {Record<string, Value>} Told
 * @param {Told} state
 * @param {Told} first
 */
export function toFragment(state, first) {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    const written = writtenAs(value);
    if (written !== writtenAs(first[name])) told.set(name, written);
  }
  return told.toString();
}

/** @param {Value} value */
function writtenAs(value) {
  return Array.isArray(value) ? value.join("-") : value === null ? "" : String(value);
}

/** Put a fragment into the address. @param {string} fragment */
export function toAddress(fragment) {
  if (fragment === location.hash.slice(1)) return;
  try {
    history.replaceState(null, "", `#${fragment}`);
  } catch {
    // a page within another, as in a notebook, may have no address of its own
  }
}
