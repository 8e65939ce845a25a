// The atlas of all heads: a heading, the pickers, one view of all heads, and the chosen one beside it.

import { fill, h, refill } from "../dom.js";
import { textOf } from "../embedded.js";
import { Help } from "../help.js";
import { listenToKeys } from "../keys.js";
import { Listing } from "../listing.js";
import { drawTabs, dress, lookChoices } from "../look.js";
import { isDark } from "../matrix.js";
import { unpacked } from "../unpacked.js";
import { headName } from "../writing.js";
import { Atlas } from "./app.js";
import { listView } from "./list.js";
import { mapView } from "./map.js";
import { headText } from "./mixture.js";
import { corpusText, warningsOf } from "./notes.js";
import { panel } from "./panel.js";
import { drawPickers } from "./pickers.js";
import { savingButtons } from "./saving.js";
import { scatterView } from "./scatter.js";
import { VIEWS } from "./state.js";
import { treeView } from "./tree.js";

/** @import { Survey, View, ViewName } from "./types.js" */

const KEYS = ["head", "layer", "views", "help", "escape"];
/** @type {Record<ViewName, (app: Atlas) => View>} */
const MAKE = { map: mapView, scatter: scatterView, list: listView, tree: treeView };

/** @param {string} id */
async function packedJson(id) {
  return JSON.parse(new TextDecoder().decode(await unpacked(await textOf(id))));
}

/** @param {HTMLElement} page */
async function start(page) {
  const { version, state } = JSON.parse(await textOf("data"));
  const app = new Atlas(await packedJson("survey"), state, await packedJson("words"));
  /** @type {Map<ViewName, View>} */
  const views = new Map();
  const listing = new Listing(app, () => {
    const view = views.get(app.state.view);
    return view && { table: async () => view.table() };
  });
  const help = new Help(app, KEYS);
  const parts = {
    top: h("header", { class: "top" }),
    tabs: h("nav", { class: "tabs" }),
    controls: h("section", { class: "controls" }),
    host: h("main", { class: "view", id: "view" }),
    panel: h("aside", { class: "panel" }),
    jump: h("button", { type: "button", class: "jump main", onclick: () => parts.panel.scrollIntoView() }),
    foot: h("footer", { class: "foot" }),
    told: h("p", { class: "hidden", role: "status" }),
  };
  fill(page, ...Object.values(parts), help.host);
  const drawPanel = panel(app, parts.panel);
  const draw = () => {
    const { view: name } = app.state;
    dress(app.state);
    app.dark = isDark(page);
    page.setAttribute("data-view", name);
    drawTop(app, parts.top, [listing.button(), help.button()]);
    drawTabs(app, parts.tabs, VIEWS);
    drawPickers(app, parts.controls);
    const view = views.get(name) ?? MAKE[name](app);
    views.set(name, view);
    const about = h("span", {}, app.say("about.roles"));
    refill(parts.foot, savingButtons(app, view.table), about, h("span", {}, `attnviz ${version}`));
    if (view.host.parentNode !== parts.host) fill(parts.host, view.host, listing.host);
    view.update();
    drawPanel();
    listing.update();
    const head = app.survey.heads[app.chosen];
    parts.told.textContent = headText(app, head);
    parts.jump.textContent = app.say("jump", { head: headName(head.layer, head.head) });
    page.setAttribute("data-drawn", name);
  };
  addEventListener("beforeprint", () => {
    document.documentElement.setAttribute("data-theme", "light");
    app.dark = false;
    views.get(app.state.view)?.update();
    drawPanel();
  });
  addEventListener("afterprint", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  app.listeners.push(draw);
  listenToKeys(app, VIEWS, () => keysOf(app, () => help.show()));
  draw();
}

/** What keys do: arrows move the layer and the head. @param {Atlas} app @param {() => void} help @returns {Record<string, () => void>} */
function keysOf(app, help) {
  const { layer, head } = app.state;
  const at = app.layers.indexOf(layer);
  const to = (/** @type {number} */ place) => app.set({ layer: app.layers[place] ?? layer });
  return {
    ArrowUp: () => to(at - 1),
    ArrowDown: () => to(at + 1),
    ArrowLeft: () => app.set({ head: Math.max(head - 1, 0) }),
    ArrowRight: () => app.set({ head: app.places.has(`${layer} ${head + 1}`) ? head + 1 : head }),
    "?": help,
    Escape: () => app.set({ role: "" }),
  };
}

/** @param {Atlas} app @param {HTMLElement} host @param {HTMLElement[]} buttons */
function drawTop(app, host, buttons) {
  const { model, corpus, heads, attention } = /** @type {Survey} */ (app.survey);
  const told = warningsOf(app);
  const { num_layers: layers, num_heads, d_model, d_k, d_ff } = model;
  const about = app.say("about", { title: model.name, layers, heads: num_heads, d_model, d_k, d_ff });
  const files = corpus.files.length > 3 ? [...corpus.files.slice(0, 3), `+${corpus.files.length - 3}`] : corpus.files;
  refill(
    host,
    h("h1", {}, app.say("title", { count: heads.length, documents: corpus.documents.toLocaleString(app.state.lang) })),
    h(
      "p",
      { class: "model" },
      h("span", {}, about),
      !model.trained && h("strong", { class: "badge" }, "UNTRAINED"),
      attention !== "encoder" && h("span", {}, app.say(`attention.${attention}`)),
      h("span", {}, corpusText(app), ": ", ...files.flatMap((file, at) => [at ? ", " : "", h("bdi", {}, file)])),
    ),
    h("div", { class: "choices" }, ...buttons, ...lookChoices(app)),
    told.length > 0 && h("ul", { class: "notes" }, ...told.map((note) => h("li", {}, note))),
  );
}

start(/** @type {HTMLElement} */ (document.getElementById("page")));
