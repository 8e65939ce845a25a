"""Pictures and numbers that the page saves, and links to a view, in Chromium."""

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest
from browser import Opened, until
from handmade import random_inspection, tokens_of
from PIL import Image
from test_page_head import L3H1, html, shown

from attnviz.answers.matrices import matrices
from attnviz.answers.page import State
from attnviz.inspection import Inspection
from attnviz.model import Model, load_model
from attnviz.model.reload import layers_behind

if TYPE_CHECKING:
    from playwright.sync_api import Page

SVG = "{http://www.w3.org/2000/svg}"


def saved(tab: "Page", form: str, folder: Path) -> Path:
    """The file that a button gives."""
    with tab.expect_download() as download:
        tab.click(f'[data-save="{form}"]')
    name = download.value.suggested_filename
    assert name in tab.inner_text(".save output")
    download.value.save_as(folder / name)
    return folder / name


def words_of(path: Path) -> str:
    """All text of a picture."""
    texts = ElementTree.parse(path).iter(f"{SVG}text")
    return " ".join(" ".join("".join(text.itertext()) for text in texts).split())


def test_a_head_as_pictures(opened: Opened, animal: Inspection, tmp_path: Path) -> None:
    tab = shown(opened(html(animal), "#query=8&key=2"))
    svg = saved(tab, "svg", tmp_path)
    assert re.fullmatch(r"attnviz-minilm-L3H1-it-8-animal-2-the-animal-.*-[0-9a-f]{6}", svg.stem)
    told = words_of(svg)
    assert told.startswith("minilm · L3H1 · query: it · key: animal “The animal didn't cross")
    for said in ("words · with special tokens", "off by more than", "[CLS]", "street", ".68"):
        assert said in told
    root = ElementTree.parse(svg).getroot()
    png = saved(tab, "png", tmp_path)
    assert png.stem == svg.stem
    with Image.open(png) as picture:
        assert picture.size == tuple(2 * int(root.attrib[side]) for side in ("width", "height"))
        colours = picture.convert("RGB").getcolors(1 << 16)
    assert colours is not None
    assert max(colours)[1] == (255, 255, 255)
    assert len(colours) > 50


def test_every_view_is_a_picture_with_its_numbers(
    opened: Opened, animal: Inspection, tmp_path: Path
) -> None:
    tab = opened(html(animal, sublayers=layers_behind), "#query=8")
    views = tab.locator(".tabs button")
    for at in range(views.count()):
        views.nth(at).click()
        name = tab.get_attribute("#page", "data-view")
        tab.wait_for_selector(f'[data-drawn="{name}"]')
        assert "The animal didn't cross" in words_of(saved(tab, "svg", tmp_path))
        with Image.open(saved(tab, "png", tmp_path)) as picture:
            assert picture.width > 300
        columns, *rows = csv.reader(io.StringIO(saved(tab, "csv", tmp_path).read_text("utf-8")))
        assert rows, name
        assert {len(row) for row in rows} == {len(columns)}


@pytest.mark.parametrize("special", [True, False])
def test_the_numbers_are_those_of_run(
    opened: Opened, animal: Inspection, tmp_path: Path, special: bool
) -> None:
    tab = shown(opened(html(animal), f"#special={str(special).lower()}"))
    text = saved(tab, "csv", tmp_path).read_bytes().decode("utf-8")
    assert text.endswith("\r\n")
    columns, *rows = csv.reader(io.StringIO(text, newline=""))
    view = animal.view(special=special)
    answer = matrices(view, [view.context.head_at(3, 1)])
    expected = [[str(cell) for cell in row] for row in answer.rows()]
    assert columns == list(answer.columns)
    assert [row[:6] for row in rows] == [row[:6] for row in expected]
    numbers, others = (np.array([row[6:] for row in of], float) for of in (rows, expected))
    np.testing.assert_allclose(numbers, others, atol=1e-3)


