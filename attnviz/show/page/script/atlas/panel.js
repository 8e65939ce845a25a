// One head: its roles with their tests, its examples, its numbers with their intervals and formulas.

import { fill, h } from "../dom.js";
import { headName, numberText, percent } from "../writing.js";
import { examplesOf } from "./examples.js";
import { mixtureBar, roleName, swatch, UNKNOWN } from "./mixture.js";
import { rangeOf, withInterval, written } from "./quantities.js";

/** @import { Atlas } from "./app.js" */
/** @import { Estimate, Head, Quantity } from "./types.js" */

const PARTS = /** @type {const} */ (["roles", "examples", "numbers"]);
const MOST_ALIKE = 5;

/** The panel of the chosen head, drawn anew when it changes. @param {Atlas} app @param {HTMLElement} host */
export function panel(app, host) {
  let drawn = "";
  return () => {
    const look = JSON.stringify([app.chosen, app.state.lang, app.dark]);
    const head = app.survey.heads[app.chosen];
    if (look === drawn || !head) return;
    const other = !drawn.startsWith(`[${app.chosen},`);
    drawn = look;
    host.setAttribute("aria-labelledby", "chosen");
    fill(host, titleOf(app, head), rolesPart(app, head), examplesOf(app, head), numbersPart(app, head));
    if (other) host.scrollTop = 0;
  };
}

/** @param {Atlas} app @param {Head} head */
function titleOf(app, head) {
  const parts = PARTS.map((part) =>
    h(
      "button",
      { type: "button", onclick: () => document.getElementById(`part-${part}`)?.scrollIntoView() },
      app.say(part),
    ),
  );
  return h(
    "div",
    { class: "chosen" },
    h("h2", { id: "chosen", tabindex: -1 }, headName(head.layer, head.head)),
    mixtureBar(app, head),
    h("span", { class: "segmented" }, ...parts),
  );
}

/** @param {string} part @param {string} title @param {...(Node | string | false | null)} children */
function section(part, title, ...children) {
  return h("section", { id: `part-${part}`, class: "stack" }, h("h3", {}, title), ...children);
}

/** @param {Atlas} app @param {Head} head */
function rolesPart(app, head) {
  const { roles } = app.survey;
  const own = [...head.roles].sort((a, b) => (b.share[0] ?? 0) - (a.share[0] ?? 0));
  const items = own.map(({ role, share, test }) =>
    h(
      "li",
      {},
      roleLine(app, role, share),
      h(
        "details",
        { class: "note" },
        h("summary", {}, app.say("test"), " ", h("span", { class: "number" }, testText(app, test))),
        h("span", { class: "formula", lang: "en" }, roles[role].formula),
        ` (${roles[role].source})`,
      ),
    ),
  );
  return section(
    "roles",
    app.say("roles"),
    h(
      "ul",
      { class: "mixed" },
      ...items,
      h("li", {}, roleLine(app, UNKNOWN, head.unknown), h("p", { class: "note" }, app.say("unknown.note"))),
    ),
    otherTests(app, head),
    alikePart(app, head),
  );
}

/** @param {Atlas} app @param {number} role @param {Estimate} share */
function roleLine(app, role, [share, low, high]) {
  const interval = low === null || high === null ? "" : `${percent(low)} – ${percent(high)}`;
  return h(
    "p",
    { class: "role" },
    swatch(app, role),
    h("strong", {}, roleName(app, role)),
    h("span", { class: "number" }, share === null ? "–" : percent(share)),
    h("small", {}, interval),
  );
}

/** The tests of roles that have no share: those that fail, and those of which a more specific role has the attention.
 * @param {Atlas} app @param {Head} head
 */
function otherTests(app, head) {
  const { roles } = app.survey;
  const own = head.roles.map(({ role }) => roles[role].name);
  const others = Object.entries(head.tests).filter(([name]) => !own.includes(name));
  if (others.length === 0) return null;
  const items = others.map(([name, test]) => {
    const tested = test.p !== null && Object.values(test).some((value) => typeof value === "number");
    const told = tested ? testText(app, test) : app.say("tests.none");
    const mark = test.passed ? "✓" : tested ? "✗" : "–";
    const role = roles.findIndex((one) => one.name === name);
    return h(
      "li",
      { class: "note" },
      `${mark} ${role < 0 ? name : roleName(app, role)}: `,
      h("span", { class: "number" }, told),
    );
  });
  return h(
    "details",
    {},
    h("summary", {}, app.say("tests.others", { count: others.length })),
    h("p", { class: "note" }, app.say("tests.note")),
    h("ul", { class: "failed" }, ...items),
  );
}

