// Which heads join a query and a key, as attnviz/answers/find.py finds them. Pure.

import { weightOf, yardsticks } from "../mathematics.js";

/** @import { Link, Yardsticks } from "../mathematics.js" */
/** @import { Shown, Tok } from "../types.js" */

/** Numbers are equal if they differ by less than this part of the larger one: see attention/order.py. */
const EQUAL = 1e-5;
/** Differences are equal if this near to each other. */
const EQUAL_NEAR = 1e-6;

/**
 * How one head joins a query and a key. `rank`: 1 plus the number of other keys that get more. `argmax`: whether a word
 * of the key gets more than any other key. `sees`: whether the mask lets the query look at the key. `dropped`: the
 * share that went to special tokens left out. `keys`: how many keys are ranked.
 * @typedef {Yardsticks & {layer: number, head: number, weight: number, rank: number, argmax: boolean, sees: boolean,
 *   keys: number, dropped: number | null}} Finding
 */

/**
 * @param {{layer: number, head: number}} place @param {Shown} shown @param {Tok[]} queries @param {Tok[]} keys
 * @param {Link} link @returns {Finding}
 */
export function findHead({ layer, head }, shown, queries, keys, link) {
  const [rows, columns] = [[link.row].flat(), [link.column].flat()];
  const weight = weightOf(shown, rows, columns);
  const most = { own: 0, others: 0 };
  let [rank, others] = [1, 0];
  const may = (/** @type {number} */ column) =>
    !shown.allowed || rows.some((row) => shown.allowed?.[row * shown.columns.length + column]);
  for (let column = 0; column < shown.columns.length; column++) {
    const given = weightOf(shown, rows, [column]);
    const own = columns.includes(column);
    if (own) most.own = Math.max(most.own, given);
    else most.others = Math.max(most.others, given);
    if (!own && exceeds(given, weight)) rank++;
    if (!own && may(column)) others++;
  }
  const sees = columns.some(may);
  const dropped = shown.dropped && rows.reduce((sum, row) => sum + (shown.dropped?.[row] ?? 0), 0) / rows.length;
  const argmax = exceeds(most.own, most.others);
  const facts = { layer, head, weight, rank, argmax, sees, keys: others + 1, dropped };
  return { ...facts, ...yardsticks(shown, queries, keys, link) };
}

/** Whether a number is larger by more than rounding makes it. @param {number} one @param {number} other */
function exceeds(one, other) {
  return one - other > EQUAL * Math.abs(other);
}

/**
 * Heads, largest first; equals, and last those without an excess, by weight.
 * @param {Finding[]} findings @param {"excess" | "weight"} by
 */
export function ranked(findings, by) {
  const first = tiers(
    findings.map((one) => one[by] ?? Number.NEGATIVE_INFINITY),
    EQUAL_NEAR,
  );
  const second = tiers(findings.map(({ weight }) => weight));
  const order = [...findings.keys()].sort((a, b) => first[a] - first[b] || second[a] - second[b] || a - b);
  return order.map((place) => findings[place]);
}

/** The tier of each number: 0 for the largest and its equals. @param {number[]} values @param {number} [floor] */
function tiers(values, floor = 0) {
  const found = new Array(values.length);
  let [tier, least] = [-1, Number.POSITIVE_INFINITY];
  for (const place of [...values.keys()].sort((a, b) => values[b] - values[a] || a - b)) {
    const value = values[place];
    if (!(value >= least)) {
      tier++;
      least = value - Math.max(EQUAL * Math.abs(value), floor);
    }
    found[place] = tier;
  }
  return found;
}

/** @param {string} text */
function folded(text) {
  return text.normalize("NFC").toLowerCase().trim();
}

/**
 * The tokens that a name, `@10`, a word, several words in a row or a part of a word mean; null for none.
 * @param {Tok[]} tokens @param {string} typed @param {number} [first] how many of the text come before these
 * @returns {number[] | null}
 */
export function namedAs(tokens, typed, first = 0) {
  const name = folded(typed);
  if (!name) return null;
  const index = /^@(\d+)$/.exec(name);
  if (index && tokens[Number(index[1]) - first]) return [Number(index[1]) - first];
  const tries = [
    (/** @type {Tok} */ token) => token.name === typed.trim(),
    (/** @type {Tok} */ token) => folded(token.name) === name,
    (/** @type {Tok} */ token) => folded(token.text) === name,
  ];
  for (const matches of tries) {
    const found = tokens.findIndex(matches);
    if (found >= 0) return [found];
  }
  const part = tokens.findIndex((token) => folded(token.text).includes(name));
  return runOf(tokens, name.replace(/\s/g, "")) ?? (part < 0 ? null : [part]);
}

/** Tokens in a row whose texts are these letters. @param {Tok[]} tokens @param {string} letters */
function runOf(tokens, letters) {
  for (const first of tokens.keys()) {
    let text = "";
    for (let last = first; last < tokens.length && !tokens[last].special; last++) {
      if (tokens[last].segment !== tokens[first].segment) break;
      text += folded(tokens[last].text).replace(/\s/g, "");
      if (text === letters) return [...tokens.keys()].slice(first, last + 1);
      if (!letters.startsWith(text)) break;
    }
  }
  return null;
}
