// What kind of head a matrix shows: the same as `attnviz run` (answers/overview.py). No page here.

/** @import { Shown, Tok } from "../types.js" */

// Clark et al. 2019, section 3: shares of attention, and a part of the largest entropy possible
const [POSITIONAL_SHARE, SPECIAL_SHARE, BROAD_ENTROPY] = [0.5, 0.6, 0.78];

/**
 * Rows of special tokens do not count, nor rows that may look at one key alone. In cross-attention no head is named by
 * place.
 *
 * @param {Shown} shown
 * @param {Tok[]} queries all of the unit
 * @param {Tok[]} keys
 * @param {{cross: boolean, window: boolean}} about whether keys are of another text, or a window is shown
 */
export function kindOf(shown, queries, keys, { cross, window }) {
  const { rows, columns, weights, sink, allowed } = shown;
  const across = columns.length;
  const rest = sink || window ? 1 : 0;
  const places = new Map(columns.map((index, at) => [index, at]));
  const words = every(rows.length).filter((at) => !queries[rows[at]].special);
  const looking = words.length ? words : every(rows.length);
  const choices = (/** @type {number} */ row) =>
    rest + (allowed ? allowed.subarray(row * across, (row + 1) * across).reduce((sum, one) => sum + one, 0) : across);
  const chosen = looking.filter((row) => choices(row) > 1);
  const counted = chosen.length ? chosen : looking;
  const resting = every(across).filter((at) => keys[columns[at]].special || (!cross && columns[at] === rows[0]));
  const near = [0, -1, 1].map(() => ({ sum: 0, count: 0 }));
  let [special, entropy, largest] = [0, 0, 0];
  for (const row of counted) {
    const own = weights.subarray(row * across, (row + 1) * across);
    entropy += entropyOf(own, rest);
    largest += Math.log2(choices(row));
    const itself = cross ? -1 : rows[row];
    for (const at of resting) if (columns[at] !== itself) special += own[at];
    special += sink?.[row] ?? 0;
    if (cross) continue;
    [0, -1, 1].forEach((offset, which) => {
      const at = places.get(itself + offset);
      if (at === undefined || (allowed && !allowed[row * across + at])) return;
      const [one, other] = [queries[itself], keys[itself + offset]];
      if (offset && (one.special || other.special || one.segment !== other.segment)) return;
      near[which].sum += own[at];
      near[which].count++;
    });
  }
  const shares = near.map(({ sum, count }) => (count ? sum / count : 0));
  const most = shares.indexOf(Math.max(...shares));
  if (shares[most] > POSITIONAL_SHARE) return /** @type {const} */ (["itself", "previous", "next"])[most];
  if (special / counted.length > SPECIAL_SHARE) return "special";
  return largest && entropy / largest > BROAD_ENTROPY ? "broad" : "other";
}

/** @param {number} count */
function every(count) {
  return [...Array(count).keys()];
}

/** In bits; what is not shown, if there may be any, counts as one key. @param {Float32Array} row @param {number} rest */
function entropyOf(row, rest) {
  let [entropy, sum] = [0, 0];
  for (const weight of row) {
    sum += weight;
    if (weight > 0) entropy -= weight * Math.log2(weight);
  }
  const left = rest ? 1 - sum : 0;
  return left > 0 ? entropy - left * Math.log2(left) : entropy;
}
