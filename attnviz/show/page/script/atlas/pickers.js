// The pickers above a view of the atlas: what colours heads, which are meant, along which numbers.

import { h, refill } from "../dom.js";
import { picker, toggle } from "../pick.js";
import { roleName, UNKNOWN } from "./mixture.js";

/** @import { Atlas } from "./app.js" */

/** @param {Atlas} app @param {HTMLElement} host */
export function drawPickers(app, host) {
  const { view, bars, sort, down } = app.state;
  const held = host.querySelector("input[type=range]:active");
  if (held?.previousElementSibling) {
    held.previousElementSibling.textContent = leastText(app); // a slider that is being moved stays itself
    return;
  }
  host.setAttribute("aria-label", app.say("controls"));
  refill(
    host,
    ...(view === "scatter" ? [axisPicker(app, "x"), axisPicker(app, "y")] : []),
    ...(view === "map" || view === "scatter" ? [colourPicker(app)] : []),
    ...(view === "scatter" ? [toggle(app.say("bars"), bars, (on) => app.set({ bars: on }))] : []),
    ...(view === "map" || view === "list" ? [sortPicker(app)] : []),
    ...(sort && (view === "map" || view === "list")
      ? [toggle(app.say("down"), down, (on) => app.set({ down: on }))]
      : []),
    ...filterPickers(app),
  );
}

/** @param {Atlas} app @returns {[string, string][]} */
function choicesOf(app) {
  return app.quantities.map(({ name, title }) => [name, title]);
}

/** @param {Atlas} app @param {"x" | "y"} axis */
function axisPicker(app, axis) {
  return picker(app.say(axis), app.state[axis], choicesOf(app), (name) => app.set({ [axis]: name }));
}

/** @param {Atlas} app */
function colourPicker(app) {
  const choices = /** @type {[string, string][]} */ ([["role", app.say("roles.all")], ...choicesOf(app)]);
  return picker(app.say("colour"), app.state.colour, choices, (colour) => app.set({ colour }));
}

/** @param {Atlas} app */
function sortPicker(app) {
  const choices = /** @type {[string, string][]} */ ([["", app.say("sort.none")], ...choicesOf(app)]);
  return picker(app.say("sort"), app.state.sort, choices, (sort) => app.set({ sort, down: true }));
}

/** @param {Atlas} app */
function filterPickers(app) {
  const { role, least } = app.state;
  const roles = app.roles.map((name, at) => {
    const called = roleName(app, at < app.survey.roles.length ? at : UNKNOWN);
    return /** @type {[string, string]} */ ([name, called]);
  });
  const choices = /** @type {[string, string][]} */ ([["", app.say("filter.all")], ...roles]);
  const list = picker(app.say("filter"), role, choices, (name) => app.set({ role: name }));
  if (role === "") return [list];
  const range = { type: "range", min: 0, max: 1, step: 0.05, value: least };
  const input = h("input", { ...range, oninput: () => app.set({ least: Number(input.value) }) });
  const count = app.survey.heads.filter(app.meant, app).length;
  return [
    list,
    h("label", { class: "picker" }, h("span", {}, leastText(app)), input),
    h("output", { class: "note" }, app.say("filter.count", { count, all: app.survey.heads.length })),
  ];
}

/** @param {Atlas} app */
function leastText(app) {
  return app.say("least", { share: Math.round(100 * app.state.least) });
}
