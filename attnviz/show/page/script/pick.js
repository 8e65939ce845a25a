// Native controls with their names, so that keyboards and screen readers know them.

import { h } from "./dom.js";

/**
 * A choice among a few, as a named list.
 *
 * @param {string} name
 * @param {string} value
 * @param {[string, string][]} choices values, and what they are called
 * @param {(value: string) => void} choose
 */
export function picker(name, value, choices, choose) {
  const options = choices.map(([one, called]) => h("option", { value: one, selected: one === value }, called));
  const list = h("select", { onchange: () => choose(list.value) }, ...options);
  return h("label", { class: "picker" }, h("span", {}, name), list);
}

/**
 * Something that is on or off.
 *
 * @param {string} name
 * @param {boolean} on
 * @param {(on: boolean) => void} choose
 */
export function toggle(name, on, choose) {
  const box = h("input", { type: "checkbox", checked: on, onchange: () => choose(box.checked) });
  return h("label", { class: "toggle" }, box, h("span", {}, name));
}
