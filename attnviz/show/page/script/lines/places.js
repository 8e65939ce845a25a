// Where the tokens of the two columns stand, and which of them stand out. No page here.

/** @import { App } from "../app.js" */
/** @import { Chosen, Links } from "./wires.js" */
/** @import { Role, Shown, Tok } from "../types.js" */

/**
 * `indices`: the tokens, among all of the unit. `tops`: how far the middle of each is below the
 * top. `second`: the place where the second text of a pair begins, -1 without.
 * @typedef {{indices: number[], tops: Float64Array, step: number, second: number}} Places
 * @typedef {{height: number, row: number, query: Places, key: Places}} Layout
 */

const TIGHTEST = 1.6; // lines of text a row takes at least: a finger's width
const LOOSEST = 2.8;
const PAIR_GAP = 0.7; // rows between the two texts of a pair

/**
 * The columns as high as there is room, if rows stay readable. Queries and keys of one text stand
 * at the same heights, also where one of them is left out; those of two texts are spread.
 *
 * @param {App} app
 * @param {Shown} shown
 * @param {{height: number, line: number}} room in CSS pixels
 * @returns {Layout}
 */
export function layOut(app, { rows, columns }, { height, line }) {
  const cross = app.text.attention === "cross";
  const first = Math.min(rows[0], columns[0]);
  const last = Math.max(rows[rows.length - 1], columns[columns.length - 1]);
  const count = cross ? Math.max(rows.length, columns.length) : last - first + 1;
  const row = Math.min(LOOSEST * line, Math.max(TIGHTEST * line, Math.floor(height / count)));
  const gaps = [rows, columns].map((indices, side) => {
    const tokens = app.tokens(side ? "key" : "query");
    return indices.findIndex((index, place) => place > 0 && opens(tokens, indices[place - 1], index));
  });
  const gap = gaps.some((place) => place > 0) ? PAIR_GAP * row : 0;
  const places = [rows, columns].map((indices, side) => {
    const step = cross ? (row * count) / indices.length : row;
    const second = gaps[side];
    const tops = Float64Array.from(indices, (index, place) => {
      const above = second > 0 && place >= second ? gap : 0;
      return ((cross ? place : index - first) + 0.5) * step + above;
    });
    return { indices, tops, step, second };
  });
  return { height: row * count + gap, row, query: places[0], key: places[1] };
}

/** @param {Tok[]} tokens @param {number} before @param {number} index */
function opens(tokens, before, index) {
  return !tokens[before].segment && Boolean(tokens[index].segment);
}

/** About how wide a text is, in letters. @param {string} text */
export function widthOf(text) {
  let width = 0;
  for (const letter of text) width += /** @type {number} */ (letter.codePointAt(0)) > 0x10ff ? 1.7 : 1;
  return width;
}

/**
 * What one token's links say: for each token of the other column its heads and weights, largest
 * first, and the largest of all.
 *
 * @param {Links} links the chosen token's own
 * @param {Role} other the column that has the other tokens
 */
export function besides(links, other) {
  /** @type {Map<number, {head: number, weight: number}[]>} */
  const found = new Map();
  const places = other === "key" ? links.to : links.from;
  let largest = 0;
  for (let at = links.count - 1; at >= 0; at--) {
    const own = found.get(places[at]) ?? [];
    own.push({ head: links.heads[links.place[at]], weight: links.weight[at] });
    found.set(places[at], own);
    largest = Math.max(largest, links.weight[at]);
  }
  for (const own of found.values()) own.sort((one, two) => two.weight - one.weight);
  return { found, largest };
}

/** The role and place of the token whose links alone are drawn. @param {Chosen} only */
export function soloOf({ query, key }) {
  if (query !== null) return { role: /** @type {Role} */ ("query"), place: query };
  return key === null ? null : { role: /** @type {Role} */ ("key"), place: key };
}
