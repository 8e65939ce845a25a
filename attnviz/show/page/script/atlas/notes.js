// What must be known of a survey: what it read, what was left out, what there is not.

/** @import { Atlas } from "./app.js" */

/** What stands above all views, a line each. @param {Atlas} app @returns {string[]} */
export function warningsOf(app) {
  const { model, corpus, intervals, notes, measure, formula } = app.survey;
  const number = (/** @type {number} */ count) => count.toLocaleString(app.state.lang);
  const told = [];
  if (!model.trained) told.push(app.say("untrained"));
  if (corpus.left_out > 0) told.push(app.say("left_out", { count: number(corpus.left_out) }));
  if (!intervals) told.push(app.say("intervals.none"));
  if (corpus.windows > corpus.documents) told.push(app.say("windows", { windows: number(corpus.windows) }));
  if (measure !== "weights") told.push(`${measure}: ${formula}`);
  return [...told, ...notes];
}

/** What was read. @param {Atlas} app */
export function corpusText(app) {
  const { documents, words, pieces } = app.survey.corpus;
  const number = (/** @type {number} */ count) => count.toLocaleString(app.state.lang);
  return app.say("corpus", { documents: number(documents), words: number(words), pieces: number(pieces) });
}
