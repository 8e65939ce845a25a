// The one state of the atlas, which the URL's fragment holds.

/** @import { State } from "./types.js" */

export const VIEWS = /** @type {const} */ (["map", "scatter", "list", "tree"]);

/** @type {State} */
export const USUAL = {
  view: "map",
  layer: 0,
  head: 0,
  colour: "role",
  role: "",
  least: 0.1,
  x: "distance",
  y: "entropy",
  bars: true,
  sort: "",
  down: true,
  theme: "auto",
  lang: "en",
};

/** @type {{[name in keyof State]?: readonly string[]}} */
const CHOICES = { view: VIEWS, theme: ["auto", "light", "dark"], lang: ["en", "ko"] };

/** What a fragment says; what makes no sense is left out. @param {string} fragment @returns {Partial<State>} */
export function fromFragment(fragment) {
  /** @type {Record<string, string | number | boolean>} */
  const found = {};
  for (const [name, written] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    const value = readAs(name, written);
    if (value !== undefined) found[name] = value;
  }
  return found;
}

/** @param {string} name @param {string} written */
function readAs(name, written) {
  if (!Object.hasOwn(USUAL, name)) return undefined;
  const key = /** @type {keyof State} */ (name);
  const usual = USUAL[key];
  const choices = CHOICES[key];
  if (choices) return choices.includes(written) ? written : undefined;
  if (typeof usual === "boolean") return written === "true" || written === "false" ? written === "true" : undefined;
  if (typeof usual === "string") return written;
  const number = Number(written);
  const fits = key === "least" ? number >= 0 && number <= 1 : Number.isInteger(number) && number >= 0;
  return written !== "" && fits ? number : undefined;
}
