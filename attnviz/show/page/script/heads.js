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
