// From the bytes in the page to the numbers of a layer: see show/page/packing.py.

const MASKED = 0xffff;

/**
 * A layer's numbers.
 *
 * @param {import("./types.js").LayerData} layer
 * @param {string} text what the page has of them
 * @returns {Promise<import("./types.js").LayerNumbers>}
 */
export async function decoded(layer, text) {
  const bytes = await inflated(bytesOf(text));
  /** @type {Record<string, import("./types.js").Numbers>} */
  const arrays = {};
  for (const [name, array] of Object.entries(layer.arrays)) {
    arrays[name] = { data: numbersOf(bytes, array), shape: array.shape };
  }
  const { scale, softcap, heads } = layer;
  const [kvHeads = heads, , dk = 0] = arrays.k?.shape ?? [];
  return { scale, softcap, heads, kvHeads, dk, dv: arrays.v?.shape[2] ?? 0, ...arrays };
}

/**
 * The text of an element, once the browser has read it: the page is drawn before it has read all.
 *
 * @param {string} id
 */
export async function textOf(id) {
  if (document.readyState === "loading" && !document.getElementById(id)?.nextElementSibling)
    await new Promise((done) => addEventListener("DOMContentLoaded", done, { once: true }));
  return document.getElementById(id)?.textContent ?? "";
}

/**
 * The bytes of which each letter has seven bits.
 *
 * @param {string} text
 */
function bytesOf(text) {
  const bytes = new Uint8Array((text.length * 7) >> 3);
  for (let i = 0, at = 0, bits = 0, held = 0; i < text.length; i++) {
    held = (held << 7) | (text.charCodeAt(i) & 127);
    bits += 7;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = held >> bits;
    held &= (1 << bits) - 1;
  }
  return bytes;
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {import("./types.js").ArrayData} array
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
