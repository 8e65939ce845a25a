"""Attention weights on demand: by hand, and the same whichever way they are asked for."""

import re
import tracemalloc
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from blocks import parts_of, stacks_of, weights_of
from handmade import merged, part, records, with_layer
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.attention.layer import LayerRecord
from attnviz.errors import AttnvizError
from attnviz.inspection import (
    HeadId,
    Inspection,
    ModelFacts,
    View,
)
from attnviz.inspection import view as module
from attnviz.text.tokens import Tokens, Unit

LAYERS, HEADS, D_K, D_MODEL, LENGTH = 3, 5, 7, 35, 11

FACTS = ModelFacts("m", "bert", LAYERS, HEADS, D_MODEL, D_K, 13, trained=True)

VIEWS: list[tuple[Unit, bool]] = [
    ("word", True),
    ("word", False),
    ("piece", True),
    ("piece", False),
]


def made_tokens() -> Tokens:
    """[CLS] didn't (3 pieces) go there (2) . [SEP] up [SEP]: 11 pieces, 8 words."""
    spans = [None, (0, 4), (4, 5), (5, 6), (7, 9), (10, 13), (13, 15), (15, 16), None, (0, 2), None]
    pieces = ("[CLS]", "didn", "'", "t", "go", "the", "##re", ".", "[SEP]", "up", "[SEP]")
    segments = (0,) * 9 + (1,) * 2
    return Tokens(
        "didn't go there.", "up", tuple(range(11)), pieces, tuple(spans), segments, segments
    )


def made(seed: int = 0, bias: np.ndarray | None = None, tokens: Tokens | None = None) -> Inspection:
    rng = np.random.default_rng(seed)
    tokens = tokens or made_tokens()

    def numbers(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    n = len(tokens)
    layers = tuple(
        LayerRecord(
            x=numbers(n, D_MODEL),
            q=numbers(HEADS, n, D_K),
            k=numbers(HEADS, n, D_K),
            v=numbers(HEADS, n, D_K),
            scale=0.7,
            bias=bias,
        )
        for _ in range(LAYERS)
    )
    return Inspection(tokens, FACTS, layers)


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores.astype(np.float64))
    shares: np.ndarray = exponentials / exponentials.sum(-1, keepdims=True)
    return shares


def test_weights_by_hand() -> None:
    q = np.array([[1, 0], [0, 2]], np.float32)
    k = np.array([[np.log(4), 0], [np.log(1), 0], [0, np.log(3)]], np.float32)
    # scores: (ln 4, 0, 0) and (0, 0, 2 ln 3), so that the exponentials are whole numbers
    expected = np.array([[4 / 6, 1 / 6, 1 / 6], [1 / 11, 1 / 11, 9 / 11]])
    record = LayerRecord(q=q[None], k=k[None])
    np.testing.assert_allclose(record.weights(0), expected[None], rtol=1e-6)
    halved = np.array([[2 / 4, 1 / 4, 1 / 4], [1 / 5, 1 / 5, 3 / 5]])
    record = replace(record, scale=0.5)
    np.testing.assert_allclose(record.weights(0), halved[None], rtol=1e-6)
    bias = np.array([[0, np.log(2), -np.inf], [0, 0, 0]], np.float32)
    biased = np.array([[1 / 2, 1 / 2, 0], [1 / 5, 1 / 5, 3 / 5]])
    record = replace(record, bias=bias[None])
    np.testing.assert_allclose(record.weights(0), biased[None], rtol=1e-6)


def test_more_keys_than_queries() -> None:
    rng = np.random.default_rng(0)
    q, k = rng.standard_normal((2, 3, 7)), rng.standard_normal((2, 5, 7))
    weights = LayerRecord(q=q, k=k, scale=0.3).weights(0)
    assert weights.shape == (2, 3, 5)
    np.testing.assert_allclose(weights, softmax(0.3 * np.einsum("hqd,hkd->hqk", q, k)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), queries=st.integers(1, 9), keys=st.integers(1, 9))
