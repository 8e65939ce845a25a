"""docs/article.md and article.ko.md: twelve points, each with what a reader can run and see."""

import re

import pytest
from test_docs import HANGUL, read, sessions
from test_docs_guide import NUMBER

from attnviz.models.config import paper_config

PAGES = ("docs/article.md", "docs/article.ko.md")
PICTURE = re.compile(r'<img src="([^"]+)" width="\d+" alt="([^"]+)">')
POINTS = 12


def points(name: str) -> list[str]:
    """The sections of a page, without what comes before the first."""
    return re.split(r"^## ", read(name), flags=re.MULTILINE)[1:]


def text_of(name: str) -> str:
    return re.sub(r"^```.*?^```$", "", read(name), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", PAGES)
def test_each_point_has_a_command_its_output_and_a_picture(name: str) -> None:
    found = points(name)
    assert len(found) == POINTS + 1
    for number, point in enumerate(found[:POINTS], 1):
        assert point.startswith(f"{number}. ")
        assert PICTURE.search(point), number
        # the picture of point 7 was made by a command above
        assert re.search(r"^\$ attnviz .*\n[^$`]", point, re.MULTILINE), number


def test_both_pages_show_the_same() -> None:
    english, korean = (sessions(name) for name in PAGES)  # these run in test_docs.py
    assert list(english.items()) == list(korean.items())
    assert len(english) > POINTS
    drawn = [[path for path, _ in PICTURE.findall(read(name))] for name in PAGES]
    assert drawn[0] == drawn[1]
    for name, is_korean in zip(PAGES, (False, True), strict=True):
        alternatives = [words for _, words in PICTURE.findall(read(name))]
        assert all(HANGUL.search(words) for words in alternatives) or not is_korean


@pytest.mark.parametrize("name", PAGES)
def test_every_number_of_the_text_is_shown(name: str) -> None:
    shown = "\n".join(line for lines in sessions(name).values() for line in lines)
    told = set(NUMBER.findall(text_of(name)))
    assert {"21.69", "0.441", "0.226"} <= told
    assert {number for number in told if number not in shown and number[1:] not in shown} == set()


@pytest.mark.parametrize("name", PAGES)
def test_the_papers_sizes_are_the_papers(name: str) -> None:
    paper = paper_config(1)
    sizes = (paper.d_model, paper.num_layers, paper.num_heads, paper.d_ff)
    assert ", ".join(map(str, sizes)) in text_of(name)
    assert f"{paper.d_model} / {paper.num_heads} = {paper.d_k}" in text_of(name)


@pytest.mark.parametrize(
    ("readme", "page", "first"),
    [
        ("README.md", "docs/article.md", "## Install"),
        ("README.ko.md", "docs/article.ko.md", "## 설치"),
    ],
)
def test_the_first_screen_of_the_readme_leads_there(readme: str, page: str, first: str) -> None:
    assert f"({page})" in read(readme).partition(first)[0]
