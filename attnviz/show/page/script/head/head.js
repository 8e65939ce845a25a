// One head as a matrix with a crosshair: value, query and key, and what the head gives other pairs.

import { frameOf } from "../app.js";
import { ChangedHeads } from "../compare/changedheads.js";
import { fill, h, refill } from "../dom.js";
import { headName, signedText, weightText } from "../writing.js";
import { headData, headTable } from "./data.js";
import { CELLS } from "./layout.js";
import { MatrixPanel } from "./panel.js";
import { matrixPaper } from "./paper.js";
import { colourLegend, readoutOf, strongestLinks } from "./readout.js";

/** @import { App } from "../app.js" */
/** @import { HeadData } from "./data.js" */
/** @import { View } from "../types.js" */

const LINKS_LISTED = 12;
const PANELS_APART = 14;

/** @param {App} app @returns {View} */
export function headView(app) {
  const view = new HeadView(app);
  return {
    host: view.host,
    update: () => view.update(),
    table: async () => headTable(app, await headData(app)),
    svg: async () => matrixPaper(app, await headData(app)),
  };
}

class HeadView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.zoom = 0;
    /** @type {HeadData | null} */
    this.data = null;
    this.cross = { row: -1, column: -1 };
    this.fixed = { row: -1, column: -1 };
    this.turn = 0;
    this.of = "";
    this.panels = [0, 1, 2].map((at) => this.panel(at));
    this.bar = h("div", { class: "bar" });
    this.told = h("div", { class: "headreadout", "aria-live": "polite" });
    this.strongest = h("div", { class: "strongest" });
    this.matrices = h("div", { class: "matrices" });
    this.ranked = new ChangedHeads(app);
    const side = h("div", { class: "headside stack" }, this.told, this.strongest, this.ranked.host);
    this.host = h("section", { class: "headview" }, this.bar, this.matrices, side);
    new ResizeObserver(() => this.resized()).observe(this.host);
    addEventListener("beforeprint", () => {
      for (const { panel } of this.panels) panel.draw();
    });
  }

  /** @param {number} at */
  panel(at) {
    const panel = new MatrixPanel({
      point: (row, column) => this.point(row, column),
      pick: (row, column) => this.pick(row, column),
      leave: () => this.point(this.fixed.row, this.fixed.column),
    });
    const title = h("h3", {});
    return { at, panel, title, host: h("figure", { class: "matrix-figure" }, title, panel.host) };
  }

  async update() {
    const turn = ++this.turn;
    const of = frameOf(this.app);
    const data = await headData(this.app);
    if (turn !== this.turn || of !== frameOf(this.app)) return;
    this.data = data;
    this.of = of;
    const { query, key } = this.app.state;
    this.fixed = { row: data.rows.indexOf(query ?? -2), column: data.columns.indexOf(key ?? -2) };
    this.cross = { ...this.fixed };
    const hosts = this.panels.slice(0, data.matrices.length).map((one) => one.host);
    // the one with the focus must stay where it is
    if (hosts.length !== this.matrices.childElementCount) fill(this.matrices, ...hosts);
    this.matrices.classList.toggle("three", data.matrices.length > 1);
    this.drawBar();
    this.layOut();
    this.drawSide();
    this.ranked.update();
  }

  resized() {
    const width = this.host.clientWidth;
    if (!this.data || !width || width === this.width) return;
    this.layOut();
  }

  layOut() {
    const data = /** @type {HeadData} */ (this.data);
    this.width = this.host.clientWidth;
    const room = roomOf(this.matrices, data.matrices.length);
    data.matrices.forEach((matrix, at) => {
      const { panel, title } = this.panels[at];
      panel.canvas.setAttribute("aria-label", this.label(at));
      panel.show(matrix, this.zoom, room.width, room.height);
      panel.mark(this.cross, this.fixed);
      const sentence = data.subtitles[at];
      fill(title, data.titles[at], sentence && h("bdi", { title: sentence }, ` ${sentence}`));
      title.style.maxWidth = `${Math.min((panel.layout?.width ?? room.width) * panel.times, room.width)}px`;
    });
  }

  /** @param {number} at */
  label(at) {
    const { titles, layer, head } = /** @type {HeadData} */ (this.data);
    return this.app.say("head.label", { head: `${headName(layer, head)} ${titles[at]}`.trim() });
  }

  /** @param {number} row @param {number} column */
  point(row, column) {
    if (row === this.cross.row && column === this.cross.column) return;
    if (this.of !== frameOf(this.app)) return; // the present matrix is on its way
    this.cross = { row, column };
    for (const { panel } of this.panels) panel.mark(this.cross, this.fixed);
    this.drawReadout();
  }

  /** Fix a query and a key; the same again lets them go. @param {number} row @param {number} column */
  pick(row, column) {
    if (this.of !== frameOf(this.app)) return;
    const data = /** @type {HeadData} */ (this.data);
    const again = row === this.fixed.row && column === this.fixed.column;
    const chosen = (/** @type {number[]} */ all, /** @type {number} */ at) =>
      again || at < 0 || all[at] < 0 ? null : all[at];
    this.app.set({ query: chosen(data.rows, row), key: chosen(data.columns, column) });
  }

  drawReadout() {
    const data = /** @type {HeadData} */ (this.data);
    fill(this.told, ...readoutOf(this.app, data, this.cross));
  }

  drawSide() {
    const { app } = this;
    const data = /** @type {HeadData} */ (this.data);
    this.drawReadout();
    const links = strongestLinks(app, data, LINKS_LISTED);
    refill(
      this.strongest,
      h("h3", {}, app.say(data.compared ? "head.changed" : "head.strongest")),
      h("ol", { class: "links" }, ...links.map((link) => h("li", {}, this.linkButton(link)))),
      links.length === 0 && h("p", { class: "note" }, app.say("none")),
    );
  }

  /** @param {{row: number, column: number, number: number}} link */
  linkButton({ row, column, number }) {
    const { matrices, compared } = /** @type {HeadData} */ (this.data);
    const on = row === this.fixed.row && column === this.fixed.column;
    const text = compared ? signedText(number) : weightText(number);
    return h(
      "button",
      {
        type: "button",
        "aria-pressed": String(on),
        onclick: () => this.pick(row, column),
        onpointerenter: () => this.point(row, column),
        onpointerleave: () => this.point(this.fixed.row, this.fixed.column),
      },
      h("bdi", { class: "token" }, matrices[0].rows[row]),
      " → ",
      h("bdi", { class: "token" }, matrices[0].columns[column]),
      h("span", { class: "number" }, text),
    );
  }

  /** How large cells are, and what colours mean. */
  drawBar() {
    const { app, zoom, bar } = this;
    const { matrices } = /** @type {HeadData} */ (this.data);
    const choose = (/** @type {number} */ cell) => {
      this.zoom = cell;
      this.layOut();
      this.drawBar();
    };
    const times = (/** @type {number} */ factor) => {
      const now = this.panels[0].panel.layout?.cell ?? CELLS.readable;
      const next = factor > 1 ? Math.max(now + 1, now * factor) : now * factor;
      choose(Math.round(Math.min(CELLS.largest, Math.max(CELLS.smallest, next))));
    };
    const sizes = h(
      "span",
      { class: "segmented", role: "group", "aria-label": app.say("head.size") },
      h(
        "button",
        { type: "button", "aria-pressed": String(zoom === 0), onclick: () => choose(0) },
        app.say("head.fit"),
      ),
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(zoom === CELLS.readable),
          onclick: () => choose(CELLS.readable),
        },
        app.say("head.readable"),
      ),
      h("button", { type: "button", "aria-label": app.say("head.smaller"), onclick: () => times(1 / 1.5) }, "−"),
      h("button", { type: "button", "aria-label": app.say("head.larger"), onclick: () => times(1.5) }, "+"),
    );
    const { dark } = this.panels[0].panel.theme();
    const shown = matrices.length > 1 ? [matrices[0], matrices[2]] : matrices;
    refill(bar, sizes, ...shown.map((matrix) => colourLegend(app, matrix, dark)));
  }
}

/** How large a matrix may be drawn, of so many side by side. @param {HTMLElement} host @param {number} count */
function roomOf(host, count) {
  const wide = host.clientWidth;
  const across = count === 1 || wide < 560 ? 1 : wide < 840 ? 2 : count;
  const top = host.getBoundingClientRect().top + (host.closest(".view")?.scrollTop ?? 0);
  const height = Math.max(300, 0.6 * innerHeight, innerHeight - top - (count > 1 ? 80 : 50));
  return { width: Math.floor((wide - (across - 1) * PANELS_APART) / across), height };
}
