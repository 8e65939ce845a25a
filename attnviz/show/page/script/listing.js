// The numbers of the present view as a table: to read them, and for screen readers.

import { fill, h } from "./dom.js";

/** @import { Page, Table } from "./types.js" */

const LISTED_ROWS = 300; // that a browser lays out at once; the file saved has all

/** The part of the panel that lists the numbers of a view, hidden until asked for. */
export class Listing {
  /** @param {Page} app @param {() => {table: () => Promise<Table>} | undefined} view the present one */
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
    const { state } = this.app;
    const view = this.view();
    if (!this.open || !view) return;
    const table = await view.table().catch((error) => {
      if (state === this.app.state) fill(this.host, h("p", { class: "error" }, String(error.message ?? error)));
    });
    if (!table || turn !== this.turn) return;
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

/**
 * A column that is the same in all rows is said above them. Names tell tokens apart, so their places are left out.
 *
 * @param {Table} table
 */
function numberTable({ columns, rows }) {
  const named = [...columns.keys()].filter((at) => !columns[at].endsWith("_index"));
  const shared = rows.length > 1 ? named.filter((at) => rows.every((row) => row[at] === rows[0][at])) : [];
  const own = named.filter((at) => !shared.includes(at));
  const said = shared.filter((at) => rows[0][at] !== "").map((at) => `${columns[at]}: ${rows[0][at]}`);
  const cell = (/** @type {string | number} */ value) =>
    typeof value === "number"
      ? h("td", { class: "number" }, Number.isInteger(value) ? String(value) : value.toPrecision(3))
      : h("td", {}, h("bdi", {}, value));
  return h(
    "table",
    { class: "numbers" },
    said.length > 0 && h("caption", {}, said.join(" · ")),
    h("thead", {}, h("tr", {}, ...own.map((at) => h("th", { scope: "col" }, columns[at])))),
    h("tbody", {}, ...rows.slice(0, LISTED_ROWS).map((row) => h("tr", {}, ...own.map((at) => cell(row[at]))))),
  );
}
