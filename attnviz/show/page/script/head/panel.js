// The canvas of a matrix: draws what is in sight, follows the pointer and the keys.

import { palette } from "../colours.js";
import { h } from "../dom.js";
import { drawCross, drawExtras, drawMatrixCells, drawNames, imageOf, themeOf } from "./drawing.js";
import { fitting, layoutOf, namesOf } from "./layout.js";

/** @import { Palette } from "../colours.js" */
/** @import { Layout, Matrix, Names } from "./layout.js" */

const [PROJECTOR, ENLARGED, FEW_PIXELS] = [1700, 1.5, 10]; // a wide screen is looked at from afar
const ARROWS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-10, 0],
  PageDown: [10, 0],
  Home: [0, -1e9],
  End: [0, 1e9],
};

export class MatrixPanel {
  /** @param {{point: (row: number, column: number) => void, pick: (row: number, column: number) => void,
   *   leave: () => void}} events what the reader points at, and fixes, in places of the matrix */
  constructor(events) {
    this.events = events;
    this.canvas = h("canvas", {
      class: "matrix",
      tabindex: "0",
      role: "application",
      "data-keys": true,
    });
    this.space = h("div", { class: "matrix-space" }, this.canvas);
    this.host = h("div", { class: "matrix-scroll" }, this.space);
    /** @type {Matrix | null} */
    this.matrix = null;
    /** @type {Layout | null} */
    this.layout = null;
    this.cross = { row: -1, column: -1 };
    this.fixed = { row: -1, column: -1 };
    this.waiting = false;
    this.times = 1;
    /** @type {{matrix: Matrix, colours: Palette, canvas: HTMLCanvasElement} | null} */
    this.drawn = null;
    this.host.addEventListener("scroll", () => this.redraw(), { passive: true });
    this.canvas.addEventListener("pointermove", (event) => this.moved(event));
    this.canvas.addEventListener("pointerleave", () => this.events.leave());
    this.canvas.addEventListener("click", (event) => {
      const [row, column] = this.at(event);
      if (row >= 0 || column >= 0) this.events.pick(row, column);
    });
    this.canvas.addEventListener("keydown", (event) => this.pressed(event));
  }

  /** Show a matrix in cells of this size, 0: as large as fit into `width` × `height`.
   * @param {Matrix} matrix
   * @param {number} cell
   * @param {number} width
   * @param {number} height
   */
  show(matrix, cell, width, height) {
    if (matrix !== this.matrix) {
      this.matrix = matrix;
      this.names = namesOf(this.context(), matrix);
    }
    const names = /** @type {{rows: Names, columns: Names, extras: Names}} */ (this.names);
    const laid = (/** @type {number} */ times) => {
      this.times = times;
      return cell ? layoutOf(names, cell) : fitting(names, width / times, height / times);
    };
    let layout = laid(innerWidth >= PROJECTOR ? ENLARGED : 1);
    if (layout.cell < FEW_PIXELS) layout = laid(1);
    this.layout = layout;
    const sizes = { left: layout.left, top: layout.top, cell: layout.cell };
    for (const [name, size] of Object.entries(sizes)) this.canvas.dataset[name] = String(size * this.times);
    this.space.style.width = `${layout.width * this.times}px`;
    this.space.style.height = `${layout.height * this.times}px`;
    this.host.style.maxHeight = `${Math.max(height, 160)}px`;
    this.draw();
  }

  theme() {
    return themeOf(this.canvas);
  }

