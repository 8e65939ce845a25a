// Lines: two columns of tokens, curves from who looks to what is looked at, darker with the weight.

import { frameOf, titleOf } from "../app.js";
import { headColour, inkOn } from "../colours.js";
import { changedLinks, drawSigns } from "../compare/sides.js";
import { fill, h } from "../dom.js";
import { allHeads, headsOn } from "../heads.js";
import { isDark, pause, sized, watch } from "../matrix.js";
import { ROLES } from "../state.js";
import { chipName, weightText } from "../writing.js";
import { drawHeadBoxes } from "./headboxes.js";
import { linesPaper } from "./paper.js";
import { besides, layOut, soloOf, widthOf } from "./places.js";
import { linksTable, notesOf, toldOf } from "./said.js";
import { drawLinks, linksOf } from "./wires.js";

/** @import { App } from "../app.js" */
/** @import { Layout } from "./places.js" */
/** @import { Chosen, Drawn, Links } from "./wires.js" */
/** @import { Role, Shown, View } from "../types.js" */

const TILE_HEIGHT = 640; // how high a canvas is, in CSS pixels: those in sight are drawn
const LINES_SLICE = 30; // milliseconds of work before the browser may answer
const LINES_AT_ONCE = 1500;
const STANDS_OUT = 0.5; // the part of the largest weight from which on tokens do
const CHIPS_SHOWN = 3; // heads that are named beside a token
const OTHER_ROLE = /** @type {const} */ ({ query: "key", key: "query" });

/** @param {App} app @returns {View} */
export function linesView(app) {
  const view = new LinesView(app);
  return {
    host: view.host,
    update: () => view.update(),
    table: async () => linksTable(app, await view.drawn()),
    svg: async () => linesPaper(app, await view.drawn()),
  };
}

/**
 * @typedef {{canvas: HTMLCanvasElement, top: number, height: number, seen: boolean, turn: number}} Tile
 * What is drawn: heads, their layout, the links of all tokens and those of the chosen ones.
 * @typedef {{of: string, heads: Drawn[], layout: Layout, links: Links, chosen: Chosen, largest: number}} Lines
 */

/** @type {WeakMap<Shown, number>} */
const peaks = new WeakMap();

/** A head's largest weight. @param {Shown} shown */
function peakOf(shown) {
  const known = peaks.get(shown);
  if (known !== undefined) return known;
  let largest = 0;
  for (const weight of shown.weights) if (weight > largest) largest = weight;
  peaks.set(shown, largest);
  return largest;
}

