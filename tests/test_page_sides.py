"""Two sentences in the views that show one at a time: A, B, and what `compare` finds changed."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browser import Opened, violations
from test_page_head import IT, L3H1, TIRED, html, numbers_in
from test_page_save import saved

from attnviz.answers.align import aligned
from attnviz.answers.compare import compare
from attnviz.answers.page import Shows, State
from attnviz.inspection import Inspection
from attnviz.model import Model


@pytest.fixture(scope="module")
def other(minilm: Model) -> Inspection:
    return minilm.inspect(TIRED.replace("was too tired", "had long been tired"))


@pytest.fixture(scope="module")
def wide(minilm: Model) -> Inspection:
    return minilm.inspect(TIRED.replace("tired", "wide"))


def test_lines_show_what_a_word_looks_at_more_and_less(
    opened: Opened, animal: Inspection, wide: Inspection
) -> None:
    state = State(view="lines", layer=3, head=1, pair=0, query=IT)
    tab = opened(html(animal, wide, state=state, pairs=[(0, 1)]))
    tab.wait_for_selector('[data-drawn="lines"]')
    told = re.sub("[\u2068\u2069]", "", tab.inner_text(".lines .readout"))
    words = aligned(animal.view(), wide.view())
    [head] = compare(words, query=IT, heads=[words.a.head_at(3, 1)]).heads
    named = told.partition(" looks at ")[2].partition(" · ")[0].split(", ")
    places = np.argsort(-np.abs(head.change))[: len(named)]
    for name, place in zip(named, places, strict=True):
        assert name.split()[0] in words.keys[place].label
        [number] = numbers_in(name.split()[1].replace(".", "0.", 1))
        assert number == pytest.approx(head.change[place], abs=0.006)
    assert "tired→wide" in tab.inner_text(".column.of-key")
    tab.get_by_role("button", name="B", exact=True).click()
    tab.wait_for_selector('[data-drawn="lines"]')
    assert "wide" in tab.inner_text(".column.of-key").split()


@pytest.mark.parametrize("view", ["steps", "layer"])
def test_a_view_of_one_sentence_says_whose_it_is(
    opened: Opened, animal: Inspection, wide: Inspection, view: Shows
) -> None:
    state = State(view=view, layer=3, head=1, pair=0)
    tab = opened(html(animal, wide, state=state, pairs=[(0, 1)]))
    tab.wait_for_selector(f'[data-drawn="{view}"]')
    sides = tab.get_by_role("group", name="Compare").get_by_role("button")
    pressed = [side.get_attribute("aria-pressed") for side in sides.all()]
    assert (sides.all_inner_texts(), pressed) == (["A", "B"], ["true", "false"])


def test_words_of_one_sentence_alone_are_named(
    opened: Opened, animal: Inspection, other: Inspection
) -> None:
    state = State(view="lines", layer=3, head=1, pair=0)
    tab = opened(html(animal, other, state=state, pairs=[(0, 1)]))
    tab.wait_for_selector('[data-drawn="lines"]')
    said = tab.inner_text(".lines .heads")
    assert "gained in B" in said
    assert "only in A: was, too" in said
    assert "only in B: had, long, been" in said


def test_what_holds_for_one_side_alone_is_told_of_it(
    opened: Opened, animal: Inspection, minilm: Model
) -> None:
    other = "It was wide, 那, and the animal didn't cross the street."
    two = animal, minilm.inspect(other)
    tab = opened(html(*two, state=State(view="lines", pair=0), pairs=[(0, 1)]))
    tab.wait_for_selector('[data-drawn="lines"]')
    assert [beginning in tab.title() for beginning in ("The animal", "It was wide")] == [True, True]
    assert (
        tab.inner_text("h1")
        == f"{TIRED} | It was wide, 那, and the animal didn't cross the street."
    )
    assert tab.inner_text(".notes") == "B: 1 of 11 unknown to minilm: 那"
    assert "street→" not in tab.inner_text(".column.of-query")


def test_a_comparison_with_an_untrained_model_says_so_everywhere(
    opened: Opened, animal: Inspection, tmp_path: Path
) -> None:
    facts = replace(animal.model, trained=False, seed=0)
    other = replace(animal, model=facts)
    tab = opened(html(animal, other, state=State(view="grid", pair=0), pairs=[(0, 1)]))
    tab.wait_for_selector('[data-drawn="grid"]')
    assert tab.title().endswith("minilm | minilm (UNTRAINED)")
    assert tab.inner_text(".model .badge") == "UNTRAINED"
    assert "B: UNTRAINED" in tab.inner_text(".notes")
    assert "B: UNTRAINED" in saved(tab, "svg", tmp_path).read_text(encoding="utf-8")
    tab.get_by_role("button", name="A", exact=True).click()
    tab.wait_for_selector('[data-drawn="grid"]')
    assert "UNTRAINED" not in tab.inner_text(".top")


def test_the_chosen_word_is_the_one_in_its_place(
    opened: Opened, animal: Inspection, other: Inspection
) -> None:
    page = html(animal, other, state=L3H1, pairs=[(0, 1)])
    tab = opened(page, "#query=11")  # tired
    tab.get_by_role("button", name="B", exact=True).click()
    assert "query=12" in tab.evaluate("location.hash")
    tab.get_by_role("button", name="B − A").click()
    assert "query" not in tab.evaluate("location.hash").replace("query=11", "")


def test_the_grid_has_the_distance_of_every_head(
    opened: Opened, animal: Inspection, wide: Inspection, tmp_path: Path
) -> None:
    state = State(view="grid", pair=0)
    tab = opened(html(animal, wide, state=state, pairs=[(0, 1)]))
    tab.wait_for_selector("canvas[data-drawn]")
    rows = csv.DictReader(io.StringIO(saved(tab, "csv", tmp_path).read_text("utf-8")))
    found = {f"L{row['layer']}H{row['head']}": float(row["distance"]) for row in rows}
    expected = compare(aligned(animal.view(), wide.view())).heads
    assert len(found) == len(expected)
    for change in expected:
        assert found[str(change.head)] == pytest.approx(change.distance, abs=1e-3)


@pytest.mark.parametrize("view", ["lines", "grid", "head"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_comparisons_are_accessible(
    opened: Opened, animal: Inspection, other: Inspection, view: Shows, scheme: str
) -> None:
    state = State(view=view, layer=3, head=1, pair=0, query=IT)
    tab = opened(html(animal, other, state=state, pairs=[(0, 1)]), color_scheme=scheme)
    tab.wait_for_selector(f'[data-drawn="{view}"]')
    assert violations(tab) == []
