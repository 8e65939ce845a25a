// The map: a row is a layer, a cell is a head, coloured by its roles or by a number.

import { colourOf, inkOn, palette } from "../colours.js";
import { fill, h } from "../dom.js";
import { headName } from "../writing.js";
import { chosenAmong } from "./chosen.js";
import { barsOf, headText, letterOf, roleLegend, sharesOf } from "./mixture.js";
import { rangeOf, withInterval, written } from "./quantities.js";
import { scaleLegend } from "./scale.js";

/** @import { Atlas } from "./app.js" */
/** @import { Head, Quantity, Table, View } from "./types.js" */

/** @param {Atlas} app @returns {View} */
export function mapView(app) {
  const legend = h("div");
  const readout = h("p", { class: "readout", "aria-hidden": "true" });
  const grid = h("div", { class: "map", role: "group" });
  const host = h("div", { class: "stack" }, legend, readout, h("div", { class: "scroll" }, grid));
  /** @type {HTMLButtonElement[]} */
  let cells = [];
  let drawn = "";
  const tell = (/** @type {number} */ place) => {
    readout.textContent = cellText(app, app.survey.heads[place]);
  };
  const placeOf = (/** @type {Event} */ event) => cells.indexOf(/** @type {HTMLButtonElement} */ (event.target));
  grid.addEventListener("pointerover", (event) => {
    const place = placeOf(event);
    if (place >= 0) tell(place);
  });
  grid.addEventListener("pointerleave", () => tell(app.chosen));
  return {
    host,
    update() {
      const { colour, role, least, sort, down, lang } = app.state;
      const look = JSON.stringify([colour, role, least, sort, down, lang, app.dark]);
      if (look !== drawn) {
        const focused = cells.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
        fill(legend, colour === "role" ? roleLegend(app) : scaleLegend(app, app.quantity(colour)));
        cells = drawCells(app, grid);
        cells[focused]?.focus();
        drawn = look;
      }
      const place = app.chosen;
      chosenAmong(cells, place);
      tell(place);
    },
    table: () => (app.state.colour === "role" ? rolesTable(app) : numbersTable(app, app.quantity(app.state.colour))),
  };
}

/** What a cell stands for, in words. @param {Atlas} app @param {Head} head */
function cellText(app, head) {
  if (app.state.colour === "role") return headText(app, head);
  const quantity = app.quantity(app.state.colour);
  return `${headName(head.layer, head.head)}: ${quantity.title} ${withInterval(quantity, quantity.of(head))}`;
}

/** All cells, by their heads' places. @param {Atlas} app @param {HTMLElement} grid */
function drawCells(app, grid) {
  const { heads } = app.survey;
  const { colour, sort } = app.state;
  const quantity = colour === "role" ? null : app.quantity(colour);
  const paint = quantity ? numberPaint(app, quantity) : null;
  /** @type {HTMLButtonElement[]} */
  const cells = [];
  const rows = app.layers.flatMap((layer) => {
    const places = [...heads.keys()].filter((place) => heads[place].layer === layer);
    const row = app.ordered(places).map((place) => {
      const head = heads[place];
      const name = headName(head.layer, head.head);
      const cell = h("button", {
        type: "button",
        class: app.meant(head) ? "cell" : "cell dim",
        "data-name": sort ? name : null,
        "aria-label": cellText(app, head),
        onclick: () => app.set({ layer: head.layer, head: head.head }),
      });
      if (paint) paint(cell, head);
      else mixturePaint(app, cell, head);
      if (!sort) cell.style.gridColumn = String(head.head + 2);
      cells[place] = cell;
      return cell;
    });
    return [h("span", { class: "of-layer" }, `L${layer}`), ...row];
  });
  const across = [...Array(app.across).keys()];
  const titles = across.map((head) => h("span", { class: "of-head" }, sort ? "" : `H${head}`));
  grid.style.setProperty("--heads", String(app.across));
  grid.setAttribute("data-colour", colour === "role" ? "role" : "number");
  grid.setAttribute("aria-label", app.say("map.label"));
  fill(grid, h("span", { class: "of-head" }), ...titles, ...rows);
  return cells;
}

/** Colours a cell by its roles, and gives the largest its letter. @param {Atlas} app @param {HTMLElement} cell @param {Head} head */
function mixturePaint(app, cell, head) {
  cell.style.setProperty("--bars", barsOf(app, head));
  const most = letterOf(app, head);
  if (!most) return;
  cell.setAttribute("data-letter", most.letter);
  cell.style.setProperty("--at", `${most.at}%`);
}

/** What colours a cell by a number, and writes it there. @param {Atlas} app @param {Quantity} quantity */
function numberPaint(app, quantity) {
  const colours = palette("heat", app.dark);
  const [low, high] = rangeOf(quantity, app.survey.heads);
  return (/** @type {HTMLElement} */ cell, /** @type {Head} */ head) => {
    const [number] = quantity.of(head);
    if (number === null) return cell.classList.add("none");
    const colour = colourOf(colours, number, low, high);
    cell.style.backgroundColor = colour;
    cell.style.color = inkOn(colour);
    return cell.append(h("span", { class: "figure" }, written(quantity, number).replace("%", "")));
  };
}

/** The shares of all roles, a head a row. @param {Atlas} app @returns {Table} */
function rolesTable(app) {
  const { roles, heads } = app.survey;
  const columns = ["layer", "head", ...roles.map(({ name }) => name), "unknown"];
  const rows = heads.filter(app.meant, app).map((head) => {
    const shares = new Map(sharesOf(head));
    return [head.layer, head.head, ...roles.map((_, role) => shares.get(role) ?? ""), head.unknown[0] ?? ""];
  });
  return { columns, rows };
}

/** A number with its interval, a head a row. @param {Atlas} app @param {...Quantity} quantities @returns {Table} */
export function numbersTable(app, ...quantities) {
  const columns = ["layer", "head", ...quantities.flatMap(({ name }) => [name, `${name}.low`, `${name}.high`])];
  const heads = app.ordered([...app.survey.heads.keys()]).map((place) => app.survey.heads[place]);
  const rows = heads.filter(app.meant, app).map((head) => {
    const numbers = quantities.flatMap(({ of }) => of(head).map((number) => number ?? ""));
    return [head.layer, head.head, ...numbers];
  });
  return { columns, rows };
}
