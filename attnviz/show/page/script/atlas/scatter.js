// All heads by two numbers, each with its interval.

import { colourOf, palette } from "../colours.js";
import { fill, h, s } from "../dom.js";
import { headName } from "../writing.js";
import { numbersTable } from "./map.js";
import { mixtureText, mostOf, roleColour, roleLegend, UNKNOWN } from "./mixture.js";
import { rangeOf, withInterval } from "./quantities.js";
import { scaleLegend } from "./scale.js";

/** @import { Atlas } from "./app.js" */
/** @import { Head, Quantity, View } from "./types.js" */

/**
 * Where numbers are in the picture, in pixels. `points`: of the heads that have both numbers.
 * @typedef {{x: (number: number) => number, y: (number: number) => number, width: number, height: number,
 *   points: {place: number, x: number, y: number}[]}} Plot
 */

const EDGE = { left: 62, right: 14, top: 10, bottom: 44 };
const NEAR = 24; // pixels from which a click finds a head
const UNDER = 84; // pixels that notes below the picture take
const TICKS = 8;

/** @param {Atlas} app @returns {View} */
export function scatterView(app) {
  const legend = h("div");
  const readout = h("p", { class: "readout", "aria-hidden": "true" });
  const board = h("div", { class: "plot" });
  const note = h("p", { class: "note" });
  const host = h("div", { class: "stack" }, legend, readout, board, note);
  const ring = s("circle", { r: 9, class: "ring" });
  /** @type {Plot | null} */
  let plot = null;
  let drawn = "";
  const tell = (/** @type {number} */ place) => {
    readout.textContent = pointText(app, app.survey.heads[place]);
  };
  const mark = () => {
    const at = plot?.points.find(({ place }) => place === app.chosen);
    ring.setAttribute("cx", String(at?.x ?? -99));
    ring.setAttribute("cy", String(at?.y ?? -99));
    tell(app.chosen);
  };
  board.addEventListener("pointermove", (event) => tell(nearest(plot, board, event) ?? app.chosen));
  board.addEventListener("pointerleave", () => tell(app.chosen));
  board.addEventListener("click", (event) => {
    const place = nearest(plot, board, event);
    if (place !== null) app.set({ layer: app.survey.heads[place].layer, head: app.survey.heads[place].head });
  });
  const update = () => {
    const { x, y, colour, role, least, bars, lang } = app.state;
    const look = JSON.stringify([x, y, colour, role, least, bars, lang, app.dark, board.clientWidth]);
    if (look !== drawn && board.clientWidth > 0) {
      fill(legend, colour === "role" ? roleLegend(app) : scaleLegend(app, app.quantity(colour)));
      const below = innerHeight - board.getBoundingClientRect().top - UNDER;
      plot = plotOf(app, board.clientWidth, Math.max(320, Math.min(0.8 * board.clientWidth, below)));
      fill(board, picture(app, plot, ring));
      note.textContent = noteOf(app, plot);
      drawn = look;
    }
    mark();
  };
  new ResizeObserver(() => host.isConnected && update()).observe(board);
  return { host, update, table: () => numbersTable(app, app.quantity(app.state.x), app.quantity(app.state.y)) };
}

/** @param {Atlas} app @param {Head} head */
function pointText(app, head) {
  const told = [app.state.x, app.state.y].map((name) => {
    const quantity = app.quantity(name);
    return `${quantity.title} ${withInterval(quantity, quantity.of(head))}`;
  });
  return `${headName(head.layer, head.head)}: ${told.join(", ")}; ${mixtureText(app, head)}`;
}

/** @param {Atlas} app @param {Plot} plot */
function noteOf(app, { points }) {
  const lacking = app.survey.heads.length - points.length;
  const told = app.survey.intervals && app.state.bars ? [app.say("scatter.bars")] : [];
  if (app.state.colour === "role") told.push(app.say("scatter.open"));
  if (lacking > 0) told.push(app.say("scatter.lacking", { count: lacking }));
  return told.join(" ");
}

/** The place of the head that a pointer is at, or near. @param {Plot | null} plot @param {Element} board @param {MouseEvent} event */
function nearest(plot, board, event) {
  const { left, top } = board.getBoundingClientRect();
  const [x, y] = [event.clientX - left, event.clientY - top];
  /** @type {number | null} */
  let found = null;
  let least = NEAR;
  for (const point of plot?.points ?? []) {
    const away = Math.hypot(point.x - x, point.y - y);
    if (away < least) [found, least] = [point.place, away];
  }
  return found;
}

