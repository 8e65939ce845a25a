// The one state of the page, which the URL's fragment holds: a link brings a view back.

/** @import { State } from "./types.js" */

export const ROLES = /** @type {const} */ (["query", "key"]);
export const VIEWS = /** @type {const} */ (["lines", "grid", "head", "steps", "layer", "tour"]);

/** @type {State} */
export const USUAL = {
  text: 0,
  pair: null,
  view: "lines",
  layer: 0,
  head: 0,
  query: null,
  key: null,
  unit: "word",
  special: true,
  window: null,
  threshold: 0.05,
  scale: "own",
  theme: "auto",
  lang: "en",
  step: 0,
  off: [],
  find: false,
  phrase: [1, 1],
};

/** @type {{[name in keyof State]?: readonly string[]}} */
const CHOICES = {
  view: VIEWS,
  unit: ["word", "piece"],
  scale: ["fixed", "own"],
  theme: ["auto", "light", "dark"],
  lang: ["en", "ko"],
};

/**
 * What a fragment says; what makes no sense is left out.
 *
 * @param {string} fragment
 * @returns {Partial<State>}
 */
export function fromFragment(fragment) {
  /** @type {Record<string, any>} */
  const found = {};
  for (const [name, written] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    const value = readAs(name, written);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/**
 * @param {string} name
 * @param {string} written
 */
function readAs(name, written) {
  if (!Object.hasOwn(USUAL, name)) return undefined;
  const key = /** @type {keyof State} */ (name);
  const usual = USUAL[key];
  const choices = CHOICES[key];
  if (choices) return choices.includes(written) ? written : undefined;
  if (typeof usual === "boolean") return written === "true" || written === "false" ? written === "true" : undefined;
  if (key === "off" || key === "window" || key === "phrase") {
    const numbers = written === "" ? [] : written.split("-").map(Number);
    if (!numbers.every((number) => Number.isInteger(number) && number >= 0)) return undefined;
    if (key === "off") return numbers;
    if (key === "phrase") return numbers.length === 2 ? numbers : undefined;
    return numbers.length === 2 && numbers[0] < numbers[1] ? numbers : null;
  }
  if (written === "") return usual === null ? null : undefined;
  const number = Number(written);
  const whole = key === "threshold" ? number >= 0 && number <= 1 : Number.isInteger(number) && number >= 0;
  return whole ? number : undefined;
}
