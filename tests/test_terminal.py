"""The terminal's looks: whole outputs, widths, colours, and the users' text as text.

`python tests/test_terminal.py` rewrites `tests/golden/*.txt`, to be read before it is committed.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from handmade import inspection_of, random_inspection, tokens_of
from hypothesis import given, settings
from hypothesis import strategies as st
from reader import difference
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.segment import Segment
from rich.style import Style
from shown import head_table, key_grid, overview_table, pair_grid, query_grid

from attnviz.answers.select import find_token
from attnviz.attention.measures import MeasureName
from attnviz.inspection import HeadId, Inspection, View
from attnviz.model import Model, load_model
from attnviz.show.terminal.cells import FILLED_FROM, RAMPS, Tone, weight_style, weight_text
from attnviz.show.terminal.grid import shape_for

GOLDEN = Path(__file__).parent / "golden"
SENTENCES = {
    "animal": "The animal didn't cross the street because it was too tired.",
    "korean": "그 동물은 너무 지쳐서 길을 건너지 않았다.",
    "hi": "Hi",
    "escape": "[bold] [/x] [unused1] :smile: \x1b[31mred 👩‍👩‍👧 $x_1$",
}

Look = Callable[[View], RenderableType]


def everything(view: View) -> RenderableType:
    return overview_table(view)


def query(word: str) -> Look:
    return lambda view: query_grid(view, find_token(view.tokens, word).token.index)


def key(word: str) -> Look:
    return lambda view: key_grid(view, find_token(view.tokens, word).token.index)


def table(top: int | None = None) -> Look:
    return lambda view: head_table(view, view.context.head_at(3, 1), top)


def pair(word: str, other: str) -> Look:
    return lambda view: pair_grid(
        view,
        find_token(view.tokens, word).token.index,
        find_token(view.tokens, other).token.index,
        view.all_heads(),
    )


class Case(NamedTuple):
    """A sentence, how it is looked at, and how wide the console is."""

    sentence: str
    look: Look
    width: int
    special: bool
    measure: MeasureName = "weights"


CASES: dict[str, Case] = {
    "overview-60": Case("animal", everything, 60, True),
    "overview-100": Case("animal", everything, 100, True),
    "overview-200": Case("animal", everything, 200, True),
    "overview-no-special-100": Case("animal", everything, 100, False),
    "query-60": Case("animal", query("it"), 60, True),
    "query-80": Case("animal", query("it"), 80, True),
    "query-100": Case("animal", query("it"), 100, True),
    "query-200": Case("animal", query("it"), 200, True),
    "query-no-special-100": Case("animal", query("it"), 100, False),
    "query-korean-100": Case("korean", query("지쳐서"), 100, True),
    "query-hi-60": Case("hi", query("hi"), 60, True),
    "key-100": Case("animal", key("animal"), 100, True),
    "key-no-special-200": Case("animal", key("animal"), 200, False),
    "head-60": Case("animal", table(), 60, True),
    "head-100": Case("animal", table(), 100, True),
    "head-200": Case("animal", table(), 200, True),
    "head-no-special-100": Case("animal", table(), 100, False),
    "head-korean-80": Case("korean", table(), 80, True),
    "head-escape-100": Case("escape", table(), 100, True),
    "head-top-80": Case("animal", table(3), 80, True),
    "head-top-no-special-60": Case("animal", table(3), 60, False),
    "norm-overview-100": Case("animal", everything, 100, True, "norm"),
    "norm-query-80": Case("animal", query("it"), 80, True, "norm"),
    "norm-key-no-special-100": Case("animal", key("animal"), 100, False, "norm"),
    "norm-head-80": Case("animal", table(), 80, True, "norm"),
    "norm-head-top-no-special-60": Case("animal", table(3), 60, False, "norm"),
    "rollout-overview-60": Case("animal", everything, 60, True, "rollout"),
    "rollout-overview-no-special-100": Case("animal", everything, 100, False, "rollout"),
    "rollout-query-60": Case("animal", query("it"), 60, True, "rollout"),
    "rollout-key-no-special-80": Case("animal", key("animal"), 80, False, "rollout"),
    "rollout-pair-60": Case("animal", pair("it", "animal"), 60, True, "rollout"),
    "rollout-layer-korean-80": Case("korean", table(), 80, True, "rollout"),
    "flow-overview-100": Case("animal", everything, 100, True, "flow"),
    "flow-query-no-special-60": Case("animal", query("it"), 60, False, "flow"),
}


def printed(look: RenderableType, width: int) -> str:
    """What a pipe receives: no escape sequences; spaces at the end of a line left out."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, legacy_windows=False).print(look)
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def segments(look: RenderableType, width: int = 100) -> list[Segment]:
    console = Console(file=io.StringIO(), width=width, color_system="truecolor", no_color=False)
    return list(console.render(look))


def style_of(look: RenderableType, text: str) -> Style:
    """The style of the only segment that reads so, spaces apart."""
    found = [segment for segment in segments(look) if segment.text.split() == text.split()]
    styles = [segment.style for segment in found]
    assert len(styles) == 1
    return styles[0] or Style()


