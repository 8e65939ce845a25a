// Elements of HTML and SVG. Text is always text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

/**
 * @typedef {Record<string, any>} Properties
 * `on…` listens to an event; `class`, `data-…`, `aria-…` and the like are attributes.
 * @typedef {Node | string | null | undefined | false} Child
 */

/**
 * An element of HTML.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/**
 * An element of SVG.
 *
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function s(tag, properties = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), properties, children);
}

/**
 * @template {Element} Made
 * @param {Made} element
 * @param {Properties} properties
 * @param {Child[]} children
 * @returns {Made}
 */
function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(
    ...children.filter((child) => child || child === "").map((child) => /** @type {Node | string} */ (child)),
  );
  return element;
}

/**
 * Put these children in place of all others.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...children.filter(Boolean).map((child) => /** @type {Node | string} */ (child)));
}

/**
 * The same, but the control that has the focus keeps it, by its place among the controls.
 *
 * @param {Element} element
 * @param {...Child} children
 */
export function refill(element, ...children) {
  const controls = () => /** @type {HTMLElement[]} */ ([...element.querySelectorAll("button, select, input")]);
  const focused = controls().indexOf(/** @type {HTMLElement} */ (document.activeElement));
  fill(element, ...children);
  controls()[focused]?.focus();
}

/**
 * A picture of SVG as the text of a file.
 *
 * @param {SVGSVGElement} picture
 */
export function svgText(picture) {
  return new XMLSerializer().serializeToString(picture);
}
