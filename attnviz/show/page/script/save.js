// The present view as a file: SVG or PNG for paper, its numbers as CSV, or a link that brings it back.

import { h, s, svgText } from "./dom.js";
import { toFragment } from "./fragment.js";
import { FACE } from "./head/layout.js";
import { headsOn } from "./heads.js";
import { textNotes } from "./notes.js";
import { addressOf, copied, csvText, offerFile } from "./offer.js";
import { headName } from "./writing.js";

/** @import { App } from "./app.js" */
/** @import { TextData, View } from "./types.js" */

const NAME_BYTES = 96;
const PNG_TIMES = 2;
const LONGEST_TEXT = 400;
const MOST_PIXELS = 16_000;
const SVG_STYLE = {
  xmlns: "http://www.w3.org/2000/svg",
  "font-family": FACE,
  "font-size": 12,
  fill: "#1b1b1f",
};

/** Buttons that save what `view` gives. @param {App} app @param {() => View | undefined} view */
export function saveMenu(app, view) {
  const told = h("output", { class: "note", "aria-live": "polite" });
  const link = h("span", {});
  /** @param {string} key @param {() => Promise<string>} act */
  const button = (key, act) => {
    const pressed = async () => {
      link.replaceChildren();
      told.textContent = "";
      try {
        told.textContent = await act();
      } catch (error) {
        told.textContent = app.say("save.error", {
          why: error instanceof Error ? error.message : String(error),
        });
      }
    };
    return h("button", { type: "button", "data-save": key, onclick: pressed }, app.say(`save.${key}`));
  };
  const save = async (/** @type {string} */ suffix, /** @type {(view: View) => Promise<Blob>} */ make) => {
    const [blob, name] = await ofPresent(app, view, async (shown) => [await make(shown), `${fileName(app)}.${suffix}`]);
    offerFile(blob, name);
    return app.say("save.done", { name });
  };
  return h(
    "div",
    { class: "save bar", role: "group", "aria-label": app.say("save") },
    button("svg", () => save("svg", async (shown) => new Blob([await paper(app, shown)], { type: "image/svg+xml" }))),
    button("png", () => save("png", async (shown) => pixels(await paper(app, shown)))),
    button("csv", () => save("csv", async (shown) => new Blob([csvText(await shown.table())], { type: "text/csv" }))),
    button("link", async () =>
      app.say((await copied(addressOf(toFragment(app.state, app.first)), link, app)) ? "save.copied" : "save.failed"),
    ),
    link,
    told,
  );
}

/** What is made of the present view: begun anew if the state changes meanwhile, so that it is of one state.
 * @param {App} app @param {() => View | undefined} view @param {(view: View) => Promise<[Blob, string]>} make
 */
async function ofPresent(app, view, make) {
  for (;;) {
    const { state } = app;
    const shown = /** @type {View} */ (view());
    try {
      await shown.update();
      const made = await make(shown);
      if (app.state === state) return made;
    } catch (error) {
      if (app.state === state) throw error;
    }
  }
}

/** The only head that is drawn, or null. @param {App} app */
function drawnHead(app) {
  const { view, head } = app.state;
  if (!["lines", "head", "steps"].includes(view)) return null;
  const on = view === "lines" && app.other === null ? headsOn(app) : [head];
  return on.length === 1 ? on[0] : null;
}

/** What is drawn: heads, or a step of the tour. @param {App} app */
function drawnSubject(app) {
  const { view, layer, step } = app.state;
  const head = drawnHead(app);
  if (head !== null) return headName(layer, head);
  if (view === "grid") return app.say("save.all");
  return view === "tour" ? `${app.say("view.tour")} ${step + 1}` : `${app.say("layer")} ${layer}`;
}

/** A file's name as `attnviz heatmap` makes them: model, head, view, words, sentence, and a hash that
 * tells apart what letters do not.
 * @param {App} app
 */
function fileName(app) {
  const { view, layer, query, key, unit, special, window, step } = app.state;
  const { model, attention, part } = app.text;
  const asked = /** @type {const} */ ([
    ["query", query],
    ["key", key],
  ]).map(([role, at]) => (at === null ? "" : `${app.tokens(role)[at].text}-${at}`));
  const one = drawnHead(app);
  const others = view === "grid" ? "all-heads" : view === "tour" ? `step-${step + 1}` : `layer-${layer}`;
  const drawn = one === null ? others : headName(layer, one);
  const called = app.other !== null ? "compare" : view === "head" ? "" : view;
  const parts = [
    "attnviz",
    beginningOf(slugOf(model.name), 24),
    model.trained ? "" : `seed-${model.seed}`,
    drawn,
    beginningOf(slugOf([called, ...asked].join("-")), 16),
    unit === "word" ? "" : "pieces",
    special ? "" : "no-special",
    attention === "encoder" ? "" : attention,
    part ? `part-${part.index + 1}` : "",
    window ? window.join("-") : "",
    model.dtype && model.dtype !== "float32" ? slugOf(model.dtype) : "",
    slugOf(textsOf(app.text).join(" ").toLowerCase()),
  ];
  const said = app.data.texts.filter((_, at) => at === app.state.text || at === app.other);
  const whole = said.flatMap((text) => [text.model.name, text.model.seed, ...textsOf(text)]);
  const hash = hashOf([toFragment(app.state, app.first), ...whole].join("\0"));
  return `${beginningOf(parts.filter(Boolean).join("-"), NAME_BYTES - 7)}-${hash}`;
}

/** @param {string} text */
function slugOf(text) {
  return text
    .normalize("NFC")
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "");
}