def test_weights_of_any_vectors(seed: int, queries: int, keys: int) -> None:
    rng = np.random.default_rng(seed)
    q = rng.normal(0, 30, (2, queries, 5)).astype(np.float32)
    k = rng.normal(0, 30, (2, keys, 5)).astype(np.float32)
    bias = np.where(rng.random((2, queries, keys)) < 0.4, -np.inf, 0).astype(np.float32)
    bias[..., rng.integers(keys)] = 0
    given_q, given_k = q.copy(), k.copy()
    record = LayerRecord(q=q, k=k, scale=0.4, bias=bias)
    weights = record.weights(0)
    assert weights.dtype == np.float32
    assert ((weights >= 0) & (weights <= 1)).all()
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-6)
    assert (weights[bias == -np.inf] == 0).all()
    order = rng.permutation(keys)
    permuted = replace(record, k=k[:, order], bias=bias[..., order]).weights(0)
    np.testing.assert_allclose(permuted, weights[..., order], atol=1e-6)
    one = record.weights(0, [1], slice(queries - 1, queries))
    np.testing.assert_allclose(one, weights[1:, -1:], atol=1e-6)
    assert (q == given_q).all()
    assert (k == given_k).all()


@pytest.mark.parametrize("bias_heads", [0, 1, HEADS])
def test_an_inspections_weights_are_the_formulas(bias_heads: int) -> None:
    rng = np.random.default_rng(5)
    shape = (bias_heads, LENGTH, LENGTH)
    bias = rng.standard_normal(shape).astype(np.float32) if bias_heads else None
    inspection = made(1, bias)
    for layer, record in enumerate(records(inspection.layers)):
        q, k = (part(record, name).astype(np.float64) for name in "qk")
        scores = 0.7 * np.einsum("hqd,hkd->hqk", q, k)
        expected = softmax(scores if bias is None else scores + bias)
        pieces = inspection.weights(layer, unit="piece")
        np.testing.assert_allclose(pieces, expected, atol=1e-6)
        words = merged(expected, inspection.tokens.word_starts)
        np.testing.assert_allclose(inspection.weights(layer), words, atol=1e-6)


@pytest.mark.parametrize(("unit", "special"), VIEWS)
@pytest.mark.parametrize("bias_heads", [0, 1, HEADS])
def test_every_way_to_ask_gives_the_same(unit: Unit, special: bool, bias_heads: int) -> None:
    rng = np.random.default_rng(6)
    shape = (bias_heads, LENGTH, LENGTH)
    view = made(2, rng.random(shape, np.float32) if bias_heads else None).view(unit, special)
    n = {"word": 8, "piece": 11}[unit] - (0 if special else 3)
    assert len(view.tokens) == n
    everything = np.stack([view.weights(layer) for layer in range(LAYERS)])
    assert everything.shape == (LAYERS, HEADS, n, n)
    np.testing.assert_allclose(everything.sum(-1), 1, atol=1e-6)
    for place in view.all_heads():
        np.testing.assert_allclose(view.weights(*place), everything[place], atol=1e-6)
        one = view.inspection.weights(*place, unit=unit, special=special)
        np.testing.assert_array_equal(one, view.weights(*place))
        np.testing.assert_allclose(view.dropped(*place), view.dropped(place.layer)[place.head])
        rows = list(parts_of(view, place))
        assert [row for some, _ in rows for row in range(n)[some]] == list(range(n))
        joined = np.concatenate([weights for _, weights in rows])
        np.testing.assert_allclose(joined, everything[place], atol=1e-6)
    for index in range(n):
        np.testing.assert_allclose(view.query(index), everything[:, :, index], atol=1e-6)
    np.testing.assert_allclose(view.query(-1), everything[:, :, -1], atol=1e-6)
    wanted = [HeadId(2, 4), HeadId(0, 1), HeadId(0, 0), HeadId(2, 4), HeadId(1, 3)]
    given_back = list(weights_of(view, wanted))
    assert [place for place, _ in given_back] == wanted
    for place, weights in given_back:
        np.testing.assert_allclose(weights, everything[place], atol=1e-6)
    assert list(weights_of(view, [])) == []


@pytest.mark.parametrize("at_once", [1, 200, 10_000])
@pytest.mark.parametrize("special", [True, False])
def test_stacks_are_the_same_however_many_fit(
    monkeypatch: pytest.MonkeyPatch, at_once: int, special: bool
) -> None:
    monkeypatch.setattr(module, "WEIGHTS_AT_ONCE", at_once)
    view = made(3).view("word", special)
    stacks = list(stacks_of(view, view.all_heads()))
    assert [place for stack in stacks for place in stack.heads] == view.all_heads()
    assert max(len(stack.heads) for stack in stacks) == {1: 1, 200: 1, 10_000: 15}[at_once]
    for stack in stacks:
        for i, place in enumerate(stack.heads):
            np.testing.assert_allclose(stack.weights[i], view.weights(*place), atol=1e-6)
            if stack.dropped is not None:
                np.testing.assert_allclose(stack.dropped[i], view.dropped(*place), atol=1e-6)
        assert (stack.dropped is None) == special


