// The two columns and their lines as a standalone picture, on white, for paper.

import { headColour, inkOn } from "./colours.js";
import { s, svgText } from "./dom.js";
import { besides, soloOf, widthOf } from "./linesplaces.js";
import { weightText } from "./tokens.js";
import { linkPaths, linksOf } from "./wires.js";

/** @import { App } from "./app.js" */
/** @import { Chosen, Drawn } from "./wires.js" */
/** @import { Layout } from "./linesplaces.js" */

const INK = "#1b1b1f";
const MUTED = "#63636c";
const MOST = 20_000; // lines in a picture
const MARGIN = 16;
const LETTER = 7.6; // about the width of one, in pixels
const ROLES = /** @type {const} */ (["query", "key"]);

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
    return Math.max(...wide, widthOf(headOf(app, role)) * 0.85) * LETTER + beside;
  });
  const wires = Math.min(460, Math.max(220, layout.height * 0.5));
  const top = MARGIN + 62 + 16 * notes.length;
  const boxes = heads.length > 1 ? 30 : 0;
  const width = 2 * MARGIN + left + wires + right;
  const height = top + boxes + 26 + layout.height + MARGIN;
  const start = MARGIN + left;
  const { query, key, row } = layout;
  const heights = { query: query.tops, key: key.tops, row };
  return svgText(
    s(
      "svg",
      {
        xmlns: "http://www.w3.org/2000/svg",
        width: Math.ceil(width),
        height: Math.ceil(height),
        viewBox: `0 0 ${Math.ceil(width)} ${Math.ceil(height)}`,
        "font-family": "sans-serif",
        "font-size": 14,
        fill: INK,
      },
      s("rect", { width: "100%", height: "100%", fill: "#ffffff" }),
      ...heading(app, heads, notes),
      boxes > 0 && s("g", { transform: `translate(${MARGIN} ${top})` }, ...legend(heads)),
      s(
        "g",
        { transform: `translate(0 ${top + boxes + 26})` },
        linkPaths(links, heights, start + 6, wires - 12, MOST),
        ...ROLES.map((role) => column(app, layout, role, role === "query" ? start : start + wires, only)),
        ...weightsBeside(app, layout, links, solo, [start, start + wires]),
      ),
    ),
  );
}

/** @param {App} app @param {"query" | "key"} role */
function headOf(app, role) {
  return app.say(app.text.attention === "cross" ? `lines.cross.${role}` : role);
}

/** Model and heads, the text, and what must be known. @param {App} app @param {Drawn[]} heads @param {string[]} notes */
function heading(app, heads, notes) {
  const { model, name } = app.text;
  const { layer } = app.state;
  const which = heads.length === 1 ? `L${layer}H${heads[0].head}` : `${app.say("layer")} ${layer}`;
  const title = `${model.name}${model.trained ? "" : " · UNTRAINED"} · ${which}`;
  return [
    s("text", { x: MARGIN, y: MARGIN + 14, "font-size": 17, "font-weight": 700 }, title),
    s("text", { x: MARGIN, y: MARGIN + 36 }, name.length > 110 ? `${name.slice(0, 109)}…` : name),
    ...notes.map((note, at) =>
      s("text", { x: MARGIN, y: MARGIN + 58 + 16 * at, "font-size": 12, fill: MUTED }, note),
    ),
  ];
}

/** @param {Drawn[]} heads */
function legend(heads) {
  return heads.map(({ head }, at) => {
    const fill = headColour(head, false);
    const text = { x: 14, y: 13, "font-size": 11, fill: inkOn(fill), "text-anchor": "middle" };
    return s(
      "g",
      { transform: `translate(${at * 32} 0)` },
      s("rect", { width: 28, height: 18, rx: 3, fill }),
      s("text", text, String(head)),
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
function column(app, layout, role, x, only) {
  const { indices, tops } = layout[role];
  const anchor = { x, "text-anchor": role === "query" ? "end" : "start" };
  const tokens = app.tokens(role);
  const texts = indices.map((index, place) => {
    const { name, special } = tokens[index];
    const own = only[role] === place && { "font-weight": 700 };
    return s("text", { ...anchor, ...own, y: tops[place] + 5, fill: special ? MUTED : INK }, name);
  });
  const title = s("text", { ...anchor, y: -8, "font-size": 12, fill: MUTED }, headOf(app, role));
  return s("g", {}, title, ...texts);
}

/**
 * @param {App} app
 * @param {Layout} layout
 * @param {import("./wires.js").Links} links
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
    const text = `${weightText(weight)}${links.heads.length > 1 ? ` H${head}` : ""}`;
    const look = { "font-size": 12, fill: MUTED, "text-anchor": anchor };
    return s("text", { x: /** @type {number} */ (x) + Number(sign) * away, y: tops[place] + 5, ...look }, text);
  });
}
