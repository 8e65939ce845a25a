"""All that a layer's scores may have, by hand and against dense masks."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import part
from hypothesis import given, settings
from hypothesis import strategies as st

from attnviz.attention.layer import LayerRecord
from attnviz.errors import AttnvizError

H, N, M, D = 6, 7, 11, 5
BLOCKS = [slice(None), slice(0, 1), slice(2, 5), slice(6, 7), slice(-3, None)]


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def plain(**changes: Any) -> LayerRecord:
    """Six heads of seven queries and eleven keys."""
    return LayerRecord(q=drawn(H, N, D), k=drawn(H, M, D), scale=0.4, **changes)


def softmaxed(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def scores_of(record: LayerRecord) -> np.ndarray:
    """Scaled products, (head, query, key), in float64."""
    q, k = (part(record, name).astype(np.float64) for name in "qk")
    made: np.ndarray = record.scale * np.einsum("hqd,hkd->hqk", q, k)
    return made


def hold(record: LayerRecord, expected: np.ndarray) -> None:
    """Hold the weights to these, however few heads and queries are asked for."""
    np.testing.assert_allclose(record.weights(0), expected, rtol=0, atol=1e-6)
    for block in BLOCKS:
        for heads in ([3], [-1, 0], [5, 4, 3, 2, 1, 0], [2, 2, 2, 2, 2, 2]):
            some = record.weights(0, heads, block)
            assert some.dtype == np.float32
            np.testing.assert_allclose(some, expected[heads][:, block], rtol=0, atol=1e-6)


# What is done to scores


def test_heads_come_in_the_order_asked_for() -> None:
    hold(plain(), softmaxed(scores_of(plain())))


def test_soft_cap_by_hand() -> None:
    q, k = np.ones((1, 1, 1), np.float32), np.array([[[0], [2 * math.atanh(0.5)]]], np.float32)
    # scores 0 and 2 atanh(1/2), capped at 2: 2 tanh(0) = 0 and 2 tanh(atanh(1/2)) = 1
    record = LayerRecord(q=q, k=k, softcap=2.0)
    low = 1 / (1 + math.e)
    np.testing.assert_allclose(record.weights(0), [[[low, 1 - low]]], rtol=1e-6)


def test_the_soft_cap_comes_before_the_bias() -> None:
    bias = drawn(H, N, M, seed=1)
    record = plain(softcap=1.5, bias=bias)
    hold(record, softmaxed(1.5 * np.tanh(scores_of(record) / 1.5) + bias))


def test_sinks_by_hand() -> None:
    q, k = np.ones((2, 1, 1), np.float32), np.array([[[0], [math.log(3)]]] * 2, np.float32)
    sinks = np.array([math.log(4), math.log(12)], np.float32)
    record = LayerRecord(q=q, k=k, sinks=sinks)
    # e to the scores: 1 and 3, and beside them 4 in head 0, 12 in head 1
    np.testing.assert_allclose(record.weights(0)[:, 0], [[1 / 8, 3 / 8], [1 / 16, 3 / 16]], 1e-6)
    np.testing.assert_allclose(record.weights(0).sum(axis=-1), [[1 / 2], [1 / 4]], rtol=1e-6)
    np.testing.assert_allclose(record.weights(0, [1])[0, 0], [1 / 16, 3 / 16], rtol=1e-6)


def test_sinks_far_above_and_below_all_scores() -> None:
    record = plain(sinks=np.array([200, -200, 0, 200, -200, 0], np.float32))
    scores = scores_of(record)
    with_sinks = np.concatenate(
        [scores, np.full((H, N, 1), part(record, "sinks")[:, None, None])], -1
    )
    hold(record, softmaxed(with_sinks)[..., :-1])
    assert record.weights(0, [0]).max() < 1e-30
    np.testing.assert_allclose(record.weights(0, [1]).sum(axis=-1), 1, atol=1e-6)


@pytest.mark.parametrize("heads", [1, H])
@pytest.mark.parametrize("size", [(N, M), (7, 7), (M, N)])
def test_a_bias_by_distance_is_the_dense_one(heads: int, size: tuple[int, int]) -> None:
    n, m = size
    offsets = drawn(heads, n + m - 1)
    dense = np.stack(
        [[[row[j - i + n - 1] for j in range(m)] for i in range(n)] for row in offsets]
    )
    record = LayerRecord(q=drawn(H, n, D), k=drawn(H, m, D), scale=0.4, distance_bias=offsets)
    hold(record, softmaxed(scores_of(record) + dense))
    both = replace(record, bias=dense)
    np.testing.assert_allclose(both.weights(0), softmaxed(scores_of(record) + 2 * dense), atol=1e-6)


def intervals(kind: str) -> np.ndarray:
    """The first key that each of N queries may look at, and the end of them."""
    i = np.arange(N)
    return {
        "causal": np.stack([0 * i, i + 1], axis=-1),
        "causal, with keys of an earlier part": np.stack([0 * i, i + 1 + M - N], axis=-1),
        "sliding, looking back": np.stack([np.maximum(i - 2, 0), i + 1], axis=-1),
        "sliding, both ways": np.stack([np.maximum(i - 2, 0), np.minimum(i + 3, M)], axis=-1),
        "padded": np.stack([0 * i, 0 * i + 4], axis=-1),
        "one key each": np.stack([i + 2, i + 3], axis=-1),
    }[kind].astype(np.int32)


KINDS = [
    *("causal", "causal, with keys of an earlier part", "sliding, looking back"),
    *("sliding, both ways", "padded", "one key each"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_visible_keys_are_those_of_a_dense_mask(kind: str) -> None:
    visible = intervals(kind)
    keys = np.arange(M)
    seen = (keys >= visible[:, :1]) & (keys < visible[:, 1:])
    mask = np.where(seen, 0, -np.inf).astype(np.float32)[None]
    record = plain(key_ranges=visible)
    expected = softmaxed(scores_of(record) + mask)
    hold(record, expected)
    hold(plain(bias=mask), expected)
    assert (record.weights(0)[:, ~seen] == 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_everything_at_once(kind: str) -> None:
    """As in no model; but each in its place: cap, bias, distances, mask, sinks."""
    bias, offsets, sinks = drawn(1, N, M), drawn(H, N + M - 1), drawn(H)
    visible = intervals(kind)
    shared = drawn(2, M, D)
    record = LayerRecord(
        q=drawn(H, N, D),
        k=shared,
        scale=0.4,
        softcap=0.8,
        bias=bias,
        distance_bias=offsets,
        key_ranges=visible,
        sinks=sinks,
    )
    repeated = replace(record, k=np.repeat(shared, 3, axis=0))
    scores = 0.8 * np.tanh(scores_of(repeated) / 0.8) + bias
    for i in range(N):
        for j in range(M):
            scores[:, i, j] += offsets[:, j - i + N - 1]
            if not visible[i, 0] <= j < visible[i, 1]:
                scores[:, i, j] = -np.inf
    beside = np.broadcast_to(sinks[:, None, None], (H, N, 1))
    hold(record, softmaxed(np.concatenate([scores, beside], axis=-1))[..., :-1])
    dots = scores_of(repeated) / 0.4
    for first, end in ((0, 1), (3, N), (0, N)):
        rows = slice(first, end)
        made = record.scores(4, rows, dots[4, rows])
        np.testing.assert_allclose(made, scores[4, rows], rtol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 3, 6])
def test_heads_that_share_keys(groups: int) -> None:
    shared = drawn(groups, M, D)
    record = plain()
    repeated = replace(record, k=np.repeat(shared, H // groups, axis=0))
    grouped = replace(record, k=shared)
    hold(grouped, softmaxed(scores_of(repeated)))
    for head in range(H):
        np.testing.assert_array_equal(grouped.of_head(shared, head), part(repeated, "k")[head])
    assert (grouped.num_heads, grouped.lengths) == (H, (N, M))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_block_of_any_record(data: st.DataObject) -> None:
    n, m = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    first = [data.draw(st.integers(0, m - 1)) for _ in range(n)]
    visible = np.array([[start, data.draw(st.integers(start + 1, m))] for start in first], np.int32)
    record = LayerRecord(
        q=drawn(4, n, 3),
        k=drawn(2, m, 3),
        key_ranges=data.draw(st.sampled_from([None, visible])),
        distance_bias=data.draw(st.sampled_from([None, drawn(1, n + m - 1)])),
        sinks=data.draw(st.sampled_from([None, drawn(4)])),
    )
    heads = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=5))
    start = data.draw(st.integers(0, n - 1))
    block = slice(start, data.draw(st.integers(start + 1, n)))
    whole = record.weights(0)
    np.testing.assert_allclose(record.weights(0, heads, block), whole[heads][:, block], atol=1e-6)
    sums = whole.sum(axis=-1)
    assert (sums <= 1 + 1e-6).all()
    if record.sinks is None:
        np.testing.assert_allclose(sums, 1, atol=1e-6)


# Weights alone


def test_weights_that_are_given() -> None:
    given = softmaxed(drawn(H, N, M)).astype(np.float32)
    record = LayerRecord(recorded_weights=given)
    hold(record, given)
    assert (record.num_heads, record.lengths, record.nbytes) == (H, (N, M), given.nbytes)
    record.weights(0)[:] = 0
    record.weights(0, [1])[:] = 0
    np.testing.assert_array_equal(record.weights(0), given)
    with pytest.raises(AttnvizError, match="gives its attention weights alone") as caught:
        record.inputs()
    assert caught.value.hint == "attnviz models says which models give all of it"


def test_given_weights_that_do_not_sum_to_1() -> None:
    given = softmaxed(drawn(H, N, M)).astype(np.float32)
    given[2, 3] *= 1.01
    record = LayerRecord(recorded_weights=given)
    with pytest.raises(
        AttnvizError, match=r"layer 4: a row .* does not sum to 1: it is off by 0\.01"
    ):
        record.weights(4)
    assert record.weights(4, [0, 1]).shape == (2, N, M)


def test_rows_with_sinks_may_sum_to_less_than_1_and_not_to_more() -> None:
    given = np.full((1, 1, 2), 0.3, np.float32)
    assert (
        LayerRecord(recorded_weights=given, sinks=np.zeros(1, np.float32)).weights(0).sum() < 0.61
    )
    with pytest.raises(AttnvizError, match=r"off by 0\.4"):
        LayerRecord(recorded_weights=given).weights(0)
    with pytest.raises(AttnvizError, match=r"off by 0\.2"):
        LayerRecord(recorded_weights=2 * given, sinks=np.zeros(1, np.float32)).weights(0)


@pytest.mark.parametrize("missing", ["x", "q", "k", "v"])
def test_what_queries_and_keys_were_made_of(missing: str) -> None:
    record = plain(x=drawn(N, 9), encoder_states=drawn(M, 8), v=drawn(H, M, 3))
    inputs = record.inputs()
    assert (inputs.x is record.x, inputs.key_value_states is record.encoder_states) == (True, True)
    assert (inputs.q is record.q, inputs.k is record.k, inputs.v is record.v) == (True,) * 3
    alike = replace(record, encoder_states=None, k=drawn(H, N, D), v=drawn(H, N, 3)).inputs()
    assert alike.key_value_states is alike.x
    with pytest.raises(AttnvizError, match=r"the encoder's states, .* were not recorded"):
        replace(record, encoder_states=None).inputs()
    without: dict[str, Any] = {missing: None}
    with pytest.raises(AttnvizError, match="were not recorded, because the text is long"):
        replace(record, **without).inputs()


def test_a_record_of_nothing() -> None:
    asks: list[Callable[[LayerRecord], object]] = [
        *(lambda r: r.weights(0), lambda r: r.num_heads, lambda r: r.lengths)
    ]
    for ask in asks:
        with pytest.raises(AttnvizError, match="neither queries and keys nor weights"):
            ask(LayerRecord())
    with pytest.raises(AttnvizError, match="without queries or keys"):
        LayerRecord(q=drawn(H, N, D)).weights(0)
