// Scores and weights between pieces, in float64: the first steps of mathematics.js.

/** @import { LayerNumbers, Numbers } from "./types.js" */

/** One head's weights between pieces, row by row. @param {LayerNumbers} layer @param {number} head */
export function attentionWeights(layer, head) {
  const [queries, keys] = lengthsOf(layer);
  if (layer.recorded_weights) return new Float64Array(partOf(layer.recorded_weights, head));
  const weights = new Float64Array(queries * keys);
  const fill = scorerOf(layer, head);
  const sink = layer.sinks ? layer.sinks.data[head] : Number.NEGATIVE_INFINITY;
  for (let query = 0; query < queries; query++) {
    const row = weights.subarray(query * keys, (query + 1) * keys);
    fill(query, row);
    if (!layer.log_totals) softmax(row, sink);
    else {
      const total = layer.log_totals.data[head * queries + query];
      for (let key = 0; key < keys; key++) row[key] = Math.exp(row[key] - total);
    }
  }
  return weights;
}

/**
 * What fills a row with a query's scores: minus infinity where it may not look.
 * @param {LayerNumbers} layer @param {number} head @returns {(query: number, row: Float64Array) => void}
 */
export function scorerOf(layer, head) {
  const { scale, softcap } = layer;
  const fill = productsOf(layer, head);
  const bias = biasOf(layer, head);
  return (query, row) => {
    const [first, end] = rangeOf(layer, query);
    fill(query, row, first, end);
    for (let key = first; key < end; key++) {
      const score = cappedOf(scale * row[key], softcap);
      row[key] = bias ? score + bias(query, key) : score;
    }
    row.fill(Number.NEGATIVE_INFINITY, 0, first).fill(Number.NEGATIVE_INFINITY, end);
  };
}

/** @param {number} score @param {number | null} softcap */
export function cappedOf(score, softcap) {
  return softcap === null ? score : softcap * Math.tanh(score / softcap);
}

/**
 * What is added to the score of a query and a key; null for nothing.
 * @param {LayerNumbers} layer @param {number} head @returns {((query: number, key: number) => number) | null}
 */
export function biasOf(layer, head) {
  const [queries, keys] = lengthsOf(layer);
  const bias = layer.bias && partOf(layer.bias, head);
  const distances = layer.distance_bias && partOf(layer.distance_bias, head);
  if (!bias && !distances) return null;
  return (query, key) => (bias ? bias[query * keys + key] : 0) + (distances ? distances[key - query + queries - 1] : 0);
}

/**
 * What fills a row with a query's products with the keys from `first` to `end`.
 * @param {LayerNumbers} layer @param {number} head
 * @returns {(query: number, row: Float64Array, first: number, end: number) => void}
 */
export function productsOf(layer, head) {
  const width = layer.dk;
  const [own, others] = [vectorsOf(layer, "q", head), new Float64Array(vectorsOf(layer, "k", head))];
  return (query, row, first, end) => {
    const q = new Float64Array(own.subarray(query * width, (query + 1) * width));
    let key = first;
    for (; key + 3 < end; key += 4) {
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      for (let i = 0, at = key * width; i < width; i++, at++) {
        const one = q[i];
        a += one * others[at];
        b += one * others[at + width];
        c += one * others[at + 2 * width];
        d += one * others[at + 3 * width];
      }
      row[key] = a;
      row[key + 1] = b;
      row[key + 2] = c;
      row[key + 3] = d;
    }
    for (; key < end; key++) {
      let sum = 0;
      for (let i = 0, at = key * width; i < width; i++, at++) sum += q[i] * others[at];
      row[key] = sum;
    }
  };
}

/**
 * A head's q, k or v, which it may share with others.
 * @param {LayerNumbers} layer @param {"q" | "k" | "v"} name @param {number} head
 */
export function vectorsOf(layer, name, head) {
  const numbers = /** @type {Numbers} */ (layer[name]);
  return partOf(numbers, Math.floor((head * numbers.shape[0]) / layer.heads));
}

/** One head's part of an array, which may be one for all. @param {Numbers} numbers @param {number} head */
export function partOf({ data, shape }, head) {
  const size = data.length / shape[0];
  const place = head % shape[0];
  return data.subarray(place * size, (place + 1) * size);
}

/** The numbers of queries and keys, in pieces. @param {LayerNumbers} layer */
export function lengthsOf({ q, k, recorded_weights }) {
  const shape = /** @type {Numbers} */ (recorded_weights ?? q).shape;
  return recorded_weights ? [shape[1], shape[2]] : [shape[1], /** @type {Numbers} */ (k).shape[1]];
}

/** The first key that a query may look at, and the end of its keys. @param {LayerNumbers} layer @param {number} query */
function rangeOf(layer, query) {
  const ranges = layer.key_ranges?.data;
  return ranges ? [ranges[2 * query], ranges[2 * query + 1]] : [0, lengthsOf(layer)[1]];
}

/** Scores to weights, in place. @param {Float64Array} row @param {number} other a score that takes its part */
export function softmax(row, other) {
  let highest = other;
  for (let key = 0; key < row.length; key++) if (row[key] > highest) highest = row[key];
  let total = Math.exp(other - highest);
  for (let key = 0; key < row.length; key++) {
    row[key] = Math.exp(row[key] - highest);
    total += row[key];
  }
  for (let key = 0; key < row.length; key++) row[key] /= total;
}

/**
 * The share of each piece's row that the model's sink takes.
 * @param {LayerNumbers} layer @param {number} head @param {Float64Array} weights
 */
export function sinkShares(layer, head, weights) {
  const { sinks, log_totals } = layer;
  if (!sinks) return null;
  const [queries, keys] = lengthsOf(layer);
  const shares = new Float64Array(queries);
  for (let query = 0; query < queries; query++) {
    if (log_totals) {
      shares[query] = Math.exp(sinks.data[head] - log_totals.data[head * queries + query]);
      continue;
    }
    let rest = 1;
    for (let at = query * keys; at < (query + 1) * keys; at++) rest -= weights[at];
    shares[query] = Math.max(rest, 0);
  }
  return shares;
}

/** @type {WeakMap<LayerNumbers, Uint8Array | null>} */
const masks = new WeakMap();

/** Whether any head may look, between pieces; null if nothing is masked. @param {LayerNumbers} layer */
export function maskOf(layer) {
  const known = masks.get(layer);
  if (known !== undefined) return known;
  const mask = layer.bias || layer.key_ranges ? madeMask(layer) : null;
  masks.set(layer, mask);
  return mask;
}

/** @param {LayerNumbers} layer */
function madeMask(layer) {
  const [queries, keys] = lengthsOf(layer);
  const mask = new Uint8Array(queries * keys);
  const { bias } = layer;
  if (bias) {
    for (let at = 0; at < bias.data.length; at++) {
      if (bias.data[at] > Number.NEGATIVE_INFINITY) mask[at % mask.length] = 1;
    }
  } else mask.fill(1);
  for (let query = 0; query < queries; query++) {
    const [first, end] = rangeOf(layer, query);
    mask.fill(0, query * keys, query * keys + first).fill(0, query * keys + end, (query + 1) * keys);
  }
  return mask;
}
