// The keyboard, wherever no control has use for a key.

/**
 * @template {string} Name
 * @param {{set: (change: {view: Name}) => void}} app
 * @param {readonly Name[]} views in their order: 1 is the first
 * @param {() => Record<string, () => void>} actions what other keys do now
 */
export function listenToKeys(app, views, actions) {
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || isTaken(event)) return;
    const view = views[Number(event.key) - 1];
    const action = view ? () => app.set({ view }) : actions()[event.key];
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
