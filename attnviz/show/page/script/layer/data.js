// A layer's steps for one token, as they are said: lengths, sizes, formulas, and the parts of y.

import { headName } from "../writing.js";

/** @import { App } from "../app.js" */
/** @import { StepsData } from "../types.js" */

/**
 * @typedef {{name: string, letter: string, equation: string, sources: string[],
 *   kept: string | null, size: number, sizes: string, length: number, said: string,
 *   group: string}} StepRow
 * `sources`: the letters of the vectors that it is made of; `kept`: of a sum, the one that is added
 * to; `sizes`: after those of its matrix; `group`: the sublayer that it belongs to.
 *
 * @typedef {{name: string, head: number | null, share: number, length: number}} PartRow
 *
 * @typedef {{layer: number, query: string, steps: StepRow[], parts: PartRow[],
 *   shares: Map<number, number>, norms: string}} LayerSteps
 * `parts`: x, attention, its heads, the largest share first, then the others; `shares`: by head.
 */

const STEP_LETTER = /(?<![\p{L}\d_])[a-z]′*(?![\p{L}\d_′])/gu;

/**
 * The steps of one piece; a string says why there are none, "" that others were asked for meanwhile.
 *
 * @param {App} app
 * @param {number} piece
 * @returns {Promise<LayerSteps | string>}
 */
export async function layerSteps(app, piece) {
  const { layer, text } = app.state;
  const told = stepsOf(app, layer) ?? app.say("layer.none");
  if (typeof told === "string") return app.state.lang === "en" ? told : app.say("layer.none");
  const numbers = await app.layer(layer);
  if (app.state.layer !== layer || app.state.text !== text) return "";
  const [lengths, shares, partLengths] = [numbers.layer_lengths, numbers.layer_shares, numbers.layer_part_lengths].map(
    (of) => {
      const width = of?.shape[1] ?? 0;
      return of?.data.subarray(piece * width, (piece + 1) * width) ?? new Float32Array();
    },
  );
  const query = app.side("query").pieces[piece].name;
  const parts = told.parts.map(({ name, head }, n) => ({
    name: partName(app, layer, name, head),
    head,
    share: shares[n],
    length: Math.exp(partLengths[n]),
  }));
  const [x, attention, ...rest] = parts;
  const heads = rest.filter((part) => part.head !== null);
  return {
    layer,
    query,
    steps: stepRows(app, told.names, lengths, query),
    parts: [
      x,
      attention,
      ...[...heads].sort((a, b) => Math.abs(b.share) - Math.abs(a.share)),
      ...rest.filter((part) => part.head === null),
    ],
    shares: new Map(heads.map((part) => [/** @type {number} */ (part.head), part.share])),
    norms: saidNorms(app, told),
  };
}

/** Where a layer has its norms. @param {App} app @param {StepsData} told */
export function saidNorms(app, { norms, parallel }) {
  const said = norms.split(" and ").map((place) => app.say(`layer.norms.${place}`));
  return [...said, ...(parallel ? [app.say("layer.parallel")] : [])].join(" ");
}

/** The steps and parts of a layer, or why there are none; undefined if nobody asked. @param {App} app @param {number} layer */
export function stepsOf({ text }, layer) {
  return text.steps[text.layers[layer]?.steps ?? -1];
}

/** What a part of a layer's output is called. @param {App} app @param {number} layer @param {string} name @param {number | null} head */
export function partName(app, layer, name, head) {
  if (head !== null) return headName(layer, head);
  return name === "x" ? name : groupName(app, name);
}

/** What a sublayer is called. @param {App} app @param {string} name */
export function groupName(app, name) {
  const cross = name === "attention" && app.text.attention === "cross";
  return app.say(`layer.${cross ? "cross_attention" : name}`);
}

/**
 * @param {App} app
 * @param {StepsData["names"]} names
 * @param {Float32Array} lengths their logarithms
 * @param {string} query
 * @returns {StepRow[]}
 */
function stepRows(app, names, lengths, query) {
  const last = names.length - 1;
  let group = "";
  return names.map(({ name, letter, formula, size, kept }, n) => {
    group = groupOf(name) ?? group;
    return {
      name,
      letter,
      equation: name === "x" ? "x" : `${letter} = ${formula}`,
      sources: name === "z" || name === "x" ? [] : (formula.match(STEP_LETTER) ?? []),
      kept,
      size,
      sizes: sizesOf(app, names, n),
      length: Math.exp(lengths[n]),
      said: n === last ? saidLast(app) : saidOf(app, name, query),
      group,
    };
  });
}

/** @param {string} name */
function groupOf(name) {
  if (name === "z") return "attention";
  if (name === "inner") return "feed_forward";
  return ["attention", "feed_forward", "self_attention", "cross_attention"].find((one) => name.startsWith(one));
}

/**
 * @param {App} app
 * @param {string} name
 * @param {string} query
 */
function saidOf(app, name, query) {
  const { layer } = app.state;
  if (name === "x") return app.say(layer ? "layer.x" : "layer.x.first", { query, n: layer - 1 });
  if (name === "z" || name === "attention") return app.say(`layer.said.${name}`);
  if (name.endsWith("_sum")) return app.say("layer.said.sum");
  return app.say(/_(input|normed|norm)$/.test(name) ? "layer.said.norm" : `layer.${groupOf(name)}`);
}

/** @param {App} app */
function saidLast(app) {
  const { layer } = app.state;
  const isLast = layer === app.text.model.num_layers - 1;
  return app.say(isLast ? "layer.y.last" : "layer.y", { n: layer + 1 });
}

/**
 * How many numbers a step has, after the shape of the matrix that makes them.
 *
 * @param {App} app
 * @param {StepsData["names"]} names
 * @param {number} n
 */
function sizesOf(app, names, n) {
  const { name, size } = names[n];
  const heads = app.text.layers[app.state.layer]?.heads ?? 1;
  const before = names[n - 1]?.size;
  if (name === "z") return `${heads} × ${size / heads} = ${size}`;
  const byMatrix = name === "attention" || name === "inner" || names[n - 1]?.name === "inner";
  return byMatrix ? `${before} × ${size} → ${size}` : String(size);
}
