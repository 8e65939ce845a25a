// Which heads are alike: the tree of their distances, and the clusters in it.

import { fill, h, s } from "../dom.js";
import { headName, numberText } from "../writing.js";
import { chosenAmong } from "./chosen.js";
import { mixtureBar, mixtureText, roleLegend } from "./mixture.js";

/** @import { Atlas } from "./app.js" */
/** @import { Head, Table, Tree, View } from "./types.js" */

/** `y`: where the leaves are, by their heads' places; `joins`: height and the ends of each.
 * @typedef {{order: number[], y: Map<number, number>, most: number,
 *   joins: {height: number, from: [number, number], to: [number, number]}[]}} Layout
 */

const ROW = 24; // as high as what is tapped must be
const BAR = 96;
const LABEL = 52;
const TOP = 26;

/** @param {Atlas} app @returns {View} */
export function treeView(app) {
  const legend = h("div");
  const readout = h("p", { class: "readout", "aria-hidden": "true" });
  const board = h("div", { class: "tree" });
  const note = h("p", { class: "note" });
  const host = h("div", { class: "stack" }, legend, note, readout, board);
  let drawn = "";
  /** @type {Map<number, HTMLElement>} */
  let leaves = new Map();
  const update = () => {
    const { distances } = app.survey;
    const { role, least, lang } = app.state;
    const look = JSON.stringify([role, least, lang, app.dark, board.clientWidth]);
    if (look !== drawn) {
      fill(legend, roleLegend(app));
      note.textContent = distances
        ? app.say("tree.note", { rows: distances.rows.toLocaleString(lang) })
        : app.say("tree.none");
      if (distances && board.clientWidth > 0) leaves = drawTree(app, distances, board, readout);
      drawn = look;
    }
    chosenAmong(leaves, app.chosen);
    readout.textContent = distances ? leafText(app, app.survey.heads[app.chosen]) : "";
  };
  new ResizeObserver(() => host.isConnected && update()).observe(board);
  return { host, update, table: () => clustersTable(app) };
}

/** @param {Atlas} app @param {Head} head */
function leafText(app, head) {
  const cluster = clusterOf(app, app.survey.heads.indexOf(head));
  const told = cluster < 0 ? "" : `${app.say("tree.cluster", { number: cluster + 1 })} · `;
  return `${headName(head.layer, head.head)}: ${told}${mixtureText(app, head)}`;
}

/** The number of a head's cluster among those of several heads; -1 if it is alone. @param {Atlas} app @param {number} place */
export function clusterOf(app, place) {
  return (app.survey.distances?.clusters ?? []).findIndex((own) => own.length > 1 && own.includes(place));
}

/** Where leaves and joins are. @param {Tree} distances @param {number} count @returns {Layout} */
function layoutOf({ tree }, count) {
  const most = Math.max(1e-9, ...tree.map(([, , height]) => height));
  /** @type {number[]} */
  const order = [];
  const stack = [count + tree.length - 1];
  while (stack.length > 0) {
    const node = /** @type {number} */ (stack.pop());
    const join = tree[node - count];
    if (join) stack.push(join[1], join[0]);
    else order.push(node);
  }
  const y = new Map(order.map((place, at) => [place, TOP + (at + 0.5) * ROW]));
  /** @type {Map<number, [number, number]>} height and y of each node */
  const at = new Map([...y].map(([place, own]) => [place, [0, own]]));
  const joins = tree.map(([a, b, height], step) => {
    const from = /** @type {[number, number]} */ (at.get(a));
    const to = /** @type {[number, number]} */ (at.get(b));
    at.set(count + step, [height, (from[1] + to[1]) / 2]);
    return { height, from, to };
  });
  return { order, y, most, joins };
}

/**
 * The tree at the left, its leaves with their bars at the right.
 *
 * @param {Atlas} app @param {Tree} distances @param {HTMLElement} board @param {HTMLElement} readout
 */
function drawTree(app, distances, board, readout) {
  const { heads } = app.survey;
  const { order, y, most, joins } = layoutOf(distances, heads.length);
  const width = Math.max(140, board.clientWidth - BAR - LABEL - 12);
  const height = TOP + order.length * ROW + 4;
  const x = (/** @type {number} */ far) => 6 + (1 - far / most) * (width - 10);
  const path = joins.map(
    ({ height: far, from, to }) =>
      `M${x(from[0]).toFixed(1)} ${from[1]}H${x(far).toFixed(1)}V${to[1]}H${x(to[0]).toFixed(1)}`,
  );
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => share * most);
  const label = app.say("tree.label", { count: order.length });
  const picture = s(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    ...clusterBands(app, y, width),
    ...ticks.flatMap((far) => [
      s("line", { x1: x(far), x2: x(far), y1: TOP - 6, y2: height, class: "rule" }),
      s(
        "text",
        { x: x(far), y: 12, "text-anchor": far === 0 ? "end" : far === most ? "start" : "middle" },
        numberText(far),
      ),
    ]),
    s("line", { x1: x(distances.cut), x2: x(distances.cut), y1: TOP - 6, y2: height, class: "cut" }),
    s("path", { d: path.join(""), class: "joins" }),
  );
  const leaves = new Map(order.map((place) => [place, leafOf(app, place, readout)]));
  const list = h("ol", { class: "leaves", "aria-label": app.say("tree.leaves") });
  for (const leaf of leaves.values()) list.append(h("li", {}, leaf));
  fill(board, picture, list);
  return leaves;
}

/** Grounds for the clusters of several heads. @param {Atlas} app @param {Map<number, number>} y @param {number} width */
function clusterBands(app, y, width) {
  const several = (app.survey.distances?.clusters ?? []).filter((own) => own.length > 1);
  return several.map((own) => {
    const ys = own.map((place) => y.get(place) ?? 0);
    const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
    return s("rect", { x: 0, y: top - ROW / 2 + 1, width, height: bottom - top + ROW - 2, class: "cluster" });
  });
}

/** @param {Atlas} app @param {number} place @param {HTMLElement} readout */
function leafOf(app, place, readout) {
  const head = app.survey.heads[place];
  const text = leafText(app, head);
  return h(
    "button",
    {
      type: "button",
      class: app.meant(head) ? "leaf" : "leaf dim",
      "aria-label": text,
      onclick: () => app.set({ layer: head.layer, head: head.head }),
      onpointerenter: () => {
        readout.textContent = text;
      },
    },
    h("span", {}, headName(head.layer, head.head)),
    mixtureBar(app, head),
  );
}

/** Each head and its cluster, in the order of the tree. @param {Atlas} app @returns {Table} */
function clustersTable(app) {
  const { distances, heads } = app.survey;
  const columns = ["layer", "head", "cluster", "nearest", "distance"];
  if (!distances) return { columns, rows: [] };
  const { order } = layoutOf(distances, heads.length);
  const rows = order.map((place) => {
    const { layer, head, alike } = heads[place];
    const [near, far] = alike[0] ?? [place, 0];
    const cluster = clusterOf(app, place);
    return [layer, head, cluster < 0 ? "" : cluster + 1, headName(heads[near].layer, heads[near].head), far];
  });
  return { columns, rows };
}