class LinesView {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.turn = 0;
    /** @type {{role: Role, place: number} | null} a token that is pointed at */
    this.pointed = null;
    /** @type {Lines | null} */
    this.lines = null;
    this.laid = "";
    /** @type {number | null} the only head that is switched on */
    this.alone = null;
    /** @type {Promise<void>} */
    this.latest = Promise.resolve();
    /** @type {Element[]} */
    this.touched = [];
    this.heads = h("div", { class: "heads", role: "group" });
    this.told = h("p", { class: "readout", "aria-live": "polite" });
    this.said = h("p", { class: "note" });
    this.titles = { query: h("h2", { id: "of-query" }), key: h("h2", { id: "of-key" }) };
    this.columns = { query: this.column("query"), key: this.column("key") };
    this.wires = h("div", { class: "wires", "aria-hidden": "true" });
    /** @type {Map<Element, Tile>} */
    this.tiles = new Map();
    const { query, key } = this.columns;
    this.board = h(
      "div",
      { class: "board" },
      ...[this.titles.query, h("span", { class: "between" }), this.titles.key, query, this.wires, key],
    );
    this.host = h("section", { class: "lines" }, this.heads, this.told, this.board, this.said);
    /** @type {IntersectionObserver | null} */
    this.sight = null;
    new ResizeObserver(() => this.resized()).observe(this.wires);
    this.printing = false;
    for (const when of ["beforeprint", "afterprint"]) {
      addEventListener(when, () => {
        this.printing = when === "beforeprint";
        if (this.host.isConnected) this.paint();
      });
    }
  }

  /** A column of tokens: a list of which one has the focus. @param {Role} role */
  column(role) {
    const at = (/** @type {Event} */ event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest?.("[data-place]");
      return row ? Number(row.getAttribute("data-place")) : null;
    };
    const point = (/** @type {number | null} */ place) => this.point(place === null ? null : { role, place });
    return h("ul", {
      class: `column of-${role}`,
      role: "listbox",
      "aria-labelledby": `of-${role}`,
      onpointerover: (/** @type {PointerEvent} */ event) => event.pointerType !== "touch" && point(at(event)),
      onpointerleave: () => point(null),
      onfocusin: (/** @type {Event} */ event) => point(at(event)),
      onfocusout: () => point(null),
      onclick: (/** @type {Event} */ event) => this.fix(role, at(event)),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.walk(role, at(event), event),
    });
  }

  /** Draw the present state; what is asked for meanwhile is waited for. @returns {Promise<void>} */
  update() {
    this.latest = this.redraw(++this.turn);
    return this.latest;
  }

  /** @param {number} turn @returns {Promise<void>} */
  async redraw(turn) {
    const { app } = this;
    const { layer, head } = app.state;
    if (app.other !== null) return this.redrawChange(turn, app.other);
    drawHeadBoxes(app, this.heads, isDark(this.host));
    const [on, of] = [headsOn(app), frameOf(app)];
    if (this.isLeft(on)) return this.latest;
    const order = [head, ...on].filter((one, at, all) => all.indexOf(one) === at);
    const heads = [];
    let shown = null;
    let [began, slice] = [performance.now(), LINES_SLICE];
    for (const one of order) {
      const found = await app.shown(layer, one);
      if (turn !== this.turn) return this.latest;
      shown ??= found;
      if (on.includes(one)) heads.push({ head: one, shown: found });
      if (performance.now() - began > slice) {
        this.draw(of, heads, shown);
        await pause();
        if (turn !== this.turn) return this.latest;
        [began, slice] = [performance.now(), 2 * slice];
      }
    }
    heads.sort((one, other) => one.head - other.head);
    if (shown) await this.draw(of, heads, shown);
  }

  /** What the present head gives more and less in B. @param {number} turn @param {number} other @returns {Promise<void>} */
  async redrawChange(turn, other) {
    const of = frameOf(this.app);
    const heads = await changedLinks(this.app, other);
    if (turn !== this.turn) return this.latest;
    drawSigns(this.app, this.heads, isDark(this.host));
    await this.draw(of, heads, heads[0].shown);
  }

  /** Whether one head alone was drawn and now another is chosen, which is drawn instead. @param {number[]} on */
  isLeft(on) {
    const { app } = this;
    const { head } = app.state;
    const left = on.length === 1 && on[0] === this.alone && on[0] !== head;
    this.alone = on.length === 1 ? on[0] : null;
    if (left) app.set({ off: allHeads(app).filter((one) => one !== head) });
    return left;
  }

  /** @param {string} of what they were computed for @param {Drawn[]} heads @param {Shown} shown whose tokens all share */
  draw(of, heads, shown) {
    const { app } = this;
    if (of !== frameOf(app)) return; // the view was left meanwhile
    const { scale, threshold, query, key } = app.state;
    const layout = layOut(app, shown, this.room());
    const largest = (scale === "own" && Math.max(...heads.map(({ shown: one }) => peakOf(one)))) || 1;
    const links = linksOf(heads, threshold, largest, { query: null, key: null });
    const place = { query: shown.rows.indexOf(query ?? -1), key: shown.columns.indexOf(key ?? -1) };
    const chosen = {
      query: place.query < 0 ? null : place.query,
      key: place.key < 0 ? null : place.key,
    };
    this.lines = { of, heads, layout, links, chosen, largest };
    this.layColumns(layout);
    return this.paint();
  }

  /** How high the columns may be to fit, and a line of text, in CSS pixels. */
  room() {
    const scroller = this.host.parentElement;
    const line = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
    const above = this.columns.query.offsetTop - this.host.offsetTop;
    return { height: (scroller?.clientHeight ?? 600) - above - 5 * line, line };
  }

  /** The tokens of both columns, made anew only if there are others. @param {Layout} layout */
  layColumns(layout) {
    const { app } = this;
    const { text, pair, unit, lang } = app.state;
    const laid = JSON.stringify([text, pair, unit, lang, layout]);
    if (laid === this.laid) return;
    this.laid = laid;
    if (this.pointed && this.pointed.place >= layout[this.pointed.role].indices.length) this.pointed = null;
    for (const role of ROLES) {
      const { indices, tops, step, second } = layout[role];
      const tokens = app.tokens(role);
      this.titles[role].textContent = app.say(titleOf(app, role));
      const rows = indices.map((index, place) => {
        const { special, unknown } = tokens[index];
        const kinds = ["row", place === second && "second", special && "special", unknown && "unknown"];
        const row = h(
          "li",
          {
            class: kinds.filter(Boolean).join(" "),
            role: "option",
            "data-place": place,
            tabindex: place ? -1 : 0,
          },
          h("bdi", { class: "token" }, app.name(role, index)),
        );
        row.style.top = `${tops[place] - step / 2}px`;
        row.style.height = `${step}px`;
        return row;
      });
      fill(this.columns[role], ...rows);
      this.columns[role].style.height = `${layout.height}px`;
      const wide = Math.max(3, ...indices.map((index) => widthOf(app.name(role, index))));
      this.columns[role].style.setProperty("--wide", `${Math.min(wide, 26) * 0.6 + 1}rem`);
    }
    this.layTiles(layout.height);
  }

  /** Canvases one below the other. @param {number} height */
  layTiles(height) {
    this.sight?.disconnect();
    this.sight = watch(this.host, (seen) => this.seen(seen));
    this.tiles.clear();
    this.wires.style.height = `${height}px`;
    for (let top = 0; top < height; top += TILE_HEIGHT) {
      const canvas = h("canvas", { width: 0 });
      canvas.style.top = `${top}px`;
      const tall = Math.min(TILE_HEIGHT, height - top);
      canvas.style.height = `${tall}px`;
      this.tiles.set(canvas, { canvas, top, height: tall, seen: top < TILE_HEIGHT, turn: 0 });
    }
    fill(this.wires, ...this.tiles.keys());
    for (const canvas of this.tiles.keys()) this.sight.observe(canvas);
  }

  /** @param {IntersectionObserverEntry[]} entries */
  seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const tile = this.tiles.get(target);
      if (!tile || tile.seen === isIntersecting) continue;
      tile.seen = isIntersecting;
      if (tile.seen) this.paintTile(tile);
      else tile.canvas.width = 0;
    }
  }

  resized() {
    if (this.lines && this.wires.clientWidth !== this.width) this.paint();
  }

  /** The token whose lines alone are drawn: pointed at, or chosen. @returns {Chosen} */
  only() {
    const { pointed, lines } = this;
    if (pointed) return { query: null, key: null, [pointed.role]: pointed.place };
    const chosen = lines?.chosen ?? { query: null, key: null };
    return chosen.query === null ? chosen : { query: chosen.query, key: null };
  }

  /** Draw what is in sight, or all in light colours for paper, and what stands beside tokens. */
  paint() {
    const { lines, app } = this;
    if (lines?.of !== frameOf(app)) return; // the present ones are on their way
    const { heads, links, largest } = lines;
    const only = this.only();
    this.width = this.wires.clientWidth;
    this.dark = !this.printing && isDark(this.host);
    this.present =
      only.query === null && only.key === null ? links : linksOf(heads, app.state.threshold, largest, only);
    this.emphasise(only);
    this.said.textContent = notesOf(app, { ...lines, links: this.present }).join(" · ");
    const tiles = [...this.tiles.values()].filter((tile) => tile.seen || this.printing);
    return Promise.all(tiles.map((tile) => this.paintTile(tile)));
  }

  /** Many lines are drawn some at a time, so that scrolling goes on. @param {Tile} tile */
  async paintTile(tile) {
    const { lines, present, width = 0, dark = false } = this;
    if (!lines || !present || !width) return;
    const { canvas, top, height } = tile;
    const turn = ++tile.turn;
    const { query, key, row } = lines.layout;
    const heights = { query: query.tops, key: key.tops, row };
    const context = sized(canvas, width, height);
    for (let at = 0; at < present.count; ) {
      const some = { at, most: this.printing ? present.count : LINES_AT_ONCE };
      at = drawLinks(context, present, heights, { top, width, height, dark }, some);
      if (at === present.count) return;
      await pause();
      if (turn !== tile.turn) return;
    }
  }

  /** @param {{role: Role, place: number} | null} pointed */
  point(pointed) {
    if (pointed?.role === this.pointed?.role && pointed?.place === this.pointed?.place) return;
    this.pointed = pointed;
    this.paint();
  }

  /** Choose a token; the same again lets it go. @param {Role} role @param {number | null} place */
  fix(role, place) {
    if (place === null || this.lines?.of !== frameOf(this.app)) return;
    const index = this.lines.layout[role].indices[place];
    const again = this.app.state[role] === index;
    this.app.set({ [role]: again ? null : index, [OTHER_ROLE[role]]: null });
  }

  /** @param {Role} role @param {number | null} place @param {KeyboardEvent} event */
  walk(role, place, event) {
    const rows = /** @type {HTMLElement[]} */ ([...this.columns[role].children]);
    if (place === null) return;
    /** @type {Record<string, number>} */
    const moves = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: rows.length - 1 };
    if (event.key === "Enter" || event.key === " ") this.fix(role, place);
    else if (rows[moves[event.key]]) {
      rows[place].tabIndex = -1;
      rows[moves[event.key]].tabIndex = 0;
      rows[moves[event.key]].focus();
    } else if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Bold: the token whose lines are drawn, and those it gives most; weights beside them. @param {Chosen} only */
  emphasise(only) {
    const { lines, present } = this;
    if (!lines || !present) return;
    const solo = soloOf(only);
    for (const row of this.touched) row.querySelector(".weights")?.remove();
    this.touched = [];
    const { found, largest } = solo ? besides(present, OTHER_ROLE[solo.role]) : { found: null, largest: 1 };
    for (const role of ROLES) {
      const fixed = lines.chosen[role];
      [...this.columns[role].children].forEach((row, place) => {
        const beside = role === solo?.role ? undefined : found?.get(place);
        const own = role === solo?.role && place === solo.place;
        const on = own || (beside && beside[0].weight >= STANDS_OUT * largest);
        row.classList.toggle("on", Boolean(on));
        row.classList.toggle("dim", solo !== null && !on);
        row.classList.toggle("forbidden", this.isForbidden(solo, role, place));
        row.setAttribute("aria-selected", String(place === fixed));
        if (!beside) return;
        row.append(this.weights(beside));
        this.touched.push(row);
      });
    }
    this.told.textContent = solo && found ? toldOf(this.app, lines, solo, found) : this.app.say("lines.hint");
  }

  /** @param {{head: number, weight: number}[]} beside */
  weights(beside) {
    const { dark = false } = this;
    const alone = this.lines?.heads.length === 1;
    const parts = beside.slice(0, CHIPS_SHOWN).map(({ head, weight }) => {
      const chip = h("span", { class: "chip" }, chipName(head));
      [chip.style.background, chip.style.color] = [headColour(head, dark), inkOn(headColour(head, dark))];
      return h("span", {}, !alone && chip, weightText(weight));
    });
    return h("span", { class: "weights" }, ...parts);
  }

  /** Whether a mask keeps the solo token and another apart. @param {ReturnType<typeof soloOf>} solo @param {Role} role @param {number} place */
  isForbidden(solo, role, place) {
    const shown = this.lines?.heads[0]?.shown;
    if (!solo || !shown?.allowed || role === solo.role) return false;
    const [row, column] = role === "key" ? [solo.place, place] : [place, solo.place];
    return !shown.allowed[row * shown.columns.length + column];
  }

  /** What is drawn now, for a picture or a table. */
  async drawn() {
    await this.update();
    const { app, present } = this;
    const lines = /** @type {Lines} */ (this.lines);
    const links = /** @type {Links} */ (present ?? lines.links);
    return { ...lines, links, only: this.only(), notes: [notesOf(app, { ...lines, links }).join(" · ")] };
  }
}
