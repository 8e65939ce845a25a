"""Pages in a real browser: Debian's Chromium, from file://, and what they say and ask for."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from attnviz.answers.page import State, page
from attnviz.inspection import Inspection
from attnviz.show.page.document import html_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

# read here: tests run without the developer's settings
CHROMIUM = shutil.which(os.environ.get("ATTNVIZ_CHROMIUM", "chromium"))
AXE = Path(__file__).parent.parent / "node_modules" / "axe-core" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 30_000  # milliseconds, for a busy machine


@dataclass
class Opened:
    """Pages that a test opens, and what they did that no page may do."""

    browser: "Browser"
    folder: Path
    complaints: list[str] = field(default_factory=list)
    contexts: list["BrowserContext"] = field(default_factory=list)

    def __call__(self, page: str | Path, fragment: str = "", **look: Any) -> "Page":
        """Open a page (its HTML, or its file) as the browser that `look` describes would.

        `look` goes to Playwright's `new_context`: viewport, color_scheme, locale, has_touch …
        """
        path = page if isinstance(page, Path) else self.folder / f"{len(self.contexts)}.html"
        if isinstance(page, str):
            path.write_text(page, encoding="utf-8")
        context = self.browser.new_context(**look)
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(f"error: {error.error}"))
        context.on("request", lambda request: self._asked(request, path.as_uri()))
        tab = context.new_page()
        tab.goto(f"{path.as_uri()}{fragment}")
        return tab

    def _heard(self, message: "ConsoleMessage") -> None:
        if message.type in ("error", "warning", "assert"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: "Request", own: str) -> None:
        # pictures that the page makes itself are data: and blob:, a frame's own text is about:
        if request.url.partition("#")[0] != own and not request.url.startswith(
            ("data:", "blob:", "about:")
        ):
            self.complaints.append(f"request: {request.url}")


@pytest.fixture(scope="session")
def chromium() -> Iterator["Browser"]:
    """One browser for all tests of a process."""
    from playwright.sync_api import expect, sync_playwright

    if CHROMIUM is None:
        pytest.fail("Chromium is missing: apt-get install chromium, or set ATTNVIZ_CHROMIUM")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: "Browser", tmp_path: Path) -> Iterator[Opened]:
    """Opens pages; fails in the end if one logged an error or asked for more than its file."""
    pages = Opened(chromium, tmp_path)
    yield pages
    for context in pages.contexts:
        context.close()
    assert pages.complaints == []


def until(page: "Page", holds: str, arg: Any = None) -> None:
    """Wait until an expression, or a function, is true in the page.

    Playwright's own `wait_for_function` evaluates text in the page again and again, which the
    page's Content-Security-Policy forbids.
    """
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(holds, arg):
        if time.monotonic() > end:
            pytest.fail(f"this never became true: {holds}")
        page.wait_for_timeout(50)


def violations(page: "Page") -> list[str]:
    """What axe finds against WCAG 2 at A and AA: rule, what it asks for, and where."""
    if not AXE.exists():
        pytest.fail("axe-core is missing: npm ci")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate(
        """async () => (await axe.run(document, {
            runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
            resultTypes: ["violations"], preload: false,
        })).violations"""
    )
    return [
        f"{rule['id']}: {rule['help']}: {node['target']} {node['html'][:120]}"
        for rule in found
        for node in rule["nodes"]
    ]


def page_of(*inspections: Inspection, pairs: Sequence[tuple[int, int]] = (), **state: Any) -> str:
    """The page of these inspections; `state`: what it shows first."""
    made = page([inspection.view() for inspection in inspections], State(**state), pairs)
    return html_of(made)


def drawn(page: "Page") -> "Page":
    """The same page, once its view is drawn."""
    page.wait_for_selector("[data-drawn]")
    return page
