// All views, by their names.

import { gridView } from "./grid.js";
import { headView } from "./head.js";
import { layerView } from "./layer.js";
import { linesView } from "./lines.js";
import { stepsView } from "./steps.js";
import { tourView } from "./tour.js";

/** @type {Partial<Record<import("./types.js").ViewName, (app: import("./app.js").App) => import("./types.js").View>>} */
export const viewsOf = {
  lines: linesView,
  grid: gridView,
  head: headView,
  steps: stepsView,
  layer: layerView,
  tour: (app) => tourView(app, viewsOf),
};