def golden(model: Model, name: str) -> str:
    case = CASES[name]
    view = model.inspect(SENTENCES[case.sentence]).view("word", case.special, case.measure)
    return printed(case.look(view), case.width)


@pytest.mark.parametrize("name", CASES)
def test_whole_outputs(minilm: Model, name: str) -> None:
    kept = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert difference(golden(minilm, name), kept) == ""


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


ALPHABET = st.sampled_from([*"aW동물日é😀[]/:\u0301\x1b"])
WORD = st.text(ALPHABET, min_size=1, max_size=24)


@settings(max_examples=60, deadline=None)
@given(
    words=st.lists(WORD, min_size=1, max_size=12),
    width=st.integers(40, 220),
    special=st.booleans(),
    heads=st.integers(1, 17),
    seed=st.integers(0, 99),
)
def test_no_line_is_wider_than_the_console(
    words: list[str], width: int, special: bool, heads: int, seed: int
) -> None:
    view = random_inspection(tokens_of(words), 2, heads, seed).view("piece", special)
    index = len(view.tokens) // 2
    looks: list[RenderableType] = [
        overview_table(view),
        query_grid(view, index),
        key_grid(view, index),
        head_table(view, HeadId(1, 0)),
        head_table(view, HeadId(1, 0), top=5),
    ]
    for look in looks:
        text = "".join(segment.text for segment in segments(look, width))
        assert max(cell_len(line) for line in text.split("\n")) <= width
        assert "\x1b" not in text


@pytest.mark.parametrize("width", [1, 5, 20])
def test_a_console_too_narrow_for_anything_still_gets_an_answer(width: int) -> None:
    view = random_inspection(tokens_of(["one", "two", "three"]), 2, 3, seed=1).view()
    for look in (
        overview_table(view),
        query_grid(view, 1),
        head_table(view, HeadId(0, 0)),
    ):
        assert printed(look, width).strip()


@pytest.mark.parametrize("look", [everything, query("[unused1]"), table(), table(2)])
def test_markup_in_a_sentence_is_text(look: Look) -> None:
    words = ["[bold]", "[/x]", "[unused1]", ":smile:", "\x1b[31m"]
    inspection = random_inspection(tokens_of(words), 4, 2, seed=1)
    text = printed(look(inspection.view()), 120)
    assert r"[bold] [/x] [unused1] :smile: \x1b[31m" in text
    assert "\x1b" not in text
    assert "[unused1]" in text.partition(r"\x1b[31m")[2]


def test_wide_characters_keep_columns_aligned(minilm: Model) -> None:
    view = minilm.inspect(SENTENCES["korean"]).view()
    rows = printed(head_table(view, HeadId(3, 1)), 80).splitlines()[-10:]
    assert len(rows) == 10
    ends = {cell_len(row) for row in rows}
    assert len(ends) == 1


# Colour


def peaked(weight: float, near: float = 0.0, to_special: float = 0.0) -> View:
    """Word `q` looks at `far`, at its neighbour `next`, and at [SEP]; the rest lies on [CLS]."""
    matrix = np.zeros((6, 6))
    matrix[:, 0] = 1
    matrix[3] = [1 - weight - near - to_special, weight, 0, 0, near, to_special]
    tokens = tokens_of(["far", "mid", "q", "next"])
    return inspection_of(tokens, matrix[None, None]).view()


def test_the_strongest_weight_has_the_strongest_style() -> None:
    style = style_of(query_grid(peaked(0.9), 3), "▸far .90")
    assert style.bold
    assert style.bgcolor is not None
    assert style.bgcolor.name == RAMPS["warm"][-1]


def test_a_neighbour_is_cool_and_a_special_token_dim() -> None:
    near = style_of(query_grid(peaked(0.05, near=0.9), 3), "next .90")
    assert near.bgcolor is not None
    assert near.bgcolor.name == RAMPS["cool"][-1]
    assert not near.bold
    special = style_of(query_grid(peaked(0.05, to_special=0.9), 3), "[SEP] .90")
    assert special.dim
    assert special.bgcolor is None


@pytest.mark.parametrize("tone", ["warm", "cool"])
def test_styles_grow_with_the_weight(tone: Tone) -> None:
    grid = np.linspace(0, 1, 401)
    styles = [weight_style(float(weight), tone) for weight in grid]
    assert styles[0].dim
    assert weight_style(0.1, tone) == Style()
    order = [style.bgcolor.name for style in styles if style.bgcolor is not None]
    assert list(dict.fromkeys(order)) == list(RAMPS[tone])
    filled = [weight for weight, style in zip(grid, styles, strict=True) if style.bgcolor]
    assert min(filled) == pytest.approx(FILLED_FROM)


