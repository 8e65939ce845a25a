// The keyboard, wherever no control has use for a key: arrows move the layer and the head.

/** @import { App } from "./app.js" */
/** @import { ViewName } from "./types.js" */

/**
 * @param {App} app
 * @param {ViewName[]} views in their order: 1 is the first
 * @param {{find: () => void, help: () => void}} opens what keys open
 */
export function listenToKeys(app, views, { find, help }) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
    const { layer, head } = app.state;
    const { recorded, model } = app.text;
    const place = recorded.indexOf(layer);
    /** @type {Record<string, () => void>} */
    const actions = {
      ArrowUp: () => app.set({ layer: recorded[Math.max(place - 1, 0)] }),
      ArrowDown: () => app.set({ layer: recorded[Math.min(place + 1, recorded.length - 1)] }),
      ArrowLeft: () => app.set({ head: Math.max(head - 1, 0) }),
      ArrowRight: () => app.set({ head: Math.min(head + 1, model.num_heads - 1) }),
      "/": find,
      "?": help,
      Escape: () => app.set({ find: false, query: null, key: null }),
    };
    const view = views[Number(event.key) - 1];
    const action = view ? () => app.set({ view }) : actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/**
 * Whether what has the focus reads the key itself.
 *
 * @param {KeyboardEvent} event
 */
function isTaken(event) {
  const target = event.target;
  if (event.defaultPrevented || !(target instanceof Element)) return true;
  return target.closest("select, input:not([type=checkbox]), textarea, dialog, [data-keys]") !== null;
}
