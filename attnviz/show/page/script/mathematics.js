// What each number on the page is: attnviz/inspection/specification.py in JavaScript. In float64, and pure.

import {
  attentionWeights,
  biasOf,
  cappedOf,
  lengthsOf,
  maskOf,
  partOf,
  productsOf,
  scorerOf,
  sinkShares,
  softmax,
  vectorsOf,
} from "./scores.js";

/** @import { Frame, LayerNumbers, Shown, Side, Sides, Tok, Unit } from "./types.js" */

/** A row of less has nothing left: float32 numbers would be 0. */
const LEAST = 2 ** -126;

/**
 * The first piece of each token, how many pieces there are, and which tokens are special.
 * @typedef {{starts: number[], pieces: number, special: boolean[]}} Units
 */

/**
 * A head's numbers as the page shows them. A word has the sum over its pieces as a key, and their mean as a query.
 * Without special tokens, each row is divided by what is left of it. A window leaves out rows, and columns of the
 * same text; the numbers of the others stay.
 * @param {LayerNumbers} layer @param {number} head @param {Frame} frame @param {Sides} sides @returns {Shown}
 */
export function attention(layer, head, { unit, special, window }, sides) {
  const queries = unitsOf(sides.queries, unit);
  const keys = sides.keys ? unitsOf(sides.keys, unit) : queries;
  const pieces = attentionWeights(layer, head);
  const weights = merged(pieces, queries, keys);
  const sink = meanOf(sinkShares(layer, head, pieces), queries);
  const dropped = special ? null : withoutSpecial(layer, head, { weights, sink, queries, keys });
  const rows = shownOf(queries, special, window);
  const columns = sides.keys ? shownOf(keys, special, null) : rows;
  const mask = maskOf(layer);
  return {
    rows,
    columns,
    weights: picked(weights, rows, columns, keys.starts.length),
    dropped: dropped && Float32Array.from(rows, (row) => dropped[row]),
    sink: sink && Float32Array.from(rows, (row) => sink[row]),
    allowed: mask && allowedOf(mask, queries, keys, rows, columns),
  };
}

/** @param {Side} side @param {Unit} unit @returns {Units} */
function unitsOf({ words, pieces, starts }, unit) {
  const tokens = unit === "word" ? words : pieces;
  return {
    starts: unit === "word" ? starts : [...pieces.keys()],
    pieces: pieces.length,
    special: tokens.map((token) => Boolean(token.special)),
  };
}

/** Of which token each piece is. @param {Units} units */
function tokenOfEach({ starts, pieces }) {
  const tokens = new Uint32Array(pieces);
  for (let token = 0; token < starts.length; token++) tokens.fill(token, starts[token]);
  return tokens;
}

/**
 * Weights between pieces as weights between tokens: the mean over queries, the sum over keys.
 * @param {Float64Array} weights @param {Units} queries @param {Units} keys
 */
function merged(weights, queries, keys) {
  const across = keys.starts.length;
  if (queries.starts.length === queries.pieces && across === keys.pieces) return weights;
  const [down, column] = [tokenOfEach(queries), tokenOfEach(keys)];
  const tokens = new Float64Array(queries.starts.length * across);
  for (let query = 0, at = 0; query < queries.pieces; query++) {
    const first = down[query] * across;
    const size = sizeOf(queries, down[query]);
    for (let key = 0; key < keys.pieces; key++, at++) tokens[first + column[key]] += weights[at] / size;
  }
  return tokens;
}

/** The mean over each query's pieces. @param {Float64Array | null} ofPieces @param {Units} queries */
function meanOf(ofPieces, queries) {
  if (!ofPieces) return null;
  const means = new Float64Array(queries.starts.length);
  const tokens = tokenOfEach(queries);
  for (let at = 0; at < ofPieces.length; at++) {
    means[tokens[at]] += ofPieces[at] / sizeOf(queries, tokens[at]);
  }
  return means;
}

