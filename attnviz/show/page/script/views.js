// All views, by their names.

import { gridView } from "./grid/grid.js";
import { headView } from "./head/head.js";
import { layerView } from "./layer/layer.js";
import { linesView } from "./lines/lines.js";
import { stepsView } from "./steps/steps.js";
import { tourView } from "./tour/tour.js";

/** @type {Partial<Record<import("./types.js").ViewName, (app: import("./app.js").App) => import("./types.js").View>>} */
export const viewsOf = {
  lines: linesView,
  grid: gridView,
  head: headView,
  steps: stepsView,
  layer: layerView,
  tour: (app) => tourView(app, viewsOf),
};
