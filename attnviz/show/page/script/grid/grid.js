// Grid: all layers and heads as thumbnails, drawn as they come into sight.

import { palette } from "../colours.js";
import { comparedHeads } from "../compare/pairs.js";
import { fill, h } from "../dom.js";
import { allHeads } from "../heads.js";
import { drawMatrix, isDark, pause, watch } from "../matrix.js";
import { headName, weightText } from "../writing.js";
import { kindOf } from "./kinds.js";
import { gridPaper, THUMB_GAP, thumbOf } from "./paper.js";

/** @import { App } from "../app.js" */
/** @import { Table, View } from "../types.js" */

const GRID_SLICE = 12; // milliseconds of work before the browser may answer
const [SMALLEST_THUMB, READABLE_THUMB, LARGEST_THUMB] = [46, 72, 132]; // sides of a thumbnail, in CSS pixels

/** @param {App} app @returns {View} */
export function gridView(app) {
  const view = new GridView(app);
  return {
    host: view.host,
    update: () => view.update(),
    table: () => view.table(),
    svg: async () => gridPaper(app, view.sizeOf()),
  };
}

/** @typedef {{layer: number, head: number, button: HTMLElement, canvas: HTMLCanvasElement}} Thumb */

class GridView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.drawn = "";
    /** @type {Map<Element, Thumb>} */
    this.thumbs = new Map();
    /** @type {Set<Thumb>} those in sight that are not drawn yet */
    this.waiting = new Set();
    this.working = false;
    this.size = [0, 0];
    this.grid = h("div", { class: "grid", role: "group" });
    this.said = h("p", { class: "note" });
    this.host = h("section", { class: "gridview stack" }, this.said, h("div", { class: "scroll" }, this.grid));
    /** @type {IntersectionObserver | null} */
    this.sight = null;
    this.printing = false;
    addEventListener("beforeprint", () => this.print());
    addEventListener("afterprint", () => {
      this.printing = false;
    });
    new ResizeObserver(() => this.host.clientWidth && this.drawn && this.update()).observe(this.host);
  }

  async update() {
    const { app } = this;
    const { text, pair, unit, special, window, scale, lang } = app.state;
    const wide = this.sizeOf();
    const drawn = [text, pair, unit, special, window, scale, lang, isDark(this.host), wide].join(" ");
    if (drawn !== this.drawn) {
      this.drawn = drawn;
      this.size = wide;
      this.build();
    }
    this.mark();
    await this.work();
  }

  /** The width and height of a thumbnail, so that a layer fits if it may. */
  sizeOf() {
    const { app } = this;
    const [rows, columns] = ["query", "key"].map((role) => {
      const { window, special } = app.state;
      const tokens = app.tokens(/** @type {"query" | "key"} */ (role));
      const own = window && app.text.attention !== "cross" ? tokens.slice(...window) : tokens;
      return role === "key" && !special ? own.filter((one) => !one.special).length : own.length;
    });
    const { num_heads, num_layers } = app.text.model;
    const tall = Math.min(2, Math.max(0.5, rows / (columns || 1)));
    const across = Math.floor((this.host.clientWidth - 44) / num_heads) - THUMB_GAP;
    const view = this.host.closest(".view");
    const scrolls = view && getComputedStyle(view).overflowY !== "visible";
    const down = scrolls ? Math.floor(((view.clientHeight - 110) / num_layers - THUMB_GAP) / tall) : across;
    // all layers at once where that leaves thumbnails large enough
    const fits = down < across && down >= READABLE_THUMB ? down : across;
    const width = Math.min(LARGEST_THUMB, Math.max(SMALLEST_THUMB, fits));
    return [width, Math.round(width * tall)];
  }

  build() {
    const { app, grid } = this;
    const { num_layers, num_heads } = app.text.model;
    const [width] = this.size;
    this.sight?.disconnect();
    this.sight = watch(this.host, (seen) => this.seen(seen));
    this.thumbs.clear();
    this.waiting.clear();
    const heads = allHeads(app);
    const cells = [h("span", { class: "of-layer of-head corner", "aria-hidden": "true" })];
    for (const head of heads) {
      cells.push(h("span", { class: "of-head", "aria-hidden": "true" }, `H${head}`));
    }
    for (let layer = 0; layer < num_layers; layer++) {
      cells.push(h("span", { class: "of-layer", "aria-hidden": "true" }, `L${layer}`));
      if (app.text.recorded.includes(layer)) cells.push(...heads.map((head) => this.thumb(layer, head)));
      else cells.push(h("span", { class: "absent" }, app.say("unrecorded", { layer })));
    }
    grid.style.setProperty("--heads", String(num_heads));
    grid.style.setProperty("--thumb", `${width}px`);
    grid.setAttribute("aria-label", app.say("grid.label"));
    fill(grid, ...cells);
    const { scale } = app.state;
    const colours = app.say(app.other === null ? `grid.${scale}` : "difference");
    fill(this.said, [app.say("grid.hint"), colours, ""].join(" "), this.legend());
    for (const button of this.thumbs.keys()) this.sight.observe(button);
  }

  /** The colours from the smallest to the largest. */
  legend() {
    const { scale } = this.app.state;
    const signed = this.app.other !== null;
    const canvas = h("canvas", {});
    drawMatrix(canvas, {
      values: Float32Array.from({ length: 64 }, (_, at) => at / 63),
      rows: 1,
      columns: 64,
      colours: palette(signed ? "signed" : "heat", isDark(this.host)),
      low: 0,
      high: 1,
      width: 120,
      height: 10,
    });
    const ends = signed ? ["−", "+"] : ["0", scale === "fixed" ? "1" : "↑"];
    return h("span", { class: "legend", "aria-hidden": "true" }, ends[0], canvas, ends[1]);
  }

  /** @param {number} layer @param {number} head */
  thumb(layer, head) {
    const [width, height] = this.size;
    const canvas = h("canvas", {});
    const name = headName(layer, head);
    const button = h(
      "button",
      {
        type: "button",
        class: "thumb",
        "aria-label": name,
        title: name,
        onclick: () => this.app.set({ view: "head", layer, head }),
        onpointerenter: () => this.tell(button, layer, head),
        onfocus: () => this.tell(button, layer, head),
      },
      canvas,
    );
    [button.style.width, button.style.height] = [`${width}px`, `${height}px`];
    this.thumbs.set(button, { layer, head, button, canvas });
    return button;
  }

  /** Name the kind of a head. @param {HTMLElement} button @param {number} layer @param {number} head */
  async tell(button, layer, head) {
    const { app } = this;
    const { state, other } = app;
    const shown = await app.shown(layer, head);
    const beside = other === null ? null : await app.shown(layer, head, other);
    if (state !== app.state) return;
    if (other !== null && beside) {
      const { distance } = comparedHeads(app, other, shown, beside);
      button.title = `${headName(layer, head)} · ${app.say("head.distance")} ${weightText(distance, 3)}`;
      button.setAttribute("aria-label", button.title);
      return;
    }
    const about = { cross: app.text.attention === "cross", window: app.state.window !== null };
    const kind = kindOf(shown, app.tokens("query"), app.tokens("key"), about);
    button.title = `${headName(layer, head)} · ${app.say(`kind.${kind}`)}`;
    button.setAttribute("aria-label", button.title);
  }

  /** The present head is marked, and alone among all in the order of Tab. */
  mark() {
    const { layer, head } = this.app.state;
    const focused = this.thumbs.has(/** @type {Element} */ (document.activeElement));
    for (const { button, ...own } of this.thumbs.values()) {
      const present = own.layer === layer && own.head === head;
      button.tabIndex = present ? 0 : -1;
      if (!present) button.removeAttribute("aria-current");
      else button.setAttribute("aria-current", "true");
      if (present && focused) button.focus();
    }
  }

  /** @param {IntersectionObserverEntry[]} entries */
  seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const thumb = this.thumbs.get(target);
      if (!thumb) continue;
      if (isIntersecting && !thumb.canvas.hasAttribute("data-drawn")) this.waiting.add(thumb);
      else this.waiting.delete(thumb);
    }
    this.work();
  }

  /** Draw what waits, a little at a time, so that the page always answers. */
  async work() {
    if (this.working) return;
    this.working = true;
    try {
      let began = performance.now();
      for (let thumb = this.next(); thumb; thumb = this.next()) {
        this.waiting.delete(thumb);
        const made = await this.made(thumb);
        if (made) this.draw(thumb, made);
        if (this.printing || performance.now() - began < GRID_SLICE) continue;
        await pause();
        began = performance.now();
      }
    } finally {
      this.working = false;
    }
  }

  /** What to draw; none where another text came meanwhile. @param {Thumb} thumb */
  async made({ layer, head, button }) {
    try {
      return await thumbOf(this.app, layer, head, isDark(this.host));
    } catch (error) {
      if (button.isConnected) throw error;
      return null;
    }
  }

  /** Draw all, in sight or not, before the browser goes on. */
  print() {
    this.printing = true;
    for (const thumb of this.thumbs.values()) if (!thumb.canvas.hasAttribute("data-drawn")) this.waiting.add(thumb);
    this.work();
  }

  next() {
    return this.waiting.values().next().value;
  }

  /** @param {Thumb} thumb @param {Awaited<ReturnType<typeof thumbOf>>} drawn */
  draw({ canvas, button }, drawn) {
    if (!button.isConnected) return;
    const [width, height] = this.size;
    drawMatrix(canvas, { ...drawn, width: width - 2, height: height - 2 });
    canvas.setAttribute("data-drawn", "");
  }

  /** Every recorded head with its strongest link, or with its distance from A to B. @returns {Promise<Table>} */
  async table() {
    const { app } = this;
    const { other } = app;
    const rows = [];
    for (const layer of app.text.recorded) {
      for (let head = 0; head < app.text.model.num_heads; head++) {
        if (head % 4 === 3) await pause();
        if (other !== null) {
          const both = comparedHeads(app, other, await app.shown(layer, head), await app.shown(layer, head, other));
          rows.push([layer, head, both.distance]);
          continue;
        }
        const { weights, rows: queries, columns } = await app.shown(layer, head);
        let best = 0;
        for (let at = 1; at < weights.length; at++) if (weights[at] > weights[best]) best = at;
        const query = queries[Math.floor(best / columns.length)];
        const key = columns[best % columns.length];
        rows.push([layer, head, query, app.name("query", query), key, app.name("key", key), weights[best]]);
      }
    }
    if (other !== null) return { columns: ["layer", "head", "distance"], rows };
    return { columns: "layer head query_index query key_index key weight".split(" "), rows };
  }
}