/** How many pieces a token has. @param {Units} units @param {number} token */
function sizeOf({ starts, pieces }, token) {
  return (starts[token + 1] ?? pieces) - starts[token];
}

/**
 * Divide rows by what is left of them without special tokens, in place; the share that went to these.
 * @param {LayerNumbers} layer @param {number} head
 * @param {{weights: Float64Array, sink: Float64Array | null, queries: Units, keys: Units}} made
 */
function withoutSpecial(layer, head, { weights, sink, queries, keys }) {
  const across = keys.starts.length;
  const outside = meanOf(layer.special_outside ? new Float64Array(partOf(layer.special_outside, head)) : null, queries);
  const dropped = new Float64Array(queries.starts.length);
  for (let row = 0; row < dropped.length; row++) {
    const own = weights.subarray(row * across, (row + 1) * across);
    let left = sink ? sink[row] : 0;
    for (let key = 0; key < across; key++) {
      if (keys.special[key]) dropped[row] += own[key];
      else left += own[key];
    }
    if (outside) {
      dropped[row] += outside[row];
      left = Math.max(left, 1 - dropped[row]); // the plain keys that are not in the page, too
    }
    if (left < LEAST) left = Number.POSITIVE_INFINITY; // nothing is left: a row of zeros
    for (let key = 0; key < across; key++) own[key] /= left;
    if (sink) sink[row] /= left;
  }
  return dropped;
}

/** The indices of the tokens shown. @param {Units} units @param {boolean} special @param {Frame["window"]} window */
function shownOf(units, special, window) {
  const [first, end] = window ?? [0, units.starts.length];
  const places = [...units.starts.keys()].slice(first, end);
  return places.filter((place) => special || !units.special[place]);
}

/** @param {Float64Array} weights @param {number[]} rows @param {number[]} columns @param {number} across */
function picked(weights, rows, columns, across) {
  if (rows.length * columns.length === weights.length) return new Float32Array(weights);
  const some = new Float32Array(rows.length * columns.length);
  let at = 0;
  for (const row of rows) for (const column of columns) some[at++] = weights[row * across + column];
  return some;
}

/**
 * The mask of what is shown: whether any piece of the one may look at any of the other; null if all may.
 * @param {Uint8Array} mask @param {Units} queries @param {Units} keys @param {number[]} rows @param {number[]} columns
 */
function allowedOf(mask, queries, keys, rows, columns) {
  const [down, across] = [tokenOfEach(queries), tokenOfEach(keys)];
  const tokens = new Uint8Array(queries.starts.length * keys.starts.length);
  for (let query = 0, at = 0; query < queries.pieces; query++) {
    const first = down[query] * keys.starts.length;
    for (let key = 0; key < keys.pieces; key++, at++) if (mask[at]) tokens[first + across[key]] = 1;
  }
  const some = new Uint8Array(rows.length * columns.length);
  let at = 0;
  for (const row of rows) {
    for (const column of columns) some[at++] = tokens[row * keys.starts.length + column];
  }
  return some.includes(0) ? some : null;
}

/**
 * The weights of a row of scores. `others`: what takes a part beside them, as one score (see `explain`).
 * @param {ArrayLike<number>} scores @param {number} [others]
 */
export function softmaxOf(scores, others = Number.NEGATIVE_INFINITY) {
  const weights = new Float64Array(scores);
  softmax(weights, others);
  return weights;
}

/**
 * The steps of one query between pieces. `products`: of q and each k, dimension by dimension; `dots`: their sums;
 * `capped`: scale times these, through the soft cap; `before`: with what is added, as if nothing were masked; `scores`:
 * minus infinity where the query may not look; `others`: all that takes a part beside these keys, as one score, for
 * `softmaxOf`: the sink, and keys that are not in the page, whose share is `outside`; `z`: the sum of weights times v.
 * @typedef {{q: Float32Array, k: Float32Array, products: Float64Array, dots: Float64Array, capped: Float64Array,
 *   bias: Float64Array | null, before: Float64Array, scores: Float64Array, others: number, outside: number,
 *   sink: {score: number, weight: number} | null, weights: Float64Array, v: Float32Array | null,
 *   z: Float64Array | null}} Explained
 */

