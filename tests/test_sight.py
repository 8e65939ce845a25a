"""What every look says of whose attention it shows, of masks, windows and sinks.

`python tests/test_sight.py` rewrites `tests/golden/sight/*.txt`, to be read before it is committed.
"""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from handmade import causal, inspection_of, tokens_of, with_layer
from reader import difference
from rich.console import Console, RenderableType
from shown import head_table, key_grid, key_rows, overview_table, pair_grid, query_grid, query_rows
from translated import SOURCE, TARGET, between, decoder, translation

from attnviz.answers.find import find
from attnviz.answers.holding import holding
from attnviz.answers.select import Phrase
from attnviz.attention.request import AttentionKind
from attnviz.inspection import HeadId, Inspection, View
from attnviz.show import wording as sight
from attnviz.show.terminal.cells import RAMPS
from attnviz.show.terminal.find import table as find_table

GOLDEN = Path(__file__).parent / "golden" / "sight"
L0H0, L0H1, L1H0 = HeadId(0, 0), HeadId(0, 1), HeadId(1, 0)

Look = Callable[[View], RenderableType]


class Case(NamedTuple):
    """An inspection, how it is looked at, and how wide the console is."""

    inspection: Callable[[], Inspection]
    look: Look
    width: int
    window: tuple[int, int] | None = None


def everything(view: View) -> RenderableType:
    return overview_table(view)


CASES = {
    "cross-head-60": Case(translation, lambda view: head_table(view, L1H0), 60),
    "cross-head-100": Case(translation, lambda view: head_table(view, L1H0), 100),
    "cross-head-few-keys-60": Case(lambda: between(12, 3), lambda v: head_table(v, L0H1), 60),
    "cross-head-many-keys-60": Case(lambda: between(3, 30), lambda v: head_table(v, L0H1), 60),
    "cross-top-60": Case(translation, lambda view: head_table(view, L1H0, 2), 60),
    "cross-query-80": Case(translation, lambda view: query_grid(view, 8), 80),
    "cross-key-80": Case(translation, lambda view: key_grid(view, 2), 80),
    "cross-pair-60": Case(translation, lambda v: pair_grid(v, 8, 2, v.all_heads()), 60),
    "cross-overview-80": Case(translation, everything, 80),
    "decoder-head-60": Case(decoder, lambda view: head_table(view, L1H0), 60),
    "decoder-head-100": Case(decoder, lambda view: head_table(view, L0H1), 100),
    "decoder-query-80": Case(decoder, lambda view: query_rows(view, 7, view.all_heads(), 5), 80),
    "decoder-key-60": Case(decoder, lambda view: key_rows(view, 9, view.all_heads(), 5), 60),
    "decoder-pair-60": Case(decoder, lambda v: pair_grid(v, 7, 2, v.all_heads()), 60),
    "decoder-overview-80": Case(decoder, everything, 80),
    "sink-head-80": Case(lambda: decoder(sink=0.25), lambda view: head_table(view, L1H0), 80),
    "sink-overview-80": Case(lambda: decoder(sink=0.25), everything, 80),
    "window-head-80": Case(lambda: decoder(60, None), lambda v: head_table(v, L0H0), 80, (40, 46)),
}


