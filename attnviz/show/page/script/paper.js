// Pictures for paper: standalone SVG on white, whose letters are in a font that all have.

import { s, svgText } from "./dom.js";
import { FACE } from "./head/layout.js";

export const PAPER = { ink: "#1b1b1f", muted: "#63636c", line: "#dedbd5", margin: 16 };

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
      "font-family": FACE,
      "font-size": 14,
      fill: PAPER.ink,
    },
    s("rect", { width: wide, height: tall, fill: "#ffffff" }),
    ...children,
  );
  return svgText(picture);
}

/** What must be known of a picture, above it; Save writes its title. @param {string[]} notes */
export function paperNotes(notes) {
  const look = { x: PAPER.margin, "font-size": 12, fill: PAPER.muted };
  return notes.map((note, at) => s("text", { ...look, y: 14 + 16 * at }, note));
}
