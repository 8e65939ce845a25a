// What the keyboard does, in a dialog.

import { fill, h } from "./dom.js";

/** @import { App } from "./app.js" */

const KEYS = ["head", "layer", "views", "find", "tour", "help", "escape"];

/** The list of keys, which `?` opens. */
export class Help {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.host = h("dialog", { class: "help", "aria-labelledby": "help-title" });
  }

  /** The control that opens it. */
  button() {
    const name = this.app.say("keyboard");
    return h(
      "button",
      { type: "button", class: "icon", "aria-label": name, title: name, onclick: () => this.show() },
      "?",
    );
  }

  show() {
    const { app, host } = this;
    if (host.open) return;
    fill(
      host,
      h("h2", { id: "help-title" }, app.say("keyboard")),
      h("ul", {}, ...KEYS.map((key) => h("li", {}, app.say(`keyboard.${key}`)))),
      h("button", { type: "button", class: "main", onclick: () => host.close() }, app.say("close")),
    );
    host.showModal();
  }
}
