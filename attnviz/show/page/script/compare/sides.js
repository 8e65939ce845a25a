// Where two texts or models are compared: A, B or the change, in the views that show one at a time.

import { GAINED, LOST, signColour } from "../colours.js";
import { fill, h } from "../dom.js";
import { chipName, headName } from "../writing.js";
import { comparedHeads, pairNames, pairPlaces } from "./pairs.js";

/** @import { App } from "../app.js" */
/** @import { Drawn } from "../lines/wires.js" */
/** @import { Both, PairData, Role, State } from "../types.js" */

/** Buttons for A, for B and, where the view has it, for the change; null where nothing is compared. @param {App} app */
export function sidePicker(app) {
  const { pair, text, view } = app.state;
  const single = view === "steps" || view === "layer";
  const at = pair ?? app.data.pairs.findIndex(({ a, b }) => text === a || text === b);
  const both = app.data.pairs[at];
  if (!both) return null;
  const [a, b] = [both.a, both.b].map((one) => app.data.texts[one]);
  const alike = a.name === b.name;
  /** @param {string} name @param {string} title @param {Partial<State>} change */
  const button = (name, title, change) => {
    const shown = single ? { ...app.state, pair: null } : app.state;
    const on = Object.entries(change).every(([key, value]) => shown[/** @type {keyof State} */ (key)] === value);
    const go = () => app.set({ ...change, ...movedTo(app, both, change.text ?? both.a) });
    return h("button", { type: "button", "aria-pressed": String(on), title, onclick: go }, name);
  };
  return h(
    "span",
    { class: "segmented", role: "group", "aria-label": app.say("pair") },
    button("A", alike ? a.model.title : a.name, { pair: null, text: both.a }),
    button("B", alike ? b.model.title : b.name, { pair: null, text: both.b }),
    !single && button("B − A", app.say("compare.heads"), { pair: at }),
  );
}

/** The chosen words in another text: those in their places. @param {App} app @param {PairData} both @param {number} text */
function movedTo(app, both, text) {
  const [from, to] = [app.state.text, text].map((one) => (one === both.b ? 1 : 0));
  if (from === to) return {};
  const places = pairPlaces(app, both);
  const moved = (/** @type {Role} */ role) => {
    const all = role === "query" ? places.queries : places.keys;
    const chosen = app.state[role];
    return chosen === null ? null : (all.find((place) => place[from] === chosen)?.[to] ?? null);
  };
  return { query: moved("query"), key: moved("key") };
}

/** What the present head gives each pair of A's tokens more and less in B, as two sets of lines.
 * @param {App} app @param {number} other @returns {Promise<Drawn[]>}
 */
export async function changedLinks(app, other) {
  const { layer, head } = app.state;
  const shown = await app.shown(layer, head);
  const both = comparedHeads(app, other, shown, await app.shown(layer, head, other));
  const places = pairPlaces(app);
  const own = (/** @type {number[]} */ mine, /** @type {number[]} */ shownPlaces, /** @type {Both[]} */ all) => {
    const at = new Map(shownPlaces.map((place, row) => [all[place][0], row]));
    return mine.map((index) => at.get(index) ?? -1);
  };
  const rows = own(shown.rows, both.rows, places.queries);
  const columns = own(shown.columns, both.columns, places.keys);
  return [GAINED, LOST].map((sign) => {
    const weights = new Float32Array(shown.weights.length);
    const allowed = new Uint8Array(weights.length);
    rows.forEach((row, down) => {
      columns.forEach((column, across) => {
        const [to, from] = [down * columns.length + across, row * both.columns.length + column];
        if (row < 0 || column < 0 || both.grounds[2][from]) return;
        allowed[to] = 1;
        weights[to] = Math.max(0, sign === GAINED ? both.change[from] : -both.change[from]);
      });
    });
    const every = allowed.every(Boolean) ? null : allowed;
    return { head: sign, shown: { ...shown, weights, allowed: every, dropped: null, sink: null } };
  });
}

/** What the two colours of lines mean, and the words that A lacks. @param {App} app @param {HTMLElement} host @param {boolean} dark */
export function drawSigns(app, host, dark) {
  const chips = [GAINED, LOST].map((sign) => {
    const chip = h("span", { class: "chip" }, chipName(sign));
    [chip.style.background, chip.style.color] = [signColour(sign, dark), dark ? "#14141a" : "#ffffff"];
    return h("span", { class: "picker" }, chip, app.say(sign === GAINED ? "gained" : "lost"));
  });
  const places = pairPlaces(app).queries;
  const { queries } = pairNames(app, app.other ?? 0);
  const alone = [1, 0].map((missing) =>
    queries.filter((_, at) => places[at][1 - missing] !== null && places[at][missing] === null),
  );
  const notes = alone.map((words, at) => {
    const values = { side: "AB"[at], words: words.map((one) => one.name).join(", ") };
    return words.length > 0 && h("span", { class: "note" }, app.say("compare.only", values));
  });
  fill(host, headName(app.state.layer, app.state.head), ...chips, ...notes);
}
