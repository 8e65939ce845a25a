"""The page's Layer view in a browser: what `explain --layer` says of a token."""

import re
from typing import TYPE_CHECKING

import pytest
from browser import Opened, violations
from playwright.sync_api import expect

import attnviz
from attnviz.answers.page import page
from attnviz.inspection import Inspection
from attnviz.model.reload import layers_behind
from attnviz.show.page.document import html_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

IT = "#view=layer&layer=3&query=8"


def html(*inspections: Inspection) -> str:
    """A page of these, with the steps of their layers."""
    made = page([one.view() for one in inspections], sublayers=layers_behind)
    return html_of(made)


@pytest.fixture(scope="module")
def animals(animal: Inspection) -> str:
    return html(animal)


def percents(tab: "Page") -> dict[str, float]:
    """The share of each head that the view shows."""
    tab.wait_for_selector("[data-head]")
    told = tab.locator("[data-head]").evaluate_all("all => all.map(one => one.textContent)")
    pairs = [re.fullmatch(r"(L\d+H\d+) (−?)([\d.]+)% .*", one) for one in told]
    return {p[1]: float(p[3]) * (-1 if p[2] else 1) for p in pairs if p}


def test_its_numbers_are_those_of_explain(opened: Opened, animals: str, animal: Inspection) -> None:
    tab = opened(animals, IT)
    found = percents(tab)
    [e] = attnviz.layer(animal, "it", 3)
    assert found == pytest.approx(
        {str(part.head): 100 * part.share for part in e.heads}, abs=0.0501
    )
    assert list(found)[:2] == ["L3H1", "L3H9"]  # the largest first
    told = tab.locator(".layer svg").first.locator("text").all_text_contents()
    for step in e.steps[1:]:
        assert f"{step.letter} = {step.formula}" in told
    assert f"{e.steps[-1].length:.3g}" in told
    assert violations(tab) == []


def test_a_head_opens_by_click_and_by_key(opened: Opened, animals: str) -> None:
    tab = opened(animals, IT)
    tab.wait_for_selector("[data-head]")
    tab.locator("[data-head='9']").focus()
    tab.keyboard.press("ArrowUp")
    tab.wait_for_url(re.compile("layer=2"))
    tab.wait_for_selector("[data-drawn=layer]")
    expect(tab.locator("[data-head='9']")).to_be_focused()
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile("head=9"))
    assert "view=head" in tab.url


def test_a_word_of_several_pieces_has_a_button_for_each(opened: Opened, animals: str) -> None:
    tab = opened(animals, "#view=layer&layer=3&query=3")
    first = percents(tab)
    tab.get_by_role("button", name="t", exact=True).click()
    tab.wait_for_selector(".layer [aria-pressed=true]:text-is('t')")
    assert percents(tab) != first


def test_a_layer_without_steps_says_why(opened: Opened, animal: Inspection) -> None:
    made = html_of(page([animal.view()]))
    tab = opened(made, IT)
    tab.wait_for_selector(".layer .said")
