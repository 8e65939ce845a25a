// What stands beside a head's matrix: the cell pointed at with its yardsticks, and lists of links.

import { colourOf, palette } from "../colours.js";
import { ABSENT, FORBIDDEN } from "../compare/comparing.js";
import { h } from "../dom.js";
import { yardsticks } from "../mathematics.js";
import { signedText, weightText } from "../writing.js";

/** @import { App } from "../app.js" */
/** @import { HeadData } from "./data.js" */
/** @import { Matrix } from "./layout.js" */

/** @typedef {{row: number, column: number}} Cell */

/** What is said of the cell, row or column pointed at. @param {App} app @param {HeadData} data @param {Cell} cell */
export function readoutOf(app, data, { row, column }) {
  const [matrix] = data.matrices;
  if (row < 0 && column < 0) return [h("p", { class: "note" }, app.say("head.hint"))];
  const named = (/** @type {string} */ role, /** @type {string[]} */ names, /** @type {number} */ at) =>
    at >= 0 && h("span", {}, `${role} `, h("bdi", { class: "token on" }, names[at]));
  const title = h(
    "p",
    { class: "link" },
    named(app.say("head.query"), matrix.rows, row),
    row >= 0 && column >= 0 && " → ",
    named(app.say("head.key"), matrix.columns, column),
  );
  const told = row >= 0 && column >= 0 ? cellTold(app, data, row, column) : [];
  return [title, ...told, ...rowTold(app, data, row)];
}

/** @param {App} app @param {HeadData} data @param {number} row @param {number} column */
function cellTold(app, data, row, column) {
  const at = row * data.matrices[0].columns.length + column;
  if (data.compared) return [pairTold(app, data, at)];
  const [matrix] = data.matrices;
  if (matrix.ground?.[at]) return [h("p", { class: "said" }, app.say("forbidden"))];
  const [shown] = data.shown;
  const found = yardsticks(shown, app.tokens("query"), app.tokens("key"), {
    row,
    column,
    cross: app.text.keys !== null,
  });
  const weight = h("p", { class: "big number" }, weightText(matrix.numbers[at], 3));
  return [weight, yardstickFacts(app, found, matrix.numbers[at])];
}

/** @param {App} app @param {ReturnType<typeof yardsticks>} found @param {number} weight */
function yardstickFacts(app, found, weight) {
  const list = h("dl", { class: "facts" });
  const rows = /** @type {const} */ ([
    ["distance", found.distance, "head.pairs"],
    ["same.key", found.key, "head.queries"],
  ]);
  for (const [key, yardstick, of] of rows) {
    const text = yardstick ? weightText(yardstick.mean, 3) : app.say("head.nothing");
    const count = yardstick ? ` ${app.say(of, { count: yardstick.of })}` : "";
    list.append(h("dt", {}, app.say(key)), h("dd", {}, h("b", {}, text), h("small", {}, count)));
  }
  const means = rows.flatMap(([, yardstick]) => (yardstick ? [yardstick.mean] : []));
  if (means.length) {
    const excess = signedText(weight - Math.max(...means), 3);
    list.append(h("dt", {}, app.say("excess")), h("dd", {}, h("b", {}, excess)));
  }
  return list;
}

/** A, B and the change. @param {App} app @param {HeadData} data @param {number} at */
function pairTold(app, data, at) {
  const list = h("dl", { class: "facts" });
  data.matrices.forEach((matrix, place) => {
    const kind = matrix.ground?.[at];
    const number = matrix.signed ? signedText(matrix.numbers[at], 3) : weightText(matrix.numbers[at], 3);
    const text = kind === FORBIDDEN ? app.say("forbidden") : kind === ABSENT ? app.say("head.absent") : number;
    list.append(h("dt", {}, data.titles[place]), h("dd", {}, h("b", {}, text)));
  });
  return list;
}

/** What of the row is not in its cells; how far A's and B's rows are apart.
 * @param {App} app @param {HeadData} data @param {number} row
 */
function rowTold(app, data, row) {
  if (row < 0) return [];
  const { compared, matrices, rows, shown } = data;
  const told = matrices[0].extras.map((extra) => [extra.name, weightText(extra.numbers[row], 3)]);
  const distance = compared?.distances[row] ?? Number.NaN;
  if (!Number.isNaN(distance)) told.push([app.say("head.distance"), weightText(distance, 3)]);
  if (compared) {
    const place = shown[0].rows.indexOf(rows[row]);
    const dropped = place >= 0 && shown[0].dropped;
    if (dropped) told.push([`A: ${app.say("head.dropped")}`, weightText(dropped[place], 3)]);
  }
  if (!told.length) return [];
  return [h("dl", { class: "facts" }, ...told.flatMap(([name, text]) => [h("dt", {}, name), h("dd", {}, text)]))];
}

/** The colours of a matrix, and what has none. @param {App} app @param {Matrix} matrix @param {boolean} dark */
export function colourLegend(app, matrix, dark) {
  const canvas = h("canvas", { width: 128, height: 1, "aria-hidden": "true" });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const [low, high] = matrix.limits;
  const colours = palette(matrix.signed ? "signed" : "heat", dark);
  for (let at = 0; at < 128; at++) {
    context.fillStyle = colourOf(colours, at, 0, 127);
    context.fillRect(at, 0, 1, 1);
  }
  const text = (/** @type {number} */ end) => (matrix.signed ? signedText(end) : weightText(end));
  const parts = [h("span", {}, text(low)), canvas, h("span", {}, text(high))];
  const kinds = new Set(matrix.ground ?? []);
  for (const [kind, key] of /** @type {const} */ ([
    [FORBIDDEN, "forbidden"],
    [ABSENT, "head.absent"],
  ])) {
    if (kinds.has(kind)) parts.push(h("span", { class: "ground" }), h("span", {}, app.say(key)));
  }
  return h("span", { class: "legend" }, ...parts);
}

/** The strongest links between different words, or the largest changes; of all tokens if there are none.
 * @param {App} app @param {HeadData} data @param {number} most
 */
export function strongestLinks(app, data, most) {
  const matrix = data.matrices[data.matrices.length - 1];
  const across = matrix.columns.length;
  const cross = app.text.keys !== null;
  const wanted = (/** @type {boolean} */ strict, /** @type {number} */ row, /** @type {number} */ column) =>
    !strict ||
    !(
      matrix.faintRows[row] ||
      matrix.faintColumns[column] ||
      (!cross && data.rows[row] === data.columns[column] && data.rows[row] >= 0)
    );
  for (const strict of [true, false]) {
    /** @type {{row: number, column: number, number: number, size: number}[]} */
    const found = [];
    let least = 0.005;
    for (let at = 0; at < matrix.numbers.length; at++) {
      const number = matrix.numbers[at];
      const size = Math.abs(number);
      if (size <= least || matrix.ground?.[at]) continue;
      const [row, column] = [Math.floor(at / across), at % across];
      if (!wanted(strict, row, column)) continue;
      const place = found.findIndex((one) => one.size < size);
      found.splice(place < 0 ? found.length : place, 0, { row, column, number, size });
      if (found.length > most) found.pop();
      if (found.length === most) least = found[most - 1].size;
    }
    if (found.length) return found;
  }
  return [];
}
