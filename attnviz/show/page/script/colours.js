// Colours for numbers: weights, differences and heads, in light and dark. No document here.

/**
 * A scale of colours: `table` has 256 pixels as ImageData keeps them (little-endian RGBA), `stops` the same as text;
 * `ground` and `hatch` draw a cell that has no number, as a query may not look there.
 * @typedef {{table: Uint32Array, stops: string[], ground: string, hatch: string, dark: boolean, signed: boolean}} Palette
 */

/* `weight_colors` and `signed_colors` of the pictures, in even steps; on dark the same hues upwards from the ground */
const SCALES = {
  heat: "#fdfdfd #fcd8a8 #faa868 #ee7551 #d2495d #a72f6c #71246c #3d1c57 #141030",
  heatDark: "#1e1e24 #3b2150 #6a2a70 #9c3673 #cc4a68 #ee7551 #faa868 #fcd8a8 #fffaf0",
  signed: "#0a3f86 #2a70b6 #66a1d8 #aacfef #fafafa #f1caa5 #e59658 #c9652a #9a3b1b",
  signedDark: "#bfe0ff #74b2ee #3c7fc4 #27507f #1e1e24 #6d4020 #b3642a #ee9a52 #ffd9b0",
};

// Okabe and Ito's six, then those furthest from all others to every kind of eye: on paper, and on dark
const EYES = "#0072b2 #d55e00 #009e73 #cc79a7 #e69f00 #56b4e9";
const HEADS = {
  light: `${EYES} #700000 #001ca8 #70541c #a83870 #7000e0 #541c70`.split(" "),
  dark: `${EYES} #e0ffe0 #70ff54 #8c00ff #8c5470 #ffc4ff #a870ff`.split(" "),
};

/** @type {Map<string, Palette>} */
const palettes = new Map();

/** @param {string} hex @returns {number[]} red, green, blue, 0 to 255 */
export function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

/** @param {number[]} parts @returns {string} */
function hexOf(parts) {
  return `#${parts.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
}

/** A colour so far, from 0 to 1, on the way to another. @param {string} from @param {string} to @param {number} share */
export function mixed(from, to, share) {
  const end = rgb(to);
  return hexOf(rgb(from).map((part, at) => part + (end[at] - part) * share));
}

/**
 * The colours of weights (`heat`), or of differences around 0 (`signed`).
 * @param {"heat" | "signed"} kind @param {boolean} dark @returns {Palette}
 */
export function palette(kind, dark) {
  const name = dark ? /** @type {"heatDark" | "signedDark"} */ (`${kind}Dark`) : kind;
  let found = palettes.get(name);
  if (!found) {
    const colours = SCALES[name].split(" ");
    const stops = Array.from({ length: 256 }, (_, at) => {
      const place = (at / 255) * (colours.length - 1);
      const before = Math.min(Math.floor(place), colours.length - 2);
      return mixed(colours[before], colours[before + 1], place - before);
    });
    const table = Uint32Array.from(stops, (hex) => {
      const [red, green, blue] = rgb(hex);
      return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
    });
    const [ground, hatch] = dark ? ["#2a2a31", "#44444e"] : ["#ededf0", "#d3d3da"];
    found = { table, stops, ground, hatch, dark, signed: kind === "signed" };
    palettes.set(name, found);
  }
  return found;
}

/** The place of a number on a scale: 0 to 255. @param {number} value @param {number} low @param {number} high */
export function placeOf(value, low, high) {
  return Math.max(0, Math.min(255, Math.round((255 * (value - low)) / (high - low || 1))));
}

/** @param {Palette} colours @param {number} value @param {number} low @param {number} high @returns {string} */
export function colourOf(colours, value, low, high) {
  return colours.stops[placeOf(value, low, high)];
}

/** Black or white, whichever is read better on a colour: at least 4.5 to 1. @param {string} hex @returns {string} */
export function inkOn(hex) {
  const [red, green, blue] = rgb(hex).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff";
}

/**
 * A head's colour: 12 are told apart by any eye; the next are darker, then paler ones, whose numbers must be read.
 *
 * @param {number} head @param {boolean} dark @returns {string}
 */
export function headColour(head, dark) {
  if (head < 0) return signColour(head, dark);
  const own = HEADS[dark ? "dark" : "light"];
  const colour = own[head % own.length];
  const round = Math.floor(head / own.length) % 3;
  return round === 0 ? colour : mixed(colour, (round === 1) === dark ? "#ffffff" : "#000000", 0.4);
}

/**
 * The ends of the scale: fixed (0 to 1, or -1 to 1), or from the numbers themselves.
 * @param {"fixed" | "own"} scale @param {boolean} signed @param {Iterable<ArrayLike<number>>} every
 * @returns {[number, number]}
 */
export function limitsOf(scale, signed, every) {
  let high = scale === "fixed" ? 1 : 0;
  if (scale !== "fixed") {
    for (const values of every) {
      for (let at = 0; at < values.length; at++) {
        const size = Math.abs(values[at]);
        if (size > high && size < Infinity) high = size;
      }
    }
  }
  return [signed ? -(high || 1) : 0, high || 1];
}

/** What stand for heads where lines say what became more, and less. */
export const GAINED = -1;
export const LOST = -2;

/** @param {number} sign GAINED or LOST @param {boolean} dark */
export function signColour(sign, dark) {
  return palette("signed", dark).stops[sign === GAINED ? 215 : 40];
}
