// How numbers, heads and words are written.

import { GAINED } from "./colours.js";

/**
 * A weight as tables write it: `.68`, `1.0`; with more digits, `0.677`.
 *
 * @param {number} weight
 * @param {number} [digits]
 */
export function weightText(weight, digits = 2) {
  const text = weight.toFixed(digits);
  return digits === 2 ? text.replace(/^0\./, ".") : text;
}

/**
 * A head's name, as in `L3H1`.
 *
 * @param {number} layer
 * @param {number} head
 */
export function headName(layer, head) {
  return `L${layer}H${head}`;
}

/**
 * A head in few letters, or the sign of a change.
 *
 * @param {number} head
 */
export function chipName(head) {
  return head < 0 ? (head === GAINED ? "+" : "−") : `H${head}`;
}

/**
 * A number of any size in a few digits.
 *
 * @param {number} number
 */
export function numberText(number) {
  if (!Number.isFinite(number)) return number > 0 ? "∞" : number < 0 ? "−∞" : "–";
  const size = Math.abs(number);
  const text = size >= 100 ? number.toFixed(0) : size >= 10 ? number.toFixed(1) : number.toFixed(2);
  return text.replace(/^-/, "−");
}

/** A share in percent. @param {number} share */
export function percent(share) {
  const text = (100 * share).toFixed(1);
  return `${text === "-0.0" ? "0.0" : text.replace("-", "−")}%`;
}

/** A word in a sentence of another direction. @param {string} word */
export function apart(word) {
  return `\u2068${word}\u2069`;
}

/** A change with its sign. @param {number} number @param {number} [digits] */
export function signedText(number, digits = 2) {
  const text = weightText(Math.abs(number), digits);
  return Number(number.toFixed(digits)) === 0 ? text : `${number < 0 ? "−" : "+"}${text}`;
}

/**
 * A text with its places filled in: `{count}`, and `{count head|heads}`, where the number decides which follows it.
 *
 * @param {string} text @param {Record<string, string | number>} values
 */
export function filledIn(text, values) {
  return text.replace(/\{(\w+)(?: ([^|}]*)\|([^}]*))?\}/g, (place, name, one, many) => {
    const value = String(values[name] ?? place);
    return one === undefined ? value : `${value} ${value === "1" ? one : many}`;
  });
}
