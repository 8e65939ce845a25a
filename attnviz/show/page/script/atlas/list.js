// All heads below each other, with all their numbers, in the order of any of them.

import { fill, h } from "../dom.js";
import { headName } from "../writing.js";
import { numbersTable } from "./map.js";
import { mixtureBar, mixtureText, roleLegend } from "./mixture.js";
import { withInterval, written } from "./quantities.js";

/** @import { Atlas } from "./app.js" */
/** @import { Quantity, View } from "./types.js" */

const AT_ONCE = 100; // rows that are laid out before more are asked for

/** @param {Atlas} app @returns {View} */
export function listView(app) {
  const legend = h("div");
  const table = h("div", { class: "scroll", tabindex: 0, role: "group" });
  const more = h("button", { type: "button" });
  const count = h("p", { class: "note", role: "status" });
  const host = h("div", { class: "stack" }, legend, count, table, more);
  let [drawn, wanted, shown] = ["", "", AT_ONCE];
  /** @type {Map<number, HTMLElement>} */
  let rows = new Map();
  const update = () => {
    const { sort, down, role, least, lang } = app.state;
    const asked = JSON.stringify([sort, down, role, least]);
    if (asked !== wanted) [wanted, shown] = [asked, AT_ONCE];
    const look = JSON.stringify([asked, shown, lang, app.dark]);
    if (look !== drawn) {
      const { heads } = app.survey;
      const places = app.ordered([...heads.keys()]).filter((place) => app.meant(heads[place]));
      fill(legend, roleLegend(app));
      rows = new Map(places.slice(0, shown).map((place) => [place, rowOf(app, place)]));
      table.setAttribute("aria-label", app.say("list.label"));
      const from = table.scrollLeft;
      const held = focusedTitle(table);
      fill(table, h("table", { class: "numbers" }, titlesOf(app), h("tbody", {}, ...rows.values())));
      table.scrollLeft = from;
      if (held >= 0) titleButtons(table)[held]?.focus();
      count.textContent = app.say("list.count", { count: places.length, all: heads.length });
      more.hidden = places.length <= shown;
      more.textContent = app.say("list.more", { count: Math.min(AT_ONCE, places.length - shown) });
      drawn = look;
    }
    for (const [place, row] of rows) row.classList.toggle("on", place === app.chosen);
  };
  more.addEventListener("click", () => {
    shown += AT_ONCE;
    update();
  });
  return { host, update, table: () => numbersTable(app, ...app.quantities.slice(0, -1)) };
}

/** @param {Element} table */
const titleButtons = (table) => /** @type {HTMLElement[]} */ ([...table.querySelectorAll("thead button")]);

/** Which column's title has the focus. @param {Element} table */
const focusedTitle = (table) => titleButtons(table).indexOf(/** @type {HTMLElement} */ (document.activeElement));

/** @param {Atlas} app */
function titlesOf(app) {
  const { sort, down } = app.state;
  const title = (/** @type {string} */ name, /** @type {string} */ called, /** @type {string} */ formula) => {
    const on = sort === name;
    const go = () => app.set({ sort: name, down: on ? !down : true });
    const mark = on && h("span", { "aria-hidden": "true" }, down ? " ↓" : " ↑");
    return h(
      "th",
      { scope: "col", "aria-sort": on && name ? (down ? "descending" : "ascending") : null, title: formula || null },
      h("button", { type: "button", onclick: go }, called, mark),
    );
  };
  return h(
    "thead",
    {},
    h(
      "tr",
      {},
      title("", app.say("head"), ""),
      h("th", { scope: "col" }, app.say("roles")),
      ...columnsOf(app).map((quantity) => title(quantity.name, quantity.title, quantity.formula)),
    ),
  );
}

/** What is unknown first, then all statistics; of the roles the bar tells. @param {Atlas} app @returns {Quantity[]} */
function columnsOf(app) {
  const { quantities, survey } = app;
  const sorted = quantities.filter(({ name }) => name === app.state.sort && name.startsWith("role."));
  const unknown = app.quantity("role.unknown");
  return [...new Set([...sorted, unknown, ...quantities.slice(0, survey.statistics.length)])];
}

/** @param {Atlas} app @param {number} place */
function rowOf(app, place) {
  const head = app.survey.heads[place];
  const name = headName(head.layer, head.head);
  const go = () => app.set({ layer: head.layer, head: head.head });
  const bar = mixtureBar(app, head);
  bar.title = mixtureText(app, head);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, h("button", { type: "button", onclick: go }, name)),
    h("td", {}, bar),
    ...columnsOf(app).map((quantity) => {
      const estimate = quantity.of(head);
      return h("td", { class: "number", title: withInterval(quantity, estimate) }, written(quantity, estimate[0]));
    }),
  );
}
