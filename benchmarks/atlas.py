"""The atlas: its bytes, and how soon a browser has drawn each view and another head.

usage: python benchmarks/atlas.py CORPUS... [--rounds N] [--examples K]
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import measure
from open_page import CHROMIUM, FLAGS
from playwright.sync_api import Browser, sync_playwright

VIEWS = ("map", "scatter", "list", "tree")
KEYS = ("ArrowDown", "ArrowRight") * 4

WATCH = """
new MutationObserver(() => {
  if (document.querySelector("[data-drawn]")) window.opened ??= performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""
PRESS = """(key) => {
  const start = performance.now();
  document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  document.body.getBoundingClientRect();  // laid out
  return performance.now() - start;
}"""


def written(corpus: Sequence[str], examples: int, path: Path) -> None:
    """Survey a corpus, and write the atlas."""
    asked = ["--examples", str(examples), "--quiet", "--force", "-o", str(path)]
    measure.run(measure.Command(measure.attnviz("survey", *corpus, *asked)))


def opened(browser: Browser, path: Path, view: str) -> tuple[float, float]:
    """Milliseconds from the start of the navigation until a view is drawn, and for another head."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.goto(f"{path.as_uri()}#view={view}")
    page.wait_for_selector("[data-drawn]")
    first = float(page.evaluate("window.opened"))
    heads = [float(page.evaluate(PRESS, key)) for key in KEYS]
    context.close()
    return first, statistics.median(heads)


def table(path: Path, rounds: int) -> str:
    """A row for each view: medians of the rounds."""
    lines = [
        f"{path.stat().st_size / 1000:.0f} KB\n",
        "| view | opened | another head |",
        "|---|---|---|",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for view in VIEWS:
            runs = [opened(browser, path, view) for _ in range(rounds)]
            first, head = (statistics.median(times) for times in zip(*runs, strict=True))
            lines.append(f"| {view} | {first:.0f} ms | {head:.0f} ms |")
        browser.close()
    return "\n".join(lines)


def main() -> None:
    """Write an atlas, open it, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("corpus", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--examples", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "atlas.html"
        written(asked.corpus, asked.examples, path)
        print(table(path, asked.rounds))


if __name__ == "__main__":
    main()
