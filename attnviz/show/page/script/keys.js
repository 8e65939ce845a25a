// The keyboard: arrows move the layer and the head, wherever no control has use for them.

/**
 * @param {import("./app.js").App} app
 */
export function listenToKeys(app) {
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
      "/": () => app.set({ find: true }),
    };
    const action = actions[event.key];
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
  if (event.defaultPrevented || !(target instanceof HTMLElement)) return true;
  return target.closest("select, input, textarea, [data-keys]") !== null;
}