def printed(look: RenderableType, width: int) -> str:
    """What a pipe receives; spaces at the end of a line left out."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, legacy_windows=False).print(look)
    return "\n".join(line.rstrip() for line in stream.getvalue().split("\n"))


def golden(name: str) -> str:
    case = CASES[name]
    return printed(case.look(case.inspection().view(window=case.window)), case.width)


@pytest.mark.parametrize("name", CASES)
def test_whole_outputs(name: str) -> None:
    kept = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert difference(golden(name), kept) == ""


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CASES)


# Whose attention it is, in words


def seeing(*masks: np.ndarray | None, attention: AttentionKind = "decoder", words: int = 5) -> View:
    """A layer for each mask, over words."""
    tokens = tokens_of([f"w{place}" for place in range(words)], special=False)
    weights = np.full((len(masks), 1, words, words), 1 / words)
    inspection = inspection_of(tokens, weights)
    for number, mask in enumerate(masks):
        inspection = with_layer(inspection, number, key_ranges=mask)
    return replace(inspection, attention=attention).view()


def band(before: int, after: int, words: int = 5) -> np.ndarray:
    """(n, 2): each query may look at so many keys before it, and after it."""
    own = np.arange(words)
    first, end = np.maximum(own - before, 0), np.minimum(own + after + 1, words)
    return np.stack([first, end], axis=-1).astype(np.int32)


@pytest.mark.parametrize(
    ("masks", "said"),
    [
        ([causal(5)], "decoder: each word sees itself and those before it"),
        ([causal(5), causal(5, 4)], "decoder: each word sees itself and those before it"),
        ([causal(5, 2)], "decoder: each word sees itself and the 2 pieces before it"),
        ([causal(5, 1)], "decoder: each word sees itself and the piece before it"),
        ([causal(5, 0)], "decoder: each word sees itself alone"),
        ([band(1, 1)], "decoder: each word sees itself and 1 piece on each side"),
        (
            [band(3, 4)],
            "decoder: each word sees itself and the 3 pieces before it and those after it",
        ),
        ([None], "decoder: each word sees all"),
        (
            [causal(5), causal(5, 2), causal(5)],
            "decoder: in L0, L2 each word sees itself and those before it; "
            "in L1 each word sees itself and the 2 pieces before it",
        ),
        (
            [causal(5, 1)] * 7 + [np.array([[1, 2], [0, 2], [0, 5], [2, 4], [4, 5]], np.int32)],
            "decoder: in 7 layers each word sees itself and the piece before it; "
            "in L7 each word sees some",
        ),
    ],
)
def test_masks_in_words(masks: list[np.ndarray | None], said: str) -> None:
    assert sight.whose(seeing(*masks).context) == said


def test_an_encoder_is_told_of_where_not_everyone_sees_all() -> None:
    assert sight.whose(seeing(None, attention="encoder").context) == ""
    local = seeing(None, band(1, 1), attention="encoder")
    assert sight.whose(local.context) == (
        "encoder: in L0 each word sees all; in L1 each word sees itself and 1 piece on each side"
    )
    assert sight.whose(local.context, [0]) == ""
    assert (
        sight.whose(local.context, [1]) == "encoder: each word sees itself and 1 piece on each side"
    )


def test_nothing_is_claimed_of_weights_whose_mask_is_not_known() -> None:
    view = seeing(None)
    record = view.inspection.layer(0)
    given = replace(record, q=None, k=None, recorded_weights=record.weights(0))
    of_decoder = replace(view.inspection, layers=(given,))
    assert sight.whose(of_decoder.view().context) == "the decoder's own attention"
    assert sight.whose(replace(of_decoder, attention="encoder").view().context) == ""


def test_what_cross_attention_is_for_is_told() -> None:
    """A row is the step in which the next word is chosen, not the one in which its own was."""
    told = "What a word of the target looks at helps to choose the word after it."
    crossed, own = translation().view(), decoder().view()
    for view, expected in ((crossed, True), (own, False)):
        for look in (head_table(view, L1H0), query_grid(view, 8)):
            assert (told in printed(look, 200)) is expected


def test_two_texts_have_names_and_one_has_none() -> None:
    crossed = translation().view("piece")
    assert (
        sight.whose(crossed.context)
        == "cross-attention: the decoder's pieces look at the encoder's"
    )
    assert [(said.name, said.text) for said in sight.texts(crossed.context)] == [
        ("keys (source)", SOURCE),
        ("queries (target)", TARGET),
    ]
    [said] = sight.texts(decoder().view().context)
    assert (said.name, said.text, said.span) == ("", TARGET, None)


def test_a_window_is_told_and_its_part_of_the_text() -> None:
    view = decoder(60, None).view(window=(13, 16))
    [said] = sight.texts(view.context)
    assert said.span is not None
    assert said.text[slice(*said.span)] == "word1 word2 word3"
    assert sight.window_told(view.context) == "tokens 13 to 15 of 60"
    assert sight.window_told(view.context, 0.634) == (
        "tokens 13 to 15 of 60; 63% of their attention lies in the window"
    )
    assert sight.window_told(decoder(60).view(window=(59, 99)).context) == "token 59 of 60"
    # in cross-attention the keys are all there, and rows are whole
    assert (
        sight.window_told(translation().view(window=(2, 5)).context, 1.0) == "tokens 2 to 4 of 14"
    )


def test_the_share_in_the_window_is_that_of_the_rows_shown() -> None:
    view = decoder(60, None).view(window=(40, 46))
    inside = view.weights(0, 0).sum(axis=-1).mean()
    said = f"tokens 40 to 45 of 60; {inside:.0%} of their attention lies in the window"
    assert said in printed(head_table(view, L0H0), 100)
    own = view.query(3).sum(axis=-1).mean()
    assert f'{own:.0%} of "word31"\'s attention lies in the window' in printed(
        query_grid(view, 3), 100
    )


# Tables


def test_masked_cells_are_blank_and_exact_zeros_are_not() -> None:
    matrix = np.array([[1, 0, 0], [0, 1, 0], [0.5, 0, 0.5]])
    inspection = inspection_of(tokens_of(["one", "two", "six"], special=False), matrix[None, None])
    view = with_layer(inspection, 0, key_ranges=causal(3)).view()
    rows = printed(head_table(view, L0H0), 60).splitlines()[-3:]
    assert [row.split() for row in rows] == [
        ["one", "▸1.0"],
        ["two", "·", "▸1.0"],
        ["six", "▸.50", "·", ".50"],
    ]
    listed = printed(head_table(view, L0H0, 3), 60).splitlines()[-3:]
    assert [row.split() for row in listed] == [
        ["one", "▸1.0", "one"],
        ["two", "▸1.0", "two", "·", "one"],
        ["six", "▸.50", "one", ".50", "six", "·", "two"],
    ]


def test_words_that_may_not_look_are_not_named() -> None:
    view = decoder().view()
    told = printed(query_rows(view, 2, view.all_heads(), 12), 200).splitlines()[-4:]
    assert [line.split()[0::2] for line in told] == [
        ["L0H0", "didn't", "The@0", "animal"],
        ["L0H1", "The@0", "animal", "didn't"],
        ["L1H0", "didn't", "The@0", "animal"],
        ["L1H1", "The@0", "animal", "didn't"],
    ]
    assert '"The@0" may not look at "it".' in printed(pair_grid(view, 0, 7, view.all_heads()), 60)


def test_the_sink_is_told_on_average_and_for_each_query() -> None:
    view = decoder(sink=0.25).view()
    place = "the model's sink, a place that is none of the keys"
    assert f"25% of the attention goes to {place}." in printed(head_table(view, L1H0), 200)
    assert f"25% of the attention goes to {place}." in printed(head_table(view, L1H0, 2), 200)
    asked = f'"it" gives 25% of its attention to {place} (mean over all heads).'
    assert asked in printed(query_grid(view, 7), 200)
    assert "sink" not in printed(query_grid(decoder().view(), 7), 200)


def test_the_sink_beside_special_tokens() -> None:
    tokens, weights = tokens_of(["a", "b"]), np.full((1, 1, 4, 4), 0.2)
    weights[..., 0] = 0.1
    view = inspection_of(tokens, weights).view()  # [SEP] 20%, [CLS] 10%, the sink 30%
    place = "the model's sink, a place that is none of the keys"
    assert (
        f'"a" gives 30% of its attention to special tokens and 30% to {place} (mean over all '
        "heads); --no-special leaves special tokens out."
    ) in printed(query_grid(view, 1), 200)
    without = inspection_of(tokens, weights).view(special=False)
    told = printed(head_table(without, L0H0), 200)
    assert "the rest sums to 1 with the sink's part." in told
    # of what is left, 0.7, the sink has 0.3
    assert f"43% of what is shown goes to {place}." in told


def test_neighbours_are_no_neighbours_in_another_text() -> None:
    """Where two texts meet, the same index is no nearness: all words are warm."""
    console = Console(file=io.StringIO(), width=100, color_system="truecolor", no_color=False)
    view = between(4, 4, [0, 1, 2, 3]).view()
    for look in (head_table(view, L1H0), query_grid(view, 1), pair_grid(view, 1, 1, [L1H0])):
        filled = {
            segment.style.bgcolor.name
            for segment in console.render(look)
            if segment.style is not None and segment.style.bgcolor is not None
        }
        assert filled
        assert filled <= set(RAMPS["warm"])


def test_find_leaves_blank_where_the_query_may_not_look() -> None:
    view = decoder().view()
    query, key = (Phrase((view.tokens[index],)) for index in (7, 2))
    lines = printed(find_table(find(view, query, key), 4), 80).splitlines()
    rows = {line[:4]: line.split()[1:] for line in lines if line[:1] == "L" and line[4] == " "}
    assert rows["L0H0"][2:5] == ["4", "of", "8"]
    assert rows["L1H0"][:2] == rows["L1H1"][:2] == ["–", "–"]
    assert "blank: may not look there" in lines


def test_many_sentences_say_whose_attention_it_is() -> None:
    view = translation().view()
    found = find(view, Phrase((view.tokens[8],)), Phrase((view.keys[2],)))
    said = printed(find_table(holding([found, found]), 4), 100)
    assert "cross-attention: the decoder's words look at the encoder's" in said


def test_layers_that_were_not_recorded_are_left_out() -> None:
    whole = decoder()
    half = replace(whole, layers=(None, whole.layer(1))).view()
    for look in (everything(half), query_grid(half, 7), key_grid(half, 2)):
        lines = printed(look, 80).splitlines()
        assert any(line.startswith("L1") for line in lines)
        assert not any(line.startswith("L0") for line in lines)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name in CASES:
        (GOLDEN / f"{name}.txt").write_text(golden(name), encoding="utf-8")
