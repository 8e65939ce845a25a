"""docs/probe.md says what benchmarks/relations.py prints."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "probe.md").read_text(encoding="utf-8")
FEWEST = 12
NUMBER = re.compile(r"(?<![A-Za-z])\d+(?:\.\d+)?")


@pytest.fixture(scope="module")
def script(own_cache: Path) -> Any:
    """benchmarks/relations.py as a module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return importlib.import_module("relations")


@pytest.fixture(scope="module")
def printed(script: Any) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)  # the file's name draws halves and resamples
        probe = script.probed("samples/treebank.conllu", None)
    return list(script.by_relation(probe, FEWEST))


def test_the_page_has_the_sample_as_printed(printed: list[str]) -> None:
    told = [part.splitlines() for part in PAGE.split("\n\n") if part.startswith("|")][-1]
    assert [NUMBER.sub("", line) for line in told] == [NUMBER.sub("", line) for line in printed]
    for own, other in zip(told, printed, strict=True):
        numbers, others = (list(map(float, NUMBER.findall(line))) for line in (own, other))
        assert numbers == pytest.approx(others, abs=1.1)  # ends may round otherwise


def test_the_prose_has_the_numbers_of_the_table() -> None:
    rows = {
        cells[0]: cells
        for line in PAGE.split("<!-- Printed")[1].splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 10
    }
    prose = " ".join(PAGE.split())
    found = {name: row[4].split(" ")[0] for name, row in rows.items()}
    offset = {name: row[5].split(" ")[0] for name, row in rows.items()}
    assert f"{rows['obj'][2]} finds {found['obj']}, the best offset {offset['obj']}" in prose
    assert f"right for {offset['det']} of determiners, L2H8 for {found['det']}" in prose
    assert f"L1H8 finds {found['compound']} of compounds" in prose
    assert f"after is right in {rows['compound'][7]}:" in prose
    assert f"*advcl* is found in {found['advcl']} only" in prose
    assert f"best offset is right in {offset['advcl']}:" in prose
