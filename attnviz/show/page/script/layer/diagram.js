// A layer as a picture: a token's vector from x to y, and the parts that y is the sum of.

import { inkOn, palette, placeOf } from "../colours.js";
import { s } from "../dom.js";
import { PAPER } from "../paper.js";
import { percent } from "../writing.js";

/** @import { LayerSteps, StepRow } from "./data.js" */

/**
 * @typedef {{ink: string, muted: string, line: string, raised: string, sunk: string, tint: string,
 *   accent: string, dark: boolean}} Inks
 * @typedef {{width: number, text: number, left: number, model: number, inner: number, top: number,
 *   row: number, strip: number}} Plan
 * Pixels: of the text's column, where vectors begin, how wide d_model and d_ff are, and a row's height.
 */

const MONO = "ui-monospace, monospace";
const NARROW = 560;
const BAR = 26;

/** @type {Inks} */
export const SCREEN = {
  ...{ ink: "var(--ink)", muted: "var(--muted)", line: "var(--edge)", raised: "var(--raised)" },
  ...{ sunk: "var(--sunk)", tint: "var(--tint)", accent: "var(--accent)", dark: false },
};
/** @type {Inks} */
export const ON_PAPER = {
  ...{ ink: PAPER.ink, muted: PAPER.muted, line: "#8a8a93", raised: "#ffffff", sunk: "#f3f1ed" },
  ...{ tint: "#e8eef8", accent: "#2558a8", dark: false },
};

/**
 * @param {number} width
 * @returns {Plan}
 */
function planned(width) {
  const narrow = width < NARROW;
  const text = narrow ? 0 : Math.min(330, Math.max(250, width * 0.42));
  const left = narrow ? 26 : text + 24;
  const room = width - left - 52;
  return {
    width,
    text,
    left,
    model: Math.round(room * 0.7),
    inner: room,
    top: narrow ? 44 : 16,
    row: narrow ? 96 : 66,
    strip: 24,
  };
}

/**
 * The diagram of the steps.
 *
 * @param {LayerSteps} of
 * @param {number} width
 * @param {Inks} inks
 * @param {{title: (group: string) => string, head: number, open?: (head: number) => void}} ways
 */
export function diagram(of, width, inks, ways) {
  const plan = planned(width);
  const { steps } = of;
  const height = plan.top + (steps.length - 1) * plan.row + plan.strip + 22;
  const longest = Math.max(...steps.map((step) => step.length)) || 1;
  return {
    height,
    nodes: [
      ...groups(steps, plan, inks, ways.title),
      ...arrows(steps, plan, inks),
      ...steps.flatMap((step, n) => [
        ...words(step, yOf(plan, n), plan, inks),
        ...(step.name === "z"
          ? headCells(of, yOf(plan, n), plan, inks, ways)
          : strip(step, yOf(plan, n), plan, inks, longest)),
      ]),
    ],
  };
}

/** @param {Plan} plan @param {number} n */
const yOf = (plan, n) => plan.top + n * plan.row;

/** Where arrows run: beside the words that stand above a vector. @param {Plan} plan */
const middleOf = (plan) => plan.left + plan.model * (plan.text ? 0.5 : 0.93);

/** @param {Plan} plan @param {StepRow} step */
const stripWidth = (plan, step) => (step.name === "inner" ? plan.inner : plan.model);

/**
 * A frame around the steps of each sublayer.
 *
 * @param {StepRow[]} steps
 * @param {Plan} plan
 * @param {Inks} inks
 * @param {(group: string) => string} title
 */
function groups(steps, plan, inks, title) {
  const found = [];
  const above = plan.text ? 24 : 60;
  for (let first = 1; first < steps.length; ) {
    let end = first;
    while (end < steps.length && steps[end].group === steps[first].group) end++;
    const y = yOf(plan, first) - above;
    const height = yOf(plan, end - 1) + plan.strip + 8 - y;
    found.push(
      s("rect", {
        ...{ x: 1, y, width: plan.width - 2, height, rx: 8 },
        ...{ fill: inks.sunk, stroke: inks.line, "stroke-opacity": 0.35 },
      }),
      s("text", { x: 12, y: y + 14, fill: inks.muted, "font-size": 11, "font-weight": 600 }, title(steps[first].group)),
    );
    first = end;
  }
  return found;
}

/**
 * A step's equation, and what it is.
 *
 * @param {StepRow} step
 * @param {number} y
 * @param {Plan} plan
 * @param {Inks} inks
 */
