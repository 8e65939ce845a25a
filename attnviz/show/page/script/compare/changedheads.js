// The heads whose attention changes most from A to B, as `attnviz compare` ranks them.

import { h, refill } from "../dom.js";
import { everyHead } from "../heads.js";
import { pause } from "../matrix.js";
import { headName, weightText } from "../writing.js";
import { largestFirst } from "./comparing.js";
import { comparedHeads, pairPlaces } from "./pairs.js";

/** @import { App } from "../app.js" */
/** @import { Shown } from "../types.js" */

const HEADS_LISTED = 12;
const WORK = 30; // milliseconds of work before the browser may answer

/** @typedef {{layer: number, head: number, distance: number}} Change */

export class ChangedHeads {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.host = h("div", { class: "changedheads" });
    /** @type {Map<string, Change[]>} */
    this.known = new Map();
    this.turn = 0;
  }

  /** All heads' distances, for the query that is chosen or for all words; some at a time. */
  async update() {
    const { app, name } = this;
    const turn = ++this.turn;
    this.host.hidden = app.other === null;
    if (app.other === null) return;
    const found = this.known.get(name) ?? [];
    this.draw(found);
    const all = everyHead(app);
    if (found.length === all.length) return;
    let began = performance.now();
    for (const { layer, head } of all.slice(found.length)) {
      const two = await Promise.all([app.shown(layer, head), app.shown(layer, head, app.other)]);
      if (turn !== this.turn || name !== this.name) return;
      found.push({ layer, head, distance: this.distance(...two) });
      if (performance.now() - began < WORK) continue;
      this.draw(found, all.length);
      await pause();
      if (turn !== this.turn || name !== this.name) return;
      began = performance.now();
    }
    this.known.set(name, found);
    this.draw(found);
  }

  /** What distances depend on. */
  get name() {
    const { pair, unit, special, window, query } = this.app.state;
    return [pair, unit, special, window, query].join(" ");
  }

  /** @param {Shown} a @param {Shown} b */
  distance(a, b) {
    const { app } = this;
    const { query } = app.state;
    const both = comparedHeads(app, /** @type {number} */ (app.other), a, b);
    const place = query === null ? -1 : pairPlaces(app).queries.findIndex(([a]) => a === query);
    const row = both.rows.indexOf(place);
    return row < 0 ? both.distance : both.distances[row];
  }

  /** @param {Change[]} found @param {number} [count] of how many, while there are more to come */
  draw(found, count) {
    const { app } = this;
    const { query, layer, head } = app.state;
    const order = largestFirst(found.map(({ distance }) => distance)).slice(0, HEADS_LISTED);
    const title =
      query === null ? app.say("compare.heads") : app.say("compare.query", { query: app.name("query", query) });
    const items = order.map((at) => {
      const one = found[at];
      const on = one.layer === layer && one.head === head;
      const go = () => app.set({ layer: one.layer, head: one.head });
      const distance = Number.isNaN(one.distance) ? "–" : weightText(one.distance, 3);
      const name = headName(one.layer, one.head);
      const button = h(
        "button",
        { type: "button", "aria-pressed": String(on), onclick: go },
        name,
        h("span", { class: "number" }, distance),
      );
      return h("li", {}, button);
    });
    const progress = count && h("p", { class: "note" }, app.say("compare.progress", { done: found.length, count }));
    refill(this.host, h("h3", {}, title), h("ol", { class: "links" }, ...items), progress || null);
  }
}
