// Questions of the tour, made of the numbers at hand: each has a right answer that the view shows.

import { partName, stepsOf } from "../layer/data.js";
import { explain } from "../mathematics.js";
import { WhatIf } from "../steps/whatif.js";
import { headName, numberText, percent, weightText } from "../writing.js";

/** @import { Facts } from "./steps.js" */

/**
 * `why`: what the numbers say about this answer.
 * @typedef {{label: string, right: boolean, why: string}} Option
 * @typedef {{ask: string, options: Option[]}} Quiz
 * @typedef {{label: string, value: number, why: string}} Candidate
 */

const WRONG_ANSWERS = 3; // wrong answers
const CLEARLY = 0.05; // of the range of values: less apart is not seen
const IS_DIAGONAL = 0.5; // of a word's attention: a head that gives so much to a neighbour is one

/**
 * Which of some things has the most: the first of all, and others that have clearly less, in the
 * order in which they came; null if there are none.
 *
 * @param {string} ask
 * @param {Candidate[]} candidates
 * @returns {Quiz | null}
 */
function whichIsLargest(ask, candidates) {
  const sorted = [...candidates].sort((one, other) => other.value - one.value);
  const [most] = sorted;
  if (!most) return null;
  const margin = CLEARLY * (most.value - sorted[sorted.length - 1].value);
  const others = sorted.filter(({ value }) => most.value - value > margin).slice(0, WRONG_ANSWERS);
  const options = candidates
    .filter((one) => one === most || others.includes(one))
    .map((one) => ({ label: one.label, right: one === most, why: one.why }));
  return others.length ? { ask, options } : null;
}

/**
 * Which number it is; wrong ones that are written as another are left out.
 *
 * @param {string} ask
 * @param {[number, string]} right the number, and why
 * @param {[number, string][]} wrong
 * @param {(number: number) => string} [write]
 * @returns {Quiz}
 */
function whichNumber(ask, right, wrong, write = String) {
  /** @type {(Option & {number: number})[]} */
  const options = [];
  for (const [number, why] of [right, ...wrong]) {
    const label = write(number);
    if (options.length > WRONG_ANSWERS || options.some((option) => option.label === label)) continue;
    if (number > 0) options.push({ number, label, right: number === right[0], why });
  }
  return { ask, options: options.sort((one, other) => one.number - other.number) };
}

/** A size of the model, among its others. @param {Facts} facts @param {string} step @param {number} right */
export function whichSize({ app, say, values }, step, right) {
  const { d_model, d_k, d_ff, num_heads } = app.text.model;
  const why = say(`${step}.why`, values);
  const wrong = Object.entries({ d_model, d_k, num_heads, d_ff }).map(
    ([name, n]) => /** @type {[number, string]} */ ([n, say("is", { n, name })]),
  );
  return whichNumber(say(`${step}.ask`), [right, why], [...wrong, [2 * right, why]]);
}

/** Which head is a diagonal; if none is, how many heads there are. @param {Facts} facts */
export function whichDiagonal({ say, focus, values }) {
  const all = focus.diagonals.map(({ layer, head, place, weight }) => {
    const label = headName(layer, head);
    const places = say(["before", "itself", "after"][place + 1]);
    const why = say("stack.why", { head: label, place: places, weight: weightText(weight) });
    return { label, value: weight, why };
  });
  const most = Math.max(0, ...all.map(({ value }) => value));
  const less = all.filter(({ value }) => value < most / 2);
  const apart = Math.ceil(less.length / WRONG_ANSWERS);
  const some = all.filter((one) => one.value === most || less.indexOf(one) % apart === 0);
  const asked = most > IS_DIAGONAL && whichIsLargest(say("stack.ask"), some);
  if (asked) return asked;
  const [layers, heads] = [Number(values.layers), Number(values.heads)];
  const why = say("stack.counted", { count: layers * heads });
  const numbers = [layers + heads, layers, heads, 2 * layers * heads];
  return whichNumber(
    say("stack.count"),
    [layers * heads, why],
    numbers.map((number) => [number, why]),
  );
}

/** In which head of the layer the link is strongest. @param {Facts} facts */
export async function whichHead({ app, say, link }) {
  const candidates = [];
  for (let head = 0; head < app.text.model.num_heads; head++) {
    const { rows, columns, weights } = await app.shown(link.layer, head);
    const value = weights[rows.indexOf(link.query) * columns.length + columns.indexOf(link.key)];
    const label = headName(link.layer, head);
    const why = say("heads.why", { head: label, weight: weightText(value) });
    candidates.push({ label, value, why });
  }
  return whichIsLargest(say("heads.ask"), candidates);
}

