"""Some runs of every kind of tests/fuzz_system.py, the same each time."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fuzz_system import KINDS, Fuzz, fuzzed, fuzzing

RUNS = {
    "names": 400,
    "options": 150,
    "own cache": 150,
    "hostile hub": 30,
    "environment": 4,
    "signals": 4,
}


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzz]:
    folder: Path = tmp_path_factory.mktemp("fuzz")
    with fuzzing(folder) as fuzz:
        yield fuzz


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_promises_hold_whatever_comes(kind: str, fuzz: Fuzz) -> None:
    ends = fuzzed(fuzz, kind, RUNS[kind], seed=1)
    assert sum(ends.values()) == RUNS[kind]


def test_the_page_says_how_often() -> None:
    page = Path(__file__).parent.parent / "docs" / "reliability.md"
    rows = re.findall(r"\| ([a-z ]+) \| .* \| [\d,]+ \| (\d+) \| .* \|", page.read_text("utf-8"))
    assert RUNS.items() <= {kind: int(runs) for kind, runs in rows}.items()