@pytest.mark.parametrize("unit", ["word", "piece"])
def test_without_special_tokens_rows_are_renormalised_and_the_share_is_told(unit: Unit) -> None:
    inspection = made(4)
    whole, view = inspection.view(unit), inspection.view(unit, special=False)
    kept = [token.index for token in whole.tokens if not token.special]
    assert [token.label for token in view.tokens] == [whole.tokens[i].label for i in kept]
    assert [token.index for token in view.tokens] == list(range(len(kept)))
    weights = whole.weights(1, 2)
    rest = weights[np.ix_(kept, kept)]
    np.testing.assert_allclose(view.dropped(1, 2), 1 - rest.sum(-1), atol=1e-6)
    np.testing.assert_allclose(view.weights(1, 2), rest / rest.sum(-1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(whole.dropped(1, 2), np.zeros(len(whole.tokens)))


@pytest.mark.parametrize("unit", ["word", "piece"])
def test_a_row_that_went_to_special_tokens_alone_stays_zero(unit: Unit) -> None:
    bias = np.zeros((1, LENGTH, LENGTH), np.float32)
    bias[0, 4, [i for i in range(LENGTH) if i not in (0, 8, 10)]] = -np.inf
    view = made(5, bias).view(unit, special=False)
    go = next(token.index for token in view.tokens if token.text == "go")
    assert (view.weights(0, 0)[go] == 0).all()
    assert (view.query(go) == 0).all()
    np.testing.assert_allclose(view.dropped(0, 0)[go], 1, atol=1e-6)
    others = np.delete(view.weights(0), go, axis=1)
    np.testing.assert_allclose(others.sum(-1), 1, atol=1e-6)


def test_layers_and_heads_count_from_either_end() -> None:
    inspection = made()
    np.testing.assert_array_equal(inspection.weights(-1, -1), inspection.weights(2, 4))
    np.testing.assert_array_equal(inspection.weights(-3), inspection.weights(0))
    for place in [(3, 0), (-4, 0)]:
        with pytest.raises(IndexError, match=rf"no layer {place[0]}: there are 3, from 0 to 2"):
            inspection.weights(*place)
    for place in [(0, 5), (0, -6)]:
        with pytest.raises(IndexError, match=rf"no head {place[1]}: there are 5, from 0 to 4"):
            inspection.weights(*place)
    with pytest.raises(IndexError, match="no layer 3"):
        inspection.weights(3)
    with pytest.raises(IndexError, match="no token 8: there are 8, from 0 to 7"):
        inspection.view().query(8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((LENGTH, 34), np.float32)}, r"x has shape \(11, 34\).* need \(11, 35\)"),
        ({"x": np.zeros((10, D_MODEL), np.float32)}, r"x has shape \(10, 35\), and 11 tokens"),
        ({"q": np.zeros((HEADS, 10, D_K), np.float32)}, r"q has shape \(5, 10, 7\)"),
        ({"k": np.zeros((HEADS, 10, D_K), np.float32)}, r"k has shape \(5, 10, 7\)"),
        ({"k": np.zeros((HEADS, LENGTH, 8), np.float32)}, r"k has shape \(5, 11, 8\)"),
        ({"k": np.zeros((4, LENGTH, D_K), np.float32)}, "5 heads cannot share 4 keys and values"),
        ({"v": np.zeros((HEADS, 12, D_K), np.float32)}, r"v has shape \(5, 12, 7\)"),
        ({"v": np.zeros((1, LENGTH, D_K), np.float32)}, r"v has shape \(1, 11, 7\)"),
        ({"q": np.zeros((HEADS, LENGTH, D_K), np.int64)}, "q holds int64 numbers"),
        ({"k": np.zeros((HEADS, LENGTH, D_K))}, "k holds float64 numbers, and float32 is expected"),
        ({"v": np.zeros((HEADS, LENGTH, D_K), np.float16)}, "v holds float16 numbers"),
        ({"scale": np.nan}, "the scale is nan"),
        ({"scale": np.inf}, "the scale is inf"),
        ({"bias": np.zeros((2, LENGTH, LENGTH), np.float32)}, r"bias has shape \(2, 11, 11\)"),
        ({"bias": np.zeros((LENGTH, LENGTH), np.float32)}, r"bias has shape \(11, 11\)"),
        ({"bias": np.zeros((1, LENGTH, LENGTH), bool)}, "bias holds bool numbers"),
        ({"bias": np.full((1, LENGTH, LENGTH), -np.inf, np.float32)}, "a query without any key"),
        ({"bias": np.full((1, LENGTH, LENGTH), np.inf, np.float32)}, "a query without any key"),
        ({"bias": np.full((1, LENGTH, LENGTH), np.nan, np.float32)}, "a query without any key"),
    ],
)
def test_records_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    good = made()
    with pytest.raises(AttnvizError, match=f"layer 1: .*{message}"):
        with_layer(good, 1, **change)


