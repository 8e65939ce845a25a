// What the canvas of a matrix shows: cells in sight, names along its edges, the crosshair.

import { colourOf, inkOn, palette } from "../colours.js";
import { ABSENT } from "../compare/comparing.js";
import { cells, isDark } from "../matrix.js";
import { extraWidth, FACE, shortShare } from "./layout.js";

/** @import { Palette } from "../colours.js" */
/** @import { Layout, Matrix, Names } from "./layout.js" */

/** @typedef {{ctx: CanvasRenderingContext2D, theme: ReturnType<typeof themeOf>, colours: Palette,
 *   layout: Layout, matrix: Matrix, wide: number, high: number, x: number, y: number}} Sight
 *   what is drawn into: `x`, `y` are where the first cell is, perhaps out of sight */

const NUMBERED_FROM = 27;

/** One pixel a cell. @param {Matrix} matrix @param {Palette} colours */
export function imageOf(matrix, colours) {
  const { numbers: values, limits, ground } = matrix;
  const [rows, columns] = [matrix.rows.length, matrix.columns.length];
  const allowed = ground?.map((kind) => (kind ? 0 : 1));
  const drawn = {
    values,
    rows,
    columns,
    allowed,
    colours,
    low: limits[0],
    high: limits[1],
    width: 0,
    height: 0,
  };
  return cells(drawn, columns, rows).canvas;
}

/** The page's colours, as the canvas has them. @param {HTMLElement} element */
export function themeOf(element) {
  const style = getComputedStyle(element);
  return {
    ink: style.color,
    paper: style.backgroundColor,
    muted: style.textDecorationColor,
    accent: style.caretColor,
    dark: isDark(element),
  };
}

/** The first and the end of the places in sight. @param {Sight} sight @param {"x" | "y"} axis */
function inSight({ layout, matrix, wide, high, x, y }, axis) {
  const [start, edge, end, count] =
    axis === "x" ? [x, layout.left, wide, matrix.columns.length] : [y, layout.top, high, matrix.rows.length];
  const first = Math.max(0, Math.floor((edge - start) / layout.cell));
  return [first, Math.min(count, Math.ceil((end - start) / layout.cell))];
}

/** @param {Sight} sight @param {() => void} draw */
function insideCells({ ctx, layout, wide, high }, draw) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(layout.left, layout.top, wide - layout.left, high - layout.top);
  ctx.clip();
  draw();
  ctx.restore();
}

/** @param {Sight} sight @param {HTMLCanvasElement} image */
export function drawMatrixCells(sight, image) {
  const { ctx, layout, matrix, colours, x, y } = sight;
  const [left, right] = inSight(sight, "x");
  const [top, bottom] = inSight(sight, "y");
  const { cell } = layout;
  const box = /** @type {const} */ ([x + left * cell, y + top * cell, (right - left) * cell, (bottom - top) * cell]);
  insideCells(sight, () => {
    if (matrix.ground) {
      ctx.fillStyle = colours.ground;
      ctx.fillRect(...box);
    }
    ctx.imageSmoothingEnabled = false;
    ctx.drawImage(image, left, top, right - left, bottom - top, ...box);
    for (let row = top; row < bottom && cell >= 5; row++) {
      for (let column = left; column < right; column++) drawCell(sight, row, column);
    }
    ctx.strokeStyle = sight.theme.muted;
    ctx.lineWidth = 0.5;
    ctx.strokeRect(x, y, matrix.columns.length * cell, matrix.rows.length * cell);
  });
}

/** A cell's number, or that there is none. @param {Sight} sight @param {number} row @param {number} column */
function drawCell({ ctx, layout, matrix, colours, x, y }, row, column) {
  const { cell } = layout;
  const at = row * matrix.columns.length + column;
  const [left, top] = [x + column * cell, y + row * cell];
  if (matrix.ground?.[at]) {
    const crossed = matrix.ground[at] === ABSENT;
    ctx.strokeStyle = colours.hatch;
    ctx.lineWidth = 1;
    ctx.beginPath();
    for (let along = crossed ? 3 : 6; along < 2 * cell; along += crossed ? 4 : 6) {
      ctx.moveTo(left + Math.max(0, along - cell), top + Math.min(along, cell));
      ctx.lineTo(left + Math.min(along, cell), top + Math.max(0, along - cell));
    }
    ctx.stroke();
  } else if (cell >= NUMBERED_FROM && Math.abs(matrix.numbers[at]) >= 0.1 * matrix.limits[1]) {
    ctx.fillStyle = inkOn(colourOf(colours, matrix.numbers[at], ...matrix.limits));
    ctx.font = `10.5px ${FACE}`;
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillText(shortShare(matrix.numbers[at], matrix.signed), left + cell / 2, top + cell / 2 + 0.5);
  }
}

