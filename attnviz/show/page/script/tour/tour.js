// The tour: the article point by point on the text at hand, each step with a view and a question.

import { fill, h, s, svgText } from "../dom.js";
import { FACE } from "../head/layout.js";
import { focusOf } from "./focus.js";
import { PAPER_SIZES, STEP_NAMES, tourStep } from "./steps.js";

/** @import { App } from "../app.js" */
/** @import { Focus } from "./focus.js" */
/** @import { Option, Quiz } from "./quiz.js" */
/** @import { Step } from "./steps.js" */
/** @import { Table, View, ViewName } from "../types.js" */

/** @typedef {Partial<Record<ViewName, (app: App) => View>>} Views */

/**
 * @param {App} app
 * @param {Views} views those that the tour shows
 * @returns {View}
 */
export function tourView(app, views) {
  const tour = new Tour(app, views);
  return {
    host: tour.host,
    update: () => tour.update(),
    table: () => tour.table(),
    svg: () => tour.svg(),
  };
}

class Tour {
  /** @param {App} app @param {Views} views */
  constructor(app, views) {
    this.app = app;
    this.views = views;
    /** @type {Map<ViewName, View>} */
    this.made = new Map();
    this.turn = 0;
    this.entered = "";
    this.drawn = "";
    /** @type {{of: string, focus: Promise<Focus | null>} | null} */
    this.found = null;
    /** @type {Step | null} */
    this.step = null;
    /** @type {Map<string, string>} what was answered, by text and step */
    this.answers = new Map();
    this.dots = h("ol", { class: "dots" });
    this.card = h("div", { class: "said-here" });
    this.shows = h("div", { class: "shows" });
    this.quiz = h("div", { class: "quiz" });
    this.moves = h("div", { class: "bar" });
    const onkeydown = (/** @type {KeyboardEvent} */ event) => this.press(event);
    const told = h("div", { class: "told stack", onkeydown }, this.dots, this.card);
    const asked = h("div", { class: "asked stack", onkeydown }, this.quiz, this.moves);
    this.host = h("section", { class: "tour" }, told, this.shows, asked);
  }

  /** What the link of the tour depends on. */
  get frame() {
    const { text, unit, special, window } = this.app.state;
    return [text, unit, special, window].join(" ");
  }

  get number() {
    return Math.min(this.app.state.step, STEP_NAMES.length - 1);
  }

  /** @returns {Promise<void>} */
  async update() {
    const turn = ++this.turn;
    const { app, frame, number } = this;
    const gone = () => turn !== this.turn || app.state.view !== "tour" || frame !== this.frame;
    if (this.found?.of !== frame) {
      fill(this.card, h("p", { class: "note" }, app.say("loading")));
      const left = () => this.frame !== frame || app.state.view !== "tour";
      this.found = { of: frame, focus: focusOf(app, left) };
    }
    const focus = await this.found.focus;
    if (gone()) return;
    if (!focus) {
      this.found = null; // it was stopped, and is looked for again
      return this.update();
    }
    const { link } = focus;
    if (!link) return fill(this.card, h("p", {}, app.say("tour.missing")));
    const place = `${frame} ${number}`;
    const step = await tourStep(app, { ...focus, link }, number);
    if (gone()) return;
    this.step = step;
    if (this.entered !== place) {
      this.entered = place;
      return app.set(step.state); // and so this draws again
    }
    const fresh = this.drawn !== `${place} ${app.state.lang}`;
    if (fresh) this.draw(step, place);
    await this.show(step);
    if (fresh) this.scrollToQuery();
  }

  /** @param {Step} step @param {string} place */
  draw(step, place) {
    const { app } = this;
    const moved = this.drawn !== "" && !this.drawn.startsWith(`${place} `);
    const held = this.host.contains(document.activeElement) || document.activeElement === document.body;
    this.drawn = `${place} ${app.state.lang}`;
    this.host.setAttribute("data-step", STEP_NAMES[this.number]);
    const title = h("h2", { tabindex: -1 }, step.title);
    fill(this.card, title, ...step.said.map((sentence) => h("p", {}, sentence)));
    this.drawDots();
    this.drawQuiz(step.quiz, place);
    this.drawMoves();
    if (held) title.focus({ preventScroll: !moved });
  }

  drawDots() {
    const { app, number } = this;
    const count = STEP_NAMES.length;
    fill(
      this.dots,
      ...STEP_NAMES.map((_, at) => {
        const answered = this.answers.get(`${this.frame} ${at}`);
        return h(
          "li",
          {},
          h("button", {
            type: "button",
            class: answered === "right" && "done",
            "aria-label": app.say("tour.step", { step: at + 1, count }),
            "aria-current": at === number && "step",
            onclick: () => this.go(at),
          }),
        );
      }),
    );
  }