@pytest.mark.parametrize("name", ["x", "q", "k", "v"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused(name: str, number: float) -> None:
    good = made()
    damaged = part(good.layer(2), name).copy()
    damaged[..., -1] = number
    with pytest.raises(AttnvizError, match=f"layer 2: {name} holds numbers that are not finite"):
        with_layer(good, 2, **{name: damaged})


def test_as_many_layers_as_the_model_has_and_something_to_look_at() -> None:
    good = made()
    with pytest.raises(AttnvizError, match="the model has 3 layers, 2 were recorded"):
        replace(good, layers=good.layers[:2])
    nothing = Tokens("", None, (), (), (), (), ())
    with pytest.raises(AttnvizError, match="nothing to look at"):
        replace(good, tokens=nothing)
    with pytest.raises(AttnvizError, match="nothing to look at"):
        Inspection(good.tokens, replace(FACTS, num_layers=0), ())


def test_scores_that_overflow_are_told_and_not_warned_about() -> None:
    good = made()
    huge = np.full((HEADS, LENGTH, D_K), 1e14, np.float32)
    inspection = with_layer(good, 0, q=huge, k=huge, scale=1e14)
    with pytest.raises(AttnvizError, match="layer 0: a row of attention weights does not sum to 1"):
        inspection.weights(0, 0)
    with pytest.raises(AttnvizError, match=r"layer 0: q holds numbers that are not up to 1e\+15"):
        with_layer(good, 0, q=huge * 100)


def test_frozen() -> None:
    inspection = made()
    for thing, field in [
        (inspection, "tokens"),
        (inspection.layer(0), "q"),
        (inspection.model, "name"),
        (inspection.view(), "unit"),
        (inspection.tokens, "text"),
        (inspection.tokens.words[0], "index"),
    ]:
        with pytest.raises(FrozenInstanceError):
            setattr(thing, field, None)


def test_what_is_handed_out_is_not_what_is_kept() -> None:
    inspection = made()
    before = inspection.weights(0, 0).copy()
    inspection.weights(0, 0)[:] = 0
    inspection.weights(0, unit="piece")[:] = 0
    np.testing.assert_array_equal(inspection.weights(0, 0), before)


def long_inspection() -> Inspection:
    n = 512
    spans = tuple((i, i + 1) for i in range(n))
    zeros = (0,) * n
    tokens = Tokens("我" * n, None, zeros, ("我",) * n, spans, zeros, zeros)
    return made(tokens=tokens)


def peak_of(view: View, what: str) -> int:
    """Bytes that computing takes at its highest, beyond what was there before."""
    tracemalloc.start()
    try:
        if what == "one":
            view.weights(0, 0)
        else:
            for _, weights in weights_of(view, view.all_heads()):
                assert weights.shape == (512, 512)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("unit", ["word", "piece"])
def test_a_long_text_takes_the_memory_of_a_few_heads(unit: Unit, special: bool) -> None:
    matrix = 512 * 512 * 4
    inspection = long_inspection()
    view = inspection.view(unit, special)
    assert len(view.tokens) == 512
    assert peak_of(view, "one") < 6 * matrix
    # four heads at a time in some six copies each; fifteen together would take ninety
    assert peak_of(view, "all") < 32 * matrix


def test_names() -> None:
    assert str(HeadId(3, 1)) == "L3H1"
    assert re.findall(r"\w+", str(FACTS))[:9] == [
        "m",
        "3",
        "layers",
        "5",
        "heads",
        "d_model",
        "35",
        "d_k",
        "7",
    ]
    untrained = replace(FACTS, trained=False, seed=4)
    assert "UNTRAINED (seed 4)" in str(untrained)
    assert (FACTS.title, untrained.title) == ("m", "m (UNTRAINED)")
