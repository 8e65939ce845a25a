// What the atlas gives away: the numbers of the present view, and a link to it.

import { h } from "../dom.js";
import { toFragment } from "../fragment.js";
import { addressOf, copied, csvText, offerFile } from "../offer.js";

/** @import { Atlas } from "./app.js" */
/** @import { Table } from "./types.js" */

/** Buttons for both. @param {Atlas} app @param {() => Table} table */
export function savingButtons(app, table) {
  const told = h("output", { class: "note", "aria-live": "polite" });
  const link = h("span", {});
  /** @param {string} key @param {() => string | Promise<string>} act */
  const button = (key, act) => {
    const pressed = async () => {
      link.replaceChildren();
      told.textContent = await act();
    };
    return h("button", { type: "button", "data-save": key, onclick: pressed }, app.say(`save.${key}`));
  };
  return h(
    "div",
    { class: "save bar", role: "group", "aria-label": app.say("save") },
    button("csv", () => {
      const model = app.survey.model.name.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 40);
      const name = `attnviz-${model}-${app.state.view}.csv`;
      offerFile(new Blob([csvText(table())], { type: "text/csv" }), name);
      return app.say("save.done", { name });
    }),
    button("link", async () => {
      const done = await copied(addressOf(toFragment(app.state, app.first)), link, app);
      return app.say(done ? "save.copied" : "save.failed");
    }),
    link,
    told,
  );
}
