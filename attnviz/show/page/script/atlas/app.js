// What every part of the atlas shares: the survey, the one state, the heads that are meant.

import { textOf } from "../embedded.js";
import { toAddress, toFragment } from "../fragment.js";
import { unpacked } from "../unpacked.js";
import { filledIn } from "../writing.js";
import { quantitiesOf } from "./quantities.js";
import { fromFragment, USUAL } from "./state.js";

/** @import { Head, Language, Link, Quantity, State, Survey } from "./types.js" */

export class Atlas {
  /** @param {Survey} survey @param {Partial<State>} first @param {Record<Language, Record<string, string>>} words */
  constructor(survey, first, words) {
    this.survey = survey;
    this.words = words;
    /** @type {Language} */
    const lang = navigator.language.startsWith("ko") ? "ko" : "en";
    /** What a link need not say. @type {State} */
    this.first = { ...USUAL, lang, ...first };
    /** @type {((change: Partial<State>) => void)[]} */
    this.listeners = [];
    /** @type {Map<number, Promise<Uint8Array>>} */
    this.bytes = new Map();
    /** @type {Map<string, number>} places of heads by layer and head */
    this.places = new Map(survey.heads.map(({ layer, head }, place) => [`${layer} ${head}`, place]));
    /** The layers that there are, and as many heads as the widest has. */
    this.layers = [...new Set(survey.heads.map(({ layer }) => layer))];
    this.across = Math.max(0, ...survey.heads.map(({ head }) => head + 1));
    /** Whether the page stands on dark ground now. */
    this.dark = false;
    /** @type {State} */
    this.state = { ...this.first, ...fromFragment(location.hash) };
    /** @type {Quantity[]} */
    this.quantities = quantitiesOf(this);
    this.state = this.sound(this.state);
    this.first = this.sound(this.first);
    addEventListener("hashchange", () => this.set({ ...this.first, ...fromFragment(location.hash) }));
  }

  /** Change the state; everybody who listens draws anew. @param {Partial<State>} change */
  set(change) {
    this.state = this.sound({ ...this.state, ...change });
    if ("lang" in change) this.quantities = quantitiesOf(this);
    toAddress(toFragment(this.state, this.first));
    for (const listener of this.listeners) listener(change);
  }

  /** The state with every name and number among what there is. @param {State} state @returns {State} */
  sound(state) {
    const known = (/** @type {string} */ name, /** @type {string} */ other) =>
      this.quantities.some((one) => one.name === name) ? name : other;
    const usual = this.quantities.map(({ name }) => name);
    const layer = this.layers.includes(state.layer) ? state.layer : (this.layers[0] ?? 0);
    const heads = this.survey.heads.filter((one) => one.layer === layer).map(({ head }) => head);
    return {
      ...state,
      layer,
      head: heads.includes(state.head) ? state.head : (heads[0] ?? 0),
      colour: state.colour === "role" ? "role" : known(state.colour, "role"),
      role: this.roles.includes(state.role) ? state.role : "",
      x: known(state.x, known(USUAL.x, usual[0])),
      y: known(state.y, known(USUAL.y, usual[1] ?? usual[0])),
      sort: known(state.sort, ""),
    };
  }

  /** The names of all roles, and of what no role explains. */
  get roles() {
    return [...this.survey.roles.map(({ name }) => name), "unknown"];
  }

  /** The place of the chosen head. */
  get chosen() {
    return this.places.get(`${this.state.layer} ${this.state.head}`) ?? 0;
  }

  /** @param {string} name */
  quantity(name) {
    return this.quantities.find((one) => one.name === name) ?? this.quantities[0];
  }

  /** Whether a head is one of those that the filter leaves. @param {Head} head */
  meant(head) {
    const { role, least } = this.state;
    return role === "" || (this.quantity(`role.${role}`).of(head)[0] ?? 0) >= least;
  }

  /** The places of heads in the chosen order. @param {number[]} places */
  ordered(places) {
    const { sort, down } = this.state;
    if (sort === "") return places;
    const { of } = this.quantity(sort);
    const number = new Map(places.map((place) => [place, of(this.survey.heads[place])[0]]));
    const far = down ? -Infinity : Infinity; // what has no number comes last
    const key = (/** @type {number} */ place) => number.get(place) ?? far;
    return [...places].sort((a, b) => {
      const [one, other] = [key(a), key(b)];
      return (one === other ? 0 : down === one > other ? -1 : 1) || a - b;
    });
  }

  /** The matrix of a link's text: bytes, row by row; null if the page has none. @param {Head} head @param {Link} link */
  async matrix({ layer }, { at, text }) {
    if (at < 0) return null;
    let bytes = this.bytes.get(layer);
    if (!bytes) {
      bytes = textOf(`l${layer}`).then(unpacked);
      this.bytes.set(layer, bytes);
    }
    const { words, keys } = this.survey.texts[text];
    return (await bytes).subarray(at, at + words.length * (keys ?? words).length);
  }

  /** A text of the page in the present language. @param {string} key @param {Record<string, string | number>} [values] */
  say(key, values = {}) {
    return filledIn(this.words[this.state.lang][key] ?? key, values);
  }

  /**
   * What a statistic, a role, a number of a test or a unit is called: in the page's words, or else as the survey calls it.
   *
   * @param {"role" | "statistic" | "test" | "unit"} kind @param {string} name @param {string} [title]
   */
  called(kind, name, title = name) {
    return this.words[this.state.lang][`${kind}.${name.replace(/\W/g, "_")}`] ?? title;
  }
}