@pytest.mark.parametrize("tone", ["warm", "cool"])
def test_filled_cells_have_letters_that_can_be_read(tone: Tone) -> None:
    """WCAG 2: a contrast of at least 4 between letters and ground, in the 24 bit palette."""
    for weight in np.linspace(FILLED_FROM, 1, 50):
        style = weight_style(float(weight), tone)
        assert style.color is not None
        assert style.bgcolor is not None
        light, dark = sorted((luminance(style.color.name), luminance(style.bgcolor.name)))[::-1]
        assert (light + 0.05) / (dark + 0.05) >= 4


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize(
    ("weight", "text"),
    [(0, "  ·"), (0.004, "  ·"), (0.006, ".01"), (0.676, ".68"), (0.994, ".99"), (0.999, "1.0")],
)
def test_weights_take_three_cells(weight: float, text: str) -> None:
    assert weight_text(weight) == text


def test_no_color_leaves_no_colour_and_stays_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    Console(file=stream, width=100, force_terminal=True).print(query_grid(peaked(0.9), 3))
    written = stream.getvalue()
    assert "38;" not in written
    assert "48;" not in written
    assert "▸far" in written
    assert "▸: the strongest" in written
    assert "orange" not in written


# Single looks


def test_the_founding_example_is_found(animal: Inspection) -> None:
    view = animal.view()
    text = printed(query_grid(view, find_token(view.tokens, "it").token.index), 100)
    assert text.count("▸animal") == 2
    assert "animal   L3H1   .68  L5H11  .67" in text


def test_an_untrained_model_is_marked_in_every_look() -> None:
    matrix = np.full((1, 1, 3, 3), 1 / 3)
    view = inspection_of(tokens_of(["a"]), matrix, trained=False).view()
    looks = [overview_table(view), query_grid(view, 1), key_grid(view, 1)]
    for look in (*looks, head_table(view, HeadId(0, 0)), head_table(view, HeadId(0, 0), 1)):
        assert "UNTRAINED (seed 0)" in printed(look, 100)
        marked = [s.style for s in segments(look) if "UNTRAINED" in s.text]
        assert marked[0] is not None
        assert marked[0].bgcolor is not None


def test_hidden_columns_are_counted_and_the_largest_stay() -> None:
    matrix = np.full((42, 42), 0.001)
    matrix[:, 30] = 0.7
    matrix[5, 12] = 0.9
    look = table_of_words(matrix)
    text = printed(look, 80)
    assert "24 of 42 columns are hidden" in text
    header = text.partition("L0H0")[2].partition("[CLS]      ·")[0]
    assert "word29" in header
    assert "word11" in header
    assert "word20" not in header
    assert "strongest" not in header, "each query's strongest key is among the keys shown"
    assert "hidden" not in printed(look, 200)


def test_a_strongest_key_that_is_hidden_is_told_beside_the_table() -> None:
    text = printed(table_of_words(np.eye(42)), 80)
    assert "28 of 42 columns are hidden" in text
    row = next(line for line in text.splitlines() if line.startswith("word39 "))
    assert row.split() == ["word39", *["·"] * 14, "word39", "1.0"]


def table_of_words(matrix: np.ndarray) -> RenderableType:
    """The only head of an inspection of forty words."""
    weights = matrix / matrix.sum(axis=-1, keepdims=True)
    tokens = tokens_of([f"word{i}" for i in range(40)])
    return head_table(inspection_of(tokens, weights[None, None]).view(), HeadId(0, 0))


def test_top_lists_the_strongest_keys_of_each_query() -> None:
    view = peaked(0.6, near=0.3)
    lines = printed(head_table(view, HeadId(0, 0), 2), 100).splitlines()
    row = next(line for line in lines if line.startswith("q "))
    assert row.split() == ["q", "▸.60", "far", ".30", "next"]


def test_left_out_special_tokens_are_told_in_every_look() -> None:
    matrix = np.full((4, 4), 0.2)
    matrix[:, 0] = 0.4
    view = inspection_of(tokens_of(["a", "b"]), matrix[None, None]).view(special=False)
    for look in (overview_table(view), query_grid(view, 0), key_grid(view, 0)):
        assert "60%" in printed(look, 100)
    for top in (None, 2):
        assert printed(head_table(view, HeadId(0, 0), top), 100).count("60%") == 2


def test_a_query_whose_attention_was_left_out_entirely_shows_zero() -> None:
    matrix = np.zeros((4, 4))
    matrix[:, 0] = 1
    view = inspection_of(tokens_of(["a", "b"]), matrix[None, None]).view(special=False)
    assert "100%" in printed(query_grid(view, 0), 100)
    assert "▸" not in printed(head_table(view, HeadId(0, 0)), 100)


@pytest.mark.parametrize(
    ("width", "heads", "longest", "expected"),
    [
        (57, 12, 7, (6, 7, 2, 0)),
        (77, 12, 7, (6, 6, 1, 0)),
        (97, 12, 7, (12, 6, 2, 0)),
        (197, 12, 7, (12, 7, 1, 2)),
        (4, 12, 7, (1, 1, 1, 0)),
    ],
)
def test_the_grid_folds_to_the_width(
    width: int, heads: int, longest: int, expected: tuple[int, int, int, int]
) -> None:
    assert shape_for(width, heads, longest) == expected


if __name__ == "__main__":
    model = load_model("minilm")
    GOLDEN.mkdir(exist_ok=True)
    for name in CASES:
        (GOLDEN / f"{name}.txt").write_text(golden(model, name), encoding="utf-8")
