// What the keyboard does, in a dialog.

import { fill, h } from "./dom.js";

/** @import { Page } from "./types.js" */

/** The list of keys, which `?` opens. */
export class Help {
  /** @param {Page} app @param {string[]} keys what the list says */
  constructor(app, keys) {
    this.app = app;
    this.keys = keys;
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
    const { app, host, keys } = this;
    if (host.open) return;
    fill(
      host,
      h("h2", { id: "help-title" }, app.say("keyboard")),
      h("ul", {}, ...keys.map((key) => h("li", {}, app.say(`keyboard.${key}`)))),
      h("button", { type: "button", class: "main", onclick: () => host.close() }, app.say("close")),
    );
    host.showModal();
  }
}
