// The Steps view: how one query's weights come about in one head, and what follows from other scores.

import { fill, h, refill } from "../dom.js";
import { isDark } from "../matrix.js";
import { ChosenPiece, firstQuery } from "../pieces.js";
import { cappedOf } from "../scores.js";
import { headName, numberText, percent, weightText } from "../writing.js";
import { stepsPaper } from "./paper.js";
import { KeyRows } from "./rows.js";
import { largestOf, namedStrip } from "./strip.js";
import { exactText, factorText, isRoot, WhatIf } from "./whatif.js";

/** @import { App } from "../app.js" */
/** @import { Table, View } from "../types.js" */

export class StepsView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.host = h("div", { class: "steps" });
    this.query = new ChosenPiece(app, "query");
    this.key = new ChosenPiece(app, "key");
    this.rows = new KeyRows(this);
    this.largestFirst = true;
    this.about = "";
    this.dark = false;
    /** @type {WhatIf | null} */
    this.of = null;
    this.card = h("div", { class: "card stack" });
    this.sum = h("div", { class: "steps-sum" });
    this.changes = h("div", { class: "bar" });
  }

  /** The piece that looks. */
  get place() {
    return this.query.place(firstQuery(this.app));
  }

  /** The piece that is looked at: the chosen one, or else the strongest. */
  get keyPlace() {
    return this.key.place(this.of?.largestFirst[0] ?? 0);
  }

  /** @param {number} key */
  keyName(key) {
    return this.app.side("key").pieces[key].name;
  }

  /** What the present state is about. */
  get chosen() {
    const { text, layer, head } = this.app.state;
    return [text, layer, head, this.place].join(" ");
  }

  async update() {
    const { chosen } = this;
    const { layer, head } = this.app.state;
    if (chosen !== this.about) {
      const numbers = await this.app.layer(layer);
      if (chosen !== this.chosen) return;
      if (chosen !== this.about) this.of = new WhatIf(numbers, head, this.place);
      this.about = chosen;
    }
    if (this.of) this.draw(this.of);
  }

  /** @param {WhatIf} of */
  draw(of) {
    const { app } = this;
    const { layer, head } = app.state;
    const query = app.side("query").pieces[this.place].name;
    this.dark = isDark(this.host);
    this.host.setAttribute("data-about", this.about);
    const focused = this.changes.contains(document.activeElement); // it loses the focus when it is moved
    refill(
      this.host,
      h("h2", {}, app.say("steps.label", { head: headName(layer, head), query })),
      this.query.picker(firstQuery(app)),
      ...this.notes(of).map((note) => h("p", { class: "note" }, note)),
      of.own && this.card,
      h(
        "div",
        { class: "bar" },
        this.order(),
        of.own && h("span", { class: "note" }, app.say("steps.drag")),
        this.changes,
      ),
      this.rows.draw(of, this.largestFirst ? of.largestFirst : [...of.weights.keys()]),
      this.sum,
    );
    this.drawCard(of);
    this.follow(of);
    if (focused) (this.changes.querySelector("button") ?? this.host.querySelector("input"))?.focus();
  }

  /** What must be known of this head. @param {WhatIf} of */
  notes({ own, layer }) {
    const { app } = this;
    if (!own) return [app.say("alone")];
    const shared = layer.heads / layer.kvHeads;
    return [
      ...(layer.softcap === null ? [] : [app.say("steps.cap", { cap: layer.softcap })]),
      ...(shared > 1 ? [app.say("steps.shared", { n: shared })] : []),
      ...(own.v ? [] : [app.say("values.none")]),
    ];
  }

  order() {
    const { app } = this;
    const choices = /** @type {const} */ ([true, false]);
    return h(
      "div",
      { class: "segmented", role: "group", "aria-label": app.say("steps.order") },
      ...choices.map((first) =>
        h(
          "button",
          {
            ...{ type: "button", "aria-pressed": String(first === this.largestFirst) },
            onclick: () => {
              this.largestFirst = first;
              if (this.of) this.draw(this.of);
            },
          },
          app.say(first ? "steps.largest" : "steps.text"),
        ),
      ),
    );
  }

  /** The chosen key: q and k dimension by dimension, to their product and the weight. @param {WhatIf} of */
  drawCard(of) {
    const { own, layer } = of;
    if (!own) return;
    const { app, dark, keyPlace: key } = this;
    const width = layer.dk;
    const [k, products] = [own.k, own.products].map((all) => all.subarray(key * width, (key + 1) * width));
    const query = app.side("query").pieces[this.place].name;
    const pointed = h("p", { class: "formula note", "aria-live": "off" }, `d_k = ${width}`);
    const point = (/** @type {number | null} */ at) => {
      const told = (/** @type {ArrayLike<number>} */ vector) => numberText(vector[at ?? 0]);
      pointed.textContent =
        at === null
          ? `d_k = ${width}`
          : `${app.say("steps.dimension", { n: at })}: ${told(own.q)} × ${told(k)} = ${told(products)}`;
    };
    this.formula = h("p", { class: "formula equation" });
    refill(
      this.card,
      h("h3", {}, `${query} → ${this.keyName(key)}`),
      this.key.picker(key),
      namedStrip({ name: "q", values: own.q, told: query }, dark, point),
      namedStrip({ name: "k", values: k, told: this.keyName(key) }, dark, point),
      namedStrip({ name: "q × k", values: products, told: exactText(own.dots[key]) }, dark, point),
      pointed,
      of.sees(key) && this.similarity(of, key),
      this.formula,
    );
  }

  /** The slider of the chosen key's similarity. @param {WhatIf} of @param {number} key */
  similarity(of, key) {
    const { own } = of;
    const most = Math.ceil(1.5 * largestOf(own?.dots ?? []));
    const slider = h("input", {
      ...{ type: "range", min: -most, max: most, step: most / 200, value: of.dots[key], class: "similarity" },
      oninput: () => {
        of.setDot(key, Number(slider.value));
        this.follow(of);
      },
    });
    this.dot = slider;
    return h("label", { class: "picker" }, h("span", {}, this.app.say("steps.similarity")), slider);
  }

  /** Show what follows from the present scores. @param {WhatIf} of */
  follow(of) {
    const { app } = this;
    const count = of.changed.size;
    this.host.classList.toggle("what-if", count > 0);
    const reset = () => {
      of.reset();
      this.draw(of);
    };
    fill(
      this.changes,
      count > 0 && h("strong", { class: "badge" }, app.say("steps.whatif")),
      count > 0 && h("span", {}, app.say("steps.changed", { n: count })),
      count > 0 && h("button", { type: "button", class: "reset", onclick: reset }, app.say("steps.reset")),
    );
    this.rows.follow(of);
    if (this.formula) this.formula.textContent = this.equation(of, this.keyPlace);
    this.drawSum(of);
  }

  /** From the product to the weight, in one line. @param {WhatIf} of @param {number} key */
  equation(of, key) {
    const { own, layer, dots, scores, weights } = of;
    if (!own) return "";
    const { scale, softcap } = layer;
    const scaled = isRoot(layer) ? `÷ √${layer.dk}` : `× ${factorText(scale)}`;
    const bias = own.bias?.[key] ?? 0;
    return [
      `q · k = ${exactText(dots[key])}`,
      scale !== 1 && `${scaled} = ${exactText(scale * dots[key])}`,
      softcap !== null &&
        `${this.app.say("steps.cap", { cap: softcap })} = ${exactText(cappedOf(scale * dots[key], softcap))}`,
      bias !== 0 && Number.isFinite(bias) && `+ ${exactText(bias)}`,
      of.sees(key) ? `${this.app.say("steps.scored")} ${exactText(scores[key])}` : this.app.say("forbidden"),
      `softmax → ${weightText(weights[key], 3)}`,
    ]
      .filter(Boolean)
      .join("  →  ");
  }

  /** What all keys give together: weights to 1, and z. @param {WhatIf} of */
  drawSum(of) {
    const { app, dark } = this;
    const sum = of.weights.reduce((all, weight) => all + weight, 0);
    const z = of.own?.z;
    /** @param {string} name @param {Float64Array} values */
    const strip = (name, values) =>
      namedStrip({ name, values, told: lengthOf(values), largest: largestOf(z ?? values) }, dark, () => {});
    fill(
      this.sum,
      h("span", {}, `Σ ${weightText(sum, 3)}`),
      of.own?.sink && h("span", {}, app.say("sink.note", { share: percent(of.sink) })),
      of.outside > 1e-4 && h("span", {}, app.say("steps.outside", { share: percent(of.outside) })),
      of.z && strip("z", of.z),
      of.changed.size > 0 && z && strip(app.say("steps.before"), z),
    );
  }

  /** @returns {Promise<Table>} */
  async table() {
    const { of, app } = this;
    const columns = ["layer", "head", "query", "key", "dot", "score", "weight", "changed"];
    if (!of) return { columns, rows: [] };
    const { layer, head } = app.state;
    const query = app.side("query").pieces[this.place].name;
    const number = (/** @type {number | undefined} */ value) =>
      value === undefined || !Number.isFinite(value) ? "" : Number(value.toPrecision(6));
    return {
      columns,
      rows: this.rows.order.map((key) => [
        ...[layer, head, query, this.keyName(key), number(of.dots[key]), number(of.scores[key])],
        ...[number(of.weights[key]), of.changed.has(key) ? 1 : ""],
      ]),
    };
  }

  async svg() {
    return stepsPaper(this);
  }
}

/** The length of a vector, in words of mathematics. @param {ArrayLike<number>} vector */
function lengthOf(vector) {
  return `‖z‖ ${numberText(Math.hypot(...Array.from(vector)))}`;
}

/** @param {App} app @returns {View} */
export function stepsView(app) {
  return new StepsView(app);
}
