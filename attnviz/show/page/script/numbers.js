// From the bytes in the page to the numbers of a layer: see show/page/packing.py.

import { unpacked } from "./unpacked.js";

/** @import { ArrayData, LayerData, LayerNumbers, Numbers } from "./types.js" */

const MASKED = 0xffff;

/**
 * A layer's numbers.
 *
 * @param {LayerData} layer
 * @param {string} text what the page has of them
 * @returns {Promise<LayerNumbers>}
 */
export async function decoded(layer, text) {
  const bytes = await unpacked(text);
  /** @type {Record<string, Numbers>} */
  const arrays = {};
  for (const [name, array] of Object.entries(layer.arrays)) {
    arrays[name] = { data: numbersOf(bytes, array), shape: array.shape };
  }
  const { scale, softcap, heads } = layer;
  const [kvHeads = heads, , dk = 0] = arrays.k?.shape ?? [];
  return { scale, softcap, heads, kvHeads, dk, dv: arrays.v?.shape[2] ?? 0, ...arrays };
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {ArrayData} array
 */
export function numbersOf(bytes, { shape, form, at, steps }) {
  const count = shape.reduce((product, size) => product * size, 1);
  if (form === "float32") return new Float32Array(bytes.slice(at, at + 4 * count).buffer);
  const numbers = new Float32Array(count);
  const differs = form === "difference"; // from the mean of those before
  const width = shape[shape.length - 1];
  const each = count / shape[0];
  for (let i = 0, from = 0; from < count; from += each) {
    const step = steps[steps.length > 1 ? from / each : 0];
    const sums = new Float64Array(width);
    for (let before = 0; i < from + each; before++) {
      for (let d = 0; d < width; d++, i++) {
        const coded = form === "int8" ? bytes[at + i] : bytes[at + i] + 256 * bytes[at + count + i];
        let whole = coded & 1 ? -(coded + 1) / 2 : coded / 2;
        if (differs && before) whole += Math.floor(sums[d] / before + 0.5);
        sums[d] += whole;
        numbers[i] = form === "int16" && coded === MASKED ? -Infinity : whole * step;
      }
    }
  }
  return numbers;
}
