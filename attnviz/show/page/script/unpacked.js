// What was deflated, and written in letters of seven bits each: see show/page/packing.py.

/**
 * The bytes that a text stands for.
 *
 * @param {string} text
 */
export async function unpacked(text) {
  const bytes = new Uint8Array((text.length * 7) >> 3);
  for (let i = 0, at = 0, bits = 0, held = 0; i < text.length; i++) {
    held = (held << 7) | (text.charCodeAt(i) & 127);
    bits += 7;
    if (bits < 8) continue;
    bits -= 8;
    bytes[at++] = held >> bits;
    held &= (1 << bits) - 1;
  }
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
