// The numbers that each head has: statistics, shares of roles, its layer.

import { numberText, percent } from "../writing.js";

/** @import { Atlas } from "./app.js" */
/** @import { Estimate, Head, Quantity } from "./types.js" */

/** @type {Estimate} */
const NONE = [null, null, null];

/** All quantities, in the order in which they are offered. @param {Atlas} app @returns {Quantity[]} */
export function quantitiesOf(app) {
  const { statistics, roles } = app.survey;
  return [
    ...statistics.map(({ name, title, unit = "", formula }, at) => ({
      name,
      title: app.called("statistic", name, title),
      unit,
      formula,
      of: (/** @type {Head} */ head) => head.statistics[at] ?? NONE,
    })),
    ...roles.map(({ name, title, formula }, at) => ({
      name: `role.${name}`,
      title: app.say("role.share", { role: app.called("role", name, title) }),
      unit: "share",
      formula,
      of: (/** @type {Head} */ head) => head.roles.find(({ role }) => role === at)?.share ?? NONE,
    })),
    {
      name: "role.unknown",
      title: app.say("role.share", { role: app.called("role", "unknown") }),
      unit: "share",
      formula: "",
      of: (head) => head.unknown,
    },
    {
      name: "layer",
      title: app.called("statistic", "layer"),
      unit: "",
      formula: "",
      of: ({ layer }) => /** @type {Estimate} */ ([layer, layer, layer]),
    },
  ];
}

/** A number of a quantity as it is read. @param {Quantity} quantity @param {number | null} number */
export function written({ unit, name }, number) {
  if (number === null) return "–";
  if (name === "layer") return String(number);
  return unit === "share" ? percent(number) : numberText(number);
}

/** The same with its interval. @param {Quantity} quantity @param {Estimate} estimate */
export function withInterval(quantity, [mean, low, high]) {
  const own = written(quantity, mean);
  if (low === null || high === null || quantity.name === "layer") return own;
  return `${own} (${written(quantity, low)} – ${written(quantity, high)})`;
}

/** The smallest and the largest number of all heads; with their intervals if asked for.
 * @param {Quantity} quantity @param {Head[]} heads @param {boolean} [intervals] @returns {[number, number]}
 */
export function rangeOf(quantity, heads, intervals = false) {
  let [low, high] = [Infinity, -Infinity];
  for (const head of heads) {
    for (const number of intervals ? quantity.of(head) : quantity.of(head).slice(0, 1)) {
      if (number === null) continue;
      low = Math.min(low, number);
      high = Math.max(high, number);
    }
  }
  return low > high ? [0, 1] : [low, high];
}
