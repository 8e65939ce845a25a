// Many buttons of which one is chosen: the Tab key stops at that one alone, and the arrow keys move it.

/** Mark the chosen one, which has the focus if another of them had it. @param {Map<number, HTMLElement> | HTMLElement[]} buttons @param {number} chosen */
export function chosenAmong(buttons, chosen) {
  let held = false;
  /** @type {HTMLElement | null} */
  let own = null;
  for (const [place, button] of buttons.entries()) {
    held ||= button === document.activeElement;
    if (place === chosen) own = button;
    button.ariaCurrent = place === chosen ? "true" : null;
    button.tabIndex = place === chosen ? 0 : -1;
  }
  if (held) own?.focus();
}
