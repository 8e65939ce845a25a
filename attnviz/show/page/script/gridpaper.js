// All heads as a standalone picture, on white, for paper.

import { limitsOf, palette } from "./colours.js";
import { h, s, svgText } from "./dom.js";
import { drawMatrix, pause } from "./matrix.js";

/** @import { App } from "./app.js" */
/** @import { Shown } from "./types.js" */

const [LEFT, TOP, GAP, MARGIN] = [50, 82, 5, 16];
const MUTED = { "font-size": 12, fill: "#63636c" };

/** What a thumbnail draws of a head. @param {Shown} shown @param {"fixed" | "own"} scale */
export function thumbOf({ weights, rows, columns, allowed }, scale) {
  const [low, high] = limitsOf(scale, false, [weights]);
  return { values: weights, rows: rows.length, columns: columns.length, allowed, low, high };
}

/** @param {App} app @param {number[]} size of a thumbnail, in pixels */
export async function gridPaper(app, [wide, tall]) {
  const { model, name, recorded } = app.text;
  const width = LEFT + model.num_heads * (wide + GAP) + MARGIN;
  const height = TOP + model.num_layers * (tall + GAP) + MARGIN;
  const title = `${model.name}${model.trained ? "" : " · UNTRAINED"}`;
  const across = (/** @type {number} */ head) => LEFT + head * (wide + GAP);
  const canvas = h("canvas", {});
  const parts = [];
  for (let head = 0; head < model.num_heads; head++) {
    const at = { x: across(head) + wide / 2, y: TOP - 6, "text-anchor": "middle" };
    parts.push(s("text", { ...MUTED, ...at }, `H${head}`));
  }
  for (let layer = 0; layer < model.num_layers; layer++) {
    const y = TOP + layer * (tall + GAP);
    const middle = y + tall / 2 + 4;
    parts.push(s("text", { ...MUTED, x: LEFT - 8, y: middle, "text-anchor": "end" }, `L${layer}`));
    if (!recorded.includes(layer)) {
      parts.push(s("text", { ...MUTED, x: LEFT, y: middle }, app.say("unrecorded", { layer })));
      continue;
    }
    for (let head = 0; head < model.num_heads; head++) {
      const drawn = thumbOf(await app.shown(layer, head), app.state.scale);
      const size = { width: wide, height: tall };
      drawMatrix(canvas, { ...drawn, colours: palette("heat", false), ...size });
      const frame = { x: across(head), y, ...size };
      parts.push(
        s("image", { ...frame, href: canvas.toDataURL("image/png"), preserveAspectRatio: "none" }),
        s("rect", { ...frame, fill: "none", stroke: "#dedbd5" }),
      );
    }
    await pause();
  }
  const picture = s(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      width,
      height,
      viewBox: `0 0 ${width} ${height}`,
      "font-family": "sans-serif",
      "font-size": 14,
      fill: "#1b1b1f",
    },
    s("rect", { width: "100%", height: "100%", fill: "#ffffff" }),
    s("text", { x: MARGIN, y: 28, "font-size": 17, "font-weight": 700 }, title),
    s("text", { x: MARGIN, y: 50 }, name.length > 110 ? `${name.slice(0, 109)}…` : name),
    ...parts,
  );
  return svgText(picture);
}
