// What every part of the page shares: the data, the one state, decoded layers, heads as computed.

import { alignedPlaces } from "./compare/comparing.js";
import { textOf } from "./embedded.js";
import { toAddress, toFragment } from "./fragment.js";
import { attention } from "./mathematics.js";
import { decoded } from "./numbers.js";
import { fromFragment, USUAL } from "./state.js";
import { filledIn } from "./writing.js";

/** @import { Language, LayerNumbers, PageData, Role, Shown, State, Unit } from "./types.js" */

const KEPT = 8_000_000; // weights of heads that are kept, 32 MB

export class App {
  /** @param {PageData} data */
  constructor(data) {
    this.data = data;
    /** @type {Language} */
    const language = navigator.language.startsWith("ko") ? "ko" : "en";
    const first = { ...USUAL, lang: language, ...data.state };
    /** What a link need not say. @type {State} */
    this.first = first;
    /** @type {State} */
    this.state = this.sound({ ...first, ...fromFragment(location.hash) });
    /** @type {((change: Partial<State>) => void)[]} */
    this.listeners = [];
    /** @type {Map<string, Promise<LayerNumbers>>} */
    this.layers = new Map();
    /** @type {Map<string, Promise<Shown>>} */
    this.heads = new Map();
    addEventListener("hashchange", () => this.set({ ...this.first, ...fromFragment(location.hash) }));
  }

  /**
   * Change the state; everybody who listens draws anew.
   *
   * @param {Partial<State>} change
   */
  set(change) {
    // another query or key is one word unless it is said to be several
    const phrase = ["query" in change ? 1 : this.state.phrase[0], "key" in change ? 1 : this.state.phrase[1]];
    this.state = this.sound({ ...this.state, phrase, ...change });
    toAddress(toFragment(this.state, this.first));
    for (const listener of this.listeners) listener(change);
  }

  /**
   * The state with every number in the range of what there is.
   *
   * @param {State} state
   * @returns {State}
   */
  sound(state) {
    const { texts, pairs } = this.data;
    const pair = state.pair !== null && state.pair < pairs.length ? state.pair : null;
    const text = pair !== null ? pairs[pair].a : Math.min(state.text, texts.length - 1);
    const { model, recorded } = texts[text];
    const layer = recorded.includes(state.layer) ? state.layer : recorded[0];
    /** @param {Role} role @param {number | null} place */
    const there = (role, place) =>
      place !== null && place < this.tokens(role, text, state.unit).length ? place : null;
    const count = this.tokens("query", text, state.unit).length;
    const window = state.window && state.window[0] < count ? state.window : null;
    return {
      ...state,
      text,
      pair,
      layer,
      window,
      head: Math.min(state.head, model.num_heads - 1),
      query: there("query", state.query),
      key: there("key", state.key),
    };
  }

  get text() {
    return this.data.texts[this.state.text];
  }

  /** The text of which A is compared with; null where nothing is compared. */
  get other() {
    return this.state.pair === null ? null : this.data.pairs[this.state.pair].b;
  }

  /**
   * @param {Role} role
   * @param {number} [text]
   */
  side(role, text = this.state.text) {
    const { queries, keys } = this.data.texts[text];
    return role === "key" && keys ? keys : queries;
  }

  /**
   * The tokens that look, or are looked at, in the present unit.
   *
   * @param {Role} role
   * @param {number} [text]
   * @param {Unit} [unit]
   */
  tokens(role, text = this.state.text, unit = this.state.unit) {
    const side = this.side(role, text);
    return unit === "word" ? side.words : side.pieces;
  }

  /**
   * The place in B of a token of A.
   *
   * @param {Role} role
   * @param {number} index
   */
  placed(role, index) {
    const { queries, keys } = alignedPlaces(this.data.pairs[this.state.pair ?? 0], this.state.unit);
    return (role === "query" ? queries : keys).find(([own]) => own === index)?.[1] ?? null;
  }

  /**
   * What a token is called; both where A and B have others in one place, as in `tired→wide`.
   *
   * @param {Role} role
   * @param {number} index
   * @param {number} [text]
   */
  name(role, index, text = this.state.text) {
    const token = this.tokens(role, text)[index];
    const other = this.other === null || text !== this.state.text ? null : this.placed(role, index);
    const beside = other === null ? token : this.tokens(role, this.other ?? 0)[other];
    return beside.text.toLowerCase() === token.text.toLowerCase() ? token.name : `${token.name}→${beside.name}`;
  }

  /**
   * The numbers of a layer, decoded when first asked for.
   *
   * @param {number} number
   * @param {number} [text]
   */
  layer(number, text = this.state.text) {
    const name = `${text} ${number}`;
    const known = this.layers.get(name);
    if (known) return known;
    const layer = this.data.texts[text].layers[number];
    if (!layer) return Promise.reject(new Error(`layer ${number} was not recorded`));
    const made = textOf(layer.blob).then((written) => decoded(layer, written));
    this.layers.set(name, made);
    return made;
  }

  /**
   * A head's matrix as it is shown now.
   *
   * @param {number} layer
   * @param {number} head
   * @param {number} [text]
   * @returns {Promise<Shown>}
   */
  shown(layer, head, text = this.state.text) {
    const { unit, special, window } = this.state;
    const name = [text, layer, head, unit, special, window].join(" ");
    const known = this.heads.get(name);
    if (known) return known;
    const sides = this.data.texts[text];
    const frame = { unit, special, window };
    const made = this.layer(layer, text).then((numbers) => attention(numbers, head, frame, sides));
    const size = this.tokens("query", text).length * this.tokens("key", text).length;
    for (const old of this.heads.keys()) {
      if (this.heads.size * size < KEPT) break;
      this.heads.delete(old);
    }
    this.heads.set(name, made);
    return made;
  }

  /**
   * A text of the page in the present language, its places filled in.
   *
   * @param {string} key
   * @param {Record<string, string | number>} [values]
   */
  say(key, values = {}) {
    return filledIn(this.data.words[this.state.lang][key] ?? key, values);
  }
}

/** The key of a column's heading. @param {App} app @param {Role} role */
export function titleOf(app, role) {
  if (app.text.attention !== "cross") return role;
  return role === "query" ? "target" : "source";
}

/** Which tokens the present state shows: what was drawn of others is no longer to be pointed at. @param {App} app */
export function frameOf(app) {
  const { text, pair, unit, special, window } = app.state;
  return [text, pair, unit, special, window].join(" ");
}
