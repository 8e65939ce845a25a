// A head's examples: its strongest links, which were picked, and a fair sample, which was drawn.

import { colourOf, inkOn, palette } from "../colours.js";
import { h } from "../dom.js";
import { drawMatrix } from "../matrix.js";
import { headName, weightText } from "../writing.js";

/** @import { Atlas } from "./app.js" */
/** @import { Head, Link, Text } from "./types.js" */

const CELL = { smallest: 3, largest: 14 };
const WIDEST = 190; // pixels of a matrix

/** Both lists, told apart. @param {Atlas} app @param {Head} head */
export function examplesOf(app, head) {
  const kinds = /** @type {const} */ (["strongest", "sample"]);
  const lists = kinds.map((kind) => {
    const links = head[kind];
    const mean = links.reduce((sum, { weight }) => sum + weight, 0) / links.length;
    const documents = app.survey.corpus.documents.toLocaleString(app.state.lang);
    const values = { count: links.length, mean: weightText(mean), documents };
    return h(
      "section",
      { class: `examples ${kind}`, "aria-labelledby": `of-${kind}` },
      h("h4", { id: `of-${kind}` }, h("span", { class: "kind" }, app.say(`${kind}.kind`)), app.say(kind)),
      h("p", { class: "note" }, app.say(`${kind}.note`, values)),
      links.length > 0
        ? h("ol", {}, ...links.map((link) => exampleOf(app, head, link)))
        : h("p", {}, app.say("examples.none")),
    );
  });
  return h(
    "section",
    { id: "part-examples", class: "stack" },
    h("h3", {}, app.say("examples")),
    ...(head.strongest.length + head.sample.length > 0 ? lists : [h("p", { class: "note" }, app.say("examples.none"))]),
  );
}

/** @param {Atlas} app @param {Head} head @param {Link} link */
function exampleOf(app, head, link) {
  const text = app.survey.texts[link.text];
  const [query, key] = [text.words[link.query], (text.keys ?? text.words)[link.key]];
  const place = `${shortName(app, text.source)}:${text.line}${text.id === null ? "" : ` · ${text.id}`}`;
  const words = h("p", { class: "words", dir: "auto" }, ...wordsOf(text, link, null, app));
  const card = h(
    "li",
    { class: "card" },
    h(
      "p",
      { class: "link" },
      h("bdi", { class: "of-query" }, query),
      h("span", { class: "hidden" }, ` ${app.say("looks")} `),
      h("span", { "aria-hidden": "true" }, " → "),
      h("bdi", { class: "of-key" }, key),
      h("strong", { class: "number" }, weightText(link.weight)),
    ),
    words,
    h(
      "p",
      { class: "note place" },
      h("bdi", { title: text.source }, place),
      text.places || text.key_places ? ` · ${app.say("cut")}` : "",
    ),
  );
  app.matrix(head, link).then((numbers) => {
    if (!numbers) return;
    words.replaceChildren(...wordsOf(text, link, numbers, app));
    card.append(matrixOf(app, head, link, numbers));
  });
  return card;
}

/** A file's name without its folders, unless others are called so too. @param {Atlas} app @param {string} source */
function shortName(app, source) {
  const last = (/** @type {string} */ name) => name.slice(name.lastIndexOf("/") + 1);
  const alike = app.survey.corpus.files.filter((file) => last(file) === last(source));
  return alike.length > 1 ? source : last(source) || source;
}

/**
 * The words of a text, its query and key marked, and behind each key how much the query looks at it.
 *
 * @param {Text} text @param {Link} link @param {Uint8Array | null} numbers @param {Atlas} app
 */
function wordsOf(text, link, numbers, app) {
  const keys = text.keys ?? text.words;
  const colours = palette("heat", app.dark);
  const row = numbers?.subarray(link.query * keys.length, (link.query + 1) * keys.length);
  /** @param {number} at @param {string} word @param {boolean} looks @param {boolean} looked @param {number[] | null} places */
  const made = (at, word, looks, looked, places) => {
    const own = h("bdi", { class: looks ? "of-query" : looked ? "of-key" : null }, word);
    if (row && !looks && (looked || text.keys === null)) {
      const colour = colourOf(colours, (row[at] / 255) * link.scale, 0, 1);
      own.style.backgroundColor = colour;
      own.style.color = inkOn(colour);
    }
    const gap = places && at > 0 && places[at] !== places[at - 1] + 1;
    return gap ? [" … ", own, " "] : [own, " "];
  };
  const own = text.words.flatMap((word, at) =>
    made(at, word, at === link.query, text.keys === null && at === link.key, text.places),
  );
  if (text.keys === null) return own;
  const others = keys.flatMap((word, at) => made(at, word, false, at === link.key, text.key_places));
  return [...own, h("br"), h("span", { class: "note" }, `${app.say("source")}: `), ...others];
}

/** The small matrix, with the link's cell marked. @param {Atlas} app @param {Head} head @param {Link} link @param {Uint8Array} numbers */
function matrixOf(app, head, link, numbers) {
  const { words, keys } = app.survey.texts[link.text];
  const [rows, columns] = [words.length, (keys ?? words).length];
  const cell = Math.max(CELL.smallest, Math.min(CELL.largest, Math.floor(WIDEST / Math.max(rows, columns))));
  const [width, height] = [cell * columns, cell * rows];
  const label = app.say("matrix", {
    head: headName(head.layer, head.head),
    query: words[link.query],
    key: (keys ?? words)[link.key],
    weight: weightText(link.weight),
  });
  const canvas = h("canvas", { role: "img", "aria-label": label });
  const values = Float32Array.from(numbers, (number) => (number / 255) * link.scale);
  const colours = palette("heat", app.dark);
  drawMatrix(canvas, { values, rows, columns, colours, low: 0, high: 1, width, height });
  const mark = h("span", { class: "mark" });
  Object.assign(mark.style, {
    left: `${cell * link.key}px`,
    top: `${cell * link.query}px`,
    width: `${cell}px`,
    height: `${cell}px`,
  });
  const told = h("span", { class: "told note", "aria-hidden": "true" });
  canvas.addEventListener("pointermove", (event) => {
    const [row, column] = [Math.floor(event.offsetY / cell), Math.floor(event.offsetX / cell)];
    const value = values[row * columns + column];
    if (value === undefined || column >= columns) return;
    told.textContent = `${words[row]} → ${(keys ?? words)[column]} ${weightText(value)}`;
  });
  canvas.addEventListener("pointerleave", () => {
    told.textContent = "";
  });
  const frame = h("span", { class: "frame" }, canvas, mark);
  return h("figure", {}, frame, told);
}
