"""The page's Steps view in a browser: what `explain` says, and what follows from other scores."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from browser import Opened, violations
from page_kinds import kinds
from playwright.sync_api import expect
from test_page_layer import html

import attnviz
from attnviz.answers.page import page
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.specification import attention_scores
from attnviz.show.labels import names
from attnviz.show.page.document import html_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

IT = "#view=steps&layer=3&head=1&query=8"
KEYS = """all => all.map(row => [
    row.querySelector(".name").textContent,
    row.querySelector(".score .number")?.textContent ?? "",
    row.querySelector(".weight .number").textContent,
])"""


@pytest.fixture(scope="module")
def animals(animal: Inspection) -> str:
    return html(animal)


def shown(tab: "Page") -> dict[str, tuple[str, float]]:
    """Each key's score and weight, in the order of the rows."""
    tab.wait_for_selector(".keys .key")
    rows = tab.locator(".keys .key").evaluate_all(KEYS)
    return {name: (score, float(weight)) for name, score, weight in rows}


def number(text: str) -> float:
    return float(text.replace("−", "-"))


def test_its_numbers_are_those_of_explain(opened: Opened, animals: str, animal: Inspection) -> None:
    tab = opened(animals, IT)
    found = shown(tab)
    [e] = attnviz.explain(animal, "it", head=HeadId(3, 1))
    keys = {name: place for place, name in enumerate(names(animal.view("piece").context, "key"))}
    for name, (score, weight) in found.items():
        assert weight == pytest.approx(e.weights[keys[name]], abs=0.0016)
        assert number(score) == pytest.approx(e.scores[keys[name]], abs=0.03)
    assert next(iter(found)) == "animal"
    assert found["animal"][1] == pytest.approx(0.677, abs=0.0016)
    assert number(found["animal"][0]) == pytest.approx(3.83, abs=0.02)
    told = tab.locator(".equation").inner_text()
    assert told.startswith("q · k = 21.")
    assert "÷ √32 = 3.8" in told
    length = float(tab.locator(".steps-sum").inner_text().rpartition("‖z‖")[2])
    assert length == pytest.approx(float(np.linalg.norm(e.z)), abs=0.03)
    assert violations(tab) == []


def test_weights_follow_a_score_and_come_back(opened: Opened, animals: str) -> None:
    tab = opened(animals, IT)
    before = shown(tab)
    slider = tab.get_by_label("score of street", exact=True)
    slider.focus()
    for _ in range(20):
        tab.keyboard.press("ArrowRight")  # 0.05 each
    after = shown(tab)
    assert number(after["street"][0]) == pytest.approx(number(before["street"][0]) + 1, abs=0.05)
    more = np.exp(number(after["street"][0]) - number(before["street"][0]))
    for name, (_, weight) in after.items():
        own = before[name][1] * (more if name == "street" else 1)
        total = 1 + before["street"][1] * (more - 1)
        assert weight == pytest.approx(own / total, abs=0.003)
    assert tab.locator(".key.changed .name").all_inner_texts() == ["street"]
    assert tab.get_by_text("What if", exact=True).is_visible()
    assert "model's z" in tab.locator(".steps-sum").inner_text()
    tab.get_by_role("button", name="Back to the model's numbers").click()
    assert shown(tab) == before
    assert tab.locator(".key.changed").count() == 0


def test_a_similarity_is_dragged_by_the_pointer(opened: Opened, animals: str) -> None:
    tab = opened(animals, IT)
    before = shown(tab)
    slider = tab.get_by_label("similarity q · k")
    box = slider.bounding_box()
    assert box is not None
    tab.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    tab.mouse.down()
    tab.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] / 2, steps=5)
    tab.mouse.up()
    after = shown(tab)
    assert number(after["animal"][0]) == pytest.approx(0, abs=0.3)  # q · k of 0
    assert after["animal"][1] < 0.1 < before["animal"][1]
    assert after["[CLS]"][1] > 0.2
    assert sum(weight for _, weight in after.values()) == pytest.approx(1, abs=0.01)


def test_a_click_chooses_the_key(opened: Opened, animals: str) -> None:
    tab = opened(animals, IT)
    tab.locator(".keys").get_by_role("button", name="street").click()
    tab.wait_for_url("**key=6**")
    assert tab.locator(".steps h3").inner_text() == "it → street"


def test_records_of_every_kind(opened: Opened) -> None:
    every = list(kinds())
    made = page([kind.inspection.view(window=kind.part) for kind in every])
    tab = opened(html_of(made), "#view=steps&unit=piece")
    for place, kind in enumerate(every):
        tab.evaluate(f"location.hash = 'view=steps&unit=piece&text={place}&query={kind.query}'")
        tab.wait_for_selector(f"#page[data-drawn=steps] .steps[data-about^='{place} ']")
        told = [weight for _, _, weight in tab.locator(".keys .key").evaluate_all(KEYS)]
        first, end = kind.text.first, kind.text.end
        row = kind.record.weights(0)[0, first + kind.query]
        own = row[first:end] if kind.inspection.keys is None else row
        assert list(map(float, told)) == pytest.approx(sorted(own, reverse=True), abs=0.0016), kind
        title = tab.locator(".keys .titles .weight").inner_text()
        assert title == ("softmax: the weights, which sum to 1" if own.sum() > 0.999 else "weight")
        sliders = tab.locator(".keys input")
        if kind.record.recorded_weights is not None:
            assert sliders.count() == 0
            continue
        scores = attention_scores(kind.numbers, 0)[kind.query]
        assert sliders.count() == np.count_nonzero(np.isfinite(scores))
        sliders.first.press("Home")  # of the least score
        weights = [float(weight) for _, _, weight in tab.locator(".keys .key").evaluate_all(KEYS)]
        rest = tab.locator(".steps-sum").inner_text()
        shares = [float(share[:-1]) / 100 for share in rest.split() if share.endswith("%")]
        assert sum(weights) + sum(shares) == pytest.approx(1, abs=0.01), kind
        assert weights[0] <= float(told[0])


def test_the_focus_stays_where_another_head_undoes_what_was_dragged(
    opened: Opened, animals: str
) -> None:
    tab = opened(animals, IT)
    tab.locator("[data-drawn=steps]").wait_for()
    tab.locator("#view input[type=range]").nth(1).focus()
    tab.keyboard.press("ArrowRight")
    tab.locator("button.reset").focus()
    tab.keyboard.press("ArrowRight")
    expect(tab.locator("button.reset")).to_have_count(0)
    expect(tab.locator("#view input").first).to_be_focused()
