// The steps of the tour: what each says, the view that shows it, and its question.

import { allHeads } from "../heads.js";
import { saidNorms, stepsOf } from "../layer/data.js";
import { explain } from "../mathematics.js";
import { factorText, isRoot } from "../steps/whatif.js";
import { headName, numberText } from "../writing.js";
import {
  whichDiagonal,
  whichHead,
  whichKey,
  whichProduct,
  whichRatio,
  whichShare,
  whichSize,
  whichSum,
  whichValue,
} from "./quiz.js";

/** @import { App } from "../app.js" */
/** @import { Focus, Link } from "./focus.js" */
/** @import { Quiz } from "./quiz.js" */
/** @import { LayerNumbers, Role, State, ViewName } from "../types.js" */

/**
 * What steps are made of: the link of the tour and its layer's numbers, the query's first piece, and
 * the values that words have places for. `say` takes the keys of the tour.
 * @typedef {{app: App, link: Link, focus: Focus, numbers: LayerNumbers, piece: number,
 *   values: Record<string, string | number>,
 *   say: (key: string, values?: Record<string, string | number>) => string}} Facts
 *
 * `words`: the first part of the keys of its words; `said`: keys of what it says after the first
 * sentence; `more`: sentences after those.
 * @typedef {{words?: string, said: string[], more?: string[], view?: ViewName, state?: Partial<State>,
 *   quiz: Quiz | null | Promise<Quiz | null>}} Made
 *
 * `view`: none where the step has a table of its own. `state`: what the view is to show.
 * @typedef {{title: string, said: string[], view: ViewName | undefined, state: Partial<State>,
 *   quiz: Quiz | null}} Step
 */

export const PAPER_SIZES = { num_layers: 6, num_heads: 8, d_model: 512, d_k: 64, d_ff: 2048 };

/** @type {Record<string, (facts: Facts) => Made | Promise<Made>>} */
const TOUR_STEPS = {
  stack: (facts) => {
    const { attention, model } = facts.app.text;
    const said = attention === "encoder" ? ["stack.2"] : ["stack.2", `stack.${attention}`];
    if (model.family === "albert") said.unshift("stack.albert");
    return { said, view: "grid", state: { query: null }, quiz: whichDiagonal(facts) };
  },
  heads: async (facts) => ({
    said: [...ifCrossed(facts, "heads.cross"), "heads.2"],
    view: "lines",
    state: { off: [] },
    quiz: (await whichHead(facts)) ?? whichWidth(facts),
  }),
  qkv: (facts) => {
    const { app, numbers } = facts;
    const shared = numbers.heads / numbers.kvHeads;
    return {
      said: [...ifCrossed(facts, "qkv.cross"), "qkv.2", ...(app.text.model.trained ? [] : ["qkv.random"])],
      more: shared > 1 ? [app.say("steps.shared", { n: shared })] : [],
      view: "steps",
      quiz: whichSize(facts, "qkv", Number(facts.values.d_k)),
    };
  },
  alike: (facts) => ({
    ...(facts.app.text.weightsOnly ? { said: [], more: [facts.app.say("alone")] } : { said: ["alike.2"] }),
    view: "steps",
    quiz: whichProduct(facts) ?? keyOrSum(facts),
  }),
  softmax: (facts) => ({
    ...softmaxSaid(facts),
    view: "steps",
    quiz: whichRatio(facts) ?? whichSum(facts),
  }),
  values: (facts) => ({
    said: ["values.2"],
    view: "steps",
    quiz: whichValue(facts) ?? keyOrSum(facts),
  }),
  concat: (facts) => ({
    said: ["concat.2"],
    view: "layer",
    quiz: whichShare(facts, "concat") ?? whichWidth(facts),
  }),
  layer: (facts) => {
    const d_ff = Number(facts.values.d_ff);
    return {
      said: [...ifCrossed(facts, "layer.cross"), "layer.2"],
      view: "layer",
      quiz: d_ff ? whichSize(facts, "layer", d_ff) : keyOrSum(facts),
    };
  },
  residual: (facts) => {
    const { app, link } = facts;
    const steps = stepsOf(app, link.layer);
    const differs = typeof steps === "object" && (steps.norms !== "after" || steps.parallel);
    const norms = differs ? saidNorms(app, steps) : "";
    return {
      said: ["residual.2"],
      more: norms ? [facts.say("residual.here", { norms })] : [],
      view: "layer",
      quiz: whichShare(facts, "residual"),
    };
  },
  it: (facts) => {
    const { app, link } = facts;
    return {
      said: [...ifCrossed(facts, "it.cross"), "it.2", app.text.model.trained ? "it.proof" : "it.chance"],
      view: "lines",
      state: { off: allHeads(app).filter((head) => head !== link.head) },
      quiz: keyOrSum(facts),
    };
  },
  origin: originStep,
  sizes: sizesStep,
};

