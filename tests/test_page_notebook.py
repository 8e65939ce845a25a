"""A page in a notebook's cell: several in one document, each in a frame of its own."""

from html.parser import HTMLParser

import pytest
from browser import Opened
from IPython.core.formatters import HTMLFormatter
from test_cli_view import WIDE

import attnviz
from attnviz.inspection import Inspection
from attnviz.model import Model

HOSTILE = "</script></iframe><img src=x onerror=\"parent.document.title='broken'\"> it"


def notebook(*outputs: object) -> str:
    """The document that a notebook makes of what the last lines of its cells gave."""
    shown = [HTMLFormatter()(output) for output in outputs]
    assert all(shown)
    cells = (f'<div class="cell"><div class="output">{one}</div></div>' for one in shown)
    return f"<!doctype html><meta charset=utf-8><title>notebook</title>{''.join(cells)}"


@pytest.mark.slow
def test_several_pages_in_one_notebook(opened: Opened, animal: Inspection, minilm: Model) -> None:
    wide = minilm.inspect(WIDE)
    document = notebook(
        attnviz.page(animal, query="it", head="L3H1", language="en"),
        attnviz.page(animal, beside=wide, query="it", language="ko"),
        animal,  # as an inspection shows itself, beside pages
        attnviz.page(minilm.inspect(HOSTILE), language="en"),
    )
    tab = opened(document, viewport={"width": 900, "height": 800})
    frames = [frame for frame in tab.frames if frame != tab.main_frame]
    assert len(frames) == 3
    first, korean, hostile = frames
    first.get_by_text("animal").first.wait_for()
    assert first.locator("html").get_attribute("lang") == "en"
    korean.get_by_text("animal").first.wait_for()
    assert korean.locator("html").get_attribute("lang") == "ko"
    hostile.get_by_text(HOSTILE, exact=True).first.wait_for()
    assert tab.title() == "notebook"
    for box in (tab.locator("iframe").nth(place).bounding_box() for place in range(3)):
        assert box is not None
        assert box["width"] > 850
        assert box["height"] > 600


@pytest.mark.slow
def test_a_page_in_a_notebook_can_be_used_and_sees_nothing_of_it(
    opened: Opened, animal: Inspection
) -> None:
    page = attnviz.page(animal, query="it", head="L3H1", language="en")
    tab = opened(notebook(page, page))
    first, other = (frame for frame in tab.frames if frame != tab.main_frame)
    for frame in (first, other):
        frame.locator("[data-drawn=lines]").wait_for()
    first.locator(".tabs").get_by_text("Grid").click()
    first.locator("[data-drawn=grid]").wait_for()
    assert other.locator("[data-drawn=lines]").count() == 1
    assert "#" not in tab.url
    reached = "try { String(parent.document.title) } catch (error) { error.name }"
    assert first.evaluate(reached) == "SecurityError"


def test_the_frame_holds_the_page_as_it_is(animal: Inspection) -> None:
    page, found = attnviz.page(animal), list[dict[str, str | None]]()

    class Frames(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag == "iframe"
            found.append(dict(attrs))

    shown = HTMLFormatter()(page)
    assert shown is not None
    Frames().feed(shown)
    [frame] = found
    assert frame["srcdoc"] == attnviz.to_html(page)
    assert frame["sandbox"] == "allow-scripts allow-downloads"
    assert frame["title"] == f"attnviz: {animal.tokens.text}"