/**
 * How one query's weights come about in one head; null where the model gives its weights alone.
 * @param {LayerNumbers} layer @param {number} head @param {number} query a piece @returns {Explained | null}
 */
export function explain(layer, head, query) {
  if (layer.recorded_weights) return null;
  const { dk, scale, softcap } = layer;
  const [, keys] = lengthsOf(layer);
  const q = vectorsOf(layer, "q", head).slice(query * dk, (query + 1) * dk);
  const k = vectorsOf(layer, "k", head);
  const dots = new Float64Array(keys);
  productsOf(layer, head)(query, dots, 0, keys);
  const capped = dots.map((dot) => cappedOf(scale * dot, softcap));
  const add = biasOf(layer, head);
  const bias = add && dots.map((_, key) => add(query, key));
  const before = capped.map((score, key) => score + (bias && Number.isFinite(bias[key]) ? bias[key] : 0));
  const scores = new Float64Array(keys);
  scorerOf(layer, head)(query, scores);
  const parts = partsOf(layer, head, query, scores);
  const products = new Float64Array(k.length).map((_, at) => q[at % dk] * k[at]);
  return { q, k, products, dots, capped, bias, before, scores, ...parts, ...valuesOf(layer, head, parts.weights) };
}

/** The softmax of a row, and what takes a part beside its keys. @param {LayerNumbers} layer @param {number} head
 * @param {number} query @param {Float64Array} scores
 */
function partsOf(layer, head, query, scores) {
  const { sinks, log_totals } = layer;
  const score = sinks ? sinks.data[head] : Number.NEGATIVE_INFINITY;
  if (!log_totals) {
    const weights = softmaxOf(scores, score);
    const rest = weights.reduce((left, weight) => left - weight, 1);
    return { weights, others: score, outside: 0, sink: sinks ? { score, weight: Math.max(rest, 0) } : null };
  }
  const total = log_totals.data[head * (log_totals.data.length / layer.heads) + query];
  const weights = scores.map((one) => Math.exp(one - total));
  const rest = Math.max(
    weights.reduce((left, weight) => left - weight, 1),
    0,
  );
  const weight = Math.exp(score - total);
  const sink = sinks ? { score, weight } : null;
  return { weights, others: total + Math.log(rest), outside: Math.max(rest - weight, 0), sink };
}

/** @param {LayerNumbers} layer @param {number} head @param {Float64Array} weights */
function valuesOf(layer, head, weights) {
  if (!layer.v) return { v: null, z: null };
  const { dv } = layer;
  const v = vectorsOf(layer, "v", head);
  const z = new Float64Array(dv);
  for (let at = 0; at < v.length; at++) z[at % dv] += weights[Math.floor(at / dv)] * v[at];
  return { v, z };
}

/**
 * What a head gives other pairs: the mean, of how many, and weight / mean.
 * @typedef {{mean: number, of: number, lift: number | null}} Yardstick
 * @typedef {{distance: Yardstick | null, key: Yardstick | null, excess: number | null,
 *   explained: "distance" | "key" | null}} Yardsticks
 * Pairs as far apart; other queries and that key; the weight less the larger; which explains the weight away.
 * @typedef {{row: number | number[], column: number | number[], cross: boolean}} Link
 * A query and a key, by their places among the rows and columns shown; several in a row are one phrase.
 */

/**
 * What a weight is compared with, as in attnviz/answers/yardsticks.py; `queries` and `keys` are all tokens of the unit.
 * @param {Shown} shown @param {Tok[]} queries @param {Tok[]} keys @param {Link} link @returns {Yardsticks}
 */