  context() {
    return /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    });
  }

  /** Point at a row and a column, -1 for none; and those that are fixed.
   * @param {{row: number, column: number}} cross
   * @param {{row: number, column: number}} fixed
   */
  mark(cross, fixed) {
    this.cross = cross;
    this.fixed = fixed;
    this.redraw();
  }

  /** The row and the column at a place of the canvas, -1 beside them.
   * @param {{offsetX: number, offsetY: number}} event
   */
  at(event) {
    const { layout, matrix } = this;
    if (!layout || !matrix) return [-1, -1];
    const { times, host } = this;
    const [x, y] = [event.offsetX / times, event.offsetY / times];
    const row = Math.floor((y - layout.top + host.scrollTop / times) / layout.cell);
    const column = Math.floor((x - layout.left + host.scrollLeft / times) / layout.cell);
    const inside = (/** @type {number} */ at, /** @type {number} */ count, /** @type {boolean} */ shown) =>
      shown && at >= 0 && at < count ? at : -1;
    return [inside(row, matrix.rows.length, y >= layout.top), inside(column, matrix.columns.length, x >= layout.left)];
  }

  /** @param {PointerEvent} event */
  moved(event) {
    const [row, column] = this.at(event);
    this.events.point(row, column);
  }

  /** Arrows move the crosshair, Enter fixes it, Escape lets it go.
   * @param {KeyboardEvent} event
   */
  pressed(event) {
    const { matrix } = this;
    if (!matrix || event.altKey || event.metaKey || (event.ctrlKey && !(event.key in ARROWS))) return;
    const from = { row: Math.max(0, this.cross.row), column: Math.max(0, this.cross.column) };
    if (event.key in ARROWS) {
      const [down, across] = ARROWS[/** @type {keyof typeof ARROWS} */ (event.key)];
      const first = this.cross.row < 0 || this.cross.column < 0;
      const far = event.ctrlKey ? 1e9 : 1;
      const row = inRange(from.row + (first ? 0 : down * far), matrix.rows.length);
      const column = inRange(from.column + (first ? 0 : across * far), matrix.columns.length);
      this.events.point(row, column);
      this.bringIntoSight(row, column);
    } else if (event.key === "Enter" || event.key === " ") {
      this.events.pick(this.cross.row, this.cross.column);
    } else if (event.key === "Escape") {
      this.events.pick(-1, -1);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number} row @param {number} column */
  bringIntoSight(row, column) {
    const { layout, host } = this;
    if (!layout) return;
    const cell = layout.cell * this.times;
    const moved = (
      /** @type {number} */ at,
      /** @type {number} */ edge,
      /** @type {number} */ room,
      /** @type {number} */ scrolled,
    ) => Math.min(at * cell, Math.max(scrolled, (at + 1) * cell - (room - edge * this.times)));
    host.scrollTop = moved(row, layout.top, host.clientHeight, host.scrollTop);
    host.scrollLeft = moved(column, layout.left, host.clientWidth, host.scrollLeft);
  }

  draw() {
    const { layout, matrix, host, times } = this;
    if (!layout || !matrix || !this.names) return;
    const [wide, high] = [
      Math.min(host.clientWidth || Infinity, layout.width * times),
      Math.min(host.clientHeight || Infinity, layout.height * times),
    ];
    const dots = globalThis.devicePixelRatio || 1;
    const [across, down] = [Math.round(wide * dots), Math.round(high * dots)];
    if (this.canvas.width !== across || this.canvas.height !== down) {
      this.canvas.width = across;
      this.canvas.height = down;
      this.canvas.style.width = `${wide}px`;
      this.canvas.style.height = `${high}px`;
    }
    const ctx = this.context();
    ctx.setTransform(dots * times, 0, 0, dots * times, 0, 0);
    ctx.clearRect(0, 0, wide, high);
    const theme = this.theme();
    const colours = palette(matrix.signed ? "signed" : "heat", theme.dark);
    const [x, y] = [layout.left - host.scrollLeft / times, layout.top - host.scrollTop / times];
    const sight = { ctx, theme, colours, layout, matrix, wide: wide / times, high: high / times, x, y };
    drawMatrixCells(sight, this.image(colours));
    drawExtras(sight, this.names.extras);
    for (const [mark, line] of /** @type {const} */ ([
      [this.fixed, 2],
      [this.cross, 1],
    ]))
      drawCross(sight, mark, line);
    drawNames(sight, this.names, [this.fixed, this.cross]);
  }

  /** One pixel a cell, made once. @param {Palette} colours */
  image(colours) {
    const matrix = /** @type {Matrix} */ (this.matrix);
    if (this.drawn?.matrix !== matrix || this.drawn.colours !== colours) {
      this.drawn = { matrix, colours, canvas: imageOf(matrix, colours) };
    }
    return this.drawn.canvas;
  }
}

/** @param {number} at @param {number} count */
function inRange(at, count) {
  return Math.min(count - 1, Math.max(0, at));
}
