// Pictures for paper: standalone SVG on white, whose letters are in a font that all have.

import { s, svgText } from "./dom.js";

/** @import { App } from "./app.js" */

export const PAPER = { ink: "#1b1b1f", muted: "#63636c", line: "#dedbd5", margin: 16 };
const LONGEST = 110; // letters of a sentence above a picture

/**
 * A picture as the text of a file, its size in pixels.
 *
 * @param {number} width
 * @param {number} height
 * @param {(Node | false)[]} children
 */
export function paperOf(width, height, children) {
  const [wide, tall] = [Math.ceil(width), Math.ceil(height)];
  const picture = s(
    "svg",
    {
      xmlns: "http://www.w3.org/2000/svg",
      width: wide,
      height: tall,
      viewBox: `0 0 ${wide} ${tall}`,
      "font-family": "sans-serif",
      "font-size": 14,
      fill: PAPER.ink,
    },
    s("rect", { width: wide, height: tall, fill: "#ffffff" }),
    ...children,
  );
  return svgText(picture);
}

/**
 * What is above a picture: the model and what of it is shown, the text, and what must be known.
 *
 * @param {App} app
 * @param {string} which the heads, in words
 * @param {string[]} notes
 */
export function paperHeading(app, which, notes) {
  const { model, name, queries } = app.text;
  const x = PAPER.margin;
  const title = [model.name, !model.trained && "UNTRAINED", which].filter(Boolean).join(" · ");
  const whole = [name, queries.pair].filter(Boolean).join(" · ");
  const text = whole.length > LONGEST ? `${whole.slice(0, LONGEST - 1)}…` : whole;
  return [
    s("text", { x, y: 30, "font-size": 17, "font-weight": 700 }, title),
    s("text", { x, y: 52 }, text),
    ...notes.map((note, at) => s("text", { x, y: 74 + 16 * at, "font-size": 12, fill: PAPER.muted }, note)),
  ];
}
