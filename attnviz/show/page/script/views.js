// All views, by their names.

import { gridView } from "./grid/grid.js";
import { headView } from "./head/head.js";
import { layerView } from "./layer/layer.js";
import { linesView } from "./lines/lines.js";
import { stepsView } from "./steps/steps.js";
import { tourView } from "./tour/tour.js";

/** @import { View, ViewName } from "./types.js" */
/** @import { App } from "./app.js" */

/** @type {Partial<Record<ViewName, (app: App) => View>>} */
export const viewsOf = {
  lines: linesView,
  grid: gridView,
  head: headView,
  steps: stepsView,
  layer: layerView,
  tour: (app) => tourView(app, viewsOf),
};
