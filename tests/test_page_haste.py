"""Readers in a hurry, and addresses that make no sense: the page shows its present state alone."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser import Opened, drawn, page_of
from test_page_layer import html as with_layers

from attnviz.inspection import Inspection
from attnviz.model import Model

if TYPE_CHECKING:
    from playwright.sync_api import Page

TAB = "document.querySelectorAll('.tabs button')"
LINES, _, HEAD, _, LAYER, TOUR = range(6)
CHOOSE = """([name, value]) => {
    const list = [...document.querySelectorAll(".controls label")]
        .find((label) => label.textContent.startsWith(name)).querySelector("select");
    list.value = value;
    list.dispatchEvent(new Event("change"));
}"""


@pytest.fixture(scope="module")
def texts(animal: Inspection, minilm: Model) -> str:
    """A page of two texts, of which one is far longer."""
    return page_of(animal, minilm.inspect("I am"))


def in_one_go(page: "Page", *does: str) -> None:
    """Do some things before the page may draw what follows from the first."""
    page.evaluate(f"() => {{ const choose = {CHOOSE}; {'; '.join(does)}; }}")


def fragment_of(page: "Page") -> str:
    fragment: str = page.evaluate("location.hash")
    return fragment


@pytest.mark.parametrize("name", ["toString", "constructor", "__proto__", "hasOwnProperty"])
def test_a_name_that_every_object_has_is_no_state(opened: Opened, texts: str, name: str) -> None:
    page = opened(texts, f"#{name}=1&view=head")
    assert drawn(page).get_attribute("#page", "data-drawn") == "head"
    page.keyboard.press("ArrowDown")
    assert fragment_of(page) == "#view=head&layer=1"


def test_a_tour_that_was_left_changes_nothing(opened: Opened, texts: str) -> None:
    page = drawn(opened(texts, "#layer=2&head=5"))
    in_one_go(page, f"{TAB}[{TOUR}].click()", f"{TAB}[{HEAD}].click()")
    drawn(page).wait_for_timeout(300)
    assert fragment_of(page) == "#view=head&layer=2&head=5"


def test_lines_of_a_text_that_was_left_are_not_pointed_at(opened: Opened, texts: str) -> None:
    page = drawn(opened(texts))
    point = "new PointerEvent('pointerover', { bubbles: true })"
    in_one_go(
        page,
        "const row = document.querySelectorAll('.of-query [role=option]')[9]",
        "choose(['Text', 't1'])",
        f"row.dispatchEvent({point})",
        f"{TAB}[{LAYER}].click()",
    )
    drawn(page)
    page.click(f".tabs button >> nth={LINES}")
    assert drawn(page).locator(".of-query [role=option]").all_inner_texts()[1:3] == ["I", "am"]


def test_the_layer_is_the_one_chosen_last(opened: Opened, animal: Inspection) -> None:
    page = drawn(opened(with_layers(animal), "#view=layer&query=8"))
    in_one_go(page, "choose(['Layer', '3'])", "choose(['Layer', '0'])")
    drawn(page).wait_for_timeout(300)
    assert "layer 0" in page.inner_text("#view h2").lower()


def test_what_is_saved_is_of_one_state(opened: Opened, texts: str, tmp_path: Path) -> None:
    page = drawn(opened(texts, "#view=grid"))
    with page.expect_download() as download:
        in_one_go(
            page, "document.querySelector('[data-save=csv]').click()", "choose(['Text', 't1'])"
        )
    assert "i-am" in download.value.suggested_filename
    download.value.save_as(tmp_path / "grid.csv")
    rows = list(csv.DictReader((tmp_path / "grid.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 72
    assert {row["query"] for row in rows} <= {"[CLS]", "I", "am", "[SEP]"}
