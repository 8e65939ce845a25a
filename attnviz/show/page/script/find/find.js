// The find box: two words, and the heads that join them, the best first.

import { titleOf } from "../app.js";
import { fill, h, refill } from "../dom.js";
import { allHeads, everyHead } from "../heads.js";
import { ROLES } from "../state.js";
import { apart, headName, weightText } from "../writing.js";
import { findHead, namedAs, ranked } from "./finding.js";

/** @import { App } from "../app.js" */
/** @import { Finding } from "./finding.js" */
/** @import { Yardstick } from "../mathematics.js" */
/** @import { Role } from "../types.js" */

const SHOWN_FIRST = 10;
const BUSY = 12; // milliseconds of work after which the page may do something else
const OPENS = ["lines", "head", "steps"]; // views of one head, which stay

/** The part of the panel that finds heads, open while the state says so. */
export class Finder {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.turn = 0;
    this.asked = "";
    /** @type {Finding[]} */
    this.findings = [];
    /** @type {"excess" | "weight"} */
    this.by = "excess";
    this.all = false;
    this.inputs = { query: this.input("query"), key: this.input("key") };
    this.form = h("form", { class: "find-form", onsubmit: (/** @type {Event} */ event) => event.preventDefault() });
    this.results = h("div", { class: "find-results stack" });
    this.host = h(
      "section",
      { class: "find", id: "find", hidden: true, "aria-labelledby": "find-title", onkeydown: this.pressed.bind(this) },
      this.form,
      this.results,
    );
  }

  /** The control that opens and closes it. */
  button() {
    const { find } = this.app.state;
    return h(
      "button",
      { type: "button", "aria-expanded": String(find), "aria-controls": "find", onclick: () => this.show(!find) },
      this.app.say("find"),
    );
  }

  /** @param {boolean} open */
  show(open) {
    this.app.set({ find: open });
    if (open) this.inputs.query.select();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.key !== "Escape") return;
    event.preventDefault();
    event.stopPropagation();
    this.show(false);
    /** @type {HTMLElement | null} */ (document.querySelector("[aria-controls=find]"))?.focus();
  }

  /** @param {Role} role */
  input(role) {
    const input = h("input", {
      ...{ type: "search", id: `find-${role}`, list: `find-${role}s`, autocomplete: "off", spellcheck: "false" },
      dir: "auto",
      onchange: () => this.typed(role),
      oninput: () => this.app.tokens(role).some(({ name }) => name === input.value) && this.typed(role),
    });
    return input;
  }

  /** Choose what was typed. @param {Role} role */
  typed(role) {
    const { app } = this;
    const { value } = this.inputs[role];
    const cut = role === "query" || !app.text.keys ? app.text.cut : null;
    const found = namedAs(app.tokens(role), value, cut?.[app.state.unit][0]);
    const unknown = value.trim() !== "" && !found;
    this.inputs[role].setCustomValidity(unknown ? app.say("find.unknown", { text: value.trim() }) : "");
    const phrase = ROLES.map((one, place) => (one === role ? (found?.length ?? 1) : app.state.phrase[place]));
    app.set({ [role]: found ? found[0] : null, phrase });
  }

  /** The places of the query's or the key's words. @param {Role} role @returns {number[]} */
  places(role) {
    const { [role]: first, phrase } = this.app.state;
    if (first === null) return [];
    return [...this.app.tokens(role).keys()].slice(first, first + Math.max(1, phrase[ROLES.indexOf(role)]));
  }

  /** @param {Role} role */
  called(role) {
    const { app } = this;
    const places = this.places(role);
    return places.length === 1 ? app.name(role, places[0]) : places.map((at) => app.tokens(role)[at].text).join(" ");
  }

  /** Draw what the state says. */
  update() {
    const { app, host } = this;
    const { find, text, unit, special, window, lang } = app.state;
    const opened = find && Boolean(host.hidden);
    host.hidden = !find;
    if (!find) {
      this.turn++;
      this.asked = "";
      return;
    }
    this.drawForm(opened, `${lang} ${text} ${unit}`);
    const words = ROLES.map((role) => [this.places(role), this.inputs[role].validationMessage]);
    const asked = JSON.stringify([lang, text, unit, special, window, words]);
    if (asked === this.asked) {
      this.drawResults();
      return;
    }
    this.asked = asked;
    this.findings = [];
    this.all = false;
    this.compute(++this.turn);
  }

  /** @param {boolean} opened @param {string} about what the form depends on */
  drawForm(opened, about) {
    const { app, inputs } = this;
    const swap = app.say("find.swap");
    if (opened || this.form.dataset.about !== about) {
      this.form.dataset.about = about;
      refill(
        this.form,
        h("h2", { id: "find-title" }, app.say("find.label")),
        ...ROLES.map((role) =>
          h(
            "div",
            { class: "find-word" },
            h("label", { for: `find-${role}` }, app.say(titleOf(app, role))),
            inputs[role],
            h("datalist", { id: `find-${role}s` }, ...app.tokens(role).map(({ name }) => h("option", { value: name }))),
          ),
        ),
        h(
          "button",
          { ...{ type: "button", class: "icon", "aria-label": swap, title: swap }, onclick: () => this.swap() },
          "⇅",
        ),
        this.byButtons(),
      );
    }
    for (const role of ROLES) {
      const chosen = this.places(role).length > 0;
      const invalid = inputs[role].validity.customError;
      if (inputs[role] !== document.activeElement && (chosen || !invalid)) {
        inputs[role].value = chosen ? this.called(role) : "";
        inputs[role].setCustomValidity("");
      }
      inputs[role].setAttribute("aria-invalid", String(inputs[role].validity.customError));
    }
  }

  byButtons() {
    const { app } = this;
    const choose = (/** @type {"excess" | "weight"} */ by) => {
      this.by = by;
      this.form.dataset.about = "";
      this.update();
    };
    return h(
      "div",
      { class: "segmented", role: "group", "aria-labelledby": "find-title" },
      .../** @type {const} */ (["excess", "weight"]).map((by) =>
        h("button", { type: "button", "aria-pressed": String(by === this.by), onclick: () => choose(by) }, app.say(by)),
      ),
    );
  }

  swap() {
    const { query, key, phrase } = this.app.state;
    this.app.set({ query: key, key: query, phrase: [phrase[1], phrase[0]] });
  }

  /** Look at each head, and let the page do other things between. @param {number} turn */
  async compute(turn) {
    const { app } = this;
    const why = this.whyNot();
    if (why !== null) {
      fill(this.results, h("p", { class: "note" }, why));
      return;
    }
    const [queries, keys] = ROLES.map((role) => app.tokens(role));
    const [query, key] = ROLES.map((role) => this.places(role));
    const places = everyHead(app);
    const bar = h("progress", { max: places.length, value: 0, "aria-label": app.say("loading") });
    /** @type {Finding[]} */
    const findings = [];
    let since = performance.now();
    let drawn = false;
    for (const place of places) {
      const shown = await app.shown(place.layer, place.head);
      if (turn !== this.turn) return;
      const link = {
        row: placesIn(shown.rows, query),
        column: placesIn(shown.columns, key),
        cross: app.side("key") !== app.side("query"),
      };
      if (link.row.includes(-1) || link.column.includes(-1)) {
        fill(this.results, h("p", { class: "note" }, app.say("find.hidden")));
        return;
      }
      findings.push(findHead(place, shown, queries, keys, link));
      if (performance.now() - since < BUSY) continue;
      if (!drawn) fill(this.results, bar);
      drawn = true;
      bar.value = findings.length;
      await new Promise((done) => setTimeout(done));
      if (turn !== this.turn) return;
      since = performance.now();
    }
    this.findings = findings;
    this.drawResults();
  }

  /** Why there is nothing to find; null where there is. */
  whyNot() {
    const { app } = this;
    const invalid = ROLES.find((role) => this.inputs[role].validity.customError);
    if (invalid) return this.inputs[invalid].validationMessage;
    const [query, key] = ROLES.map((role) => this.places(role));
    if (!query.length || !key.length) return app.say("find.choose");
    const one = app.side("key") === app.side("query") && query.some((place) => key.includes(place));
    return one ? app.say("find.same") : null;
  }

  drawResults() {
    const { app, findings } = this;
    if (!findings.length) return;
    const names = { query: apart(this.called("query")), key: apart(this.called("key")) };
    if (!findings.some(({ sees }) => sees)) {
      fill(this.results, h("p", { class: "note" }, app.say("find.none")));
      return;
    }
    const order = ranked(findings, this.by);
    const rows = this.all ? order : order.slice(0, SHOWN_FIRST);
    const more = order.length - rows.length;
    refill(
      this.results,
      this.said(order[0], names),
      h(
        "div",
        { class: "scroll", tabindex: 0, role: "group", "aria-labelledby": "find-heads" },
        this.table(rows, names),
      ),
      this.dropped(),
      more > 0 &&
        h("button", { type: "button", onclick: () => this.showAll() }, app.say("find.all", { count: order.length })),
      h("p", { class: "note" }, app.say("distance.note"), h("br"), app.say("same.key.note")),
    );
  }

  showAll() {
    this.all = true;
    this.drawResults();
  }

  /** What special tokens left out held. */
  dropped() {
    const shares = this.findings.map(({ dropped }) => dropped ?? 0);
    const share = shares.reduce((sum, one) => sum + one, 0) / shares.length;
    if (this.findings[0].dropped === null) return null;
    return h("p", { class: "note" }, this.app.say("dropped.all", { share: `${Math.round(100 * share)}%` }));
  }

  /** The best head in words. @param {Finding} best @param {{query: string, key: string}} names */
  said(best, names) {
    const { app, findings } = this;
    const head = headName(best.layer, best.head);
    const facts = { ...names, head, weight: weightText(best.weight, 3), rank: best.rank, keys: best.keys };
    const strongest = findings.filter(({ argmax }) => argmax).length;
    return h(
      "p",
      { role: "status" },
      app.say("find.first", facts),
      " ",
      app.say("find.strongest", { ...names, count: strongest, heads: findings.length }),
    );
  }

  /** @param {Finding[]} rows @param {{query: string, key: string}} names */
  table(rows, names) {
    const { app } = this;
    const titles = ["head", "weight", "excess", "rank", "distance", "same.key"];
    return h(
      "table",
      { class: "numbers" },
      h(
        "caption",
        { id: "find-heads" },
        app.other !== null && "A: ",
        app.say("find.heads", { ...names, by: app.say(this.by) }),
      ),
      h(
        "thead",
        {},
        h("tr", {}, ...titles.map((name, at) => h("th", { scope: "col", class: at && "number" }, app.say(name)))),
      ),
      h("tbody", {}, ...rows.map((finding) => this.row(finding))),
    );
  }

  /** @param {Finding} finding */
  row(finding) {
    const { app } = this;
    const { layer, head, sees, weight, excess, rank, argmax, explained } = finding;
    const on = app.state.layer === layer && app.state.head === head;
    const name = h(
      "button",
      { type: "button", "aria-current": on && "true", onclick: () => this.open(finding) },
      headName(layer, head),
    );
    const kind = explained === "key" ? "stripe" : "diagonal";
    const number = (/** @type {(Node | string)[]} */ ...told) => h("td", { class: "number" }, ...told);
    return h(
      "tr",
      { class: on && "on" },
      h(
        "th",
        { scope: "row" },
        name,
        explained && excess !== null && excess > 0 && h("small", {}, ` ${app.say(kind)}`),
      ),
      number(sees ? h(argmax ? "b" : "span", {}, weightText(weight, 3)) : "–"),
      number(sees && excess !== null ? excessText(excess) : "–"),
      number(sees ? String(rank) : "–"),
      number(...yardstick(finding.distance)),
      number(...yardstick(finding.key)),
    );
  }

  /** Show this head, with the query and the key chosen. @param {Finding} finding */
  open({ layer, head }) {
    const { app } = this;
    const view = OPENS.includes(app.state.view) ? app.state.view : "head";
    const others = allHeads(app).filter((other) => other !== head);
    app.set({ layer, head, view, ...(view === "lines" ? { off: others } : {}) });
    if (matchMedia("(max-width: 700px)").matches) document.getElementById("view")?.scrollIntoView();
  }
}

/** Where tokens are among those shown; -1 for one that is not. @param {number[]} shown @param {number[]} places */
function placesIn(shown, places) {
  return places.map((place) => shown.indexOf(place));
}

/** @param {number} excess */
function excessText(excess) {
  return weightText(excess, 3)
    .replace(/^-0\.000$/, "0.000")
    .replace("-", "−");
}

/** @param {Yardstick | null} one @returns {(Node | string)[]} */
function yardstick(one) {
  if (!one) return ["–"];
  const lift = one.lift === null ? "" : ` ×${one.lift < 99.95 ? one.lift.toFixed(1) : one.lift.toFixed(0)}`;
  return [weightText(one.mean, 3), h("small", {}, lift)];
}
