// All heads as a standalone picture, on white, for paper.

import { limitsOf, palette } from "../colours.js";
import { comparedHeads } from "../compare/pairs.js";
import { h, s } from "../dom.js";
import { drawMatrix, pause } from "../matrix.js";
import { PAPER, paperNotes, paperOf } from "../paper.js";

/** @import { App } from "../app.js" */

export const THUMB_GAP = 5;
const [GRID_LEFT, GRID_TOP] = [50, 46];

/** What a thumbnail draws of a head: its weights, or how they change from A to B.
 * @param {App} app @param {number} layer @param {number} head @param {boolean} dark
 */
export async function thumbOf(app, layer, head, dark) {
  const { scale } = app.state;
  const shown = await app.shown(layer, head);
  const { rows, columns, weights, allowed } =
    app.other === null ? shown : await changeThumb(app, app.other, layer, head);
  const signed = app.other !== null;
  const [low, high] = limitsOf(scale, signed, [weights]);
  const colours = palette(signed ? "signed" : "heat", dark);
  return { values: weights, rows: rows.length, columns: columns.length, allowed, low, high, colours };
}

/** @param {App} app @param {number} other @param {number} layer @param {number} head */
async function changeThumb(app, other, layer, head) {
  const both = comparedHeads(app, other, await app.shown(layer, head), await app.shown(layer, head, other));
  const allowed = both.grounds[2].map((kind) => (kind ? 0 : 1));
  return { ...both, weights: both.change.map((change, at) => change * allowed[at]), allowed };
}

/** @param {App} app @param {number[]} size of a thumbnail, in pixels */
export async function gridPaper(app, [wide, tall]) {
  const { model, recorded } = app.text;
  const quiet = { "font-size": 12, fill: PAPER.muted };
  const width = GRID_LEFT + model.num_heads * (wide + THUMB_GAP) + PAPER.margin;
  const height = GRID_TOP + model.num_layers * (tall + THUMB_GAP) + PAPER.margin;
  const across = (/** @type {number} */ head) => GRID_LEFT + head * (wide + THUMB_GAP);
  const canvas = h("canvas", {});
  const parts = [];
  for (let head = 0; head < model.num_heads; head++) {
    const at = { x: across(head) + wide / 2, y: GRID_TOP - 6, "text-anchor": "middle" };
    parts.push(s("text", { ...quiet, ...at }, `H${head}`));
  }
  for (let layer = 0; layer < model.num_layers; layer++) {
    const y = GRID_TOP + layer * (tall + THUMB_GAP);
    const middle = y + tall / 2 + 4;
    parts.push(s("text", { ...quiet, x: GRID_LEFT - 8, y: middle, "text-anchor": "end" }, `L${layer}`));
    if (!recorded.includes(layer)) {
      parts.push(s("text", { ...quiet, x: GRID_LEFT, y: middle }, app.say("unrecorded", { layer })));
      continue;
    }
    for (let head = 0; head < model.num_heads; head++) {
      const drawn = await thumbOf(app, layer, head, false);
      const size = { width: wide, height: tall };
      drawMatrix(canvas, { ...drawn, ...size });
      const frame = { x: across(head), y, ...size };
      parts.push(
        s("image", { ...frame, href: canvas.toDataURL("image/png"), preserveAspectRatio: "none" }),
        s("rect", { ...frame, fill: "none", stroke: PAPER.line }),
      );
    }
    await pause();
  }
  const notes = [app.other === null ? app.say(`grid.${app.state.scale}`) : app.say("difference")];
  return paperOf(width, height, [...paperNotes(notes), ...parts]);
}
