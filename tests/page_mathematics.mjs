// What the page's scripts make of records: reads requests as JSON and writes their results; see page_fixture.py.
//
//   node tests/page_mathematics.mjs requests.json > results.json

import { readFileSync } from "node:fs";
import { Duplex } from "node:stream";
import { createInflateRaw } from "node:zlib";

const SCRIPTS = "../attnviz/show/page/script";
const { findHead, ranked } = await import(`${SCRIPTS}/find/finding.js`);
const { attention, explain, softmaxOf } = await import(`${SCRIPTS}/mathematics.js`);
const { decoded } = await import(`${SCRIPTS}/numbers.js`);

// Node.js before 20.12 does not know "deflate-raw"
globalThis.DecompressionStream = function () {
  return Duplex.toWeb(createInflateRaw());
};

/** @param {ArrayLike<number> | null | undefined} numbers */
function coded(numbers) {
  return numbers && `f4:${Buffer.from(Float32Array.from(numbers).buffer).toString("base64")}`;
}

function shownOf(layer, frame, sides) {
  return [...Array(layer.heads).keys()].map((head) => attention(layer, head, frame, sides));
}

function caseOf(layer, frame, sides) {
  const heads = shownOf(layer, frame, sides);
  return {
    rows: heads[0].rows,
    columns: heads[0].columns,
    allowed: heads[0].allowed && [...heads[0].allowed].join(""),
    heads: heads.map((shown) => ({
      weights: coded(shown.weights),
      dropped: coded(shown.dropped),
      sink: coded(shown.sink),
    })),
  };
}

function stepsOf(layer, { head, query }) {
  const found = explain(layer, head, query);
  if (!found) return null;
  const again = softmaxOf(found.scores, found.others);
  if (again.some((weight, key) => Math.abs(weight - found.weights[key]) > 1e-6)) {
    throw new Error("softmaxOf and explain differ");
  }
  const { dots, capped, bias, scores, weights, z, sink, outside } = found;
  const rows = Object.entries({ dots, capped, bias, scores, weights, z });
  return { ...Object.fromEntries(rows.map(([name, row]) => [name, coded(row)])), sink, outside };
}

function findingsOf(layer, { frame, query, key, by }, sides) {
  const unit = frame.unit === "word" ? "words" : "pieces";
  const [queries, keys] = [sides.queries[unit], (sides.keys ?? sides.queries)[unit]];
  const link = { row: query, column: key, cross: sides.keys !== null };
  const heads = shownOf(layer, frame, sides).map((shown, head) =>
    findHead({ layer: 0, head }, shown, queries, keys, link),
  );
  return ranked(heads, by).map(({ head, rank, argmax, weight, excess, dropped, distance, key: same }) => [
    ...[head, rank, argmax, weight, excess, dropped],
    ...[distance?.mean ?? null, distance?.of ?? null, same?.mean ?? null, same?.of ?? null],
  ]);
}

const results = [];
for (const { layer, text, sides, frames, explained, found } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  const numbers = await decoded(layer, text);
  results.push({
    shown: frames.map((frame) => caseOf(numbers, frame, sides)),
    explained: explained.map((asked) => stepsOf(numbers, asked)),
    found: found.map((asked) => findingsOf(numbers, asked, sides)),
  });
}
process.stdout.write(JSON.stringify(results));
