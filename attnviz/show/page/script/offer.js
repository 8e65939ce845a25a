// What the page gives away: files, numbers as CSV, a link.

import { h } from "./dom.js";

/** @import { Page, Table } from "./types.js" */

/** Let the browser save a file. @param {Blob} blob @param {string} name */
export function offerFile(blob, name) {
  const address = URL.createObjectURL(blob);
  h("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The address of the present view; the fragment alone where the page is inside another.
 * @param {string} fragment
 */
export function addressOf(fragment) {
  return location.protocol === "about:" ? `#${fragment}` : location.href.replace(/(#.*)?$/, `#${fragment}`);
}

/** Whether a text came to the clipboard; if it may not, it stands in `host`, selected.
 * @param {string} text @param {HTMLElement} host @param {Page} app
 */
export async function copied(text, host, app) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = h("input", {
      type: "text",
      readonly: true,
      value: text,
      "aria-label": app.say("save.link"),
    });
    host.replaceChildren(field);
    field.select();
    const done = document.execCommand("copy");
    if (done) host.replaceChildren();
    return done;
  }
}

/** Numbers as RFC 4180 has them, in UTF-8. A text that a spreadsheet would compute has `'` before it.
 * @param {Table} table
 */
export function csvText({ columns, rows }) {
  const cell = (/** @type {string | number} */ value) => {
    if (typeof value === "number") return shortestDigits(value);
    const text = /^[=+\-@\t\r]./su.test(value) ? `'${value}` : value;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

/** The fewest digits that give the same float32. @param {number} number */
function shortestDigits(number) {
  if (Number.isInteger(number) || !Number.isFinite(number)) return String(number);
  const single = Math.fround(number);
  for (let digits = 6; digits < 9; digits++) {
    const text = single.toPrecision(digits);
    if (Math.fround(Number(text)) === single) return String(Number(text));
  }
  return String(Number(single.toPrecision(9)));
}
