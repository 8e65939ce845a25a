// The numbers of the present view as a table: to read them, and for screen readers.

import { fill, h } from "./dom.js";

/** @import { App } from "./app.js" */
/** @import { Table, View } from "./types.js" */

const LISTED_ROWS = 300; // that a browser lays out at once; the file saved has all

/** The part of the panel that lists the numbers of a view, hidden until asked for. */
export class Listing {
  /** @param {App} app @param {() => View | undefined} view the present one */
  constructor(app, view) {
    this.app = app;
    this.view = view;
    this.turn = 0;
    this.host = h("section", { class: "listing", id: "listing", hidden: true, "aria-labelledby": "listing-title" });
  }

  get open() {
    return !this.host.hidden;
  }

  /** The control that opens and closes it. */
  button() {
    return h(
      "button",
      {
        type: "button",
        "aria-expanded": String(this.open),
        "aria-controls": "listing",
        onclick: (/** @type {Event} */ event) => this.switched(/** @type {HTMLElement} */ (event.currentTarget)),
      },
      this.app.say("table"),
    );
  }

  /** @param {HTMLElement} button */
  async switched(button) {
    this.host.hidden = this.open;
    button.setAttribute("aria-expanded", String(this.open));
    await this.update();
    if (this.open) this.host.scrollIntoView({ block: "nearest" });
  }

  /** Draw the table for what is shown now. */
  async update() {
    const turn = ++this.turn;
    const view = this.view();
    if (!this.open || !view) return;
    const table = await view.table();
    if (turn !== this.turn) return;
    const { app } = this;
    const count = table.rows.length;
    fill(
      this.host,
      h("h2", { id: "listing-title" }, app.say("table")),
      count > LISTED_ROWS && h("p", { class: "note" }, app.say("table.rows", { shown: LISTED_ROWS, count })),
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-labelledby": "listing-title" }, numberTable(table)),
    );
  }
}

/** @param {Table} table */
function numberTable({ columns, rows }) {
  const cell = (/** @type {string | number} */ value) =>
    typeof value === "number"
      ? h("td", { class: "number" }, Number.isInteger(value) ? String(value) : value.toPrecision(3))
      : h("td", {}, h("bdi", {}, value));
  return h(
    "table",
    { class: "numbers" },
    h("thead", {}, h("tr", {}, ...columns.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, ...rows.slice(0, LISTED_ROWS).map((row) => h("tr", {}, ...row.map(cell)))),
  );
}
