"""docs/cause.md says what benchmarks/cause.py finds, in its tables and in its text."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from reader import difference

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "cause.md").read_text(encoding="utf-8")
SHOWN = [block for block in PAGE.split("\n\n") if block.startswith("|")]


@pytest.fixture(scope="module")
def tables(own_cache: Path) -> dict[str, list[str]]:
    """What benchmarks/cause.py prints: the lines of each table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        script: Any = importlib.import_module("cause")
    return {table.__name__: list(table()) for table in script.TABLES}


def cells(lines: list[str], head: str) -> list[str]:
    """The cells of the row that begins so."""
    [line] = [line for line in lines if line.startswith(f"| {head} |")]
    return line.strip("| ").split(" | ")[1:]


@pytest.mark.slow
def test_the_page_has_the_tables_as_printed(tables: dict[str, list[str]]) -> None:
    printed = ["\n".join(lines) for lines in tables.values()]
    assert len(printed) == len(SHOWN) == 10
    for ours, shown in zip(printed, SHOWN, strict=True):
        assert difference(ours, shown) == ""


@pytest.mark.slow
def test_its_conclusions_follow(tables: dict[str, list[str]]) -> None:
    """What the text says holds by more than what processors may change."""
    flips = tables["by_nouns"]
    assert cells(flips, "all")[:2] == ["112", "0"]
    rows = [line.strip("| ").split(" | ") for line in flips[2:-1]]
    assert [row[3] for row in rows].count("16") == 6
    assert [row[4] for row in rows if row[3] == "0"] == ["16"]

    words = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in tables["by_word"][2:]}
    link = {word: float(row[3].split()[0].replace("−", "-")) for word, row in words.items()}
    stripe = {word: float(row[2].split()[0]) for word, row in words.items()}
    assert max(link, key=lambda word: link[word]) == "it"
    assert link["it"] > 0.05 + max(share for word, share in link.items() if word != "it")
    assert all(stripe[word] > 0.3 for word in words if word not in ("street", "cross"))
    assert all(stripe[word] < 0.2 for word in ("street", "cross"))
    assert {row[-1].strip("| ") for row in words.values()} == {"1.00"}


def test_the_numbers_of_its_text_are_in_its_tables() -> None:
    number = re.compile(r"(?<![\w.])\d+\.\d+")
    shown = set(number.findall("\n".join(SHOWN)))
    sessions = set(number.findall("".join(PAGE.split("```")[1::2])))
    text = "".join(PAGE.split("```")[::2])
    told = set(number.findall(" ".join(one for one in text.split("\n\n") if one[:1] != "|")))
    assert len(told) > 10
    assert told <= shown | sessions
