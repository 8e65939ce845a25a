// The Layer view: the two sublayers for one token, and what the layer's output is made of.

import { fill, h, refill, s } from "../dom.js";
import { isDark } from "../matrix.js";
import { PAPER, paperNotes, paperOf } from "../paper.js";
import { ChosenPiece, firstQuery } from "../pieces.js";
import { percent } from "../writing.js";
import { groupName, layerSteps } from "./data.js";
import { diagram, lengthText, ON_PAPER, SCREEN, shareBars } from "./diagram.js";

/** @import { App } from "../app.js" */
/** @import { LayerSteps } from "./data.js" */
/** @import { Table, View } from "../types.js" */

const WIDE = 900; // pixels from which the bars stand beside the diagram
const BARS = 380;

class LayerView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.host = h("div", { class: "layer" });
    this.query = new ChosenPiece(app, "query");
    /** @type {LayerSteps | string} */
    this.steps = "";
    this.width = 0;
    this.turn = 0;
    new ResizeObserver(() => {
      if (Math.abs(this.host.clientWidth - this.width) > 2) this.draw();
    }).observe(this.host);
  }

  get piece() {
    return this.query.place(firstQuery(this.app));
  }

  async update() {
    const turn = ++this.turn;
    const steps = await layerSteps(this.app, this.piece);
    if (turn !== this.turn) return;
    this.steps = steps;
    this.draw();
  }

  draw() {
    const { app, steps, host } = this;
    this.width = host.clientWidth;
    if (!this.width) return; // not in the page yet
    if (typeof steps === "string") {
      if (steps) fill(host, h("p", { class: "said" }, steps));
      return;
    }
    const { layer, query, norms } = steps;
    const focused = document.activeElement?.getAttribute("data-head"); // rows change places
    refill(
      host,
      h("h2", {}, app.say("layer.label", { layer, query })),
      this.query.picker(firstQuery(app)),
      h("p", { class: "note" }, norms),
      h("div", { class: "layer-parts" }, ...this.pictures(steps)),
      h("p", { class: "note" }, `${app.say("layer.shares")} ${app.say("layer.hint")}`),
    );
    if (focused) {
      /** @type {SVGElement | null} */ (host.querySelector(`[data-head="${focused}"]`))?.focus();
    }
  }

  /** @param {LayerSteps} steps */
  pictures(steps) {
    const { app, width } = this;
    const inks = { ...SCREEN, dark: isDark(this.host) };
    const beside = width >= WIDE;
    const ways = this.ways();
    return [
      { of: diagram, width: beside ? Math.min(width - BARS - 24, 760) : width, label: steps.norms },
      { of: shareBars, width: beside ? BARS : width, label: app.say("layer.part") },
    ].map((one) => {
      const drawn = one.of(steps, one.width, inks, ways);
      return s(
        "svg",
        {
          ...{ width: one.width, height: drawn.height, "font-size": 13 },
          ...{ role: "group", "aria-label": one.label },
        },
        ...drawn.nodes,
      );
    });
  }

  ways() {
    const { app } = this;
    return {
      head: app.state.head,
      title: (/** @type {string} */ group) => groupName(app, group),
      say: (/** @type {string} */ key) => app.say(key),
      open: (/** @type {number} */ head) => app.set({ head, view: "head" }),
    };
  }

  /** @returns {Promise<Table>} */
  async table() {
    const { app } = this;
    const of = await layerSteps(app, this.piece);
    const columns = ["layer", "query", "part", "formula", "numbers", "length", "share"];
    if (typeof of === "string") return { columns, rows: [] };
    const begin = [of.layer, of.query];
    return {
      columns,
      rows: [
        ...of.steps.map((step) => [...begin, ...[step.letter, step.equation, step.size, lengthText(step.length), ""]]),
        ...of.parts.map((part) => [...begin, ...[part.name, "", "", lengthText(part.length), percent(part.share)]]),
      ],
    };
  }

  async svg() {
    const { app } = this;
    const of = await layerSteps(app, this.piece);
    const ways = { ...this.ways(), open: undefined };
    const parts = typeof of === "string" ? [] : [diagram(of, 700, ON_PAPER, ways), shareBars(of, BARS, ON_PAPER, ways)];
    const told = typeof of === "string" ? of : app.say("layer.label", { layer: of.layer, query: of.query });
    const { margin } = PAPER;
    return paperOf(2 * margin + 1100, 60 + Math.max(0, ...parts.map((part) => part.height)), [
      ...paperNotes(typeof of === "string" ? [told] : [told, of.norms]),
      ...parts.map((part, n) =>
        s("g", { transform: `translate(${margin + 720 * n} 42)`, "font-size": 13 }, ...part.nodes),
      ),
    ]);
  }
}

/**
 * @param {App} app
 * @returns {View}
 */
export function layerView(app) {
  return new LayerView(app);
}
