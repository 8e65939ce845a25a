// The colours of a number, from the least to the largest.

import { palette } from "../colours.js";
import { h } from "../dom.js";
import { drawMatrix } from "../matrix.js";
import { rangeOf, written } from "./quantities.js";

/** @import { Atlas } from "./app.js" */
/** @import { Quantity } from "./types.js" */

const STEPS = 64;

/** @param {Atlas} app @param {Quantity} quantity */
export function scaleLegend(app, quantity) {
  const [low, high] = rangeOf(quantity, app.survey.heads);
  const canvas = h("canvas", { "aria-hidden": "true" });
  const values = Float32Array.from({ length: STEPS }, (_, at) => at / (STEPS - 1));
  const colours = palette("heat", app.dark);
  drawMatrix(canvas, { values, rows: 1, columns: STEPS, colours, low: 0, high: 1, width: 140, height: 11 });
  return h(
    "span",
    { class: "legend" },
    h("strong", {}, quantity.title),
    written(quantity, low),
    canvas,
    `${written(quantity, high)} ${quantity.unit === "share" ? "" : app.called("unit", quantity.unit, "")}`,
    quantity.formula && h("span", { class: "formula", lang: "en" }, quantity.formula),
  );
}
