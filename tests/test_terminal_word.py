"""One word in the heads chosen, and how much one word looks at another: what is printed."""

import io

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, RenderableType
from shown import key_rows, pair_grid, query_rows

from attnviz.inspection import HeadId, View

CAT, RAN = 1, 2
HEADS = [HeadId(0, 1), HeadId(1, 0)]


@pytest.fixture
def view() -> View:
    """Two layers of two heads over `[CLS] cat ran [SEP]`; the row of `cat` by hand."""
    weights = np.full((2, 2, 4, 4), 0.25)
    weights[0, 1, CAT] = (0.11, 0.04, 0.8, 0.05)
    weights[1, 0, CAT] = (0.6, 0.1, 0.0, 0.3)
    return inspection_of(tokens_of(["cat", "ran"]), weights).view("piece")


def printed(look: RenderableType, width: int = 80) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(look)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_what_a_word_looks_at(view: View) -> None:
    assert printed(query_rows(view, CAT, HEADS))[4:] == [
        "cat looks at",
        "L0H1  ▸.80  ran    .11  [CLS]  .05  [SEP]  .04  cat",
        "L1H0  ▸.60  [CLS]  .30  [SEP]  .10  cat      ·  ran",
        "",
        '"cat" gives 53% of its attention to special tokens (mean over these heads);',
        "--no-special leaves them out.",
    ]


def test_who_looks_at_a_word(view: View) -> None:
    assert printed(key_rows(view, RAN, HEADS, top=2))[4:] == [
        "who looks at ran",
        "L0H1  ▸.80  cat    .25  [CLS]",
        "L1H0  ▸.25  [CLS]  .25  ran",
    ]


def test_the_special_tokens_share_is_that_of_the_heads_shown(view: View) -> None:
    shares = {
        "(in L0H1)": (HEADS[:1], "16%"),
        "(mean over these heads)": (HEADS, "53%"),
        "(mean over all heads)": (view.all_heads(), "51%"),
    }
    for over, (heads, share) in shares.items():
        for look in (query_rows(view, CAT, heads), pair_grid(view, CAT, RAN, heads)):
            note = " ".join(printed(look)[-3:])
            assert f"gives {share} of its attention to special tokens {over}" in note
    without = View(view.inspection, "piece", special=False)
    note = " ".join(printed(key_rows(without, 1, HEADS[:1]))[-2:])
    assert "they took 33% of the words' attention (in L0H1)" in note  # of cat 16%, of ran 50%


def test_more_words_than_fit_go_on_below(view: View) -> None:
    lines = printed(query_rows(view, CAT, HEADS[:1], top=4), 40)
    assert lines[lines.index("cat looks at") + 1 :][:2] == [
        "L0H1  ▸.80  ran    .11  [CLS]",
        "       .05  [SEP]  .04  cat",
    ]


def test_how_much_one_word_looks_at_another(view: View) -> None:
    assert printed(pair_grid(view, CAT, RAN, view.all_heads()))[4:9] == [
        "how much cat looks at ran",
        "     H0    H1",
        "L0  .25  ▸.80",
        "L1    ·   .25",
        "",
    ]
    lines = printed(pair_grid(view, CAT, RAN, HEADS))
    assert lines[5:8] == ["     H0    H1", "L0       ▸.80", "L1    ·"]
    assert lines[9] == "strongest in  L0H1  .80  L1H0    ·"


@pytest.mark.slow
@settings(deadline=None)
@given(
    words=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=9),
    width=st.integers(20, 200),
    special=st.booleans(),
    top=st.none() | st.integers(1, 20),
)
def test_no_line_is_wider_than_the_console(
    words: list[str], width: int, special: bool, top: int | None
) -> None:
    view = random_inspection(tokens_of(words), 2, 13, seed=3).view("piece", special)
    index, heads = len(view.tokens) // 2, view.all_heads()
    for look in (
        query_rows(view, index, heads, top),
        key_rows(view, index, heads, top),
        pair_grid(view, index, 0, heads),
        pair_grid(view, 0, index, HEADS),
    ):
        lines = printed(look, width)
        assert max(map(cell_len, lines)) <= width
        assert not any("\x1b" in line or "\x07" in line for line in lines)
