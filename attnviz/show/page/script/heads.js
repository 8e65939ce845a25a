// Which heads there are, and which of them lines show.

/** @import { App } from "./app.js" */

/** The heads that are switched on. @param {App} app */
export function headsOn(app) {
  return allHeads(app).filter((head) => !app.state.off.includes(head));
}

/** The numbers of a layer's heads. @param {App} app */
export function allHeads(app) {
  return [...Array(app.text.model.num_heads).keys()];
}

/** The heads of all layers that were recorded. @param {App} app */
export function everyHead(app) {
  return app.text.recorded.flatMap((layer) => allHeads(app).map((head) => ({ layer, head })));
}

/**
 * What keys do: arrows move the layer and the head.
 *
 * @param {App} app
 * @param {{find: () => void, help: () => void}} opens what keys open
 * @returns {Record<string, () => void>}
 */
export function keysOf(app, { find, help }) {
  const { layer, head } = app.state;
  const { recorded, model } = app.text;
  const place = recorded.indexOf(layer);
  return {
    ArrowUp: () => app.set({ layer: recorded[Math.max(place - 1, 0)] }),
    ArrowDown: () => app.set({ layer: recorded[Math.min(place + 1, recorded.length - 1)] }),
    ArrowLeft: () => app.set({ head: Math.max(head - 1, 0) }),
    ArrowRight: () => app.set({ head: Math.min(head + 1, model.num_heads - 1) }),
    "/": find,
    "?": help,
    Escape: () => app.set({ find: false, query: null, key: null }),
  };
}
