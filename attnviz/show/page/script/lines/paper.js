// The two columns and their lines as a standalone picture, on white, for paper.

import { titleOf } from "../app.js";
import { headColour, inkOn } from "../colours.js";
import { s } from "../dom.js";
import { PAPER, paperNotes, paperOf } from "../paper.js";
import { ROLES } from "../state.js";
import { chipName, weightText } from "../writing.js";
import { besides, soloOf, widthOf } from "./places.js";
import { linkPaths, linksOf } from "./wires.js";

/** @import { App } from "../app.js" */
/** @import { Chosen, Drawn, Links } from "./wires.js" */
/** @import { Layout } from "./places.js" */

const MOST_PATHS = 20_000; // lines in a picture
const LETTER = 7.6; // about the width of one, in pixels

/**
 * @param {App} app
 * @param {{heads: Drawn[], layout: Layout, largest: number, only: Chosen, notes: string[]}} drawn
 */
export function linesPaper(app, { heads, layout, largest, only, notes }) {
  const links = linksOf(heads, app.state.threshold, largest, only);
  const solo = soloOf(only);
  const beside = solo ? 70 : 10;
  const [left, right] = ROLES.map((role) => {
    const wide = layout[role].indices.map((index) => widthOf(app.name(role, index)));
    return Math.max(...wide, widthOf(app.say(titleOf(app, role))) * 0.85) * LETTER + beside;
  });
  const wires = Math.min(460, Math.max(220, layout.height * 0.5));
  const top = 10 + 16 * notes.length;
  const boxes = heads.length > 1 ? 30 : 0;
  const width = 2 * PAPER.margin + left + wires + right;
  const height = top + boxes + 26 + layout.height + PAPER.margin;
  const start = PAPER.margin + left;
  const { query, key, row } = layout;
  const heights = { query: query.tops, key: key.tops, row };
  const sides = [start, start + wires];
  return paperOf(width, height, [
    ...paperNotes(notes),
    boxes > 0 && s("g", { transform: `translate(${PAPER.margin} ${top})` }, ...boxesOf(heads)),
    s(
      "g",
      { transform: `translate(0 ${top + boxes + 26})` },
      linkPaths(links, heights, start + 6, wires - 12, MOST_PATHS),
      ...ROLES.map((role, side) => paperColumn(app, layout, role, sides[side], only)),
      ...weightsBeside(app, layout, links, solo, sides),
    ),
  ]);
}

/** @param {Drawn[]} heads */
function boxesOf(heads) {
  return heads.map(({ head }, at) => {
    const fill = headColour(head, false);
    const text = { x: 14, y: 13, "font-size": 11, fill: inkOn(fill), "text-anchor": "middle" };
    return s(
      "g",
      { transform: `translate(${at * 32} 0)` },
      s("rect", { width: 28, height: 18, rx: 3, fill }),
      s("text", text, head < 0 ? chipName(head) : String(head)),
    );
  });
}

/**
 * @param {App} app
 * @param {Layout} layout
 * @param {"query" | "key"} role
 * @param {number} x
 * @param {Chosen} only
 */
function paperColumn(app, layout, role, x, only) {
  const { indices, tops } = layout[role];
  const anchor = { x, "text-anchor": role === "query" ? "end" : "start" };
  const tokens = app.tokens(role);
  const texts = indices.map((index, place) => {
    const { special } = tokens[index];
    const own = only[role] === place && { "font-weight": 700 };
    return s(
      "text",
      { ...anchor, ...own, y: tops[place] + 5, fill: special ? PAPER.muted : PAPER.ink },
      app.name(role, index),
    );
  });
  const title = s("text", { ...anchor, y: -8, "font-size": 12, fill: PAPER.muted }, app.say(titleOf(app, role)));
  return s("g", {}, title, ...texts);
}

/**
 * @param {App} app
 * @param {Layout} layout
 * @param {Links} links
 * @param {ReturnType<typeof soloOf>} solo
 * @param {number[]} sides
 */
function weightsBeside(app, layout, links, solo, sides) {
  if (!solo) return [];
  const other = solo.role === "query" ? "key" : "query";
  const [x, sign, anchor] = other === "key" ? [sides[1], 1, "start"] : [sides[0], -1, "end"];
  const { indices, tops } = layout[other];
  return [...besides(links, other).found].map(([place, [{ head, weight }]]) => {
    const away = widthOf(app.name(other, indices[place])) * LETTER + 10;
    const which = head < 0 || links.heads.length === 1 ? "" : ` ${chipName(head)}`;
    const text = `${head < 0 ? chipName(head) : ""}${weightText(weight)}${which}`;
    const look = { "font-size": 12, fill: PAPER.muted, "text-anchor": anchor };
    return s("text", { x: /** @type {number} */ (x) + Number(sign) * away, y: tops[place] + 5, ...look }, text);
  });
}
