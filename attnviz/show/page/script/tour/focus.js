// What the tour talks about: the link that stands out in this text, and what heads do by place alone.

import { everyHead } from "../heads.js";

/** @import { App } from "../app.js" */
/** @import { Shown, Tok } from "../types.js" */

const MOST_SEARCHED = 8_000_000; // weights that are looked through; of longer texts, some heads
const SEARCH_SLICE = 30; // milliseconds of work before the browser may answer

/**
 * A weight of a head; `query`, `key`: places among all tokens of the unit.
 * @typedef {{layer: number, head: number, query: number, key: number, weight: number, rank: number}} Link
 *
 * How much of its words' attention a head gives to the word before (-1), itself (0) or after (1).
 * @typedef {{layer: number, head: number, place: number, weight: number}} Diagonal
 *
 * @typedef {{link: Link | null, diagonals: Diagonal[]}} Focus
 */

/**
 * The strongest link of `it`, or of the query that the page was made for, or of any word: to a word
 * further off if there is one, else to a neighbour, else to itself or a special token. The same
 * order as in `answers/links.py`; but what `it` stands for is a word before it.
 *
 * @param {App} app
 * @param {() => boolean} stop whether nobody waits for it any more
 * @returns {Promise<Focus | null>} null if it was stopped
 */
export async function focusOf(app, stop) {
  const tokens = { query: app.tokens("query"), key: app.tokens("key") };
  const cells = tokens.query.length * tokens.key.length;
  const heads = headsToSearch(app, Math.max(1, Math.floor(MOST_SEARCHED / cells)));
  const wanted = wantedQuery(app, tokens.query);
  const crossed = app.text.attention === "cross";
  /** @type {Focus} */
  const focus = { link: null, diagonals: [] };
  let began = performance.now();
  for (const { layer, head } of heads) {
    if (stop()) return null;
    const shown = await app.shown(layer, head);
    const strongest = strongestIn(shown, tokens, wanted, crossed);
    if (strongest && (!focus.link || outranks(strongest, focus.link))) {
      focus.link = { layer, head, ...strongest };
    }
    if (!crossed) focus.diagonals.push({ layer, head, ...diagonalOf(shown, tokens.query) });
    if (performance.now() - began > SEARCH_SLICE) {
      await new Promise((done) => setTimeout(done));
      began = performance.now();
    }
  }
  return focus;
}

/** All heads of the layers that were recorded, or so many of them. @param {App} app @param {number} most */
function headsToSearch(app, most) {
  const all = everyHead(app);
  const step = Math.ceil(all.length / most);
  return all.filter((_, place) => place % step === 0);
}

/** @param {App} app @param {Tok[]} queries @returns {number | null} */
function wantedQuery(app, queries) {
  const { query, text, unit } = app.first;
  const asked = text === app.state.text && unit === app.state.unit ? query : null;
  if (asked !== null && queries[asked]) return asked;
  const it = queries.findIndex(isIt);
  return it < 0 ? null : it;
}

/**
 * @param {Shown} shown
 * @param {{query: Tok[], key: Tok[]}} tokens
 * @param {number | null} wanted
 * @param {boolean} crossed
 */
function strongestIn({ rows, columns, weights, allowed }, tokens, wanted, crossed) {
  const plain = rows.some((row) => !tokens.query[row].special);
  let best = null;
  for (const [row, query] of rows.entries()) {
    if (wanted === null ? plain && tokens.query[query].special : query !== wanted) continue;
    for (const [column, key] of columns.entries()) {
      const cell = row * columns.length + column;
      const weight = weights[cell];
      if ((allowed && !allowed[cell]) || Number.isNaN(weight)) continue;
      const rank = rankOf(tokens.query[query], tokens.key[key], crossed ? null : key - query);
      const found = { query, key, weight, rank };
      if (!best || outranks(found, best)) best = found;
    }
  }
  return best;
}

/**
 * 0 for a word further off, 1 for a neighbour, 2 for itself, special tokens, and what is no word.
 *
 * @param {Tok} query
 * @param {Tok} key
 * @param {number | null} apart how many tokens the key comes after the query; null in other texts
 */
function rankOf(query, key, apart) {
  if (key.special || apart === 0 || !isWord(query) || !isWord(key)) return 2;
  if (apart === null || query.segment !== key.segment) return 0;
  return Math.abs(apart) === 1 || (isIt(query) && apart > 0) ? 1 : 0;
}

/** Whether it is more than a punctuation mark. @param {Tok} token */
function isWord(token) {
  return /[\p{L}\p{N}]/u.test(token.text);
}

/** @param {Tok} token */
function isIt(token) {
  return !token.special && token.text.toLowerCase() === "it";
}

/**
 * @param {{rank: number, weight: number}} one
 * @param {{rank: number, weight: number}} other
 */
function outranks(one, other) {
  return one.rank === other.rank ? one.weight > other.weight : one.rank < other.rank;
}

/** @param {Shown} shown @param {Tok[]} tokens */
function diagonalOf({ rows, columns, weights }, tokens) {
  let best = { place: 0, weight: 0 };
  for (const place of [-1, 0, 1]) {
    let [sum, count] = [0, 0];
    for (const [row, query] of rows.entries()) {
      const column = columns.indexOf(query + place);
      if (column < 0 || tokens[query].special || tokens[query + place].special) continue;
      sum += weights[row * columns.length + column];
      count++;
    }
    if (count > 1 && sum / count > best.weight) best = { place, weight: sum / count };
  }
  return best;
}