/** @param {Atlas} app @param {number} width @param {number} height @returns {Plot} */
function plotOf(app, width, height) {
  const { heads } = app.survey;
  const [across, up] = [app.quantity(app.state.x), app.quantity(app.state.y)];
  const scaled = (/** @type {Quantity} */ quantity, /** @type {number} */ from, /** @type {number} */ to) => {
    const [low, high] = rangeOf(quantity, heads, app.state.bars);
    const room = 0.04 * (high - low || 1);
    return (/** @type {number} */ number) => from + ((number - low + room) / (high - low + 2 * room)) * (to - from);
  };
  const x = scaled(across, EDGE.left, width - EDGE.right);
  const y = scaled(up, height - EDGE.bottom, EDGE.top);
  const points = heads.flatMap((head, place) => {
    const [[one], [other]] = [across.of(head), up.of(head)];
    return one === null || other === null ? [] : [{ place, x: x(one), y: y(other) }];
  });
  return { x, y, width, height, points };
}

/** @param {Atlas} app @param {Plot} plot @param {SVGElement} ring */
function picture(app, plot, ring) {
  const { width, height, points } = plot;
  const { heads } = app.survey;
  const colour = pointColour(app);
  const shown = points.filter(({ place }) => app.meant(heads[place]));
  const others = points.filter(({ place }) => !app.meant(heads[place]));
  const [across, up] = [app.quantity(app.state.x), app.quantity(app.state.y)];
  const label = app.say("scatter.label", { x: across.title, y: up.title, count: points.length });
  const dots = shown.map(({ place, x, y }) => {
    const fill = colour(heads[place]);
    return s("circle", { cx: x, cy: y, r: heads.length > 500 ? 3 : 5, fill, class: fill === "none" ? "open" : "dot" });
  });
  return s(
    "svg",
    { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
    ...axis(app, plot, "x"),
    ...axis(app, plot, "y"),
    ...others.map(({ x, y }) => s("circle", { cx: x, cy: y, r: 2.5, class: "faint" })),
    app.state.bars && s("path", { class: "bars", d: shown.map((point) => crossOf(app, plot, point)).join("") }),
    ...dots,
    ring,
  );
}

/** A head's intervals as lines. @param {Atlas} app @param {Plot} plot @param {Plot["points"][number]} point */
function crossOf(app, plot, { place, x, y }) {
  const head = app.survey.heads[place];
  const [, left, right] = app.quantity(app.state.x).of(head);
  const [, low, high] = app.quantity(app.state.y).of(head);
  const at = (/** @type {number} */ number) => number.toFixed(1);
  const lying = left === null || right === null ? "" : `M${at(plot.x(left))} ${at(y)}H${at(plot.x(right))}`;
  const standing = low === null || high === null ? "" : `M${at(x)} ${at(plot.y(low))}V${at(plot.y(high))}`;
  return lying + standing;
}

/** @param {Atlas} app @returns {(head: Head) => string} */
function pointColour(app) {
  const { colour } = app.state;
  if (colour === "role") {
    return (head) => {
      const role = mostOf(head);
      return role === UNKNOWN ? "none" : roleColour(app, role);
    };
  }
  const quantity = app.quantity(colour);
  const [low, high] = rangeOf(quantity, app.survey.heads);
  const colours = palette("heat", app.dark);
  return (head) => {
    const [number] = quantity.of(head);
    return number === null ? "none" : colourOf(colours, number, low, high);
  };
}

/** Round numbers between two others. @param {number} low @param {number} high */
function ticksOf(low, high) {
  const rough = (high - low) / TICKS || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((times) => times * power >= rough) ?? 10);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, at) =>
    Number(((first + at) * step).toPrecision(12)),
  );
}

/** @param {Atlas} app @param {Plot} plot @param {"x" | "y"} along */
function axis(app, plot, along) {
  const quantity = app.quantity(app.state[along]);
  const unit = quantity.unit === "share" ? "" : app.called("unit", quantity.unit, "");
  const title = quantity.title + (unit && ` (${unit})`);
  const { width, height } = plot;
  const [right, floor] = [width - EDGE.right, height - EDGE.bottom];
  const lying = along === "x";
  const place = plot[along];
  const [from, to] = lying ? [EDGE.left, right] : [floor, EDGE.top];
  const back = (/** @type {number} */ pixel) => (pixel - place(0)) / (place(1) - place(0));
  const share = quantity.unit === "share" ? 100 : 1;
  const ticks = ticksOf(back(from), back(to)).map((number) => {
    const at = place(number);
    const text = `${Number((share * number).toPrecision(6))}${share > 1 ? "%" : ""}`.replace("-", "−");
    return lying
      ? [
          s("line", { x1: at, x2: at, y1: EDGE.top, y2: floor, class: "rule" }),
          s("text", { x: at, y: floor + 16, "text-anchor": "middle" }, text),
        ]
      : [
          s("line", { x1: EDGE.left, x2: right, y1: at, y2: at, class: "rule" }),
          s("text", { x: EDGE.left - 6, y: at + 4, "text-anchor": "end" }, text),
        ];
  });
  const middle = lying ? { x: (EDGE.left + right) / 2, y: height - 8 } : { x: 0, y: 0 };
  const turn = lying ? null : `translate(14 ${(EDGE.top + floor) / 2}) rotate(-90)`;
  const named = { ...middle, transform: turn, "text-anchor": "middle", class: "title" };
  return [...ticks.flat(), s("text", named, title)];
}
