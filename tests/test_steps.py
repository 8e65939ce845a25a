"""The steps of an explanation as they are printed: a learner's page, with and without colour."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.style import Style
from rich.text import Text
from worked import WORKED, X, inspection_with, random_layer

import attnviz
from attnviz.answers.explain import Explanation, explain
from attnviz.inspection import HeadId, Inspection
from attnviz.model import Model, load_model
from attnviz.show.terminal.explain import ABOVE, BELOW, HEIGHTS, UPPER_HALF, ZERO, strip


def printed(e: Explanation, width: int = 80, top: int | None = None) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=False).print(attnviz.table(e, top))
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def worked(head: int = 1, bias: np.ndarray | None = None) -> Explanation:
    return explain(inspection_with(X, WORKED, 2, bias), 1, HeadId(0, head), WORKED)


@pytest.fixture(scope="module")
def it(animal: Inspection) -> Explanation:
    [explanation] = attnviz.explain(animal, "it", 3, 1)
    return explanation


def test_a_page_by_hand() -> None:
    assert printed(worked(), 100) == [
        "worked: 1 layer × 2 heads, d_model 2, d_k 1, d_ff 7",
        "a b",
        "weights: softmax(q kᵀ / √d_k)",
        "",
        'L0H1  how "b" looks, step by step',
        "",
        '1  x, the vector of "b", made of word and place: 2 numbers, d_model',
        "   ▄▇",
        "   0 to 2, length 2; a bar each, 0 in the middle",
        "",
        "2  x times the head's three matrices, each 2 × 1",
        "   q = x W_Q       ▇  2 to 2, length 2",
        "   k = x W_K       ▇  2 to 2, length 2",
        "   v = x W_V       ▇  2 to 2, length 2",
        "   Each has 2 / 2 = 1 number: d_k = d_model / num_heads. This is self-attention: Q, K an"
        "d V all come",
        "   from the same vectors x, those of this sentence, and each of its tokens has its own q"
        ", k and v.",
        "   In seq2seq attention, Q comes from the decoder's hidden states, K and V from the enco"
        "der's.",
        "",
        '3  q · k: the query of "b" with the key of each token',
        "4  ÷ √d_k = √1 = 1, or wide vectors would favour one key",
        "5  softmax: they become weights, which sum to 1",
        "6  each token's v times its weight; the sum of these is z",
        "",
        "   key    3 q·k  4 ÷√d_k  5 weight                  6 weight × v",
        "   a       0.00     0.00  .02 ▍                     ·",
        " ▸ b       4.00     4.00  .98 ████████████████████  ▇",
        "   z, the sum of all                                ▇",
        "   1.96 to 1.96, length 1.96",
        "",
        "7  z W_O: what the head gives back, through its part of W_O, 1 × 2",
        "   ▄▇",
        "   0 to 7.86, length 7.86",
        "   The outputs of the layer's 2 heads are added up. L0H1's share of the sum is 75%: how "
        "far its own",
        "   reaches in the sum's direction; the shares of all heads make 100%.",
        "",
        "Check: z from these steps agrees with the encoder's own within 1e-5.",
    ]


def test_the_founding_example(it: Explanation) -> None:
    lines = printed(it)
    page = " ".join(" ".join(lines).split())
    assert 'x, the vector of "it", as layer 2 gave it: 384 numbers, d_model' in page
    assert "three matrices, each 384 × 32" in page
    assert "Each has 384 / 12 = 32 numbers" in page
    assert "÷ √d_k = √32 = 5.66" in page
    assert "Q, K and V all come from the same vectors x, those of this sentence" in page
    assert "In seq2seq attention, Q comes from the decoder's hidden states, K and V from" in page
    assert "through its part of W_O, 32 × 384" in page
    assert "L3H1's share of the sum is 20%" in page
    assert "Check: z from these steps agrees with the encoder's own within 1e-5." in page
    [row] = [line for line in lines if line.startswith(" ▸")]
    assert row.split()[:5] == ["▸", "animal", "21.69", "3.83", ".68"]
    rows = lines[lines.index(next(line for line in lines if "3 q·k" in line)) + 1 :][:16]
    assert [row[1:12].replace("▸", " ").split()[0] for row in rows] == [
        *("[CLS]", "the@1", "animal", "didn", "'", "t", "cross", "the@7"),
        *("street", "because", "it", "was", "too", "tired", ".", "[SEP]"),
    ]


def test_the_article_and_its_mark() -> None:
    [e] = attnviz.explain(load_model("paper").inspect("I am a student"), "student", 0, 0)
    page = " ".join(printed(e, 100))
    assert "d_ff 2048, UNTRAINED (seed 0)" in page
    assert "each 512 × 64" in page
    assert "Each has 512 / 8 = 64 numbers" in page
    assert "÷ √d_k = √64 = 8" in page
    assert "q = x W_Q " in page
    assert "b_Q" not in page


def test_a_piece_says_which_of_its_word_it_is(animal: Inspection) -> None:
    titles = [printed(e)[4] for e in attnviz.explain(animal, "didn't", 3, 1)]
    assert titles == [
        f'L3H1  how "{piece}", piece {place} of 3 of "didn\'t", looks, step by step'
        for place, piece in ((1, "didn"), (2, "'"), (3, "t"))
    ]


def test_top_keys_in_the_sentences_order_and_what_the_others_hold(it: Explanation) -> None:
    lines = printed(it, top=3)
    start = next(i for i, line in enumerate(lines) if "3 q·k" in line)
    assert [line[:12].replace("▸", " ").split()[0] for line in lines[start + 1 : start + 4]] == [
        *("[CLS]", "animal", "it"),
    ]
    page = " ".join(" ".join(lines).split())
    rest = 1 - np.sort(it.weights)[-3:].sum()
    assert (
        f"13 of 16 keys are hidden, those with the smallest weights: together they hold "
        f"{rest:.0%}. --top 6 shows more." in page
    )
    assert "hidden" not in " ".join(printed(it, top=16)).replace("hidden states", "")


def test_what_keys_bring_is_drawn_beside_the_most_that_one_brings(animal: Inspection) -> None:
    [e] = attnviz.explain(animal, "was", 3, 9)
    sizes = {
        key.text: np.abs(brought).max() for key, brought in zip(e.keys, e.brought, strict=True)
    }
    assert e.keys[e.order[0]].text == "[CLS]"
    assert sizes["[CLS]"] < 0.05 * sizes["tired"] == 0.05 * max(sizes.values())
    rows = [line.removeprefix(" ▸").split() for line in printed(e)]
    cells = {row[0]: row[-1] for row in rows if row and row[0] in sizes}
    assert cells["[CLS]"] == "·"
    assert {HEIGHTS[0], HEIGHTS[-1]} & set(cells["tired"])
    assert len(set(cells["tired"])) >= 5


def test_a_long_sentence_is_cut(minilm: Model) -> None:
    [e] = attnviz.explain(minilm.inspect("so it went " * 40), "it#2", 3, 1)
    page = " ".join(" ".join(printed(e)).split())
    assert f"{len(e.keys) - 20} of {len(e.keys)} keys are hidden" in page


def test_keys_that_hold_nothing_are_told_so(minilm: Model) -> None:
    [e] = attnviz.explain(minilm.inspect("동물은 너무 지쳐서 길을 건너지 않았다"), "[CLS]", 3, 1)
    assert "together they hold less than 1%." in " ".join(" ".join(printed(e)).split())


def test_a_bias_and_a_scale_of_the_models_own() -> None:
    bias = np.zeros((1, 2, 2), np.float32)
    bias[0, 1] = -np.inf, 0.5
    page = " ".join(printed(worked(bias=bias), 100))
    assert "4 score" in page
    assert "; + the layer's bias" in page
    assert "1 of 2 keys may not be looked at: their weight is 0, whatever q · k." in page
    own = printed(replace(worked(), scale=0.5), 100)
    assert "4  × 0.5, the model's own scale in place of 1 / √d_k" in own


def test_without_the_encoders_z_the_check_says_so() -> None:
    e = worked()
    page = " ".join(printed(replace(e, check=replace(e.check, z=None))))
    assert "this inspection does not have the encoder's z" in page


def test_one_head_and_one_token() -> None:
    layer = random_layer(3, 1)
    e = explain(inspection_with(np.ones((1, 3)), layer, 1), 0, HeadId(0, 0), layer)
    page = " ".join(printed(e))
    assert "1.0 ███" in page
    assert "share" not in page


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    length=st.integers(1, 26),
    shape=st.sampled_from([(1, 1), (2, 31), (3, 64)]),
    width=st.integers(20, 200),
    top=st.none() | st.integers(1, 30),
)
def test_no_line_is_wider_than_the_console(
    length: int, shape: tuple[int, int], width: int, top: int | None
) -> None:
    layer = random_layer(shape[0] * shape[1], 2)
    x = np.random.default_rng(length).normal(size=(length, shape[0] * shape[1]))
    e = explain(inspection_with(x, layer, shape[0]), length - 1, HeadId(0, 0), layer)
    assert max(map(cell_len, printed(e, width, top))) <= width


def test_what_was_typed_shows_as_itself(minilm: Model) -> None:
    text = "[bold] \x1b[31m :smile: [/x]"
    [e] = attnviz.explain(minilm.inspect(text), "bold", 0, 0)
    assert r"[bold] \x1b[31m :smile: [/x]" in printed(e)


VALUES = np.array([1.0, -1.0, 0.0, 0.5, -9.0])


def test_a_strip_without_colour_is_bars() -> None:
    assert [line.plain for line in strip(VALUES, 1.0, 3, colored=False)] == ["▇▁▄", "▅▁"]
    assert len(HEIGHTS) == 7


def colors_of(line: Text) -> list[tuple[str | None, str | None]]:
    """The letter and the background of each cell."""
    styles = [Style.parse(str(span.style)) for span in line.spans]
    return [(s.color and s.color.name, s.bgcolor and s.bgcolor.name) for s in styles]


def test_a_strip_in_colour_has_a_cell_a_number() -> None:
    [line] = strip(VALUES, 1.0, 5, colored=True)
    colors = [color for color, _ in colors_of(line)]
    assert colors == [ABOVE[-1], BELOW[-1], ZERO, ABOVE[3], BELOW[-1]]


def test_a_folded_strip_has_two_numbers_in_a_cell() -> None:
    [line] = strip(VALUES, 1.0, 3, colored=True)
    assert set(line.plain) == {UPPER_HALF}
    assert colors_of(line) == [(ABOVE[-1], ABOVE[3]), (BELOW[-1], BELOW[-1]), (ZERO, None)]


@pytest.mark.parametrize("no_color", [True, False])
def test_no_color_is_obeyed(it: Explanation, no_color: bool) -> None:
    stream = io.StringIO()
    console = Console(
        file=stream, width=80, force_terminal=True, color_system="truecolor", no_color=no_color
    )
    console.print(attnviz.table(it))
    assert (UPPER_HALF in stream.getvalue()) is not no_color
    assert ("▂" in stream.getvalue()) is no_color
