// Links as curves between two columns: which there are, and how they are drawn. No state here.

import { headColour } from "../colours.js";
import { s } from "../dom.js";

/** @import { Shown } from "../types.js" */

const SHADES = 24; // lines of a head with about the same weight are drawn in one stroke
const FEW = 150; // lines that need not be pale to be told apart
const CROWD = 700; // more lines are thinner

/**
 * Links of some heads, the strongest last; `from` and `to` are places in Shown's rows and columns,
 * `place` counts the heads that are drawn.
 *
 * @typedef {{count: number, from: Uint16Array, to: Uint16Array, place: Uint16Array,
 *   shade: Uint8Array, weight: Float32Array, heads: number[]}} Links
 *
 * @typedef {{head: number, shown: Shown}} Drawn
 *
 * @typedef {{query: number | null, key: number | null}} Chosen
 * The row or the column whose links alone are taken.
 *
 * @typedef {{query: Float64Array, key: Float64Array, row: number}} Heights
 * How far below the top each row and each column stands, and how high a row is.
 */

/**
 * The links of `threshold` or more.
 *
 * @param {Drawn[]} heads
 * @param {number} threshold
 * @param {number} largest the weight of the darkest line
 * @param {Chosen} chosen
 * @returns {Links}
 */
export function linksOf(heads, threshold, largest, chosen) {
  const least = Math.max(threshold, 1e-6);
  /** @type {number[][]} */
  const found = [];
  /** @type {number[]} */
  const counts = new Array(SHADES + 1).fill(0);
  heads.forEach(({ shown: { rows, columns, weights } }, place) => {
    const [firstRow, lastRow] = span(chosen.query, rows.length);
    const [firstColumn, lastColumn] = span(chosen.key, columns.length);
    for (let from = firstRow; from < lastRow; from++) {
      const start = from * columns.length;
      for (let to = firstColumn; to < lastColumn; to++) {
        const weight = weights[start + to];
        if (weight < least) continue;
        const shade = Math.round(Math.min(1, weight / largest) * (SHADES - 1));
        counts[shade + 1]++;
        found.push([shade, from, to, place, weight]);
      }
    }
  });
  for (let shade = 0; shade < SHADES; shade++) counts[shade + 1] += counts[shade];
  const links = linksFor(found.length, heads);
  for (const [shade, from, to, place, weight] of found) {
    const at = counts[shade]++;
    links.from[at] = from;
    links.to[at] = to;
    links.place[at] = place;
    links.shade[at] = shade;
    links.weight[at] = weight;
  }
  return links;
}

/**
 * @param {number | null} only
 * @param {number} count
 */
function span(only, count) {
  return only === null ? [0, count] : [only, only + 1];
}

/**
 * @param {number} count
 * @param {Drawn[]} heads
 * @returns {Links}
 */
function linksFor(count, heads) {
  return {
    count,
    from: new Uint16Array(count),
    to: new Uint16Array(count),
    place: new Uint16Array(count),
    shade: new Uint8Array(count),
    weight: new Float32Array(count),
    heads: heads.map(({ head }) => head),
  };
}

/**
 * How a line of a shade looks: a head alone may have thicker lines, few lines need not be pale.
 *
 * @param {number} shade
 * @param {Links} links
 * @param {number} row how high a row is
 */
function lookOf(shade, { heads: { length: heads }, count }, row) {
  const share = shade / (SHADES - 1);
  const palest = count > FEW ? 0.08 : 0.3;
  const thickest = Math.min(heads === 1 ? 5 : 3.5, Math.max(1, row * 0.5));
  const crowd = Math.min(1, Math.max(0.3, Math.sqrt(CROWD / count)));
  return { opacity: palest + (1 - palest) * share, width: 0.6 + thickest * crowd * share };
}

/**
 * Where a link begins and ends; those of heads that join the same tokens run side by side.
 *
 * @param {Links} links
 * @param {number} at
 * @param {Heights} heights
 */
function endsOf({ from, to, place, heads }, at, { query, key, row }) {
  const shift = 0.5 * row * ((place[at] + 0.5) / heads.length - 0.5);
  return [query[from[at]] + shift, key[to[at]] + shift];
}

/**
 * Draw links that cross a stretch of the columns, from one on and at most so many: where to go on.
 *
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {Links} links
 * @param {Heights} heights
 * @param {{top: number, width: number, height: number, dark: boolean}} stretch
 * @param {{at: number, most: number}} some
 */
export function drawLinks(context, links, heights, { top, width, height, dark }, { at, most }) {
  const middle = width / 2;
  const { count, shade, place, heads } = links;
  for (let left = most; at < count && left > 0; ) {
    const [own, head] = [shade[at], place[at]];
    const { opacity, width: thick } = lookOf(own, links, heights.row);
    context.globalAlpha = opacity;
    context.lineWidth = thick;
    context.strokeStyle = headColour(heads[head], dark);
    context.beginPath();
    for (; at < count && left > 0 && shade[at] === own && place[at] === head; at++) {
      const [start, end] = endsOf(links, at, heights);
      const [from, to] = [start - top, end - top];
      if ((from < -6 && to < -6) || (from > height + 6 && to > height + 6)) continue;
      context.moveTo(0, from);
      context.bezierCurveTo(middle, from, middle, to, width, to);
      left--;
    }
    context.stroke();
  }
  return at;
}

/**
 * The links as paths of SVG, of at most `most` links the strongest.
 *
 * @param {Links} links
 * @param {Heights} heights
 * @param {number} left
 * @param {number} width
 * @param {number} most
 */
export function linkPaths(links, heights, left, width, most) {
  const paths = [];
  const middle = left + width / 2;
  for (let at = Math.max(0, links.count - most); at < links.count; at++) {
    const [start, end] = endsOf(links, at, heights).map((height) => height.toFixed(1));
    const { opacity, width: thick } = lookOf(links.shade[at], links, heights.row);
    paths.push(
      s("path", {
        d: `M${left} ${start}C${middle} ${start} ${middle} ${end} ${left + width} ${end}`,
        stroke: headColour(links.heads[links.place[at]], false),
        "stroke-width": thick.toFixed(2),
        "stroke-opacity": opacity.toFixed(2),
      }),
    );
  }
  return s("g", { fill: "none" }, ...paths);
}
