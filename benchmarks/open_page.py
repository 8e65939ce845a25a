"""Opens a page in Chromium and says how soon it answers, as JSON; nothing but `why` if it does not.

`first`: seconds from the start of the navigation until lines are drawn, a token has been pointed
at, and the answer is on the screen. `whole`: until all heads of the layer are drawn. `heads`:
milliseconds from choosing a head until its lines are on the screen. Of attnviz also `layers`, from
choosing a layer until all its heads are, and `matrices`, from choosing a head in the head view.

usage: python benchmarks/open_page.py attnviz|bertviz PAGE
"""

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Page, sync_playwright

CHROMIUM = shutil.which(os.environ.get("ATTNVIZ_CHROMIUM", "chromium"))
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
ANSWER = "answered: "
PATIENCE = 60  # seconds until a page that draws nothing is given up

COMMON = """
// until what was drawn is on the screen
const frame = () => new Promise((done) => requestAnimationFrame(() => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => done();
  port2.postMessage(0);
}));
const until = async (there) => { do await frame(); while (!there()); };
const timed = async (choose) => {
  const start = performance.now();
  choose();
  await until(whole);
  return performance.now() - start;
};
const point = (token) => {
  for (const kind of ["pointerover", "mouseover", "pointerenter", "mouseenter", "mousemove"])
    token.dispatchEvent(new MouseEvent(kind, { bubbles: kind.endsWith("over"), view: window }));
};
const seconds = () => performance.now() / 1000;
async function probe() {
  await until(begun);
  point(document.querySelector(TOKEN));
  await frame();
  const first = seconds();
  if (!whole()) await until(whole);
  console.log(ANSWER + JSON.stringify({ first, whole: seconds(), ...(await walk()) }));
}
probe();
"""

SCRIPTS = {
    "attnviz": """
const TOKEN = "#view .of-query .token";
const begun = () => document.querySelector(TOKEN) && document.querySelector("#view canvas");
const whole = () => document.querySelector("#page[data-drawn]") !== null;
const press = (key) =>
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
async function walk() {
  const heads = [], layers = [], matrices = [];
  location.hash = "off=1-2-3-4-5-6-7-8-9-10-11";  // one head alone, which the arrows move
  await until(whole);
  for (let layer = 1; layer < 6; layer++) {
    await timed(() => press("ArrowDown"));
    for (let head = 0; head < 2; head++) heads.push(await timed(() => press("ArrowRight")));
  }
  location.hash = "off=&layer=5";
  await until(whole);
  for (let layer = 4; layer >= 0; layer--) layers.push(await timed(() => press("ArrowUp")));
  location.hash = "view=head";
  await until(() => document.querySelector("#page[data-drawn=head]"));
  for (let layer = 1; layer < 6; layer++) {
    await timed(() => press("ArrowDown"));
    for (let head = 0; head < 2; head++) matrices.push(await timed(() => press("ArrowRight")));
  }
  return { heads, layers, matrices };
}
""",
    "bertviz": """
const TOKEN = "#vis #left text";
const boxes = () => document.querySelectorAll("#vis svg > g:last-of-type > rect");
const whole = () => boxes().length > 0, begun = whole;
async function walk() {
  const heads = [];
  for (let i = 0; i < boxes().length; i++)
    heads.push(await timed(() =>
      boxes()[i].dispatchEvent(new MouseEvent("dblclick", { bubbles: true, view: window }))));
  return { heads };
}
""",
}


def opened(kind: str, path: Path) -> dict[str, Any]:
    """What the probe in the page found, or why there was nothing to find."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            tab = browser.new_page(viewport={"width": 1280, "height": 800})
            tab.set_default_timeout(PATIENCE * 1000)
            return _probed(tab, kind, path)
        except Error as error:
            return {"why": _why(error)}
        finally:
            browser.close()


def _probed(tab: Page, kind: str, path: Path) -> dict[str, Any]:
    gone: list[str] = []
    tab.on("crash", lambda _: gone.append("the tab crashed"))
    tab.on("pageerror", lambda error: gone.append(error.message))
    tab.add_init_script(f'(() => {{const ANSWER = "{ANSWER}";{SCRIPTS[kind]}{COMMON}}})();')
    try:
        with tab.expect_console_message(lambda said: said.text.startswith(ANSWER)) as answer:
            tab.goto(path.absolute().as_uri(), wait_until="commit")
        found: dict[str, Any] = json.loads(answer.value.text.removeprefix(ANSWER))
        return found
    except Error as error:
        return {"why": gone[0] if gone else _why(error)}


def _why(error: Error) -> str:
    if "imeout" in error.message:
        return f"no view after {PATIENCE} s"
    return "the tab crashed" if "crash" in error.message else error.message.splitlines()[0]


if __name__ == "__main__":
    print(json.dumps(opened(sys.argv[1], Path(sys.argv[2]))))