  /** @param {Quiz | null} quiz @param {string} place */
  drawQuiz(quiz, place) {
    const { app } = this;
    if (!quiz) return fill(this.quiz, h("p", { class: "note" }, app.say("tour.missing")));
    const feedback = h("p", { class: "feedback", role: "status" });
    const buttons = quiz.options.map((option) =>
      h("button", { type: "button", dir: "auto", onclick: () => answer(option) }, option.label),
    );
    /** @param {Option} option */
    const answer = (option) => {
      const { right, why } = option;
      for (const [at, button] of buttons.entries()) {
        if (quiz.options[at] === option) button.classList.add(right ? "right" : "wrong");
      }
      feedback.className = `feedback ${right ? "right" : "wrong"}`;
      fill(feedback, app.say(right ? "tour.right" : "tour.wrong", { why }).trim());
      if (right) this.answers.set(place, "right");
      this.drawDots();
    };
    fill(
      this.quiz,
      h("h3", { id: "tour-ask" }, quiz.ask),
      h("div", { class: "options", role: "group", "aria-labelledby": "tour-ask" }, ...buttons),
      feedback,
    );
  }

  drawMoves() {
    const { app, number } = this;
    const last = number === STEP_NAMES.length - 1;
    const back = { type: "button", disabled: number === 0, onclick: () => this.go(number - 1) };
    const on = last ? () => app.set({ view: "lines", off: [], query: null }) : () => this.go(number + 1);
    fill(
      this.moves,
      h("button", back, app.say("tour.back")),
      h("button", { type: "button", class: "main", onclick: on }, app.say(last ? "tour.done" : "tour.next")),
      h("span", { class: "note" }, app.say("tour.step", { step: number + 1, count: STEP_NAMES.length })),
    );
  }

  /** @param {number} step */
  go(step) {
    if (step >= 0 && step < STEP_NAMES.length) this.app.set({ step });
  }

  /** The arrows go back and on, where the text or the question has the focus. @param {KeyboardEvent} event */
  press(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.go(this.number + by);
  }

  /** The view of a step, made when first shown. @param {ViewName} name */
  view(name) {
    const known = this.made.get(name) ?? this.views[name]?.(this.app);
    if (known) this.made.set(name, known);
    return known;
  }

  /** @param {Step} step */
  async show({ view: name }) {
    const view = name && this.view(name);
    if (!view) return fill(this.shows, this.sizes());
    if (view.host.parentNode !== this.shows) fill(this.shows, view.host);
    await view.update();
  }

  /** Of a long text, the query's own lines are to be seen. */
  scrollToQuery() {
    const { shows } = this;
    const row = shows.querySelector(".of-query .on");
    const middle = shows.getBoundingClientRect().top + shows.clientHeight / 2;
    shows.scrollTop = row ? shows.scrollTop + row.getBoundingClientRect().top - middle : 0;
  }

  /** The paper's sizes beside this model's. */
  sizes() {
    const { columns, rows } = this.sizesTable();
    const cells = rows.map(([name, ...numbers]) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, String(name)),
        ...numbers.map((number) => h("td", { class: "number" }, String(number))),
      ),
    );
    const heads = columns.map((name) => h("th", { scope: "col" }, name));
    return h("table", { class: "numbers sizes" }, h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...cells));
  }

  /** @returns {Table} */
  sizesTable() {
    const { app } = this;
    const { model } = app.text;
    const rows = Object.entries(PAPER_SIZES).map(([name, paper]) => [
      name,
      paper,
      model[/** @type {keyof typeof PAPER_SIZES} */ (name)],
    ]);
    return { columns: ["", app.say("tour.sizes.paper"), model.title], rows };
  }

  async table() {
    const name = this.step?.view;
    return (name && (await this.view(name)?.table())) || this.sizesTable();
  }

  async svg() {
    const name = this.step?.view;
    const picture = name && (await this.view(name)?.svg());
    if (picture) return picture;
    const { columns, rows } = this.sizesTable();
    const cells = [columns, ...rows].flatMap((row, y) =>
      row.map((cell, x) => s("text", { x: 20 + 130 * x, y: 30 + 24 * y }, String(cell))),
    );
    const size = { width: 460, height: 180, viewBox: "0 0 460 180" };
    return svgText(s("svg", { ...size, "font-family": FACE, "font-size": 15 }, ...cells));
  }
}
