"""The head view in Chromium: what a cell says, how it is reached, and that it is the model's."""

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser import Opened, until
from page_kinds import kinds

from attnviz.answers.align import aligned
from attnviz.answers.compare import compare
from attnviz.answers.find import find
from attnviz.answers.page import State, page
from attnviz.answers.select import find_phrase
from attnviz.inspection import Inspection
from attnviz.model import Model
from attnviz.show.page.document import html_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

TIRED = "The animal didn't cross the street because it was too tired."
IT, ANIMAL = 8, 2
L3H1 = State(view="head", layer=3, head=1)


def html(*inspections: Inspection, state: State = L3H1, **given: object) -> str:
    made = page([one.view() for one in inspections], state, **given)  # type: ignore[arg-type]
    return html_of(made)


def shown(tab: "Page") -> "Page":
    """The page, after the head is drawn."""
    tab.wait_for_selector('[data-drawn="head"]')
    return tab


def cell(tab: "Page", row: int, column: int, at: int = 0) -> tuple[float, float]:
    """Where the middle of a cell is, from the corner of the canvas."""
    place: list[float] = tab.evaluate(
        """([row, column, at]) => {
            const { left, top, cell } = document.querySelectorAll("canvas.matrix")[at].dataset;
            return [Number(left) + (column + 0.5) * cell, Number(top) + (row + 0.5) * cell];
        }""",
        [row, column, at],
    )
    return place[0], place[1]


def hover(tab: "Page", row: int, column: int, at: int = 0) -> str:
    """What the readout says of a cell."""
    x, y = cell(tab, row, column, at)
    tab.locator("canvas.matrix").nth(at).hover(position={"x": x, "y": y})
    return told(tab)


def told(tab: "Page") -> str:
    return " ".join(tab.inner_text(".headreadout").split())


def kind(name: str) -> Inspection:
    """A record of some kind, as an inspection."""
    return next(one.inspection for one in kinds() if one.name == name)


def test_it_looks_at_the_animal_beyond_what_the_head_gives_other_pairs(
    opened: Opened, animal: Inspection
) -> None:
    tab = shown(opened(html(animal)))
    said = hover(tab, IT, ANIMAL)
    view = animal.view()
    query, key = (find_phrase(view.tokens, word) for word in ("it", "animal"))
    [found] = find(view, query, key, [view.context.head_at(3, 1)]).heads
    assert found.same_distance is not None
    assert found.same_key is not None
    assert found.excess is not None
    assert (round(found.weight, 2), round(found.same_key.mean, 3)) == (0.68, 0.103)
    numbers = numbers_in(said)
    expected = [found.weight, found.same_distance.mean, found.same_distance.of]
    expected += [found.same_key.mean, found.same_key.of, found.excess]
    np.testing.assert_allclose(numbers, expected, atol=1e-3)
    assert said.startswith("query it → key animal")


def numbers_in(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"[-+]?\d+(?:\.\d+)?", text.replace("−", "-"))]


def test_a_click_fixes_a_cell_and_the_same_again_lets_it_go(
    opened: Opened, animal: Inspection
) -> None:
    tab = shown(opened(html(animal)))
    x, y = cell(tab, IT, ANIMAL)
    tab.click("canvas.matrix", position={"x": x, "y": y})
    assert tab.evaluate("location.hash") == "#query=8&key=2"
    tab.mouse.move(2, 2)
    assert told(shown(tab)).startswith("query it → key animal 0.67")
    tab.click("canvas.matrix", position={"x": x, "y": y})
    assert "query" not in tab.evaluate("location.hash")


def test_the_matrix_is_walked_by_keys(opened: Opened, animal: Inspection) -> None:
    tab = shown(opened(html(animal), "#query=7&key=1"))
    tab.focus("canvas.matrix")
    for key in ("ArrowDown", "ArrowRight"):
        tab.keyboard.press(key)
    assert told(tab).startswith("query it → key animal 0.67")
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#query=8&key=2"
    tab.keyboard.press("End")
    assert "key [SEP]" in told(tab)
    tab.keyboard.press("Escape")
    assert tab.evaluate("location.hash") in ("", "#")  # layer and head are what they were


