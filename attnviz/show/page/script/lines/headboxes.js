// The heads of a layer as boxes in their colours, to switch them on and off.

import { headColour, inkOn } from "../colours.js";
import { h, refill } from "../dom.js";
import { allHeads, headsOn } from "../heads.js";
import { headName } from "../writing.js";

/** @import { App } from "../app.js" */

/**
 * A box for each head, and two for all and none; the focus stays where it was.
 *
 * @param {App} app
 * @param {HTMLElement} host
 * @param {boolean} dark
 */
export function drawHeadBoxes(app, host, dark) {
  const on = headsOn(app);
  const boxes = allHeads(app).map((head) => {
    const colour = headColour(head, dark);
    const box = boxOf(app, head, on.includes(head));
    box.style.borderColor = colour;
    if (on.includes(head)) [box.style.background, box.style.color] = [colour, inkOn(colour)];
    return box;
  });
  const button = (/** @type {string} */ name, /** @type {number[]} */ off) =>
    h("button", { type: "button", onclick: () => app.set({ off }) }, app.say(name));
  host.setAttribute("aria-label", app.say("lines.heads"));
  refill(host, ...boxes, button("all", []), button("none", allHeads(app)));
}

/** @param {App} app @param {number} head @param {boolean} on */
function boxOf(app, head, on) {
  const { layer, head: present } = app.state;
  const name = headName(layer, head);
  return h(
    "button",
    {
      type: "button",
      class: "box",
      "aria-pressed": String(on),
      "aria-current": head === present && "true",
      title: app.say("lines.box", { head: name }),
      onclick: (/** @type {MouseEvent} */ event) => switched(app, head, event.shiftKey || event.detail > 1),
    },
    `H${head}`,
  );
}

/** Switch a head, or all others off. @param {App} app @param {number} head @param {boolean} alone */
function switched(app, head, alone) {
  const on = headsOn(app);
  const others = on.filter((one) => one !== head);
  const next = alone ? [head] : on.includes(head) ? others : [...on, head];
  const off = allHeads(app).filter((one) => !next.includes(one));
  app.set(next.includes(head) ? { off, head } : { off });
}
