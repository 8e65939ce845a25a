// A head's matrix as a picture for paper: SVG, light colours, every name that fits.

import { colourOf, inkOn, palette } from "../colours.js";
import { ABSENT } from "../compare/comparing.js";
import { s } from "../dom.js";
import { PAPER, paperOf } from "../paper.js";
import { signedText, weightText } from "../writing.js";
import { imageOf } from "./drawing.js";
import { extraWidth, layoutOf, namesOf, shortShare } from "./layout.js";

/** @import { App } from "../app.js" */
/** @import { HeadData } from "./data.js" */
/** @import { Layout, Matrix, Names } from "./layout.js" */

const PAPER_ACCENT = "#2558a8";
const PAPER_SIDE = 560;
const MOST_RECTS = 4096;
const PAPER_NUMBERED = 22;

/** The matrices of a head side by side. @param {App} app @param {HeadData} data */
export function matrixPaper(app, data) {
  const ctx = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  const { query, key } = app.state;
  const fixed = { row: data.rows.indexOf(query ?? -2), column: data.columns.indexOf(key ?? -2) };
  /** @type {SVGElement[]} */
  const panels = [];
  let [x, bottom] = [0, 0];
  data.matrices.forEach((matrix, at) => {
    const names = namesOf(ctx, matrix);
    const count = Math.max(matrix.rows.length, matrix.columns.length);
    const layout = layoutOf(names, Math.min(28, Math.max(1, Math.floor((2 * PAPER_SIDE) / count) / 2)));
    const title = data.titles[at] && s("text", { x: layout.left, y: 12, "font-weight": 600 }, data.titles[at]);
    const top = data.titles[at] ? 20 : 0;
    const panel = s("g", { transform: `translate(0 ${top})` }, ...paperPanel(matrix, names, layout, fixed));
    const high = top + layout.height;
    const bar = s("g", { transform: `translate(${layout.left} ${high + 10})` }, ...paperLegend(app, matrix));
    panels.push(s("g", { transform: `translate(${x} 0)`, "font-size": 12 }, title, panel, bar));
    x += Math.max(layout.width, layout.left + 330) + 16;
    bottom = Math.max(bottom, high + 30);
  });
  return paperOf(x - 16, bottom, panels);
}

/** @param {Matrix} matrix @param {{rows: Names, columns: Names, extras: Names}} names @param {Layout} layout
 * @param {{row: number, column: number}} fixed
 */
function paperPanel(matrix, names, layout, fixed) {
  const { cell, left, top } = layout;
  const [width, height] = [matrix.columns.length * cell, matrix.rows.length * cell];
  const colours = palette(matrix.signed ? "signed" : "heat", false);
  const frame = { x: left, y: top, width, height };
  /** @type {SVGElement[]} */
  const parts = [s("rect", { ...frame, fill: colours.ground })];
  if (matrix.numbers.length > MOST_RECTS) parts.push(cellsImage(matrix, frame));
  else parts.push(...cellRects(matrix, layout));
  parts.push(s("rect", { ...frame, fill: "none", stroke: PAPER.muted, "stroke-width": 0.6 }));
  matrix.extras.forEach((extra, at) => {
    const own = extraWidth(cell);
    const x = left + width + 8 + at * own;
    const heat = palette("heat", false);
    extra.numbers.forEach((share, row) => {
      const fill = colourOf(heat, share, 0, 1);
      const y = top + row * cell;
      parts.push(s("rect", { x, y, width: own - 1, height: cell, fill }));
      if (cell >= PAPER_NUMBERED && share >= 0.1)
        parts.push(paperNumber(x + own / 2, y + cell / 2, fill, shortShare(share, false)));
    });
    parts.push(
      s("rect", {
        x,
        y: top,
        width: own - 1,
        height,
        fill: "none",
        stroke: PAPER.muted,
        "stroke-width": 0.6,
      }),
    );
    parts.push(paperColumnName(names.extras[at].text, x + own / 2, layout, PAPER.muted, false));
  });
  return [...parts, ...paperNames(matrix, names, layout, fixed), ...markFrames(frame, cell, fixed)];
}

/** @param {Matrix} matrix @param {Layout} layout */
function cellRects(matrix, { cell, left, top }) {
  const across = matrix.columns.length;
  const colours = palette(matrix.signed ? "signed" : "heat", false);
  const parts = [];
  for (let at = 0; at < matrix.numbers.length; at++) {
    const [x, y] = [left + (at % across) * cell, top + Math.floor(at / across) * cell];
    if (matrix.ground?.[at]) {
      const slant = matrix.ground[at] === ABSENT ? `M${x} ${y}l${cell} ${cell}` : `M${x} ${y + cell}l${cell} ${-cell}`;
      parts.push(s("path", { d: slant, stroke: colours.hatch, "stroke-width": 1 }));
      continue;
    }
    const number = matrix.numbers[at];
    const fill = colourOf(colours, number, ...matrix.limits);
    parts.push(s("rect", { x, y, width: cell, height: cell, fill, "shape-rendering": "crispEdges" }));
    if (cell < PAPER_NUMBERED || Math.abs(number) < 0.1 * matrix.limits[1]) continue;
    parts.push(paperNumber(x + cell / 2, y + cell / 2, fill, shortShare(number, matrix.signed)));
  }
  return parts;
}