function words(step, y, plan, inks) {
  const [first, second] = plan.text ? [y + 9, y + 26] : [y - 26, y - 10];
  return [
    s(
      "text",
      { x: 12, y: first, fill: inks.ink, "font-family": MONO, "font-size": 12.5, "data-of": step.name },
      step.equation,
    ),
    s(
      "text",
      { x: 12, y: second, fill: inks.muted, "font-size": 12 },
      `${step.sizes}${step.said ? ` · ${step.said}` : ""}`,
    ),
  ];
}

/**
 * A vector: as wide as its number of numbers says, with its length as a bar below.
 *
 * @param {StepRow} step
 * @param {number} y
 * @param {Plan} plan
 * @param {Inks} inks
 * @param {number} longest
 */
function strip(step, y, plan, inks, longest) {
  const width = stripWidth(plan, step);
  return [
    s("rect", {
      ...{ x: plan.left, y, width, height: plan.strip, rx: 4 },
      ...{ fill: inks.raised, stroke: inks.ink, "stroke-width": step.kept ? 2 : 1 },
    }),
    s("rect", {
      ...{ x: plan.left + 3, y: y + plan.strip - 6, height: 3, fill: inks.accent },
      width: Math.max(1, ((width - 6) * step.length) / longest),
    }),
    s("text", { x: plan.left + 8, y: y + 14, fill: inks.ink, "font-family": MONO, "font-weight": 600 }, step.letter),
    s("text", { x: plan.left + width - 8, y: y + 14, fill: inks.muted, "text-anchor": "end" }, lengthText(step.length)),
  ];
}

/**
 * The heads' z side by side, each in the colour of its share.
 *
 * @param {LayerSteps} of
 * @param {number} y
 * @param {Plan} plan
 * @param {Inks} inks
 * @param {{head: number, open?: (head: number) => void}} ways
 */
function headCells(of, y, plan, inks, ways) {
  const count = of.shares.size;
  const width = plan.model / count;
  const cells = [...of.shares].map(([head, share]) => {
    const colour = shareColour(of, share, inks.dark);
    const x = plan.left + head * width;
    return s(
      "g",
      { class: "cell", onclick: () => ways.open?.(head) },
      s("title", {}, `L${of.layer}H${head}: ${percent(share)}`),
      s("rect", {
        ...{ x: x + 0.5, y, width: Math.max(1, width - 1), height: plan.strip, rx: 2 },
        ...{ fill: colour.fill, stroke: inks.ink, "stroke-width": head === ways.head ? 2.5 : 0.7 },
      }),
      width >= 15 &&
        s("text", { x: x + width / 2, y: y + 16, fill: colour.ink, "text-anchor": "middle" }, String(head)),
    );
  });
  const length = lengthText(of.steps.find((step) => step.name === "z")?.length ?? 0);
  return [...cells, s("text", { x: plan.left + plan.model + 8, y: y + 16, fill: inks.ink }, length)];
}

/**
 * What each step is made of: the one before from above, others around it.
 *
 * @param {StepRow[]} steps
 * @param {Plan} plan
 * @param {Inks} inks
 */
function arrows(steps, plan, inks) {
  const found = [];
  const middle = middleOf(plan);
  const byLetter = new Map(steps.map((step, n) => [step.letter, n]));
  for (let n = 1; n < steps.length; n++) {
    const [from, to] = [yOf(plan, n - 1) + plan.strip, yOf(plan, n)];
    const { sources, kept } = steps[n];
    if (!sources.length || sources.includes(steps[n - 1].letter)) {
      const start = plan.text ? from : to - 8;
      found.push(line(`M${middle} ${start}V${to - 5}`, inks), head(middle, to, 0, inks));
    }
    for (const source of sources) {
      const place = byLetter.get(source);
      if (place === undefined || place === n - 1) continue;
      found.push(...around(place, n, source === kept, plan, inks));
    }
    if (kept) found.push(...plus(middle, to - 14, inks));
  }
  return found;
}

/**
 * A line around the steps between: on the right if it is added (the residual connection), on the
 * left if it is read.
 *
 * @param {number} from
 * @param {number} to
 * @param {boolean} added
 * @param {Plan} plan
 * @param {Inks} inks
 */
function around(from, to, added, plan, inks) {
  const [start, end] = [yOf(plan, from) + 12, yOf(plan, to) + 12];
  if (added) {
    const [turn, sum, middle] = [plan.width - 16, end - 26, middleOf(plan)];
    const path = `M${plan.left + plan.model} ${start}H${turn - 8}q8 0 8 8V${sum - 8}q0 8 -8 8`;
    return [line(`${path}H${middle + 13}`, inks), head(middle + 8, sum, 90, inks)];
  }
  const turn = plan.left - 14;
  const path = `M${plan.left} ${start}H${turn + 6}q-6 0 -6 6V${end - 6}q0 6 6 6H${plan.left - 5}`;
  return [line(path, inks), head(plan.left - 1, end, -90, inks)];
}

