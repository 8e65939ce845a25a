// One query in one head, and what would be if some scores were others.

import { explain, softmaxOf } from "../mathematics.js";
import { cappedOf, partOf } from "../scores.js";
import { numberText } from "../writing.js";

/** @import { LayerNumbers } from "../types.js" */

/** A product or a score, with two digits after the point. @param {number} number */
export function exactText(number) {
  return Number.isFinite(number) ? number.toFixed(2).replace("-", "−") : numberText(number);
}

/** What products are multiplied by, in three digits. @param {number} factor */
export const factorText = (factor) => String(Number(factor.toPrecision(3)));

/** Whether scores are products over the root of d_k. @param {LayerNumbers} layer */
export const isRoot = ({ scale, dk }) => Math.abs(scale * Math.sqrt(dk) - 1) < 1e-4;

export class WhatIf {
  /** @param {LayerNumbers} layer @param {number} head @param {number} query a piece */
  constructor(layer, head, query) {
    this.layer = layer;
    /** The model's own steps; null where it gives its weights alone. */
    this.own = explain(layer, head, query);
    /** Keys whose score was changed by hand. @type {Set<number>} */
    this.changed = new Set();
    const given = layer.recorded_weights;
    this.weights = this.own?.weights ?? new Float64Array(given ? partOf(given, head) : []);
    if (!this.own && given) this.weights = this.weights.slice(query * given.shape[2], (query + 1) * given.shape[2]);
    this.dots = new Float64Array();
    this.scores = new Float64Array();
    /** @type {Float64Array | null} */
    this.z = null;
    /** Weight × v, key by key. @type {Float64Array | null} */
    this.brought = null;
    this.sink = 0;
    this.outside = 0;
    const { weights } = this;
    /** The keys, those of most weight in the model first. */
    this.largestFirst = [...weights.keys()].sort((a, b) => weights[b] - weights[a]);
    this.reset();
  }

  /** Back to the model's numbers. */
  reset() {
    this.changed.clear();
    if (!this.own) return;
    this.dots = this.own.dots.slice();
    this.scores = this.own.scores.slice();
    this.follow();
  }

  /** @param {number} key @param {number} score */
  setScore(key, score) {
    this.scores[key] = score;
    this.changed.add(key);
    this.follow();
  }

  /** What a key's similarity makes of its score. @param {number} key @param {number} dot */
  setDot(key, dot) {
    const { scale, softcap } = this.layer;
    this.dots[key] = dot;
    this.setScore(key, cappedOf(scale * dot, softcap) + (this.own?.bias?.[key] ?? 0));
  }

  /** Whether the query may look at a key. @param {number} key */
  sees(key) {
    return !this.own || this.own.scores[key] > Number.NEGATIVE_INFINITY;
  }

  /** Compute what follows from the scores. */
  follow() {
    const { own } = this;
    if (!own) return;
    this.weights = this.changed.size ? softmaxOf(this.scores, own.others) : own.weights;
    const all = own.outside + (own.sink?.weight ?? 0);
    const rest = this.weights.reduce((left, weight) => left - weight, 1);
    this.sink = all > 0 ? (rest * (own.sink?.weight ?? 0)) / all : 0;
    this.outside = all > 0 ? (rest * own.outside) / all : 0;
    if (!own.v) return;
    const width = this.layer.dv;
    this.brought = Float64Array.from(own.v, (value, at) => this.weights[Math.floor(at / width)] * value);
    this.z = new Float64Array(width);
    for (let at = 0; at < own.v.length; at++) this.z[at % width] += this.brought[at];
  }
}
