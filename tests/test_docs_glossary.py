"""docs/glossary.md defines the words of the output, with the limits that the code uses."""

import re
from typing import get_args

import pytest
from test_docs import read

from attnviz.answers.overview import BROAD_ENTROPY, POSITIONAL_SHARE, SPECIAL_SHARE, Kind
from attnviz.answers.probe import BASELINES
from attnviz.answers.statistics import ROLES, STATISTICS
from attnviz.attention.measures import MEASURES
from attnviz.show.terminal.probe import SHORT

PAGE = read("docs/glossary.md")
WORDS = re.findall(
    r"\w+",
    "head query key value weight score piece word unit measure kind entropy excess lift rank "
    "layer argmax share dropped sink window part distance hits change mask pair index text_index "
    "yardstick stripe diagonal minimum length biases probability pooling cosine last "
    "term covered held interval statistic role sieve cluster matched "
    "relation links found margin baseline offset nearest first random twins luckiest "
    "edit patch needed enough outcome helps hurts patched restored",
)


def test_the_kinds_are_those_of_the_overview() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \| (.*) \|$", PAGE, re.MULTILINE)
    kinds = {name: limit for name, _, limit in rows if name in get_args(Kind)}
    assert list(kinds) == list(get_args(Kind))
    assert f"more than {POSITIONAL_SHARE}" in kinds["previous"]
    assert f"more than {SPECIAL_SHARE}" in kinds["first/special"]
    assert f"above {BROAD_ENTROPY} of" in kinds["broad"]


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_is_defined(name: str) -> None:
    assert f"  - `{name}`: " in PAGE


@pytest.mark.parametrize("word", WORDS)
def test_every_word_has_an_entry(word: str) -> None:
    assert re.search(rf"\*\*[^*]*\b{word}\b[^*]*\*\*", PAGE)


@pytest.mark.parametrize("page", ["README.md", "README.ko.md", "docs/guide.md", "docs/measures.md"])
def test_the_pages_link_to_it(page: str) -> None:
    assert "glossary.md)" in read(page)


@pytest.mark.parametrize("name", [one.title for one in STATISTICS] + [one.title for one in ROLES])
def test_statistics_and_roles_are_defined(name: str) -> None:
    assert name in PAGE


@pytest.mark.parametrize("name", [*(SHORT.get(name, name) for name in BASELINES), "held out"])
def test_the_columns_of_a_probe_are_defined(name: str) -> None:
    probe = PAGE.split("## Relations: `probe`")[1].split("\n## ")[0]
    assert f"**{name}**" in probe