/** @param {number} x @param {number} y @param {string} fill @param {string} text */
function paperNumber(x, y, fill, text) {
  return s("text", { x, y: y + 3.5, "text-anchor": "middle", "font-size": 10, fill: inkOn(fill) }, text);
}

/** Many cells, as pixels. @param {Matrix} matrix @param {{x: number, y: number, width: number, height: number}} frame */
function cellsImage(matrix, frame) {
  const image = imageOf(matrix, palette(matrix.signed ? "signed" : "heat", false));
  const canvas = document.createElement("canvas");
  const times = Math.max(1, Math.ceil((2 * frame.width) / image.width));
  canvas.width = image.width * times;
  canvas.height = image.height * times;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingEnabled = false;
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return s("image", { ...frame, href: canvas.toDataURL("image/png"), preserveAspectRatio: "none" });
}

/** @param {Matrix} matrix @param {{rows: Names, columns: Names}} names @param {Layout} layout
 * @param {{row: number, column: number}} fixed
 */
function paperNames(matrix, names, layout, fixed) {
  const { cell, left, top, step, font } = layout;
  const parts = [];
  for (let row = 0; row < names.rows.length; row++) {
    const bold = row === fixed.row;
    if (row % step && !bold) continue;
    const fill = bold ? PAPER_ACCENT : matrix.faintRows[row] ? PAPER.muted : PAPER.ink;
    const style = {
      fill,
      "font-size": font,
      "font-weight": bold ? 600 : 400,
      "text-anchor": "end",
    };
    parts.push(s("text", { x: left - 6, y: top + (row + 0.5) * cell + font * 0.35, ...style }, names.rows[row].text));
  }
  for (let column = 0; column < names.columns.length; column++) {
    const bold = column === fixed.column;
    if (column % step && !bold) continue;
    const fill = bold ? PAPER_ACCENT : matrix.faintColumns[column] ? PAPER.muted : PAPER.ink;
    parts.push(paperColumnName(names.columns[column].text, left + (column + 0.5) * cell, layout, fill, bold));
  }
  return parts;
}

/** @param {string} name @param {number} x @param {Layout} layout @param {string} fill @param {boolean} bold */
function paperColumnName(name, x, { top, slanted, font }, fill, bold) {
  const turned = `translate(${x} ${top - 5}) rotate(${slanted ? -45 : -90})`;
  const style = { fill, "font-size": font, "font-weight": bold ? 600 : 400 };
  return s("text", { transform: turned, y: font * 0.35, ...style }, name);
}

/** Around the chosen row, column and cell. @param {{x: number, y: number, width: number, height: number}} frame
 * @param {number} cell @param {{row: number, column: number}} fixed
 */
function markFrames({ x, y, width, height }, cell, { row, column }) {
  const boxes = [];
  if (row >= 0) boxes.push({ x, y: y + row * cell, width, height: cell });
  if (column >= 0) boxes.push({ x: x + column * cell, y, width: cell, height });
  return boxes.map((box) => s("rect", { ...box, fill: "none", stroke: PAPER_ACCENT, "stroke-width": 1.5 }));
}

/** The colours and their numbers. @param {App} app @param {Matrix} matrix */
function paperLegend(app, matrix) {
  const colours = palette(matrix.signed ? "signed" : "heat", false);
  const text = matrix.signed ? signedText : weightText;
  const [low, high] = matrix.limits;
  /** @type {SVGElement[]} */
  const parts = Array.from({ length: 64 }, (_, at) =>
    s("rect", {
      x: 30 + at * 2,
      y: 0,
      width: 2,
      height: 10,
      "shape-rendering": "crispEdges",
      fill: colourOf(colours, at, 0, 63),
    }),
  );
  const style = { y: 9, "font-size": 10, fill: PAPER.muted };
  const texts = [
    s("text", { ...style, x: 26, "text-anchor": "end" }, text(low)),
    s("text", { ...style, x: 164 }, text(high)),
  ];
  const said = [];
  if (matrix.ground?.some((kind) => kind && kind !== ABSENT)) said.push(app.say("forbidden"));
  if (matrix.ground?.some((kind) => kind === ABSENT)) said.push(app.say("head.absent"));
  if (!said.length) return [...parts, ...texts];
  const box = s("rect", {
    x: 200,
    y: 0,
    width: 14,
    height: 10,
    fill: colours.ground,
    stroke: colours.hatch,
  });
  return [...parts, ...texts, box, s("text", { ...style, x: 219 }, said.join(" / "))];
}
