// A vector as a strip of colours: orange above 0, blue below.

import { palette, placeOf } from "../colours.js";
import { h, s } from "../dom.js";

/** The largest size among numbers. @param {ArrayLike<number>} values */
export function largestOf(values) {
  let largest = 0;
  for (let at = 0; at < values.length; at++) {
    const size = Math.abs(values[at]);
    if (size > largest && size < Infinity) largest = size;
  }
  return largest || 1;
}

/**
 * Paint vectors one below the other, a pixel a number; the style makes them large.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {ArrayLike<number>} values
 * @param {number} width of a vector
 * @param {Iterable<number>} order which vectors, from above
 * @param {{largest: number, dark: boolean}} look
 */
export function paintStrips(canvas, values, width, order, { largest, dark }) {
  const places = [...order];
  canvas.width = width;
  canvas.height = places.length;
  const image = new ImageData(width, places.length);
  const pixels = new Uint32Array(image.data.buffer);
  const { table } = palette("signed", dark);
  let at = 0;
  for (const place of places) {
    for (let i = 0; i < width; i++) pixels[at++] = table[placeOf(values[place * width + i], -largest, largest)];
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}

/**
 * A named strip of one vector, whose numbers are read by pointing at them.
 *
 * @param {{name: string, values: ArrayLike<number>, told: string, largest?: number}} of
 * @param {boolean} dark
 * @param {(dimension: number | null) => void} point
 */
export function namedStrip({ name, values, told, largest = largestOf(values) }, dark, point) {
  const canvas = h("canvas", { class: "strip", role: "img", "aria-label": `${name}: ${told}` });
  paintStrips(canvas, values, values.length, [0], { largest, dark });
  canvas.addEventListener("pointermove", ({ offsetX }) => {
    point(Math.max(0, Math.min(values.length - 1, Math.floor((offsetX / canvas.clientWidth) * values.length))));
  });
  canvas.addEventListener("pointerleave", () => point(null));
  return h("div", { class: "vector" }, h("span", { class: "formula" }, name), canvas, h("span", {}, told));
}

/**
 * A strip for paper.
 *
 * @param {ArrayLike<number>} values
 * @param {number} largest
 * @param {{x: number, y: number, width: number, height: number}} place
 */
export function paperStrip(values, largest, { x, y, width, height }) {
  const { stops } = palette("signed", false);
  const cell = width / values.length;
  return Array.from(values, (value, at) =>
    s("rect", {
      ...{ x: (x + at * cell).toFixed(2), y, width: (cell + 0.05).toFixed(2), height },
      fill: stops[placeOf(value, -largest, largest)],
    }),
  );
}
