// What tables say of a text beside its numbers: who may look where, what the model does not see.

/** @import { App } from "./app.js" */

const MOST_NAMED = 5; // words that a note names; more are counted

/**
 * Of two texts that are compared, what holds for one alone says so.
 *
 * @param {App} app
 * @returns {string[]}
 */
export function textNotes(app) {
  const own = notesOfText(app, app.state.text);
  if (app.other === null) return own;
  const others = notesOfText(app, app.other);
  return [
    ...own.map((note) => (others.includes(note) ? note : `A: ${note}`)),
    ...others.filter((note) => !own.includes(note)).map((note) => `B: ${note}`),
  ];
}

/** @param {App} app @param {number} text */
function notesOfText(app, text) {
  const { sight, lost, part, cut, weightsOnly, model, keys } = app.data.texts[text];
  const told = [];
  if (sight.en) told.push(sight[app.state.lang]);
  if (part) told.push(app.say("part", { index: part.index + 1, count: part.count }));
  if (cut) {
    const [first, end, count] = cut[app.state.unit];
    told.push(app.say("window.note", { first, last: end - 1, count }));
  }
  const roles = keys ? /** @type {const} */ (["query", "key"]) : /** @type {const} */ (["query"]);
  const words = roles.flatMap((role) => app.tokens(role, text)).filter((token) => !token.special);
  const unknown = words.filter((token) => token.unknown).map((token) => token.text);
  // punctuation marks are tokens, and nobody calls them words
  const marks = words.filter(({ text: mark, unknown: lacks }) => !lacks && /^\p{P}+$/u.test(mark));
  const values = { model: model.name, count: words.length - (app.state.unit === "word" ? marks.length : 0) };
  if (unknown.length > 0)
    told.push(app.say("unknown.words", { ...values, unknown: unknown.length, words: someOf(unknown) }));
  if (lost.length > 0) told.push(app.say("lost.words", { ...values, lost: lost.length, words: someOf(lost) }));
  if (weightsOnly) told.push(app.say("alone"));
  if (!model.trained) told.push(app.say("untrained"));
  return told;
}

/** @param {string[]} words */
function someOf(words) {
  const each = [...new Set(words)];
  return each.slice(0, MOST_NAMED).join(", ") + (each.length > MOST_NAMED ? ` +${each.length - MOST_NAMED}` : "");
}
