// From a layer's numbers to a head's matrix: see attnviz/inspection/specification.py.

/**
 * A head's matrix as it is shown.
 *
 * @param {import("./types.js").LayerNumbers} layer
 * @param {number} head
 * @param {import("./types.js").Frame} frame
 * @param {import("./types.js").Sides} sides
 * @returns {import("./types.js").Shown}
 */
export function attention(layer, head, frame, sides) {
  const { q, k } = layer;
  if (!q || !k) throw new Error("this layer has no queries and keys");
  const [, n, d] = q.shape;
  const m = k.shape[1];
  const group = Math.floor((head * layer.kvHeads) / layer.heads);
  const { queries } = sides;
  const keys = sides.keys ?? queries;
  const starts = [queries, keys].map((side) => (frame.unit === "word" ? side.starts : side.pieces.map((_, i) => i)));
  const [rows, columns] = starts.map((of) => of.map((_, i) => i));
  const weights = new Float32Array(rows.length * columns.length);
  const wordOf = new Int32Array(m);
  for (const [word, start] of starts[1].entries()) wordOf.fill(word, start);
  rows.forEach((row) => {
    const [first, end] = [starts[0][row], starts[0][row + 1] ?? n];
    for (let i = first; i < end; i++) {
      const scores = new Float64Array(m);
      for (let j = 0; j < m; j++) {
        let dot = 0;
        for (let c = 0; c < d; c++) {
          dot += q.data[(head * n + i) * d + c] * k.data[(group * m + j) * d + c];
        }
        scores[j] = dot * layer.scale;
      }
      const most = Math.max(...scores);
      const total = scores.reduce((sum, score) => sum + Math.exp(score - most), 0);
      for (let j = 0; j < m; j++) {
        const weight = Math.exp(scores[j] - most) / total / (end - first);
        weights[row * columns.length + wordOf[j]] += weight;
      }
    }
  });
  return { rows, columns, weights, dropped: null, sink: null, allowed: null };
}
