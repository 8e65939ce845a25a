// What the lines say in words and numbers.

import { LOST } from "../colours.js";
import { apart, chipName, weightText } from "../writing.js";

/** @import { App } from "../app.js" */
/** @import { Layout } from "./places.js" */
/** @import { Drawn, Links } from "./wires.js" */
/** @import { Role, Table } from "../types.js" */

const TOKENS_NAMED = 4; // tokens that a sentence names

/** @typedef {{heads: Drawn[], layout: Layout, links: Links, largest: number}} Said */

/**
 * What a token looks at, or who looks at it.
 *
 * @param {App} app
 * @param {Said} lines
 * @param {{role: Role, place: number}} solo
 * @param {Map<number, {head: number, weight: number}[]>} found the heads and weights of the others
 */
export function toldOf(app, { heads, layout }, { role, place }, found) {
  const other = role === "query" ? "key" : "query";
  /** @param {Role} one @param {number} at */
  const name = (one, at) => apart(app.name(one, layout[one].indices[at]));
  const most = [...found].map(([at, [first]]) => ({ at, ...first }));
  most.sort((one, two) => two.weight - one.weight);
  const told = most.slice(0, TOKENS_NAMED).map(({ at, head, weight }) => {
    if (head < 0) return `${name(other, at)} ${chipName(head)}${weightText(weight)}`;
    const which = heads.length > 1 ? ` (${chipName(head)})` : "";
    return `${name(other, at)} ${weightText(weight)}${which}`;
  });
  const others = told.join(", ") || app.say("lines.nothing");
  const key = role === "query" ? "lines.looks" : "lines.looked";
  const sentence = app.say(key, { [role]: name(role, place), queries: others, keys: others });
  const shares = role === "query" ? sharesOf(app, heads, place) : [];
  return [sentence, ...shares].join(" · ");
}

/**
 * What holds for all lines: how many, how dark, and what they leave out.
 *
 * @param {App} app
 * @param {Said} lines
 */
export function notesOf(app, { heads, links, largest }) {
  if (!heads.length) return [app.say("lines.off")];
  const told = [
    app.say("lines.count", { count: links.count.toLocaleString("en") }),
    app.say("threshold.note", { value: weightText(app.state.threshold) }),
    app.say("lines.darkest", { value: weightText(largest) }),
  ];
  if (heads.some(({ shown }) => shown.allowed)) told.push(app.say(app.other === null ? "lines.hatched" : "missing"));
  if (app.other !== null) told.push(`+ ${app.say("gained")}`, `− ${app.say("lost")}`);
  return [...told, ...sharesOf(app, heads, null)];
}

/**
 * What special tokens that are left out hold, and what a sink takes: of a row, or of all on average.
 *
 * @param {App} app
 * @param {Drawn[]} heads
 * @param {number | null} row
 */
function sharesOf(app, heads, row) {
  /** @param {"dropped" | "sink"} name */
  const share = (name) => {
    const means = heads.flatMap(({ shown }) => {
      const shares = shown[name];
      if (!shares) return [];
      if (row !== null) return [shares[row]];
      return [shares.reduce((sum, one) => sum + one, 0) / shares.length];
    });
    if (!means.length) return null;
    return `${Math.round((100 * means.reduce((sum, one) => sum + one, 0)) / means.length)}%`;
  };
  const [dropped, sink] = [share("dropped"), share("sink")];
  return [
    ...(dropped ? [app.say(row === null ? "dropped.all" : "dropped", { share: dropped })] : []),
    ...(sink ? [app.say("sink.note", { share: sink })] : []),
  ];
}

/**
 * The links that are drawn, the strongest first.
 *
 * @param {App} app
 * @param {Said} lines
 * @returns {Table}
 */
export function linksTable(app, { layout, links }) {
  const last = app.other === null ? "weight" : "change";
  const columns = ["layer", "head", "query_index", "query", "key_index", "key", last];
  const order = [...Array(links.count).keys()];
  order.sort((one, two) => links.weight[two] - links.weight[one]);
  const rows = order.map((at) => {
    const query = layout.query.indices[links.from[at]];
    const key = layout.key.indices[links.to[at]];
    const head = links.heads[links.place[at]];
    const names = [query, app.name("query", query), key, app.name("key", key)];
    const signed = head === LOST ? -links.weight[at] : links.weight[at];
    return [app.state.layer, head < 0 ? app.state.head : head, ...names, signed];
  });
  return { columns, rows };
}
