// A matrix of numbers drawn into a canvas: one pixel a cell, then scaled without smoothing.

import { placeOf } from "./colours.js";

/** @import { Palette } from "./colours.js" */

/**
 * What is drawn: `values` row by row; `allowed` 0 where a query may not look (also NaN); `low` and `high`: the ends of
 * the scale; `width` and `height` in CSS pixels.
 * @typedef {object} Drawn
 * @property {ArrayLike<number>} values
 * @property {number} rows
 * @property {number} columns
 * @property {ArrayLike<number> | null} [allowed]
 * @property {Palette} colours
 * @property {number} low
 * @property {number} high
 * @property {number} width
 * @property {number} height
 */

/** Draw a matrix; cells without a number are hatched. @param {HTMLCanvasElement} canvas @param {Drawn} drawn */
export function drawMatrix(canvas, drawn) {
  const { width, height, colours } = drawn;
  const context = sized(canvas, width, height);
  context.setTransform(1, 0, 0, 1, 0, 0);
  const small = cells(drawn, canvas.width, canvas.height);
  if (small.holes) hatched(context, colours.ground, colours.hatch, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  context.drawImage(small.canvas, 0, 0, canvas.width, canvas.height);
}

/**
 * A canvas of so many CSS pixels, empty, in which one unit is one CSS pixel.
 * @param {HTMLCanvasElement} canvas @param {number} width @param {number} height @returns {CanvasRenderingContext2D}
 */
export function sized(canvas, width, height) {
  const dense = globalThis.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * dense));
  canvas.height = Math.max(1, Math.round(height * dense));
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.setTransform(dense, 0, 0, dense, 0, 0);
  return context;
}

/**
 * One pixel a cell, transparent where there is no number. Where the canvas has fewer pixels than cells, a pixel is the
 * largest of its cells (in size), so that a thin diagonal stays seen.
 * @param {Drawn} drawn @param {number} across @param {number} down pixels that there are
 */
export function cells(drawn, across, down) {
  const { values, allowed, rows, columns, low, high, colours } = drawn;
  const [wide, tall] = [Math.min(columns, across), Math.min(rows, down)];
  const image = new ImageData(wide, tall);
  const pixels = new Uint32Array(image.data.buffer);
  const largest = wide < columns || tall < rows ? new Float32Array(wide * tall).fill(-1) : null;
  const toColumn = Uint32Array.from({ length: columns }, (_, at) => Math.floor((at * wide) / columns));
  const { table } = colours;
  let holes = false;
  for (let row = 0, cell = 0; row < rows; row++) {
    const start = Math.floor((row * tall) / rows) * wide;
    for (let column = 0; column < columns; column++, cell++) {
      const value = values[cell];
      if (Number.isNaN(value) || (allowed && !allowed[cell])) {
        holes = true;
        continue;
      }
      const pixel = start + toColumn[column];
      if (largest) {
        const size = value < 0 ? -value : value;
        if (size <= largest[pixel]) continue;
        largest[pixel] = size;
      }
      pixels[pixel] = table[placeOf(value, low, high)];
    }
  }
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [wide, tall];
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")).putImageData(image, 0, 0);
  return { canvas, holes };
}

/**
 * Fill with the ground of cells that have no number: thin slanting lines, which grey print shows too.
 * @param {CanvasRenderingContext2D} context @param {string} ground @param {string} line
 * @param {number} width @param {number} height
 */
export function hatched(context, ground, line, width, height) {
  const tile = document.createElement("canvas");
  tile.width = tile.height = 6;
  const own = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"));
  own.fillStyle = ground;
  own.fillRect(0, 0, 6, 6);
  own.strokeStyle = line;
  own.beginPath();
  for (const shift of [-6, 0, 6]) {
    own.moveTo(shift, 6);
    own.lineTo(shift + 6, 0);
  }
  own.stroke();
  context.fillStyle = context.createPattern(tile, "repeat") ?? ground;
  context.fillRect(0, 0, width, height);
}

/** Whether an element stands on dark ground: its letters are light. @param {Element} element */
export function isDark(element) {
  const [red, green, blue] = getComputedStyle(element).color.match(/[\d.]+/g) ?? [];
  return Number(red) + Number(green) + Number(blue) > 384;
}

/** Let the browser answer before the work goes on. @returns {Promise<void>} */
export function pause() {
  return new Promise((go) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      go();
    };
    port2.postMessage(0);
  });
}

/**
 * Watches which elements come into sight, or near it, where `host` scrolls: in its view, or with the whole page.
 *
 * @param {HTMLElement} host
 * @param {(seen: IntersectionObserverEntry[]) => void} tell
 */
export function watch(host, tell) {
  const view = host.closest(".view");
  const root = view && getComputedStyle(view).overflowY !== "visible" ? view : null;
  return new IntersectionObserver(tell, { root, rootMargin: "300px" });
}
