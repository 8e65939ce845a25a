// Prints the weights of all heads of a page, as its scripts compute them: node read_page.mjs FILE.

import { readFileSync } from "node:fs";
import { attention } from "../attnviz/show/page/script/mathematics.js";
import { decoded } from "../attnviz/show/page/script/numbers.js";

const html = readFileSync(process.argv[2], "utf8");

/** @param {string} id */
function content(id) {
  const begun = html.indexOf(">", html.indexOf(`id="${id}"`)) + 1;
  return html.slice(begun, html.indexOf("</script>", begun));
}

const found = [];
for (const text of JSON.parse(content("data")).texts) {
  for (const [number, layer] of text.layers.entries()) {
    if (!layer) continue;
    const numbers = await decoded(layer, content(layer.blob));
    for (const unit of ["word", "piece"]) {
      for (const special of [true, false]) {
        for (let head = 0; head < layer.heads; head++) {
          const shown = attention(numbers, head, { unit, special, window: null }, text);
          const { weights, allowed, dropped, sink } = shown;
          found.push({
            layer: number, head, unit, special, weights: [...weights],
            allowed: allowed && [...allowed], dropped: dropped && [...dropped], sink: sink && [...sink],
          });
        }
      }
    }
  }
}
process.stdout.write(JSON.stringify(found));