def test_no_spreadsheet_computes_a_word(opened: Opened, tmp_path: Path) -> None:
    words = ["=1+2", '@"x",y', "-", "+", "=", "two\tparts"]
    one = random_inspection(tokens_of(words, special=False), 1, 1, seed=1)
    tab = shown(opened(html(one, state=State(view="head"))))
    text = saved(tab, "csv", tmp_path).read_bytes().decode("utf-8")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [row["key"] for row in rows[:5]] == ["'=1+2", '\'@"x",y', "-", "+", "="]


def test_a_word_ends_no_picture(opened: Opened, tmp_path: Path) -> None:
    words = ["</text><script>alert(1)</script>", "&lt;", "<b>"]
    one = random_inspection(tokens_of(words, special=False), 1, 1, seed=2)
    tab = shown(opened(html(one, state=State(view="head", query=2))))
    svg = saved(tab, "svg", tmp_path)
    assert not list(ElementTree.parse(svg).iter(f"{SVG}script"))
    told = words_of(svg)
    assert "query: <b>" in told
    assert "&lt;" in told
    assert saved(tab, "png", tmp_path).stat().st_size > 5000


def test_an_untrained_model_says_so(opened: Opened, tmp_path: Path) -> None:
    one = load_model("paper").inspect("It was tired.")
    tab = shown(opened(html(one, state=State(view="head", unit="piece"))))
    svg = saved(tab, "svg", tmp_path)
    assert "paper (UNTRAINED) · L0H0" in words_of(svg)
    assert "pieces" in words_of(svg)
    assert svg.stem.startswith("attnviz-paper-seed-0-L0H0-pieces-it-was-tired-")


def test_a_comparison_is_saved_whole(
    opened: Opened, animal: Inspection, minilm: Model, tmp_path: Path
) -> None:
    wide = minilm.inspect("The animal didn't cross the street because it was too wide.")
    state = State(view="head", layer=3, head=1, pair=0)
    tab = shown(opened(html(animal, wide, state=state, pairs=[(0, 1)])))
    told = words_of(saved(tab, "svg", tmp_path))
    for said in ("tired.”", "wide.”", "tired→wide", "change: B − A"):
        assert said in told
    rows = list(csv.DictReader(io.StringIO(saved(tab, "csv", tmp_path).read_text("utf-8"))))
    [one] = [row for row in rows if (row["a_query"], row["b_key"]) == ("it", "animal")]
    assert float(one["change"]) == pytest.approx(-0.396, abs=1e-3)
    assert float(one["distance"]) == pytest.approx(0.403, abs=1e-3)


def test_a_link_brings_the_view_back(opened: Opened, animal: Inspection) -> None:
    page = html(animal, state=L3H1)
    tab = shown(opened(page, "#query=8&special=false", permissions=["clipboard-read"]))
    tab.click('[data-save="link"]')
    until(tab, "document.querySelector('.save output').textContent")
    assert tab.inner_text(".save output") == "The link is copied."
    assert tab.evaluate("navigator.clipboard.readText()") == tab.url
    again = shown(opened(page, f"#{tab.url.partition('#')[2]}"))
    assert again.inner_text(".headreadout").startswith("query it")


def test_saving_in_a_notebook_s_frame(opened: Opened, animal: Inspection, tmp_path: Path) -> None:
    frame = "<!doctype html><html lang=en><title>x</title><iframe width=900 height=700></iframe>"
    tab = opened(frame)
    tab.evaluate("page => { document.querySelector('iframe').srcdoc = page }", html(animal))
    inner = tab.frame_locator("iframe")
    inner.locator('[data-drawn="head"]').wait_for()
    with tab.expect_download() as download:
        inner.locator('[data-save="png"]').click()
    download.value.save_as(tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as picture:
        assert picture.width > 500
    inner.locator('[data-save="link"]').click()
    inner.locator(".save output", has_text=re.compile("copied|Could not copy")).wait_for()
