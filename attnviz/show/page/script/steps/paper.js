// The Steps view as a picture for paper: the keys of most weight, and z.

import { s } from "../dom.js";
import { PAPER, paperNotes, paperOf } from "../paper.js";
import { headName, weightText } from "../writing.js";
import { largestOf, paperStrip } from "./strip.js";
import { exactText } from "./whatif.js";

/** @import { StepsView } from "./steps.js" */

const MOST_KEYS = 32;
const STEP = 24;
const AT = { score: 260, weight: 330, bar: 340, v: 500 };
const BAR_WIDTH = 140;
const V_WIDTH = 320;

/** @param {StepsView} view */
export function stepsPaper(view) {
  const { app, of, rows } = view;
  if (!of) return paperOf(400, 80, []);
  const { layer, head } = app.state;
  const query = app.side("query").pieces[view.place].name;
  const label = app.say("steps.label", { head: headName(layer, head), query });
  const keys = rows.order.slice(0, MOST_KEYS);
  const changed = of.changed.size
    ? [`${app.say("steps.whatif")}: ${app.say("steps.changed", { n: of.changed.size })}`]
    : [];
  const top = 52 + 16 * changed.length;
  const x = PAPER.margin;
  const largest = largestOf(of.weights);
  const brought = of.brought && largestOf(of.brought);
  const end = (/** @type {number} */ at, /** @type {number} */ y, /** @type {string} */ text) =>
    s("text", { x: at, y, "text-anchor": "end" }, text);
  /** @type {(Node | false)[]} */
  const nodes = keys.flatMap((key, row) => {
    const y = top + row * STEP;
    const marked = of.changed.has(key) ? " *" : "";
    return [
      s("text", { x, y: y + 15 }, view.keyName(key)),
      of.own ? end(AT.score, y + 15, exactText(of.scores[key]) + marked) : false,
      end(AT.weight, y + 15, weightText(of.weights[key], 3)),
      s("rect", {
        x: AT.bar,
        y: y + 4,
        width: (BAR_WIDTH * of.weights[key]) / largest,
        height: STEP - 10,
        fill: "#2558a8",
      }),
      ...(of.brought && brought
        ? paperStrip(of.brought.subarray(key * of.layer.dv, (key + 1) * of.layer.dv), brought, {
            x: AT.v,
            y: y + 2,
            width: V_WIDTH,
            height: STEP - 5,
          })
        : []),
    ];
  });
  const bottom = top + keys.length * STEP + 8;
  const hidden = rows.order.length - keys.length;
  if (hidden) nodes.push(s("text", { x, y: bottom + 15, fill: PAPER.muted }, `… + ${hidden}`));
  const z = of.z
    ? [
        end(AT.v - 10, bottom + 15, "z"),
        ...paperStrip(of.z, largestOf(of.z), { x: AT.v, y: bottom + 2, width: V_WIDTH, height: STEP - 5 }),
      ]
    : [];
  const title = (/** @type {number} */ at, /** @type {string} */ text, anchor = "end") =>
    s("text", { x: at, y: top - 8, "font-size": 12, fill: PAPER.muted, "text-anchor": anchor }, text);
  /** @type {(Node | false)[]} */
  const titles = [
    title(x, app.say("keys"), "start"),
    of.own ? title(AT.score, app.say("steps.scored")) : false,
    title(AT.weight, app.say("weight")),
    of.z ? title(AT.v, app.say("steps.values"), "start") : false,
  ];
  return paperOf(AT.v + (of.z ? V_WIDTH : 0) + x, bottom + STEP + x, [
    ...[...paperNotes([label, ...changed]), ...titles],
    ...[...nodes, ...z],
  ]);
}
