"""What a notebook shows: whole without anything else, and the users' text as text."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from PIL import Image
from shown import view_html

from attnviz.inspection import Inspection
from attnviz.show.notebook import thumbnail

VOID = {"img"}


class Page(HTMLParser):
    """Collects tags and text, and checks that every tag is closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def pixels_of(png: bytes) -> np.ndarray:
    """The palette indices of a PNG as `thumbnail` writes it."""
    with Image.open(io.BytesIO(png)) as image:
        assert (image.format, image.mode) == ("PNG", "P")
        return np.asarray(image)


def test_needs_nothing_from_outside(animal: Inspection) -> None:
    page = view_html(animal.view())
    assert "http" not in page
    assert "<script" not in page
    assert "javascript" not in page
    assert len(page) < 100_000
    for tag, attributes in Page(page).tags:
        assert tag in {"div", "b", "span", "table", "tr", "td", "img"}
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("src") or "data:image/png").startswith("data:image/png")


def test_shows_model_sentence_and_a_picture_a_head(animal: Inspection) -> None:
    page = Page(view_html(animal.view()))
    assert not page.open
    assert "minilm" in page.text
    assert "UNTRAINED" not in page.text
    assert "The animal didn't cross the street because it was too tired." in page.text
    titles = [str(attributes["title"]) for tag, attributes in page.tags if tag == "img"]
    assert len(titles) == 72
    assert "L3H1 · other · 1.9 bits · it → animal 0.68" in titles
    assert [title.split(" ")[0] for title in titles[:2]] == ["L0H0", "L0H1"]


def test_shades_the_words_that_the_strongest_link_looks_at() -> None:
    matrix = np.full((5, 5), 0.05)
    matrix[3, 1] = 0.8
    inspection = inspection_of(tokens_of(["ab", "cd", "ef"]), matrix[None, None])
    page = Page(view_html(inspection.view()))
    assert "In L0H0, ef looks at ab: 0.80" in page.text
    shades = [
        attributes for tag, attributes in page.tags if tag == "span" and attributes.get("title")
    ]
    assert [shade["title"] for shade in shades] == ["0.05", "0.80", "0.05", "0.05", "0.05"]


def test_an_untrained_model_is_marked() -> None:
    inspection = inspection_of(tokens_of(["a"]), np.full((1, 1, 3, 3), 1 / 3), trained=False)
    assert "UNTRAINED" in Page(view_html(inspection.view())).text


def test_the_users_text_stays_text() -> None:
    words = ["<script>alert(1)</script>", '"><img/onerror=x>', "&amp;", "\x1b[31m", "[bold]"]
    inspection = random_inspection(tokens_of(words), 1, 2, seed=1)
    written = view_html(inspection.view())
    page = Page(written)
    assert not page.open
    assert "\x1b" not in written
    assert {tag for tag, _ in page.tags} <= {"div", "b", "span", "table", "tr", "td", "img"}
    sentence = r'<script>alert(1)</script> "><img/onerror=x> &amp; \x1b[31m [bold]'
    assert sentence in page.text
    assert not any("onerror" in attributes for _, attributes in page.tags)


@pytest.mark.parametrize("pair", [None, ["and", "more"]])
def test_one_word_and_pairs(pair: list[str] | None) -> None:
    page = Page(view_html(random_inspection(tokens_of(["hi"], pair=pair), 1, 1, seed=2).view()))
    assert not page.open
    assert "hi" in page.text
    assert ("and more" in page.text) == (pair is not None)


def test_a_thumbnail_has_a_pixel_a_weight() -> None:
    weights = np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.2, 0.6]])
    expected = [[15, 0, 0], [8, 8, 0], [3, 3, 9]]
    assert pixels_of(thumbnail(weights)).tolist() == expected


def test_a_long_text_keeps_its_strongest_weights_in_small_thumbnails() -> None:
    weights = np.full((1, 1, 509, 509), 0.5 / 509)
    weights[0, 0, 400, 17] += 0.5
    page = view_html(inspection_of(tokens_of(["w"] * 507), weights).view())
    [data] = re.findall(r'src="data:image/png;base64,([^"]+)"', page)
    pixels = pixels_of(base64.b64decode(data))
    assert pixels.shape == (64, 64)
    assert np.argwhere(pixels).tolist() == [[400 // 8, 17 // 8]]
    assert pixels.max() == 8


def test_pictures_are_readable_where_they_are_written(animal: Inspection) -> None:
    data = re.findall(r'src="data:image/png;base64,([^"]+)"', view_html(animal.view()))
    shapes = {pixels_of(base64.b64decode(part)).shape for part in data}
    assert shapes == {(14, 14)}
