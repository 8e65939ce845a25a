// How a matrix is laid out: the size of its cells, and which names fit along its edges.

/**
 * What a panel shows, queries down and keys across. `ground`: FORBIDDEN, ABSENT or 0 a cell, null for
 * all 0. `limits`: the numbers of the first and the last colour, below 0 and above if `signed`.
 * `extras`: columns of their own beside the keys. `faint`: names of special tokens.
 * @typedef {{rows: string[], columns: string[], numbers: Float32Array, ground: Uint8Array | null,
 *   signed: boolean, limits: [number, number], extras: {name: string, numbers: Float32Array}[],
 *   faintRows: boolean[], faintColumns: boolean[]}} Matrix
 */

/** Where things are, in CSS pixels.
 * @typedef {{cell: number, left: number, top: number, right: number, slanted: boolean, step: number,
 *   font: number, width: number, height: number}} Layout
 */

export const CELLS = { smallest: 1, readable: 18, largest: 32 };
const LONGEST_NAME = 132;
const MOST_MEASURED = 10_000;
/** @type {Map<string, {text: string, width: number}>} */
const measured = new Map();
export const FACE = "system-ui, sans-serif";
const LEAN = Math.SQRT1_2;

/** How wide names are at 12 px, each shortened to LONGEST_NAME.
 * @param {CanvasRenderingContext2D} ctx
 * @param {string[]} names
 */
function shortNames(ctx, names) {
  ctx.font = `12px ${FACE}`;
  if (measured.size > MOST_MEASURED) measured.clear();
  return names.map((name) => {
    const known = measured.get(name);
    if (known) return known;
    let letters = name;
    if (letters.length > 60) letters = `${Array.from(name).slice(0, 60).join("")}…`;
    while (ctx.measureText(letters).width > LONGEST_NAME) {
      letters = `${Array.from(letters.replace(/…$/, "")).slice(0, -1).join("")}…`;
    }
    const found = { text: letters, width: ctx.measureText(letters).width };
    measured.set(name, found);
    return found;
  });
}

/** @typedef {{text: string, width: number}[]} Names */

/** The names along a matrix's edges. @param {CanvasRenderingContext2D} ctx @param {Matrix} matrix */
export function namesOf(ctx, { rows, columns, extras }) {
  const beside = extras.map((extra) => extra.name);
  return { rows: shortNames(ctx, rows), columns: shortNames(ctx, columns), extras: shortNames(ctx, beside) };
}

/** The layout of a matrix with cells of this size.
 * @param {{rows: Names, columns: Names, extras: Names}} names
 * @param {number} cell
 * @returns {Layout}
 */
export function layoutOf(names, cell) {
  const step = Math.max(1, Math.ceil(11 / cell));
  const font = step > 1 ? 10 : Math.min(12, Math.max(9, cell - 2));
  const scale = font / 12;
  const slanted = step === 1 && cell >= 16;
  const widest = (/** @type {Names} */ all) => Math.max(0, ...all.map((one) => one.width)) * scale;
  const left = widest(names.rows) + 12;
  const above = Math.max(widest(names.columns), widest(names.extras));
  const top = slanted ? (above + font) * LEAN + 8 : above + 10;
  const across = names.columns.length * cell;
  const own = extraWidth(cell);
  const right = names.extras.length ? 8 + names.extras.length * own : 0;
  let over = slanted ? 0 : 2;
  if (slanted) {
    names.columns.forEach((one, at) => {
      over = Math.max(over, (at + 0.5 - names.columns.length) * cell + one.width * scale * LEAN + 4 - right);
    });
    names.extras.forEach((one, at) => {
      over = Math.max(over, (at + 0.5 - names.extras.length) * own + one.width * scale * LEAN + 4);
    });
  }
  const width = Math.ceil(left + across + right + over);
  const height = Math.ceil(top + names.rows.length * cell + 2);
  return { cell, left, top, right, slanted, step, font, width, height };
}

/** @param {number} cell */
export const extraWidth = (cell) => Math.max(cell, 12);

/** The largest cells with which a matrix fits, at whole pixels of the screen.
 * @param {{rows: Names, columns: Names, extras: Names}} names
 * @param {number} width
 * @param {number} height
 */
export function fitting(names, width, height) {
  const dot = 1 / Math.max(1, Math.round(globalThis.devicePixelRatio || 1));
  for (let cell = CELLS.largest; cell > CELLS.smallest; cell -= cell > 8 ? 1 : dot) {
    const found = layoutOf(names, cell);
    if (found.width <= width && found.height <= height) return found;
  }
  return layoutOf(names, CELLS.smallest);
}

/** A share in few letters: `.68`, `1.0`; with its sign if signed.
 * @param {number} share
 * @param {boolean} signed
 */
export function shortShare(share, signed) {
  const size = Math.abs(share);
  const sign = signed ? (share > 0 ? "+" : "−") : "";
  return sign + (size >= 0.995 ? "1.0" : size.toFixed(2).slice(1));
}
