"""Views: rows in parts, keys of another text, windows, and layers that were not recorded."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from blocks import parts_of, stacks_of, weights_of
from handmade import inspection_of, merged, random_inspection, tokens_of
from rounding import assert_numbers
from test_inspection import LAYERS, LENGTH, VIEWS, made, made_tokens

from attnviz.answers.links import strongest_link
from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts, View
from attnviz.inspection import view as module
from attnviz.inspection.frame import merge_keys, merge_queries
from attnviz.text.tokens import Tokens, Unit

HEADS = 5


def normed() -> Inspection:
    """Three layers of five heads over words of up to three pieces, with the lengths of values."""
    inspection = made(8)
    rng = np.random.default_rng(8)
    layers = tuple(
        replace(
            inspection.layer(number),
            value_norms=rng.uniform(0.5, 4, (HEADS, LENGTH)).astype(np.float32),
        )
        for number in range(LAYERS)
    )
    return replace(inspection, layers=layers)


def everything(view: View) -> dict[str, Any]:
    """All that a view gives, by each of its ways."""
    heads = view.all_heads()
    backwards = heads[::-1]
    shares = [share for stack in stacks_of(view, heads) if (share := stack.dropped) is not None]
    return {
        "weights": [view.weights(layer) for layer in range(LAYERS)],
        "dropped": [view.dropped(layer) for layer in range(LAYERS)],
        "one": [view.weights(head.layer, head.head) for head in heads],
        "stacked": [weights for _, weights in weights_of(view, heads)],
        "stacked backwards": [weights for _, weights in weights_of(view, backwards)],
        "shares": np.concatenate([np.zeros((0, len(view.tokens))), *shares]),
        "parts": [np.concatenate([rows for _, rows in parts_of(view, head)]) for head in heads],
        "query": [view.query(index) for index in range(len(view.tokens))],
    }


# Rows in parts


@pytest.mark.parametrize("window", [None, (1, 6)])
@pytest.mark.parametrize(("unit", "special"), VIEWS)
@pytest.mark.parametrize("measure", MEASURES)
def test_few_rows_at_a_time_give_the_same_numbers(
    monkeypatch: pytest.MonkeyPatch,
    measure: MeasureName,
    unit: Unit,
    special: bool,
    window: tuple[int, int] | None,
) -> None:
    whole = everything(normed().view(unit, special, measure, window))
    for at_once in (1, 40, 200):
        monkeypatch.setattr(module, "WEIGHTS_AT_ONCE", at_once)
        view = normed().view(unit, special, measure, window)
        found = everything(view)
        for what, expected in whole.items():
            np.testing.assert_allclose(found[what], expected, 1e-5, 1e-6, err_msg=what)
    heads = view.all_heads()
    for head, forwards, one in zip(heads, whole["stacked"], whole["one"], strict=True):
        np.testing.assert_allclose(forwards, one, rtol=1e-5, atol=1e-6)
        again = whole["stacked backwards"][-1 - heads.index(head)]
        np.testing.assert_allclose(again, one, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("special", [True, False])
def test_a_part_has_few_pieces_or_one_word(monkeypatch: pytest.MonkeyPatch, special: bool) -> None:
    """Five words of 1, 3, 1, 2, 1 pieces, and then a special token and one more word."""
    monkeypatch.setattr(module, "WEIGHTS_AT_ONCE", 4 * LENGTH)
    asked = []
    compute = LayerRecord.weights

    def watched(*given: Any) -> np.ndarray:
        asked.append(given[3])
        return compute(*given)

    monkeypatch.setattr(LayerRecord, "weights", watched)
    view = made().view("word", special)
    parts = [rows for rows, _ in parts_of(view, HeadId(1, 3))]
    spans = [(pieces.start, pieces.stop) for pieces in asked]
    if special:
        # [CLS] didn't | go there . | [SEP] up [SEP]
        assert parts == [slice(0, 2), slice(2, 5), slice(5, 8)]
        assert spans == [(0, 4), (4, 8), (8, 11)]
    else:
        # didn't go | there . | up: the [SEP] between is computed along
        assert parts == [slice(0, 2), slice(2, 4), slice(4, 5)]
        assert spans == [(1, 5), (5, 8), (9, 10)]


# Keys of another text


def crossed(rows: Tokens, keys: Tokens, seed: int = 3) -> Inspection:
    """Two layers of three heads, with which a text of rows looks at a text of keys."""
    rng = np.random.default_rng(seed)
    facts = ModelFacts("m", "hand", 2, 3, 12, 4, 5, trained=True)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    layers = tuple(
        LayerRecord(
            q=drawn(3, len(rows), 4),
            k=drawn(3, len(keys), 4),
            value_norms=abs(drawn(3, len(keys))),
        )
        for _ in range(2)
    )
    return Inspection(rows, facts, layers, keys, "cross")


ROWS = tokens_of(["Es", "regnet", "nicht"])


@pytest.mark.parametrize("measure", ["weights", "norm"])
@pytest.mark.parametrize(("unit", "special"), VIEWS)
@pytest.mark.parametrize("at_once", [1, 50, 1 << 20])
def test_rows_and_columns_of_their_own(
    monkeypatch: pytest.MonkeyPatch, unit: Unit, special: bool, measure: MeasureName, at_once: int
) -> None:
    monkeypatch.setattr(module, "WEIGHTS_AT_ONCE", at_once)
    inspection = crossed(ROWS, made_tokens())
    view = inspection.view(unit, special, measure)
    assert view.context.is_cross_attention
    assert inspection.key_tokens is inspection.keys
    assert [token.label for token in view.tokens] == (
        ["[CLS]", "Es", "regnet", "nicht", "[SEP]"] if special else ["Es", "regnet", "nicht"]
    )
    words = ["[CLS]", "didn't", "go", "there", ".", "[SEP]", "up", "[SEP]"]
    pieces = ["[CLS]", "didn", "'", "t", "go", "the", "##re", ".", "[SEP]", "up", "[SEP]"]
    labels = {"word": words, "piece": pieces}[unit]
    plain = [i for i, label in enumerate(labels) if label[0] != "["]
    kept = range(len(labels)) if special else plain
    assert [token.label for token in view.keys] == [labels[i] for i in kept]
    for tokens in (view.tokens, view.keys):
        assert [token.index for token in tokens] == list(range(len(tokens)))
    for layer in range(2):
        record = inspection.layer(layer)
        assert record.value_norms is not None
        numbers = record.weights(layer)
        if measure == "norm":
            numbers = numbers * record.value_norms[:, None]
        if unit == "word":
            numbers = merge_keys(numbers, made_tokens().word_starts)
        dropped = np.zeros((3, len(view.tokens)))
        if not special:
            numbers = numbers[:, 1:-1]
            total, numbers = numbers.sum(axis=-1), numbers[..., plain]
            dropped = 1 - numbers.sum(axis=-1) / total
            if measure == "weights":
                numbers = numbers / numbers.sum(axis=-1, keepdims=True)
        assert numbers.shape == (3, len(view.tokens), len(view.keys))
        np.testing.assert_allclose(view.weights(layer), numbers, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(view.dropped(layer), dropped, atol=1e-6)
        for head in range(3):
            np.testing.assert_allclose(view.weights(layer, head), numbers[head], 1e-5, 1e-6)
            parts = [rows for _, rows in parts_of(view, HeadId(layer, head))]
            np.testing.assert_allclose(np.concatenate(parts), numbers[head], 1e-5, 1e-6)
        for index in range(len(view.tokens)):
            np.testing.assert_allclose(view.query(index)[layer], numbers[:, index], 1e-5, 1e-6)
    stacked = [weights for _, weights in weights_of(view, view.all_heads())]
    whole = np.concatenate([view.weights(layer) for layer in range(2)])
    np.testing.assert_allclose(stacked, whole, rtol=1e-5, atol=1e-6)


def test_rows_of_several_pieces_look_at_another_text() -> None:
    inspection = crossed(made_tokens(), ROWS)
    view = inspection.view()
    rows = merge_queries(inspection.layer(1).weights(1), made_tokens().word_starts)
    assert rows.shape == (3, 8, 5)
    np.testing.assert_allclose(view.weights(1), rows, atol=1e-6)
    np.testing.assert_allclose(view.weights(1).sum(axis=-1), 1, atol=1e-6)


def test_a_text_that_looks_at_itself_has_its_own_keys() -> None:
    view = made().view(special=False)
    assert not view.context.is_cross_attention
    assert view.keys is view.tokens


@pytest.mark.parametrize("measure", ["rollout", "flow"])
def test_measures_that_mix_heads_are_refused_across_texts(measure: MeasureName) -> None:
    for rows in (ROWS, made_tokens()):
        with pytest.raises(RequestError, match=f"{measure} follows .* joins two"):
            crossed(rows, made_tokens()).view(measure=measure)


# A window


@pytest.mark.parametrize(("unit", "special"), VIEWS)
def test_a_window_shows_what_the_whole_view_does(unit: Unit, special: bool) -> None:
    inspection = made(5)
    whole, view = inspection.view(unit, special), inspection.view(unit, special, window=(1, 6))
    every = inspection.tokens.unit(unit)[1:6]
    labels = [token.label for token in every if special or not token.special]
    assert [token.label for token in view.tokens] == labels
    assert view.keys is view.tokens
    assert [token.index for token in view.tokens] == list(range(len(labels)))
    # all specials but [CLS] stand behind the others
    first = 1 if special else 0
    part = slice(first, first + len(labels))
    np.testing.assert_allclose(view.weights(2), whole.weights(2)[:, part, part], atol=1e-6)
    np.testing.assert_allclose(view.dropped(2), whole.dropped(2)[:, part], atol=1e-6)
    for index in range(len(labels)):
        here = whole.query(first + index)[..., part]
        np.testing.assert_allclose(view.query(index), here, atol=1e-6)
        assert (view.query(index).sum(axis=-1) < 1).all()
    with pytest.raises(IndexError, match="no token"):
        view.query(len(labels))


def test_a_window_by_hand() -> None:
    """[CLS] a b c [SEP]: b gives [CLS] 0.1, a 0.2, itself 0.4, c 0.2 and [SEP] 0.1."""
    weights = np.full((1, 1, 5, 5), 0.2)
    weights[0, 0, 2] = [0.1, 0.2, 0.4, 0.2, 0.1]
    inspection = inspection_of(tokens_of(["a", "b", "c"]), weights)
    np.testing.assert_allclose(
        inspection.view(window=(2, 9)).weights(0, 0),
        [[0.4, 0.2, 0.1], [0.2, 0.2, 0.2], [0.2, 0.2, 0.2]],
        rtol=1e-6,
    )
    # of the 0.8 and 0.6 that words get
    plain = inspection.view(special=False, window=(2, 9))
    np.testing.assert_allclose(plain.weights(0, 0), [[1 / 2, 1 / 4], [1 / 3, 1 / 3]], rtol=1e-6)
    np.testing.assert_allclose(plain.dropped(0, 0), [0.2, 0.4], rtol=1e-6)


def test_a_window_is_about_the_text_that_looks() -> None:
    inspection = crossed(ROWS, made_tokens())
    view = inspection.view(window=(1, 3))
    assert [token.label for token in view.tokens] == ["Es", "regnet"]
    assert len(view.keys) == 8
    np.testing.assert_allclose(view.weights(0), inspection.view().weights(0)[:, 1:3], atol=1e-6)


@pytest.mark.parametrize("window", [(8, 9), (-1, 3), (3, 3), (4, 2), (100, 200)])
def test_windows_without_a_token(window: tuple[int, int]) -> None:
    first, end = window
    with pytest.raises(RequestError, match=f"window {first}:{end} .*: there are 8, from 0 to 7"):
        made().view(window=window)


def test_nothing_is_left_without_special_tokens() -> None:
    special = tokens_of([])
    asks: list[Callable[[], View]] = [
        lambda: made().view(special=False, window=(0, 1)),
        lambda: random_inspection(special, 1, 1, seed=0).view(special=False),
        lambda: crossed(special, ROWS).view(special=False),
        lambda: crossed(ROWS, special).view(special=False),
    ]
    for ask in asks:
        with pytest.raises(RequestError, match="nothing is left to show"):
            ask()
    assert made().view(window=(0, 1)).weights(0, 0).shape == (1, 1)


# Sinks, and weights that are given


def test_sinks_by_hand() -> None:
    """[CLS] a [SEP], where a half of each row goes beside: 1/8, 1/8 and 1/4 of it to each."""
    tokens = tokens_of(["a"])
    facts = ModelFacts("m", "hand", 1, 1, 1, 1, 1, trained=True)
    k = np.log(np.array([[[1], [1], [2]]], np.float32))
    sinks = np.array([np.log(4)], np.float32)
    record = LayerRecord(q=np.ones((1, 3, 1), np.float32), k=k, sinks=sinks)
    inspection = Inspection(tokens, facts, (record,))
    assert inspection.sinks
    np.testing.assert_allclose(inspection.view().weights(0, 0), [[1 / 8, 1 / 8, 1 / 4]] * 3, 1e-6)
    np.testing.assert_allclose(inspection.view().sink(0, 0), [1 / 2] * 3, rtol=1e-6)
    # special tokens took 3/8, so that of the rest "a" has 1/5 and the sink 4/5
    plain = inspection.view(special=False)
    np.testing.assert_allclose(plain.weights(0, 0), [[1 / 5]], rtol=1e-6)
    np.testing.assert_allclose(plain.dropped(0, 0), [3 / 8], rtol=1e-6)
    np.testing.assert_allclose(plain.sink(0, 0), [4 / 5], rtol=1e-6)
    assert not made().sinks


@pytest.mark.parametrize(("unit", "special"), VIEWS)
def test_given_weights_are_shown_as_computed_ones(unit: Unit, special: bool) -> None:
    computed = made(7)
    layers = tuple(
        LayerRecord(recorded_weights=computed.layer(number).weights(number))
        for number in range(LAYERS)
    )
    given = replace(computed, layers=layers)
    one, other = everything(computed.view(unit, special)), everything(given.view(unit, special))
    for what, expected in one.items():
        np.testing.assert_allclose(other[what], expected, atol=1e-6, err_msg=what)


# Layers that were not recorded


@pytest.fixture
def partly() -> Inspection:
    """The second of three layers alone."""
    full = normed()
    return replace(full, layers=(None, full.layers[1], None))


def test_a_layer_that_was_not_recorded(partly: Inspection) -> None:
    assert partly.recorded == [1]
    assert partly.layer(1) is partly.layer(-2)
    assert partly.nbytes == partly.layer(1).nbytes
    for number, named in ((0, 0), (2, 2), (-1, 2), (-3, 0)):
        with pytest.raises(RequestError, match=f"layer {named} was not recorded, only 1") as caught:
            partly.layer(number)
        assert caught.value.hint == "run the text again, with that layer or without --layer"
        with pytest.raises(RequestError, match=f"layer {named} was not recorded"):
            partly.view().weights(number, 0)
    two = replace(partly, layers=(partly.layer(1), None, partly.layer(1)))
    with pytest.raises(RequestError, match="layer 1 was not recorded, only 0, 2"):
        two.weights(1)


@pytest.mark.parametrize("measure", ["weights", "norm"])
def test_what_was_recorded_is_shown(partly: Inspection, measure: MeasureName) -> None:
    full, view = normed().view(measure=measure), partly.view(measure=measure)
    assert view.all_heads() == [HeadId(1, head) for head in range(HEADS)]
    assert_numbers(view.weights(1), full.weights(1))
    rows = view.query(3)
    assert rows.shape == full.query(3).shape
    assert_numbers(rows[1], full.query(3)[1])
    assert np.isnan(rows[[0, 2]]).all()
    link = strongest_link(view, 3)
    assert link.head.layer == 1
    assert link.link.weight == pytest.approx(
        view.weights(*link.head)[3, link.link.key.index], rel=1e-6
    )


@pytest.mark.parametrize("measure", ["rollout", "flow"])
def test_what_follows_all_layers_needs_them(partly: Inspection, measure: MeasureName) -> None:
    with pytest.raises(RequestError, match="layer 0 was not recorded"):
        partly.view(measure=measure).weights(1)


def test_words_of_the_merge_are_means_of_sums() -> None:
    """The helper that other tests lean on, by hand."""
    pieces = np.array([[0.1, 0.2, 0.7], [0.3, 0.3, 0.4], [0.5, 0.1, 0.4]])
    np.testing.assert_allclose(merged(pieces, (0, 1)), [[0.1, 0.9], [0.4, 0.6]])
