// What the browser runs first: it unpacks the page's script, whose hash stands in the page's policy.

import { unpacked } from "./unpacked.js";

async function boot() {
  const bytes = await unpacked(document.getElementById("script")?.textContent ?? "");
  const script = document.createElement("script");
  script.type = "module";
  script.textContent = new TextDecoder().decode(bytes);
  document.body.append(script);
}

boot().catch((error) => {
  document.body.prepend(`This browser is too old for the page: ${error.message}`);
});
