// A word of several pieces has its steps piece by piece: which one is chosen.

import { h } from "./dom.js";

/** @import { App } from "./app.js" */
/** @import { Role } from "./types.js" */

/** The piece of the chosen token that a view is about. */
export class ChosenPiece {
  /**
   * @param {App} app
   * @param {Role} role
   */
  constructor(app, role) {
    this.app = app;
    this.role = role;
    this.last = -1;
  }

  get pieces() {
    return this.app.side(this.role).pieces;
  }

  /**
   * The pieces of the chosen token: the first, and the end; of the usual one if none is chosen.
   *
   * @param {number} usual a piece
   * @returns {[number, number]}
   */
  span(usual) {
    const { state } = this.app;
    const at = state[this.role];
    if (at === null || state.unit === "piece") return [at ?? usual, (at ?? usual) + 1];
    const { starts, pieces } = this.app.side(this.role);
    return [starts[at], starts[at + 1] ?? pieces.length];
  }

  /** @param {number} usual */
  place(usual) {
    const [first, end] = this.span(usual);
    return this.last >= first && this.last < end ? this.last : first;
  }

  /** @param {number} piece */
  choose(piece) {
    this.last = piece;
    const { starts } = this.app.side(this.role);
    const word = starts.filter((start) => start <= piece).length - 1;
    this.app.set({ [this.role]: this.app.state.unit === "piece" ? piece : word });
  }

  /**
   * Buttons for the pieces of the word, if it has several.
   *
   * @param {number} usual
   */
  picker(usual) {
    const [first, end] = this.span(usual);
    if (end - first < 2) return null;
    const places = Array.from({ length: end - first }, (_, n) => first + n);
    return h(
      "div",
      { class: "segmented", role: "group", "aria-label": this.app.say("piece") },
      ...places.map((place) =>
        h(
          "button",
          {
            type: "button",
            "aria-pressed": String(place === this.place(usual)),
            onclick: () => this.choose(place),
          },
          this.pieces[place].name,
        ),
      ),
    );
  }
}

/**
 * The query that a view begins with: the first that is no special token.
 *
 * @param {App} app
 */
export function firstQuery(app) {
  return Math.max(
    0,
    app.side("query").pieces.findIndex((piece) => !piece.special),
  );
}
