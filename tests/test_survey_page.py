"""docs/survey.md says what benchmarks/roles.py prints."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

from attnviz.answers.statistics import TWICE
from attnviz.corpus.resampling import RESAMPLES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "survey.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script(own_cache: Path) -> Any:
    """benchmarks/roles.py as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("roles")


@pytest.fixture(scope="module")
def tables(script: Any) -> list[list[str]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # the file's name seeds the resamples
        survey = script.surveyed("samples/treebank.conllu", None)
    return [list(table(survey)) for table in (script.by_role, script.by_head)]


def rows_of(lines: list[str]) -> list[tuple[str, list[float]]]:
    """What each row says in words, and its numbers."""
    found = []
    for line in lines:
        numbers = [float(number) for number in re.findall(r"(?<![A-Za-z])\d*\.?\d+", line)]
        found.append((re.sub(r"(?<![A-Za-z])\d*\.?\d+", "", line), numbers))
    return found


def test_the_page_has_the_tables_as_printed(tables: list[list[str]]) -> None:
    told = [block.splitlines() for block in PAGE.split("\n\n") if block.startswith("|")][-2:]
    for own, printed in zip(map(rows_of, told), map(rows_of, tables), strict=True):
        assert [words for words, _ in own] == [words for words, _ in printed]
        for (words, numbers), (_, others) in zip(own, printed, strict=True):
            # the last digit may round otherwise, of percents the first after the point
            assert numbers == pytest.approx(others, abs=0.011 if "%" not in words else 0.11)


def test_the_page_says_the_rules_of_the_code() -> None:
    prose = " ".join(PAGE.split())
    assert f"its mean score is above {TWICE:g} in a one-sided t test" in prose
    assert f"means of {RESAMPLES} resamples" in prose
