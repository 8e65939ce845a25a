// Two texts, or two models, side by side: aligned matrices, their difference, and how far heads are
// apart. Pure: no page here. The same as `attnviz compare` (answers/compare.py).

/** @import { Both, PairData, Shown } from "../types.js" */

/**
 * Matrices of A and B over the aligned tokens, (row, column).
 * `rows`, `columns`: the places in `pair.words` (or pieces) that are shown. `a`, `b`: weights, 0
 * where a mask forbids. `change`: B − A. `ground`: 0 for a number, 1 masked in both, 2 where a token
 * is missing, as letters of what a cell of A (+0), B (+1), the change (+2) shows, three a cell.
 * `distances`: of each row that both have, NaN for others and special tokens.
 * @typedef {{rows: number[], columns: number[], a: Float32Array, b: Float32Array,
 *   change: Float32Array, grounds: Uint8Array[], distances: Float64Array, distance: number}} Compared
 */

/** Why a cell has no number: a query may not attend to that key, or a side lacks the token. */
export const FORBIDDEN = 1;
export const ABSENT = 2;

const NEAR_ZERO = 1e-6;

/** The aligned tokens of the queries and of the keys, for words or pieces.
 * @param {PairData} pair
 * @param {"word" | "piece"} unit
 * @returns {{queries: Both[], keys: Both[]}}
 */
export function alignedPlaces(pair, unit) {
  return unit === "word"
    ? { queries: pair.words, keys: pair.key_words }
    : { queries: pair.pieces, keys: pair.key_pieces };
}

/** The Jensen-Shannon distance to base 2, from 0 to 1; 1 from a row of zeros to another.
 * (Lin 1991; Endres & Schindelin 2003)
 * @param {ArrayLike<number>} p
 * @param {ArrayLike<number>} q
 */
export function jensenShannon(p, q) {
  let divergence = 0;
  let [sumP, sumQ] = [0, 0];
  for (let i = 0; i < p.length; i++) {
    const middle = (p[i] + q[i]) / 2;
    if (p[i] > 0) divergence += p[i] * Math.log2(p[i] / middle);
    if (q[i] > 0) divergence += q[i] * Math.log2(q[i] / middle);
    sumP += p[i];
    sumQ += q[i];
  }
  if ((sumP === 0) !== (sumQ === 0)) return 1;
  return Math.sqrt(Math.min(1, Math.max(0, divergence / 2)));
}

/** Both matrices over the aligned tokens, their difference, and the distance of each row.
 * @param {Shown} a
 * @param {Shown} b
 * @param {{queries: Both[], keys: Both[]}} places
 * @param {(place: number) => boolean} counts whether a place among the queries is a word's
 * @returns {Compared}
 */
export function compared(a, b, places, counts) {
  const sides = [a, b].map((shown, side) => ({
    shown,
    rows: new Map(shown.rows.map((index, at) => [index, at])),
    columns: new Map(shown.columns.map((index, at) => [index, at])),
    side,
  }));
  const there = (/** @type {Both[]} */ all, /** @type {"rows" | "columns"} */ axis) =>
    all.flatMap((_, at) => (sides.some((one) => one[axis].has(all[at][one.side] ?? -1)) ? [at] : []));
  const rows = there(places.queries, "rows");
  const columns = there(places.keys, "columns");
  const [ofA, ofB] = sides.map((one) => {
    const own = (/** @type {Both[]} */ all, /** @type {number[]} */ shown, /** @type {"rows" | "columns"} */ axis) =>
      shown.map((at) => one[axis].get(all[at][one.side] ?? -1) ?? -1);
    return spreadOver(one.shown, own(places.queries, rows, "rows"), own(places.keys, columns, "columns"));
  });
  const change = new Float32Array(ofA.weights.length);
  const ground = new Uint8Array(change.length);
  for (let i = 0; i < change.length; i++) {
    const missing = ofA.ground[i] === ABSENT || ofB.ground[i] === ABSENT;
    ground[i] = missing ? ABSENT : Math.min(ofA.ground[i], ofB.ground[i]);
    change[i] = ofB.weights[i] - ofA.weights[i];
  }
  const distances = rowDistances(ofA, ofB, rows, columns.length, counts);
  const found = distances.filter((d) => !Number.isNaN(d));
  const distance = found.reduce((sum, d) => sum + d, 0) / (found.length || Number.NaN);
  const grounds = [ofA.ground, ofB.ground, ground];
  return { rows, columns, a: ofA.weights, b: ofB.weights, change, grounds, distances, distance };
}

/** One side's weights at the aligned places; `rest` of each row: what went elsewhere.
 * @param {Shown} shown
 * @param {number[]} rows places in the matrix, -1 for a token that is not there
 * @param {number[]} columns
 */
function spreadOver(shown, rows, columns) {
  const across = shown.columns.length;
  const weights = new Float32Array(rows.length * columns.length);
  const ground = new Uint8Array(weights.length);
  const rest = rows.map((row) => (row < 0 ? Number.NaN : restOf(shown, row)));
  rows.forEach((row, down) => {
    columns.forEach((column, at) => {
      const to = down * columns.length + at;
      if (row < 0 || column < 0) ground[to] = ABSENT;
      else {
        weights[to] = shown.weights[row * across + column];
        if (shown.allowed && !shown.allowed[row * across + column]) ground[to] = FORBIDDEN;
      }
    });
  });
  return { weights, ground, rest };
}

/** What a row gives keys that are not shown: a sink, or those outside a window.
 * @param {Shown} shown
 * @param {number} row
 */
function restOf(shown, row) {
  const across = shown.columns.length;
  let sum = 0;
  for (let i = 0; i < across; i++) sum += shown.weights[row * across + i];
  return sum > 0 && 1 - sum > 1e-5 ? 1 - sum : 0;
}

/** @param {{weights: Float32Array, rest: number[]}} a
 * @param {{weights: Float32Array, rest: number[]}} b
 * @param {number[]} rows
 * @param {number} across
 * @param {(place: number) => boolean} counts
 */
function rowDistances(a, b, rows, across, counts) {
  const [p, q] = [new Float64Array(across + 1), new Float64Array(across + 1)];
  return Float64Array.from(rows, (place, row) => {
    if (Number.isNaN(a.rest[row] + b.rest[row]) || !counts(place)) return Number.NaN;
    p.set(a.weights.subarray(row * across, (row + 1) * across));
    q.set(b.weights.subarray(row * across, (row + 1) * across));
    p[across] = a.rest[row];
    q[across] = b.rest[row];
    return jensenShannon(p, q);
  });
}

/** The places of numbers, largest first; those equal up to rounding, and NaN last, as they stood.
 * @param {number[]} numbers
 */
export function largestFirst(numbers) {
  const key = (/** @type {number} */ at) => (Number.isNaN(numbers[at]) ? -Infinity : numbers[at]);
  return numbers
    .map((_, at) => at)
    .sort((one, other) => {
      const apart = key(other) - key(one);
      return Math.abs(apart) <= NEAR_ZERO || Number.isNaN(apart) ? one - other : apart;
    });
}
