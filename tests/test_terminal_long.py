"""Heads of long texts in the terminal: lists of the strongest keys, and not every row."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from rich.console import Console
from shown import head_table, query_rows

from attnviz.inspection import Block, HeadId, View
from attnviz.inspection import view as view_module

HEAD = HeadId(1, 0)


def shown(view: View, width: int = 100, top: int | None = None) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(head_table(view, HEAD, top))
    return [line.rstrip() for line in console.export_text().splitlines()]


def looking(length: int) -> View:
    """[CLS], w1 to wN, [SEP]: each gives 0.5 to the token 7 before it, and 0.25 to token 5."""
    tokens = tokens_of([f"w{number}" for number in range(1, length - 1)])
    weights = np.full((2, 1, length, length), 0.25 / (length - 2))
    for query in range(length):
        weights[:, 0, query, 5] = 0.25
        weights[:, 0, query, (query - 7) % length] = 0.5
    return inspection_of(tokens, weights / weights.sum(axis=-1, keepdims=True)).view()


def test_a_long_head_is_a_list_of_the_strongest_keys_with_positions() -> None:
    lines = shown(looking(300))
    assert "L1H0  the 5 strongest keys of each query" in lines
    [row] = [line for line in lines if line.startswith("w20@20")]
    assert row.split()[1:5] == ["▸.50", "w13@13", ".25", "w5@5"]


def test_a_head_of_fewer_tokens_is_a_table_still() -> None:
    lines = shown(looking(299))
    assert any("queries (who looks) down, keys (looked at) across" in line for line in lines)
    assert sum(line.startswith("w") for line in lines) >= 297


def test_rows_are_limited_and_what_is_left_out_is_said() -> None:
    view = looking(320)
    for top in (None, 2):
        lines = shown(view, top=top)
        assert sum("@" in line and "▸" in line for line in lines) == 40
        told = " ".join(lines)
        assert "The first 40 of 320 queries are shown, 280 are not." in told
        assert "--window 40:80 looks at a part, --query @40 at one word" in told


def test_in_a_window_words_keep_their_positions_in_the_text() -> None:
    lines = shown(view_of_window(looking(700), 100, 600))
    assert any(line.startswith("w100@100") for line in lines)
    assert "--window 140:180 looks at a part" in " ".join(lines)
    assert not any("lies in the window" in line for line in lines)  # 460 rows are not known


def view_of_window(view: View, first: int, end: int) -> View:
    return view.inspection.view(window=(first, end))


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(map(len, shown(looking(310), width))) <= width


def test_rows_that_are_not_shown_are_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    inspection = random_inspection(tokens_of([f"w{n}" for n in range(398)]), 2, 1, seed=1)
    monkeypatch.setattr(view_module, "WEIGHTS_AT_ONCE", 400 * 16)
    view, computed = inspection.view(), 0
    blocks = view.blocks

    def counted(heads: list[HeadId]) -> Iterator[Block]:
        nonlocal computed
        for stack in blocks(heads):
            computed += stack.weights.shape[1]
            yield stack

    object.__setattr__(view, "blocks", counted)
    lines = shown(view)
    assert sum("▸" in line for line in lines) == 40
    assert computed == 48  # three parts of 16 rows


def test_without_special_tokens_their_share_stands_beside_each_query() -> None:
    view = looking(320).inspection.view(special=False)
    [row] = [line for line in shown(view) if line.startswith("w8@7")]
    assert row.split()[1:3] == ["special", "0%"]


def word_rows(view: View, query: int) -> list[str]:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(query_rows(view, query, [HEAD]))
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("first", [0, 100])
def test_what_one_word_looks_at_is_told_with_positions_too(first: int) -> None:
    view = view_of_window(looking(700), first, 600)
    [row] = [line for line in word_rows(view, 200) if line.startswith("L1H0")]
    place = first + 200 - 7
    assert row.split()[1:3] == ["▸.50", f"w{place}@{place}"]


def test_words_of_a_short_text_have_no_positions() -> None:
    [row] = [line for line in word_rows(looking(299), 200) if line.startswith("L1H0")]
    assert row.split()[1:5] == ["▸.50", "w193", ".25", "w5"]
