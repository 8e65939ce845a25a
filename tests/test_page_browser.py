"""The page in Chromium: what a reader sees, points at and types."""

from pathlib import Path

import pytest
from browser import Opened, page_of, violations

from attnviz.inspection import Inspection


@pytest.fixture(scope="module")
def animal_page(animal: Inspection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "animal.html"
    path.write_text(page_of(animal), encoding="utf-8")
    return path


def test_a_question_mark_lists_the_keys(opened: Opened, animal_page: Path) -> None:
    page = opened(animal_page)
    page.keyboard.press("?")
    assert "the next head" in page.inner_text("dialog[open]")
    assert violations(page) == []
    page.keyboard.press("Escape")
    assert page.query_selector("dialog[open]") is None
