// What the page has in elements of its own, behind its script.

/**
 * The text of an element, once the browser has read it: the page is drawn before it has read all.
 *
 * @param {string} id
 */
export async function textOf(id) {
  if (document.readyState === "loading" && !document.getElementById(id)?.nextElementSibling)
    await new Promise((done) => addEventListener("DOMContentLoaded", done, { once: true }));
  return document.getElementById(id)?.textContent ?? "";
}
