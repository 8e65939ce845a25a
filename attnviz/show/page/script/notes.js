// What tables say of a text beside its numbers: who may look where, what the model does not see.

/** @import { App } from "./app.js" */

const MOST_NAMED = 5; // words that a note names; more are counted

/**
 * @param {App} app
 * @returns {string[]}
 */
export function textNotes(app) {
  const { sight, lost, part, cut, weightsOnly, model } = app.text;
  const told = [];
  if (sight.en) told.push(sight[app.state.lang]);
  if (part) told.push(app.say("part", { index: part.index + 1, count: part.count }));
  if (cut) {
    const [first, end, count] = cut[app.state.unit];
    told.push(app.say("window.note", { first, last: end - 1, count }));
  }
  const roles = app.text.keys ? /** @type {const} */ (["query", "key"]) : /** @type {const} */ (["query"]);
  const words = roles.flatMap((role) => app.tokens(role)).filter((token) => !token.special);
  const unknown = words.filter((token) => token.unknown).map((token) => token.text);
  const values = { model: model.name, count: words.length };
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