/** Which key gets the most from the query. @param {Facts} facts */
export async function whichKey({ app, say, link }) {
  const { rows, columns, weights, allowed } = await app.shown(link.layer, link.head);
  const first = rows.indexOf(link.query) * columns.length;
  const candidates = columns
    .map((place, at) => ({ label: app.name("key", place), value: weights[first + at], at }))
    .filter(({ at }) => !allowed || allowed[first + at])
    .map(({ label, value }) => {
      const why = say("gets", { key: label, weight: weightText(value) });
      return { label, value, why };
    });
  return whichIsLargest(say("it.ask"), candidates);
}

/** What the weights of the query's first piece sum to: less than 1 beside a sink. @param {Facts} facts */
export function whichSum({ say, link, numbers, piece }) {
  const { weights } = new WhatIf(numbers, link.head, piece);
  const sum = weights.reduce((total, one) => total + one, 0);
  const why = say("softmax.summed", { sum: weightText(sum) });
  return whichNumber(
    say("softmax.sum"),
    [sum, why],
    [weights.length + 1, weights.length, sum / 2].map((number) => [number, why]),
    (number) => String(Number(number.toFixed(2))),
  );
}

/**
 * The query's first piece with each key that it may look at, step by step in the link's head.
 *
 * @param {Facts} facts
 */
function keysExplained({ app, link, numbers, piece }) {
  const found = explain(numbers, link.head, piece);
  if (!found) return [];
  const { dots, weights, v } = found;
  return app
    .side("key")
    .pieces.map(({ name }, at) => {
      const value = v?.slice(at * numbers.dv, (at + 1) * numbers.dv);
      return { name, dot: dots[at], weight: weights[at], length: value && Math.hypot(...value) };
    })
    .filter(({ weight }) => weight > 0);
}

/** Which key has the largest product with q. @param {Facts} facts */
export function whichProduct(facts) {
  const { say } = facts;
  const candidates = keysExplained(facts).map(({ name, dot }) => {
    return {
      label: name,
      value: dot,
      why: say("alike.why", { key: name, product: numberText(dot) }),
    };
  });
  return whichIsLargest(say("alike.ask"), candidates);
}

/** Which value gives most to z. @param {Facts} facts */
export function whichValue(facts) {
  const { say } = facts;
  const candidates = keysExplained(facts).flatMap(({ name, weight, length }) => {
    if (length === undefined) return [];
    const told = { key: name, weight: weightText(weight), length: numberText(length) };
    return [{ label: name, value: weight * length, why: say("values.why", told) }];
  });
  return whichIsLargest(say("values.ask"), candidates);
}

/** How much a difference of scores makes of weights. @param {Facts} facts */
export function whichRatio(facts) {
  const { say } = facts;
  const keys = keysExplained(facts).filter(({ weight }) => weight > 0.01);
  const [one, ...others] = keys.sort((some, other) => other.weight - some.weight);
  const other = others.find(({ weight }) => one.weight > 1.5 * weight);
  if (!other) return null;
  const ratio = one.weight / other.weight;
  const told = {
    ...{ a: one.name, b: other.name, difference: numberText(Math.log(ratio)) },
    ...{ wa: weightText(one.weight, 3), wb: weightText(other.weight, 3) },
    ratio: ratio.toPrecision(2),
  };
  return whichNumber(
    say("softmax.ask", told),
    [ratio, say("softmax.why", told)],
    [1, Math.log(ratio), ratio ** 2].map((number) => [number, say("softmax.no", told)]),
    (number) => `×${Number(number.toPrecision(2))}`,
  );
}

/**
 * Which part of the layer's output has the largest share: which head, or which of all parts.
 *
 * @param {Facts} facts
 * @param {"concat" | "residual"} step
 */
export function whichShare({ app, say, link, numbers, piece }, step) {
  const steps = stepsOf(app, link.layer);
  const shares = numbers.layer_shares?.data;
  if (!shares || typeof steps !== "object") return null;
  const candidates = steps.parts.flatMap(({ name, head }, at) => {
    if ((head === null) === (step === "concat")) return [];
    const value = shares[piece * steps.parts.length + at];
    const label = partName(app, link.layer, name, head);
    return [{ label, value, why: say("share", { part: label, share: percent(value) }) }];
  });
  return whichIsLargest(say(`${step}.ask`), candidates);
}