export function yardsticks(shown, queries, keys, link) {
  const [rows, columns] = [[link.row].flat(), [link.column].flat()];
  const isRow = shown.rows.map((row) => Boolean(queries[row].special));
  const isKey = shown.columns.map((column) => Boolean(keys[column].special));
  const [asRow, asKey] = [rows.some((row) => isRow[row]), columns.some((column) => isKey[column])];
  const looks = [...isRow.keys()].filter((row) => asRow || !isRow[row]);
  const distances = new Set(link.cross ? [] : columns.flatMap((column) => rows.map((row) => column - row)));
  const apart = [...distances].map((distance) => {
    const pairs = looks.map((row) => [row, row + distance]);
    const counted = pairs.filter(([, key]) => key >= 0 && key < isKey.length && (asKey || !isKey[key]));
    return tally(shown, counted, ([row, key]) => rows.includes(row) && columns.includes(key));
  });
  const same = columns.map((column) => {
    const pairs = looks.map((row) => [row, column]);
    // that a key looks at itself is no comparison alone
    const alone = link.cross ? undefined : (/** @type {number[]} */ [row]) => columns.includes(row);
    return tally(shown, pairs, ([row]) => rows.includes(row), alone);
  });
  const weight = weightOf(shown, rows, columns);
  const distance = yardstickOf(apart, rows.length, weight, (counts) => counts.reduce((a, b) => a + b, 0));
  const key = yardstickOf(same, rows.length, weight, (counts) => Math.max(...counts));
  return { distance, key, ...comparedWith(weight, distance, key) };
}

/** A phrase's weight: the sum over the key's words, the mean over the query's.
 * @param {Shown} shown @param {number[]} rows @param {number[]} columns
 */
export function weightOf({ weights, columns: { length } }, rows, columns) {
  let sum = 0;
  for (const row of rows) for (const column of columns) sum += weights[row * length + column];
  return sum / rows.length;
}

/**
 * How many of the asked pairs, and of the others, the mask allows, and what the others get.
 * @param {Shown} shown @param {number[][]} pairs @param {(pair: number[]) => boolean} isOwn
 * @param {(pair: number[]) => boolean} [alone] which others are no comparison by themselves
 */
function tally({ weights, allowed, columns: { length } }, pairs, isOwn, alone = () => false) {
  const found = { own: 0, others: 0, sum: 0 };
  let needed = 0;
  for (const pair of pairs) {
    const at = pair[0] * length + pair[1];
    const may = allowed ? allowed[at] : 1;
    if (isOwn(pair)) found.own += may;
    else {
      found.others += may;
      found.sum += weights[at];
      if (!alone(pair)) needed += may;
    }
  }
  return needed ? found : { ...found, others: 0 };
}

/**
 * Each pair of words of phrases has its own mean; these are summed and averaged as weights are.
 * @param {ReturnType<typeof tally>[]} tallies @param {number} words @param {number} weight
 * @param {(counts: number[]) => number} counted @returns {Yardstick | null}
 */
function yardstickOf(tallies, words, weight, counted) {
  const asked = tallies.filter(({ own }) => own);
  if (!asked.length || asked.some(({ others }) => !others)) return null;
  const mean = asked.reduce((sum, { own, others, sum: given }) => sum + (own * given) / others, 0) / words;
  return { mean, of: counted(asked.map(({ others }) => others)), lift: mean > 0 ? weight / mean : null };
}

/** @param {number} weight @param {Yardstick | null} distance @param {Yardstick | null} key */
function comparedWith(weight, distance, key) {
  if (!distance && !key) return { excess: null, explained: null };
  /** @type {"distance" | "key"} */
  const reason = (key?.mean ?? 0) >= (distance?.mean ?? 0) ? "key" : "distance";
  const larger = reason === "key" ? key : distance;
  const excess = weight - Math.max(distance?.mean ?? 0, key?.mean ?? 0);
  return { excess, explained: larger?.lift && larger.lift <= 2 ? reason : null };
}
