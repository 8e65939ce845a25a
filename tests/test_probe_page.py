"""docs/probe.md says what benchmarks/relations.py prints."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
from test_docs import is_as_shown, read, run, sessions, workplace

__all__ = ["workplace"]  # a fixture

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


@pytest.fixture(scope="module")
def tables() -> list[dict[str, list[str]]]:
    """The page's tables: EWT, its draws, the sample, each by the relation of a row."""
    return [
        {
            cells[0]: cells
            for line in part.split("\n## ")[0].splitlines()
            if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) > 1
        }
        for part in PAGE.split("<!-- Printed")[1:]
    ]


def test_the_prose_has_the_numbers_of_the_table(tables: list[dict[str, list[str]]]) -> None:
    rows = tables[0]
    prose = " ".join(PAGE.split())
    found = {name: row[4].split(" ")[0] for name, row in rows.items()}
    offset = {name: row[5].split(" ")[0] for name, row in rows.items()}
    held = {name: row[8] for name, row in rows.items()}
    assert f"{rows['obj'][2]} finds {found['obj']}, the best offset {offset['obj']}" in prose
    assert f"right for {offset['det']} of determiners, L2H8 for {found['det']}" in prose
    assert f"L1H8 finds {found['compound']} of compounds" in prose
    assert f"nearest word is right in {rows['compound'][7]}:" in prose
    assert f"after is right in {rows['amod'][7]}, L2H8 in {found['amod']}" in prose
    assert f"right in {offset['acl']}, the best head in {found['acl']}" in prose
    assert f"find only {held['acl']} on the other" in prose
    assert f"heads find {found['advcl']} and {found['ccomp']}," in prose
    assert f"offsets are right in {offset['advcl']} and {offset['ccomp']}." in prose
    assert f"*obj* is found in {held['obj']} either way" in prose
    assert found["obj"] == held["obj"]
    assert f"finds {found['case']}, and others nearly as much" in prose
    assert f"choose those, and find {held['case']}." in prose


def test_the_prose_has_what_the_draws_say(tables: list[dict[str, list[str]]], script: Any) -> None:
    prose = " ".join(PAGE.split())
    rows = {name: cells for name, cells in tables[1].items() if cells[1].isdecimal()}
    assert list(rows) == [name for name, cells in tables[0].items() if cells[1].isdecimal()]
    times = {name: int(cells[1]) for name, cells in rows.items()}
    every = [name for name, count in times.items() if count == script.DRAWS]
    assert f"{len(every)} of {len(rows)} relations are found in every draw" in prose
    assert [name for name in times if not times[name]] == ["compound", "flat", "acl", "appos"]
    some = [name for name in times if 0 < times[name] < script.DRAWS]
    assert some == ["advcl", "ccomp"]
    told = [f"*{name}* is found in {times[name]} of {script.DRAWS}" for name in some[:1]]
    told += [f"*{name}* in {times[name]} of {script.DRAWS}" for name in some[1:]]
    told += [f"from {rows[name][2]} to {rows[name][3]}" for name in some]
    assert all(one in prose for one in told)


def test_clark_is_set_beside_the_page_s_own_numbers(tables: list[dict[str, list[str]]]) -> None:
    part = PAGE.split("## What BERT-base does")[1].split("\n## ")[0]
    beside = [line.strip("| ").split(" | ") for line in part.splitlines() if "." in line[:40]]
    beside = [cells for cells in beside if len(cells) == 6]
    assert len(beside) == 10
    for name, _, _, _, found, offset in beside:
        row = tables[0][name]
        assert [row[4].split(" ")[0], row[5].split(" ")[0]] == [found, offset]


def test_the_twins_are_those_of_the_page_on_pronouns() -> None:
    prose, pronouns = " ".join(PAGE.split()), " ".join(read("docs/pronouns.md").split())
    told = "all 72 heads the best on twins, L3H5, is right on both in 4 of 15 pairs; one"
    for one in (told, "that guesses is in 3.75 on average"):
        assert one in prose
        assert one in pronouns
    assert "| L3H1 (from 1: 4-2) | 25 | 14 | 39 = 65% |" in pronouns
    assert "more in 39 of 60 sentences, is right on both sentences of none" in prose


@pytest.mark.slow
def test_its_commands_do_what_the_page_shows(workplace: Path) -> None:
    shown = sessions("docs/probe.md")
    assert len(shown) == 2
    for command, lines in shown.items():
        assert is_as_shown(run(command, workplace), lines)
