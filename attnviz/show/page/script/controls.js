// The pickers above a view.

import { sidePicker } from "./compare/sides.js";
import { h, refill } from "./dom.js";
import { allHeads } from "./heads.js";
import { picker, toggle } from "./pick.js";

/** @import { App } from "./app.js" */
/** @import { Role, State } from "./types.js" */

/**
 * The pickers of the present state, drawn anew when it changes; the focus stays where it was.
 *
 * @param {App} app
 * @param {HTMLElement} host
 */
export function drawControls(app, host) {
  const held = host.querySelector("input[type=range]:active");
  if (held?.previousElementSibling) {
    // a slider that is being moved stays itself
    held.previousElementSibling.textContent = thresholdText(app);
    return;
  }
  refill(host, ...textPickers(app), ...headPickers(app), ...tokenPickers(app), ...lookPickers(app));
}

/** @param {App} app */
function textPickers(app) {
  const { texts, pairs } = app.data;
  const { text, pair } = app.state;
  /** @type {[string, string][]} */
  const choices = texts.map(({ name, part, model }, index) => {
    const window = part ? ` · ${app.say("part", { index: part.index + 1, count: part.count })}` : "";
    const alike = texts.some(
      (other, place) => place !== index && other.name === name && other.model.title !== model.title,
    );
    return [`t${index}`, `${shortened(name)}${window}${alike ? ` · ${model.title}` : ""}`];
  });
  const sides = sidePicker(app);
  if (choices.length === 1 || (sides && texts.length === 2)) return [sides];
  for (const index of pairs.keys()) choices.push([`p${index}`, `${app.say("A")} · ${app.say("B")}`]);
  const chosen = pair === null ? `t${text}` : `p${pair}`;
  return [
    picker(app.say("text"), chosen, choices, (value) => {
      const number = Number(value.slice(1));
      app.set(value[0] === "p" ? { pair: number } : { pair: null, text: number });
    }),
  ];
}

/** @param {string} text */
function shortened(text) {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

/** @param {App} app */
function headPickers(app) {
  const layers = app.text.recorded.map((layer) => /** @type {[string, string]} */ ([String(layer), `L${layer}`]));
  return [
    picker(app.say("layer"), String(app.state.layer), layers, (value) => app.set({ layer: Number(value) })),
    picker(
      app.say("head"),
      String(app.state.head),
      allHeads(app).map((head) => [String(head), `H${head}`]),
      (value) => app.set({ head: Number(value) }),
    ),
  ];
}

/** @type {Map<string, {of: string, made: HTMLElement}>} the tokens' pickers, which are long: of what, by role */
const tokenLists = new Map();

/** @param {App} app */
function tokenPickers(app) {
  const { text, unit, lang } = app.state;
  return /** @type {Role[]} */ (["query", "key"]).map((role) => {
    const chosen = app.state[role] === null ? "" : String(app.state[role]);
    const of = [text, unit, lang].join(" ");
    const known = tokenLists.get(role);
    if (known?.of === of) {
      /** @type {HTMLSelectElement} */ (known.made.querySelector("select")).value = chosen;
      return known.made;
    }
    const tokens = app
      .tokens(role)
      .map((token, index) => /** @type {[string, string]} */ ([String(index), token.name]));
    const made = picker(app.say(`pick.${role}`), chosen, [["", app.say("none")], ...tokens], (value) =>
      app.set({ [role]: value === "" ? null : Number(value) }),
    );
    tokenLists.set(role, { of, made });
    return made;
  });
}

/** @param {App} app */
function lookPickers(app) {
  const { unit, special, scale, view } = app.state;
  return [
    picker(
      app.say("unit"),
      unit,
      [
        ["word", app.say("word")],
        ["piece", app.say("piece")],
      ],
      (value) => app.set(otherUnit(app, /** @type {State["unit"]} */ (value))),
    ),
    toggle(app.say("special"), special, (on) => app.set({ special: on })),
    ...(view === "lines" ? [slider(app)] : []),
    picker(
      app.say("scale"),
      scale,
      [
        ["own", app.say("scale.own")],
        ["fixed", app.say("scale.fixed")],
      ],
      (value) => app.set({ scale: /** @type {State["scale"]} */ (value) }),
    ),
  ];
}

/** The threshold of the lines, which follow while it is moved. @param {App} app */
function slider(app) {
  const { threshold } = app.state;
  const input = h("input", {
    type: "range",
    min: 0,
    max: 0.5,
    step: 0.01,
    value: threshold,
    oninput: () => app.set({ threshold: Number(input.value) }),
  });
  return h("label", { class: "picker" }, h("span", {}, thresholdText(app)), input);
}

/** @param {App} app */
function thresholdText(app) {
  return `${app.say("threshold")} ${app.state.threshold.toFixed(2)}`;
}

/**
 * The other unit, with the chosen tokens in it: a word's first piece, or a piece's word.
 *
 * @param {App} app
 * @param {State["unit"]} unit
 * @returns {Partial<State>}
 */
export function otherUnit(app, unit) {
  if (unit === app.state.unit) return {};
  /** @param {Role} role */
  const moved = (role) => {
    const place = app.state[role];
    const { starts } = app.side(role);
    if (place === null) return null;
    return unit === "piece" ? starts[place] : starts.filter((start) => start <= place).length - 1;
  };
  return { unit, query: moved("query"), key: moved("key"), window: null };
}