/** The beginning, at most `size` bytes of UTF-8. @param {string} text @param {number} size */
function beginningOf(text, size) {
  let [kept, bytes] = ["", 0];
  for (const letter of text) {
    bytes += new TextEncoder().encode(letter).length;
    if (bytes > size) break;
    kept += letter;
  }
  return kept.replace(/^-+|-+$/g, "");
}

/** Six hexadecimal digits (FNV-1a). @param {string} text */
function hashOf(text) {
  let found = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) found = Math.imul(found ^ byte, 0x01000193);
  return (found >>> 8).toString(16).padStart(6, "0");
}

/** The lines above a picture: model and head; sentences; how tokens are counted, and how exact it is.
 * @param {App} app
 */
function titleLines(app) {
  const { query, key, unit, special, window } = app.state;
  const { model, tolerance } = app.text;
  const title = [model.title, drawnSubject(app)];
  if (query !== null) title.push(`${app.say("head.query")}: ${app.name("query", query)}`);
  if (key !== null) title.push(`${app.say("head.key")}: ${app.name("key", key)}`);
  const texts = app.other === null ? [app.text] : [app.text, app.data.texts[app.other]];
  const sentences = texts.flatMap((text, at) => {
    const model = at && text.model.title !== texts[0].model.title ? ` (${text.model.title})` : "";
    const which = texts.length > 1 ? `${"AB"[at]}${model}  ` : "";
    return textsOf(text).map((said) => `${which}“${shortText(said)}”`);
  });
  const told = [
    app.say(`save.${unit}`),
    app.say(special ? "save.special" : "save.no_special"),
    tolerance > 0 ? app.say("tolerance", { tolerance: tolerance.toPrecision(1) }) : app.say("exact"),
    `attnviz ${app.data.version}`,
  ];
  if (window) told.splice(2, 0, app.say("save.window", { first: window[0], last: window[1] - 1 }));
  return { title: title.join(" · "), sentences, notes: [told.join(" · "), ...textNotes(app)] };
}

/** @param {string} text */
function shortText(text) {
  return text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
}

/** @param {TextData} text */
function textsOf({ queries, keys }) {
  return [queries.text, queries.pair, keys?.text].filter((text) => typeof text === "string");
}

/** A view as a picture with its title. @param {App} app @param {View} view */
async function paper(app, view) {
  const inner = (await view.svg()).replace(/^\s*(<\?[^>]*\?>|<!DOCTYPE[^>]*>)\s*/giu, "");
  const [width, height] = ["width", "height"].map((name) => svgSize(inner, name));
  const measure = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));
  const across = Math.max(width, 460);
  const { title, sentences, notes } = titleLines(app);
  let y = 0;
  /** @type {SVGTextElement[]} */
  const lines = [];
  const write = (
    /** @type {string[]} */ texts,
    /** @type {number} */ size,
    /** @type {Record<string, unknown>} */ style,
  ) => {
    measure.font = `${style["font-weight"] ?? 400} ${size}px ${FACE}`;
    for (const text of texts.flatMap((whole) => wrappedText(measure, whole, across))) {
      y += Math.round(size * 1.4);
      lines.push(s("text", { x: 0, y, "font-size": size, ...style }, text));
    }
  };
  write([title], 15, { "font-weight": 700 });
  write(sentences, 12.5, {});
  write(notes, 10.5, { fill: "#63636c" });
  const [wide, high] = [across + 32, y + height + 44];
  const frame = { width: wide, height: high, viewBox: `0 0 ${wide} ${high}` };
  const picture = s(
    "svg",
    { ...SVG_STYLE, ...frame },
    s("rect", { ...frame, viewBox: null, fill: "#ffffff" }),
    s("title", {}, title),
  );
  picture.append(s("g", { transform: "translate(16 14)" }, ...lines));
  const drawn = `<g transform="translate(16 ${y + 28})">${inner}</g></svg>`;
  return svgText(picture).replace(/<\/svg>\s*$/u, () => drawn);
}

/** @param {string} svg @param {string} name */
function svgSize(svg, name) {
  const head = svg.slice(0, svg.indexOf(">"));
  const told = new RegExp(`\\s${name}="([\\d.]+)`, "u").exec(head);
  const box = /viewBox="[\d.-]+[ ,]+[\d.-]+[ ,]+([\d.]+)[ ,]+([\d.]+)/u.exec(head);
  return Number(told?.[1] ?? box?.[name === "width" ? 1 : 2] ?? 600);
}

/** Lines of whole words that are no wider than this; a word that is wider alone is cut.
 * @param {CanvasRenderingContext2D} measure @param {string} text @param {number} width
 */
function wrappedText(measure, text, width) {
  const lines = [""];
  for (const word of text.split(/(?<=\s)|(?<=[\u3000-\u9fff])/u)) {
    for (const part of measure.measureText(word).width > width ? Array.from(word) : [word]) {
      const longer = lines[lines.length - 1] + part;
      if (lines[lines.length - 1] && measure.measureText(longer.trimEnd()).width > width) lines.push(part);
      else lines[lines.length - 1] = longer;
    }
  }
  return lines.map((line) => line.trimEnd());
}

/** A picture in pixels, twice as many as it has units. @param {string} svg @returns {Promise<Blob>} */
async function pixels(svg) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`;
  await image.decode();
  const [width, height] = [svgSize(svg, "width"), svgSize(svg, "height")];
  const times = Math.min(PNG_TIMES, MOST_PIXELS / Math.max(width, height));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.round(width * times), Math.round(height * times)];
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("too large for the browser"))), "image/png");
  });
}