/** @param {string} d @param {Inks} inks */
function line(d, inks) {
  return s("path", { d, fill: "none", stroke: inks.muted, "stroke-width": 1.4 });
}

/** @param {number} x @param {number} y @param {number} turn @param {Inks} inks */
function head(x, y, turn, inks) {
  const transform = `translate(${x} ${y}) rotate(${turn})`;
  return s("path", { d: "M0 0L-4 -7H4Z", fill: inks.muted, transform });
}

/** @param {number} x @param {number} y @param {Inks} inks */
function plus(x, y, inks) {
  return [
    s("circle", { cx: x, cy: y, r: 7, fill: inks.raised, stroke: inks.muted }),
    s("path", { d: `M${x - 4} ${y}h8M${x} ${y - 4}v8`, stroke: inks.ink, "stroke-width": 1.4 }),
  ];
}

/**
 * Bars of the parts' shares, heads below the attention that they make.
 *
 * @param {LayerSteps} of
 * @param {number} width
 * @param {Inks} inks
 * @param {{head: number, open?: (head: number) => void, say: (key: string) => string}} ways
 */
export function shareBars(of, width, inks, ways) {
  const shares = of.parts.map((part) => part.share);
  const [low, high] = [Math.min(0, ...shares), Math.max(0, ...shares)];
  const [left, right] = [Math.min(150, width * 0.38), width - 122];
  const scale = (right - left) / (high - low || 1);
  const zero = left - low * scale;
  const rows = of.parts.map((part, n) => {
    const [y, isHead] = [24 + n * BAR, part.head !== null];
    const [from, to] = [zero, zero + part.share * scale].sort((a, b) => a - b);
    const opens = isHead && ways.open && part.head !== null ? opener(part.head, ways.open) : {};
    return s(
      "g",
      { class: isHead ? "part of-head" : "part", ...opens },
      s("rect", {
        ...{ x: 0, y, width, height: BAR - 1, rx: 4 },
        fill: isHead && part.head === ways.head ? inks.tint : "transparent",
      }),
      s("rect", {
        ...{ x: from, y: y + 5, width: Math.max(0.5, to - from), height: BAR - 11 },
        ...{ fill: shareColour(of, part.share, inks.dark).bar, "fill-opacity": isHead ? 0.75 : 1 },
      }),
      written(isHead ? 20 : 4, y, part.name, "start", isHead ? inks.muted : inks.ink),
      " ",
      written(width - 66, y, percent(part.share), "end", inks.ink),
      " ",
      written(width - 6, y, lengthText(part.length), "end", inks.muted),
    );
  });
  const height = 24 + of.parts.length * BAR + 4;
  return {
    height,
    nodes: [
      written(4, -4, ways.say("layer.part"), "start", inks.muted),
      written(width - 66, -4, ways.say("layer.share"), "end", inks.muted),
      written(width - 6, -4, ways.say("layer.length"), "end", inks.muted),
      ...rows,
      s("path", { d: `M${zero} 22V${height - 4}`, stroke: inks.line, "stroke-width": 0.8 }),
    ],
  };
}

/**
 * @param {number} head
 * @param {(head: number) => void} open
 */
function opener(head, open) {
  return {
    role: "button",
    tabindex: 0,
    "data-head": head,
    onclick: () => open(head),
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      open(head);
    },
  };
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {string} anchor
 * @param {string} fill
 */
function written(x, y, text, anchor, fill) {
  return s("text", { x, y: y + 17, "text-anchor": anchor, fill }, text);
}

/**
 * A share's colour, between those of the largest against and for; `bar` is never too pale.
 *
 * @param {LayerSteps} of
 * @param {number} share
 * @param {boolean} dark
 */
function shareColour(of, share, dark) {
  const largest = Math.max(...[...of.shares.values()].map(Math.abs)) || 1;
  const { stops } = palette("signed", dark);
  const fill = stops[placeOf(share, -1.3 * largest, 1.3 * largest)];
  return { fill, ink: inkOn(fill), bar: stops[share < 0 ? 46 : 209] };
}

/**
 * A length in three digits.
 *
 * @param {number} length
 */
export function lengthText(length) {
  if (length < 1.5e-6) return "0"; // the shortest that a page has
  return length >= 100 ? length.toFixed(0) : length.toPrecision(3);
}
