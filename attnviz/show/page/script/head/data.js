// What the head view shows: one matrix, or A, B and their difference, with the names of both edges.

import { limitsOf } from "../colours.js";
import { ABSENT, FORBIDDEN } from "../compare/comparing.js";
import { comparedHeads, pairNames, pairPlaces } from "../compare/pairs.js";

/** @import { App } from "../app.js" */
/** @import { Compared } from "../compare/comparing.js" */
/** @import { Matrix } from "./layout.js" */
/** @import { Both, Role, Shown } from "../types.js" */

/**
 * `matrices` have the same rows and columns; `rows`, `columns`: their places among the tokens of A,
 * -1 for a token of B alone. `shown`: the matrices of A, and of B.
 * @typedef {{titles: string[], subtitles: string[], matrices: Matrix[], rows: number[], columns: number[],
 *   shown: Shown[], compared: Compared | null, layer: number, head: number}} HeadData
 */

/** The head that is chosen, as it is shown now. @param {App} app @returns {Promise<HeadData>} */
export async function headData(app) {
  const { layer, head, scale } = app.state;
  if (app.other !== null) return ofPair(app, app.other);
  const shown = await app.shown(layer, head);
  const { rows, columns, weights, allowed } = shown;
  const named = {
    rows: rows.map((at) => app.name("query", at)),
    columns: columns.map((at) => app.name("key", at)),
    faintRows: rows.map((at) => Boolean(app.tokens("query")[at].special)),
    faintColumns: columns.map((at) => Boolean(app.tokens("key")[at].special)),
  };
  const matrix = {
    ...named,
    numbers: weights,
    ground: allowed?.map((may) => (may ? 0 : FORBIDDEN)) ?? null,
    signed: false,
    limits: limitsOf(scale, false, [weights]),
    extras: extrasOf(app, shown),
  };
  return {
    titles: [""],
    subtitles: [""],
    matrices: [matrix],
    rows,
    columns,
    shown: [shown],
    compared: null,
    layer,
    head,
  };
}

/** What of each row is not in its cells. @param {App} app @param {Shown} shown */
function extrasOf(app, { dropped, sink, weights, rows, columns }) {
  const found = [];
  if (dropped) found.push({ name: app.say("head.dropped"), numbers: dropped });
  if (sink) found.push({ name: app.say("head.sink"), numbers: sink });
  if (app.state.window || app.text.cut) {
    const across = columns.length;
    const outside = Float32Array.from(rows, (_, row) => {
      let rest = 1 - (sink ? sink[row] : 0);
      for (let at = row * across; at < (row + 1) * across; at++) rest -= weights[at];
      return Math.max(0, rest);
    });
    if (outside.some((share) => share > 1e-3)) found.push({ name: app.say("head.outside"), numbers: outside });
  }
  return found;
}

/** Two texts or models, and B − A. @param {App} app @param {number} other @returns {Promise<HeadData>} */
async function ofPair(app, other) {
  const { layer, head, scale } = app.state;
  const [a, b] = await Promise.all([app.shown(layer, head), app.shown(layer, head, other)]);
  const both = comparedHeads(app, other, a, b);
  const places = pairPlaces(app);
  const names = pairNames(app, other);
  const named = {
    rows: both.rows.map((at) => names.queries[at].name),
    columns: both.columns.map((at) => names.keys[at].name),
    faintRows: both.rows.map((at) => names.queries[at].special),
    faintColumns: both.columns.map((at) => names.keys[at].special),
  };
  const change = both.change.map((number, at) => (both.grounds[2][at] ? 0 : number));
  const weights = [both.a, both.b, change];
  const limits = limitsOf(scale, false, [both.a, both.b]);
  const matrices = weights.map((numbers, at) => ({
    ...named,
    numbers,
    ground: both.grounds[at].some((kind) => kind) ? both.grounds[at] : null,
    signed: at === 2,
    limits: at === 2 ? limitsOf(scale, true, [change]) : limits,
    extras: [],
  }));
  const own = (/** @type {Both[]} */ all, /** @type {number[]} */ shown) => shown.map((at) => all[at][0] ?? -1);
  return {
    titles: ["A", "B", app.say("difference")],
    subtitles: subtitlesOf(app, other),
    matrices,
    rows: own(places.queries, both.rows),
    columns: own(places.keys, both.columns),
    shown: [a, b],
    compared: both,
    layer,
    head,
  };
}

/** What tells A from B: the texts, or the models of one text. @param {App} app @param {number} other */
function subtitlesOf(app, other) {
  const both = [app.text, app.data.texts[other]];
  const named = both.map(({ name }) => name);
  return named[0] === named[1] ? both.map(({ model }) => model.title) : named;
}

/** The numbers as `attnviz run` and `attnviz compare` write them, one row a link; tokens count as shown.
 * @param {App} app @param {HeadData} data
 */
export function headTable(app, data) {
  const { compared: both, shown, layer, head } = data;
  if (both) return pairTable(app, data, both);
  const [{ rows, columns, weights, dropped }] = shown;
  const named = ["layer", "head", "query_index", "query", "key_index", "key", "weight"];
  const table = [];
  for (let row = 0, at = 0; row < rows.length; row++) {
    const query = [row, app.tokens("query")[rows[row]].text];
    const end = dropped ? [dropped[row]] : [];
    for (let column = 0; column < columns.length; column++, at++) {
      const key = [column, app.tokens("key")[columns[column]].text];
      table.push([layer, head, ...query, ...key, weights[at], ...end]);
    }
  }
  return { columns: dropped ? [...named, "dropped"] : named, rows: table };
}

/** @param {App} app @param {HeadData} data @param {Compared} both */
function pairTable(app, { shown, layer, head }, both) {
  const places = pairPlaces(app);
  const texts = [app.state.text, app.other ?? 0];
  const named = (/** @type {Role} */ role, /** @type {Both} */ place) =>
    place.flatMap((at, side) => {
      const among = role === "query" ? shown[side].rows : shown[side].columns;
      return at === null ? ["", ""] : [among.indexOf(at), app.tokens(role, texts[side])[at].text];
    });
  const columns = ["layer", "head", "distance"];
  for (const role of ["query", "key"]) columns.push(`a_${role}_index`, `a_${role}`, `b_${role}_index`, `b_${role}`);
  columns.push("a", "b", "change");
  const keys = both.columns.map((at) => named("key", places.keys[at]));
  const rows = [];
  for (let row = 0, at = 0; row < both.rows.length; row++) {
    const query = named("query", places.queries[both.rows[row]]);
    const distance = Number.isNaN(both.distances[row]) ? "" : both.distances[row];
    for (const key of keys) {
      const numbers = [both.a, both.b, both.change].map((of, side) =>
        both.grounds[side][at] === ABSENT ? "" : of[at],
      );
      rows.push([layer, head, distance, ...query, ...key, ...numbers]);
      at++;
    }
  }
  return { columns, rows };
}