def test_the_strongest_links_are_chosen_from_a_list(opened: Opened, animal: Inspection) -> None:
    tab = shown(opened(html(animal)))
    first = tab.locator(".strongest button").first
    assert " ".join(first.inner_text().split()) == "it → animal .68"
    first.click()
    assert tab.evaluate("location.hash") == "#query=8&key=2"
    assert tab.locator(".strongest button").first.get_attribute("aria-pressed") == "true"


def test_what_is_left_out_and_what_may_not_be_looked_at(opened: Opened, animal: Inspection) -> None:
    tab = shown(opened(html(animal), "#special=false"))
    said = hover(tab, IT - 1, ANIMAL - 1)
    view = animal.view(special=False)
    block = view.block(view.context.head_at(3, 1))
    assert block.dropped is not None
    assert said.startswith("query it → key animal")
    assert numbers_in(said)[0] == pytest.approx(block.weights[0, 7, 1], abs=1e-3)
    assert numbers_in(said)[-1] == pytest.approx(block.dropped[0, 7], abs=1e-3)
    tab = shown(opened(html(kind("causal"), state=State(view="head"))))
    assert hover(tab, 0, 3).endswith("may not look there")
    assert "may not look there" in tab.inner_text(".headview .legend")


def test_rows_of_one_text_and_columns_of_another(opened: Opened) -> None:
    crossed = kind("cross-attention")
    weights = crossed.layer(0).weights(0, [0], slice(None))[0]
    rows, columns = weights.shape
    assert rows != columns
    tab = shown(opened(html(crossed, state=State(view="head", unit="piece"))))
    for row, column in ((0, columns - 1), (rows - 1, 0)):
        hover(tab, row, column)
        said = float(tab.inner_text(".headreadout .big"))
        assert said == pytest.approx(weights[row, column], abs=1e-3)


def test_two_sentences_and_the_difference(
    opened: Opened, animal: Inspection, minilm: Model
) -> None:
    wide = minilm.inspect(TIRED.replace("tired", "wide"))
    state = State(view="head", layer=3, head=1, pair=0)
    tab = shown(opened(html(animal, wide, state=state, pairs=[(0, 1)])))
    words = aligned(animal.view(), wide.view())
    for at in range(3):
        said = hover(tab, IT, ANIMAL, at)
        one = compare(words, query=IT, heads=[words.a.head_at(3, 1)]).heads[0]
        expected = [one.a[ANIMAL], one.b[ANIMAL], one.change[ANIMAL], one.distance]
        np.testing.assert_allclose(numbers_in(said), expected, atol=2e-3)
    ranked = compare(words).heads
    listed = tab.locator(".changedheads li")
    until(tab, "!document.querySelector('.changedheads .note')")
    for item, change in zip(listed.all_inner_texts(), ranked[:5], strict=False):
        name, distance = item.split()
        assert name == str(change.head)
        assert float(distance) == pytest.approx(change.distance, abs=1e-3)
    listed.first.locator("button").click()
    assert f"layer={ranked[0].head.layer}" in tab.evaluate("location.hash")


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
def test_one_word_and_512(opened: Opened, minilm: Model, width: int) -> None:
    size = {"width": width, "height": 800}
    tab = shown(opened(html(minilm.inspect("Hello")), viewport=size))
    assert hover(tab, 1, 1).startswith("query Hello → key Hello")
    long = minilm.inspect(" ".join(["the animal was tired"] * 127 + ["today ."]))
    tab = shown(opened(html(long), viewport=size))
    assert hover(tab, 100, 100).startswith("query tired@100 → key tired@100")
    assert tab.locator(".headview").evaluate("one => one.scrollWidth <= innerWidth")
    tab.get_by_role("button", name="Readable").click()
    scroll = tab.locator(".matrix-scroll")
    assert scroll.evaluate("one => one.scrollWidth") > 512 * 18
    tab.focus("canvas.matrix")
    for key in ("Home", "Control+End"):
        tab.keyboard.press(key)
    assert scroll.evaluate("one => one.scrollLeft") > 0