export const STEP_NAMES = Object.keys(TOUR_STEPS);

/**
 * A step of the tour on the present text.
 *
 * @param {App} app
 * @param {Focus & {link: Link}} focus
 * @param {number} number
 * @returns {Promise<Step>}
 */
export async function tourStep(app, focus, number) {
  const { layer, head, query } = focus.link;
  const numbers = await app.layer(layer);
  const piece = app.state.unit === "word" ? app.side("query").starts[query] : query;
  const values = { ...tourValues(app, focus.link, numbers), piece: app.side("query").pieces[piece].name };
  /** @type {Facts["say"]} */
  const say = (key, more) => app.say(`tour.${key}`, { ...values, ...more });
  const name = STEP_NAMES[number];
  const facts = { app, focus, link: focus.link, numbers, piece, values, say };
  const { words = name, said, more = [], view, state, quiz } = await TOUR_STEPS[name](facts);
  return {
    title: say(words),
    said: [...[`${words}.1`, ...said].map((key) => say(key)), ...more],
    view,
    state: { layer, head, query, key: null, pair: null, ...state },
    quiz: await quiz,
  };
}

/** What words have places for. @param {App} app @param {Link} link @param {LayerNumbers} numbers */
function tourValues(app, link, numbers) {
  const { name: model, num_layers: layers, num_heads: heads, d_model, d_ff } = app.text.model;
  const d_k = numbers.dk || app.text.model.d_k;
  const d_v = numbers.dv || d_k;
  return {
    ...{ model, layers, heads, d_model, d_ff, d_k, d_v, product: heads * d_v },
    ...{ layer: link.layer, head: headName(link.layer, link.head) },
    ...{ query: app.name("query", link.query), key: app.name("key", link.key) },
    ...{ root: numberText(Math.sqrt(d_k)), scale: factorText(numbers.scale), cap: String(numbers.softcap) },
  };
}

/** Which key gets the most; if there is one alone, what the weights sum to. @param {Facts} facts */
async function keyOrSum(facts) {
  return (await whichKey(facts)) ?? whichSum(facts);
}

/** How wide all heads are. @param {Facts} facts */
function whichWidth(facts) {
  return whichSize(facts, "width", Number(facts.values.product));
}

/** What is said of cross-attention alone. @param {Facts} facts @param {string} key */
function ifCrossed({ app }, key) {
  return app.text.attention === "cross" ? [key] : [];
}

/** How this model makes scores of products, and what takes a share beside the keys.
 * @param {Facts} facts
 */
function softmaxSaid({ app, numbers, link, piece }) {
  const own = explain(numbers, link.head, piece);
  if (!own) return { said: [], more: [app.say("alone")] };
  const scaled = numbers.scale === 1 ? "softmax.undivided" : "softmax.scale";
  const said = {
    [isRoot(numbers) ? "softmax.2" : scaled]: true,
    "softmax.cap": numbers.softcap !== null,
    "softmax.bias": own.bias?.some((bias) => bias !== 0 && Number.isFinite(bias)),
    "softmax.sink": own.sink,
    "softmax.outside": own.outside > 1e-4,
  };
  return { said: Object.keys(said).filter((key) => said[key]) };
}

/** @param {Facts} facts @returns {Made} */
function originStep({ app, say }) {
  const crossed = app.text.attention === "cross";
  const words = crossed ? "cross" : "self";
  /** @param {Role} role */
  const first = (role) => {
    const plain = app.tokens(role).filter((token) => !token.special);
    const names = plain.slice(0, 4).map((token) => token.name);
    return `${names.join(" ")}${plain.length > names.length ? " …" : ""}`;
  };
  const why = say("origin.why", { rows: first("query"), columns: first("key") });
  const options = ["same", "other", "learned"].map((name) => ({
    label: say(`origin.${name}`),
    right: name === (crossed ? "other" : "same"),
    why,
  }));
  const quiz = { ask: say("origin.ask"), options };
  return { words, said: [`${words}.2`], view: "head", state: { query: null }, quiz };
}

/** @param {Facts} facts @returns {Made} */
function sizesStep({ app, say }) {
  const sizes = Object.entries(PAPER_SIZES).map(([name, paper]) => {
    const here = app.text.model[/** @type {keyof typeof PAPER_SIZES} */ (name)];
    return { name, here, paper };
  });
  const larger = sizes.filter(({ here, paper }) => here > paper);
  const names = larger.map(({ name, here, paper }) => `${name} ${here} > ${paper}`).join(", ");
  const why = say("sizes.why", { names: names || app.say("none") });
  const options = [...Array(sizes.length + 1).keys()].map((count) => {
    return { label: String(count), right: count === larger.length, why };
  });
  return { said: ["sizes.2"], quiz: { ask: say("sizes.ask", { count: sizes.length }), options } };
}
