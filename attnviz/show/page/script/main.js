// The page: a heading, the pickers, one view at a time.

import { App } from "./app.js";
import { drawControls } from "./controls.js";
import { fill, h, refill } from "./dom.js";
import { textOf } from "./embedded.js";
import { Finder } from "./find/find.js";
import { keysOf } from "./heads.js";
import { Help } from "./help.js";
import { listenToKeys } from "./keys.js";
import { Listing } from "./listing.js";
import { drawTabs, dress, lookChoices } from "./look.js";
import { textNotes } from "./notes.js";
import { saveMenu } from "./save.js";
import { VIEWS } from "./state.js";
import { unpacked } from "./unpacked.js";
import { viewsOf } from "./views.js";
import { headName } from "./writing.js";

/** @import { Model, View, ViewName } from "./types.js" */

const KNOWN = VIEWS.filter((name) => name in viewsOf);
const KEYS = ["head", "layer", "views", "find", "tour", "help", "escape"];

/** @param {HTMLElement} page */
async function start(page) {
  const words = new TextDecoder().decode(await unpacked(await textOf("words")));
  const app = new App({ ...JSON.parse(await textOf("data")), words: JSON.parse(words) });
  /** @type {Map<ViewName, View>} */
  const views = new Map();
  const listing = new Listing(app, () => views.get(app.state.view));
  const finder = new Finder(app);
  const help = new Help(app, KEYS);
  const parts = {
    top: h("header", { class: "top" }),
    tabs: h("nav", { class: "tabs" }),
    controls: h("section", { class: "controls" }),
    host: h("main", { class: "view", id: "view" }),
    panel: h("aside", { class: "panel" }, finder.host, listing.host),
    foot: h("footer", { class: "foot" }),
    told: h("p", { class: "hidden", role: "status" }),
  };
  fill(page, ...Object.values(parts), help.host);
  let turn = 0;
  const draw = () => {
    const own = ++turn;
    dress(app.state);
    page.setAttribute("data-view", app.state.view);
    page.removeAttribute("data-drawn");
    drawTop(app, parts.top, [finder.button(), listing.button(), help.button()]);
    drawTabs(app, parts.tabs, KNOWN);
    drawControls(app, parts.controls);
    drawFoot(
      app,
      parts.foot,
      saveMenu(app, () => views.get(app.state.view)),
    );
    finder.update();
    const name = app.state.view;
    const view = views.get(name) ?? viewsOf[name]?.(app);
    if (!view) return;
    views.set(name, view);
    if (view.host.parentNode !== parts.host) fill(parts.host, view.host);
    view.update().then(
      () => {
        if (own !== turn) return;
        page.setAttribute("data-drawn", name);
        const at = name === "tour" ? app.state.step + 1 : headName(app.state.layer, app.state.head);
        parts.told.textContent = `${app.say(`view.${name}`)}: ${at}`;
        listing.update();
      },
      (error) => {
        // what failed because another state came meanwhile is no error of that one
        if (own === turn) fill(parts.host, h("p", { class: "error", role: "alert" }, String(error.message ?? error)));
      },
    );
  };
  // paper is white: what is drawn is drawn anew for it
  addEventListener("beforeprint", () => {
    document.documentElement.setAttribute("data-theme", "light");
    views.get(app.state.view)?.update();
  });
  addEventListener("afterprint", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  app.listeners.push(draw);
  listenToKeys(app, KNOWN, () => keysOf(app, { find: () => finder.show(true), help: () => help.show() }));
  draw();
}

/**
 * @param {App} app
 * @param {HTMLElement} host
 * @param {HTMLElement[]} buttons
 */
function drawTop(app, host, buttons) {
  const told = textNotes(app);
  const both = app.other === null ? [app.text] : [app.text, app.data.texts[app.other]];
  const apart = both[0].name !== both[both.length - 1].name;
  const models = both[0].model.title === both[both.length - 1].model.title ? [both[0].model] : both.map((b) => b.model);
  refill(
    host,
    apart
      ? h("h1", {}, h("bdi", {}, both[0].name), " | ", h("bdi", {}, both[1].name))
      : h("h1", { dir: "auto" }, both[0].name),
    h(
      "p",
      { class: "model" },
      ...models.flatMap((model, at) => [
        h("span", {}, (models.length > 1 ? `${"AB"[at]}: ` : "") + app.say("about", aboutModel(model))),
        !model.trained && h("strong", { class: "badge" }, "UNTRAINED"),
      ]),
    ),
    h("div", { class: "choices" }, ...buttons, ...lookChoices(app)),
    told.length > 0 && h("ul", { class: "notes" }, ...told.map((note) => h("li", {}, note))),
  );
}

/** @param {Model} model */
function aboutModel(model) {
  const { name, num_layers: layers, num_heads: heads, d_model, d_k, d_ff } = model;
  return { title: name, layers, heads, d_model, d_k, d_ff };
}

/**
 * @param {App} app
 * @param {HTMLElement} host
 * @param {HTMLElement} menu
 */
function drawFoot(app, host, menu) {
  const { tolerance } = app.text;
  const exact = tolerance > 0 ? app.say("tolerance", { tolerance: tolerance.toPrecision(1) }) : app.say("exact");
  refill(host, menu, h("span", {}, exact), h("span", {}, `attnviz ${app.data.version}`));
}

start(/** @type {HTMLElement} */ (document.getElementById("page")));
