// The present head in both texts or models of a pair, token by token.

import { alignedPlaces, compared } from "./comparing.js";

/** @import { App } from "../app.js" */
/** @import { Both, PairData, Role, Shown } from "../types.js" */

/** The aligned places of the present pair, or another. @param {App} app @param {PairData} [pair] */
export function pairPlaces(app, pair = app.data.pairs[app.state.pair ?? 0]) {
  return alignedPlaces(pair, app.state.unit);
}

/** Two matrices over the aligned tokens; special tokens have no distance, unless asked for.
 * @param {App} app @param {number} other @param {Shown} a @param {Shown} b
 */
export function comparedHeads(app, other, a, b) {
  const places = pairPlaces(app);
  if (!places.queries.length) throw new Error(app.say("compare.pieces"));
  const { query } = app.state;
  return compared(a, b, places, (at) => {
    const [one, two] = places.queries[at];
    if (one === null || two === null) return false;
    const special = app.tokens("query")[one].special || app.tokens("query", other)[two].special;
    return !special || one === query;
  });
}

/** What aligned tokens are called: both where they differ, as in `tired→wide`.
 * @param {App} app @param {number} other
 */
export function pairNames(app, other) {
  const places = pairPlaces(app);
  const named = (/** @type {Role} */ role, /** @type {Both[]} */ all) =>
    all.map(([one, two]) => {
      const a = one === null ? null : app.tokens(role)[one];
      const b = two === null ? null : app.tokens(role, other)[two];
      const alike = a && b && foldedText(a.text) === foldedText(b.text);
      const name = [a?.name, alike ? undefined : b?.name].filter((text) => text !== undefined).join("→");
      return { name, special: Boolean((a ?? b)?.special) };
    });
  return { queries: named("query", places.queries), keys: named("key", places.keys) };
}

/** @param {string} text */
const foldedText = (text) => text.normalize("NFKC").toLowerCase();