/** What a test came to: its numbers by name. @param {Atlas} app @param {Record<string, unknown>} test */
function testText(app, test) {
  const told = Object.entries(test).filter(([name, value]) => name !== "passed" && value !== null);
  const texts = told.map(([name, value]) => {
    const text = typeof value === "number" ? smallNumber(value) : String(value);
    return `${app.called("test", name, name)} ${text}`;
  });
  return texts.join(" · ");
}

/** @param {number} number */
function smallNumber(number) {
  if (Number.isInteger(number)) return String(number);
  return Math.abs(number) < 0.005 ? number.toPrecision(2).replaceAll("-", "−") : numberText(number);
}

/** The heads that do most of the same. @param {Atlas} app @param {Head} head */
function alikePart(app, head) {
  const { heads } = app.survey;
  if (head.alike.length === 0) return null;
  const buttons = head.alike.slice(0, MOST_ALIKE).map(([place, far]) => {
    const { layer, head: number } = heads[place];
    const go = () => app.set({ layer, head: number });
    return h("button", { type: "button", onclick: go }, headName(layer, number), h("small", {}, numberText(far)));
  });
  return h(
    "div",
    { class: "alike", role: "group", "aria-label": app.say("alike") },
    h("span", { class: "note" }, app.say("alike")),
    ...buttons,
  );
}

/** @param {Atlas} app @param {Head} head */
function numbersPart(app, head) {
  const { heads, intervals, statistics } = app.survey;
  const title = (/** @type {string} */ key) => h("th", { scope: "col" }, app.say(key));
  const rows = app.quantities.slice(0, statistics.length).map((quantity, at) => {
    const [mean, low, high] = quantity.of(head);
    return h(
      "tr",
      {},
      h(
        "th",
        { scope: "row" },
        quantity.title,
        h("small", { class: "formula", lang: "en" }, quantity.formula),
        h("small", {}, statistics[at].source),
      ),
      h(
        "td",
        { class: "number" },
        written(quantity, mean),
        h("small", {}, quantity.unit === "share" ? "" : app.called("unit", quantity.unit)),
      ),
      h(
        "td",
        { class: "number" },
        low === null || high === null ? "–" : `${written(quantity, low)} – ${written(quantity, high)}`,
      ),
      h("td", {}, mean === null ? "" : among(app, quantity, head), h("small", {}, rankText(app, quantity, mean))),
    );
  });
  return section(
    "numbers",
    app.say("numbers"),
    h(
      "p",
      { class: "note" },
      intervals
        ? app.say("intervals", { ...intervals, level: Math.round(100 * intervals.level) })
        : app.say("intervals.none"),
    ),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": app.say("numbers") },
      h(
        "table",
        { class: "numbers figures" },
        h("thead", {}, h("tr", {}, title("statistic"), title("mean"), title("interval"), title("among"))),
        h("tbody", {}, ...rows),
      ),
    ),
    heads.length > 1 && h("p", { class: "note" }, app.say("among.note")),
  );
}

/** Where a head stands among all: from the least to the largest, with its interval.
 * @param {Atlas} app @param {Quantity} quantity @param {Head} head
 */
function among(app, quantity, head) {
  const [low, high] = rangeOf(quantity, app.survey.heads, true);
  const at = (/** @type {number | null} */ number) => (100 * ((number ?? low) - low)) / (high - low || 1);
  const [mean, from, to] = quantity.of(head);
  const strip = h("span", { class: "among", role: "img", "aria-label": withInterval(quantity, quantity.of(head)) });
  strip.style.setProperty("--from", `${at(from ?? mean)}%`);
  strip.style.setProperty("--to", `${at(to ?? mean)}%`);
  strip.style.setProperty("--at", `${at(mean)}%`);
  return strip;
}

/** @param {Atlas} app @param {Quantity} quantity @param {number | null} mean */
function rankText(app, quantity, mean) {
  if (mean === null) return "";
  const numbers = app.survey.heads.map((one) => quantity.of(one)[0]).filter((number) => number !== null);
  return app.say("rank", { rank: 1 + numbers.filter((number) => number > mean).length, count: numbers.length });
}
