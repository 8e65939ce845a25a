// What all pages share above their views: language, colours, tabs.

import { h, refill } from "./dom.js";
import { picker } from "./pick.js";

/** @import { Page } from "./types.js" */

/** The language and the colours of the whole page. @param {{lang: string, theme: string}} state */
export function dress({ lang, theme }) {
  const root = document.documentElement;
  if (root.lang !== lang) root.lang = lang; // else the browser would style everything anew
  if (theme === "auto") root.removeAttribute("data-theme");
  else root.setAttribute("data-theme", theme);
}

/** Pickers of both. @param {Page} app */
export function lookChoices(app) {
  const { lang, theme } = app.state;
  return [
    picker(
      app.say("lang"),
      lang,
      [
        ["en", "English"],
        ["ko", "한국어"],
      ],
      (value) => app.set({ lang: /** @type {"en" | "ko"} */ (value) }),
    ),
    picker(
      app.say("theme"),
      theme,
      [
        ["auto", app.say("theme.auto")],
        ["light", app.say("theme.light")],
        ["dark", app.say("theme.dark")],
      ],
      (value) => app.set({ theme: /** @type {"auto" | "light" | "dark"} */ (value) }),
    ),
  ];
}

/**
 * The views to choose from.
 *
 * @template {string} Name
 * @param {Page & {state: {view: Name}, set: (change: {view: Name}) => void}} app
 * @param {HTMLElement} host
 * @param {readonly Name[]} names
 */
export function drawTabs(app, host, names) {
  host.setAttribute("aria-label", app.say("view"));
  refill(
    host,
    ...names.map((name) =>
      h(
        "button",
        {
          type: "button",
          "aria-current": name === app.state.view && "page",
          onclick: () => app.set({ view: name }),
        },
        app.say(`view.${name}`),
      ),
    ),
  );
}
