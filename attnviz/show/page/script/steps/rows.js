// The Steps view's keys: a row each, with a score to drag.

import { h, refill } from "../dom.js";
import { weightText } from "../writing.js";
import { largestOf, paintStrips } from "./strip.js";
import { exactText, isRoot } from "./whatif.js";

/** @import { WhatIf } from "./whatif.js" */
/** @import { StepsView } from "./steps.js" */

/**
 * @typedef {{row: HTMLElement, slider: HTMLInputElement | null, score: HTMLElement, weight: HTMLElement,
 *   bar: HTMLElement}} Drawn
 */

const ONE_SHEET = 24; // keys that go onto a sheet of paper beside their strips, which no page may break
const STRIPS = 700; // pixels of the table from which the products have a column

export class KeyRows {
  /** @param {StepsView} view */
  constructor(view) {
    this.view = view;
    this.host = h("div", { class: "keys scroll" });
    this.values = h("canvas", { class: "v", "aria-hidden": "true" });
    /** @type {number[]} the keys, from above */
    this.order = [];
    /** @type {Map<number, Drawn>} */
    this.drawn = new Map();
    this.on = 0;
  }

  /** @param {WhatIf} of @param {number[]} order */
  draw(of, order) {
    const { app, dark } = this.view;
    const { own, layer } = of;
    this.order = order;
    this.on = this.view.keyPlace;
    this.drawn.clear();
    const finite = own?.scores.filter(Number.isFinite) ?? new Float64Array();
    const range = { min: Math.floor(Math.min(...finite)) - 2, max: Math.ceil(Math.max(...finite)) + 4, step: 0.05 };
    const wide = document.documentElement.clientWidth >= STRIPS;
    const products = own && wide && h("canvas", { class: "products", "aria-hidden": "true" });
    if (own && products) {
      paintStrips(products, own.products, layer.dk, order, { largest: largestOf(own.products), dark });
    }
    const all = of.weights.reduce((sum, weight) => sum + weight, 0); // less beside a sink
    const titles = {
      name: "keys",
      products: "steps.product",
      score: isRoot(layer) ? "steps.score" : "steps.scored",
      weight: all > 0.999 ? "steps.softmax" : "weight",
      v: "steps.values",
    };
    const shown = ["name", products && "products", own && "score", "weight", own?.v && "v"].filter(Boolean);
    this.host.setAttribute("data-columns", shown.join(" "));
    this.host.style.setProperty("--count", String(order.length));
    this.host.classList.toggle("many", order.length > ONE_SHEET);
    refill(
      this.host,
      h(
        "div",
        { class: "titles" },
        ...Object.entries(titles).map(
          ([name, title]) => shown.includes(name) && h("span", { class: name }, app.say(title)),
        ),
      ),
      h(
        "div",
        { class: "body" },
        products,
        own?.v && this.values,
        ...order.map((key, n) => this.row(of, key, n, range)),
      ),
    );
    return this.host;
  }

  /**
   * @param {WhatIf} of
   * @param {number} key
   * @param {number} place from above
   * @param {{min: number, max: number, step: number}} range
   */
  row(of, key, place, range) {
    const { app, key: chosen } = this.view;
    const on = key === this.on;
    const name = this.view.keyName(key);
    const slider = of.own && of.sees(key) ? h("input", { type: "range", ...range, value: of.scores[key] }) : null;
    slider?.setAttribute("aria-label", app.say("steps.scoreof", { key: name }));
    slider?.addEventListener("input", () => {
      of.setScore(key, Number(slider.value));
      this.view.follow(of);
    });
    const [score, weight, bar] = [
      h("span", { class: "number" }),
      h("span", { class: "number" }),
      h("span", { class: "amount" }),
    ];
    const token = this.view.app.side("key").pieces[key];
    const button = h(
      "button",
      {
        ...{ type: "button", "aria-pressed": String(on), onclick: () => chosen.choose(key) },
        class: ["name token", token.special && "special", token.unknown && "unknown"].filter(Boolean).join(" "),
      },
      name,
    );
    const row = h(
      "div",
      { class: on ? "key on" : "key" },
      button,
      of.own && h("span", { class: "score" }, score, slider ?? h("span", { class: "masked" }, app.say("steps.mask"))),
      h("span", { class: "weight" }, weight, h("span", { class: "track" }, bar)),
    );
    row.style.gridRow = String(place + 1);
    this.drawn.set(key, { row, slider, score, weight, bar });
    return row;
  }

  /** Show the present scores and weights. @param {WhatIf} of */
  follow(of) {
    const largest = largestOf(of.weights);
    for (const [key, { row, slider, score, weight, bar }] of this.drawn) {
      const changed = of.changed.has(key);
      const [now, told] = [of.scores[key], weightText(of.weights[key], 3)];
      row.classList.toggle("changed", changed);
      score.textContent = of.own ? exactText(now) : "";
      weight.textContent = told;
      bar.style.width = `${(100 * of.weights[key]) / largest}%`;
      if (!slider) continue;
      if (slider !== document.activeElement) slider.value = String(now);
      slider.setAttribute("aria-valuetext", `${exactText(now)}, ${this.view.app.say("weight")} ${told}`);
      slider.title =
        changed && of.own ? this.view.app.say("steps.model", { value: exactText(of.own.scores[key]) }) : "";
    }
    if (of.brought && of.own?.v) {
      const look = { largest: largestOf(of.brought), dark: this.view.dark };
      paintStrips(this.values, of.brought, of.layer.dv, this.order, look);
    }
  }
}