/** Columns of their own: what went to special tokens left out, and to a sink. @param {Sight} sight @param {Names} names */
export function drawExtras(sight, names) {
  const { ctx, layout, matrix, theme, x, y } = sight;
  const { cell } = layout;
  const [top, bottom] = inSight(sight, "y");
  const own = extraWidth(cell);
  const heat = palette("heat", theme.dark);
  matrix.extras.forEach((extra, at) => {
    const left = x + matrix.columns.length * cell + 8 + at * own;
    insideCells(sight, () => {
      for (let row = top; row < bottom; row++) {
        ctx.fillStyle = colourOf(heat, extra.numbers[row], 0, 1);
        ctx.fillRect(left, y + row * cell, own - 1, cell);
        if (cell >= NUMBERED_FROM && extra.numbers[row] >= 0.1) {
          ctx.fillStyle = inkOn(colourOf(heat, extra.numbers[row], 0, 1));
          ctx.font = `10.5px ${FACE}`;
          ctx.textAlign = "center";
          ctx.textBaseline = "middle";
          ctx.fillText(shortShare(extra.numbers[row], false), left + own / 2, y + (row + 0.5) * cell);
        }
      }
      ctx.strokeStyle = theme.muted;
      ctx.lineWidth = 0.5;
      ctx.strokeRect(left, y, own - 1, matrix.rows.length * cell);
    });
    drawColumnName(sight, names[at].text, left + own / 2, { color: theme.muted, bold: false });
  });
}

/** Lines around a row and a column. @param {Sight} sight @param {{row: number, column: number}} at @param {number} line */
export function drawCross(sight, { row, column }, line) {
  const { ctx, layout, matrix, theme, x, y } = sight;
  const { cell } = layout;
  insideCells(sight, () => {
    ctx.strokeStyle = theme.accent;
    ctx.lineWidth = cell < 4 ? 0.6 : line;
    const [width, height] = [matrix.columns.length * cell, matrix.rows.length * cell];
    if (row >= 0) ctx.strokeRect(x, y + row * cell, width, cell);
    if (column >= 0) ctx.strokeRect(x + column * cell, y, cell, height);
    if (row < 0 || column < 0) return;
    ctx.lineWidth = cell < 4 ? 1 : line + 1;
    const wider = Math.max(0, 5 - cell) / 2;
    ctx.strokeRect(x + column * cell - wider, y + row * cell - wider, cell + 2 * wider, cell + 2 * wider);
  });
}

/** Names along both edges, those pointed at over their neighbours.
 * @param {Sight} sight
 * @param {{rows: Names, columns: Names}} names
 * @param {{row: number, column: number}[]} marks
 */
export function drawNames(sight, names, marks) {
  const { layout, matrix, theme, x, y } = sight;
  const { cell, step } = layout;
  const styled = (/** @type {boolean} */ faint, /** @type {boolean} */ bold) => ({
    color: bold ? theme.accent : faint ? theme.muted : theme.ink,
    bold,
  });
  for (const bold of [false, true]) {
    const [top, bottom] = inSight(sight, "y");
    for (let row = top; row < bottom; row++) {
      const marked = marks.some((mark) => mark.row === row);
      if (bold ? !marked : row % step) continue;
      drawRowName(sight, names.rows[row].text, y + (row + 0.5) * cell, styled(matrix.faintRows[row], bold));
    }
    const [left, right] = inSight(sight, "x");
    for (let column = left; column < right; column++) {
      const marked = marks.some((mark) => mark.column === column);
      if (bold ? !marked : column % step) continue;
      const style = styled(matrix.faintColumns[column], bold);
      drawColumnName(sight, names.columns[column].text, x + (column + 0.5) * cell, style);
    }
  }
}

/** @param {Sight} sight @param {string} name @param {number} y @param {{color: string, bold: boolean}} style */
function drawRowName({ ctx, layout, theme }, name, y, { color, bold }) {
  if (y < layout.top) return;
  ctx.font = `${bold ? "600 " : ""}${layout.font}px ${FACE}`;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  if (bold) {
    const height = layout.font + 4;
    ctx.fillStyle = theme.paper;
    ctx.fillRect(0, y - height / 2, layout.left - 2, height);
  }
  ctx.fillStyle = color;
  ctx.fillText(name, layout.left - 6, y, layout.left - 8);
}

/** @param {Sight} sight @param {string} name @param {number} x @param {{color: string, bold: boolean}} style */
function drawColumnName({ ctx, layout, theme, wide }, name, x, { color, bold }) {
  if (x < layout.left) return;
  ctx.save();
  ctx.beginPath();
  ctx.rect(layout.left - layout.font, 0, wide, layout.top);
  ctx.clip();
  ctx.translate(x, layout.top - 5);
  ctx.rotate(layout.slanted ? -Math.PI / 4 : -Math.PI / 2);
  ctx.font = `${bold ? "600 " : ""}${layout.font}px ${FACE}`;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  if (bold) {
    ctx.fillStyle = theme.paper;
    ctx.fillRect(0, -(layout.font + 3) / 2, ctx.measureText(name).width + 3, layout.font + 3);
  }
  ctx.fillStyle = color;
  ctx.fillText(name, 0, 0);
  ctx.restore();
}
