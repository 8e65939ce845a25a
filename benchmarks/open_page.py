"""Opens a page in Chromium and says how soon it answers, as JSON; nothing but `why` if it does not.

`first`: seconds from the start of the navigation until the first view is drawn, a token has been
hovered over, and the answer is on the screen. `heads`: milliseconds from choosing a head until its
picture is on the screen, for each head. `matrices`: the same in the head view, one layer after the
other, each for the first time (attnviz alone).

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
PATIENCE = 120  # seconds until a page that draws nothing is given up

COMMON = """
// until what was drawn is on the screen
const frame = () => new Promise((done) => requestAnimationFrame(() => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => done();
  port2.postMessage(0);
}));
const drawn = async () => { do await frame(); while (!ready()); };
const timed = async (choose) => {
  const start = performance.now();
  choose();
  await drawn();
  return performance.now() - start;
};
const hover = (token) => {
  for (const kind of ["pointerover", "mouseover", "pointerenter", "mouseenter", "mousemove"])
    token.dispatchEvent(new MouseEvent(kind, { bubbles: kind.endsWith("over"), view: window }));
};
async function probe() {
  await drawn();
  hover(document.querySelector(TOKEN));
  await drawn();
  const first = performance.now() / 1000;
  console.log(ANSWER + JSON.stringify({ first, ...(await walk()) }));
}
probe();
"""

SCRIPTS = {
    "attnviz": """
const TOKEN = "#view .of-query .token";
const ready = () => document.querySelector("#page[data-drawn]") !== null;
const press = (key) =>
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
async function walk() {
  const heads = [], matrices = [], layers = 5;
  for (let i = 0; i < 3 * layers; i++)
    heads.push(await timed(() => press(i % 3 < 2 ? "ArrowRight" : "ArrowDown")));
  location.hash = "view=head";
  await new Promise((done) => setTimeout(done, 100));
  await drawn();
  for (let i = 0; i < 3 * layers; i++)
    matrices.push(await timed(() => press(i % 3 < 2 ? "ArrowLeft" : "ArrowUp")));
  return { heads, matrices };
}
""",
    "bertviz": """
const TOKEN = "#vis #left text";
const boxes = () => document.querySelectorAll("#vis svg > g:last-of-type > rect");
const ready = () => boxes().length > 0;
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
