"""Records that cannot be what they are said to be are refused, and others are not."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import inspection_of, part, tokens_of, with_layer
from test_records import D, H, M, N, drawn, intervals, plain

from attnviz.attention.layer import LayerRecord
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection, ModelFacts

FACTS = ModelFacts("m", "hand", 2, H, 12, D, 7, trained=True)
DENSE = np.zeros((1, N, M), np.float32)


def whole() -> Inspection:
    """Two layers, all that may be recorded in the second."""
    full = plain(
        x=drawn(N, 12),
        encoder_states=drawn(M, 10),
        v=drawn(H, M, 3),
        z=drawn(H, N, 3),
        value_norms=abs(drawn(H, M)),
        bias=DENSE,
        distance_bias=drawn(H, N + M - 1),
        key_ranges=intervals("causal"),
        sinks=drawn(H),
        softcap=30.0,
    )
    queries, keys = tokens_of(["a"] * (N - 2)), tokens_of(["b"] * (M - 2))
    return Inspection(queries, FACTS, (plain(), full), keys, "cross")


def cut(name: str) -> Callable[[LayerRecord], dict[str, Any]]:
    """The array without the last entry of each of its axes, one after the other."""
    return lambda record: {name: part(record, name)[..., :-1]}


def nan(name: str) -> Callable[[LayerRecord], dict[str, Any]]:
    def change(record: LayerRecord) -> dict[str, Any]:
        damaged = part(record, name).copy()
        damaged.flat[-1] = np.nan
        return {name: damaged}

    return change


def of(**changes: Any) -> Callable[[LayerRecord], dict[str, Any]]:
    return lambda record: changes


REFUSED: dict[str, tuple[Callable[[LayerRecord], dict[str, Any]], str]] = {
    **{
        f"{name} is too short": (cut(name), f"{name} has shape .*, and 7 tokens in this model need")
        for name in (
            "x",
            "q",
            "k",
            "z",
            "value_norms",
            "bias",
            "distance_bias",
            "key_ranges",
            "sinks",
        )
    },
    **{
        f"{name} is not finite": (nan(name), f"{name} holds numbers that are not finite")
        for name in (
            "x",
            "encoder_states",
            "q",
            "k",
            "v",
            "z",
            "value_norms",
            "distance_bias",
            "sinks",
        )
    },
    "memory of other keys": (
        of(encoder_states=drawn(M + 1, 10)),
        r"encoder_states has shape \(12, 10\)",
    ),
    "v of other keys": (of(v=drawn(H, N, 3)), r"v has shape \(6, 7, 3\)"),
    "v of fewer heads": (of(v=drawn(2, M, 3)), r"v has shape \(2, 11, 3\)"),
    "z of another width": (of(z=drawn(H, N, D)), r"z has shape \(6, 7, 5\).*\(6, 7, 3\)"),
    "four groups": (of(k=drawn(4, M, D)), "6 heads cannot share 4 keys and values"),
    "twelve groups": (of(k=drawn(12, M, D)), "6 heads cannot share 12 keys and values"),
    "no group": (of(k=drawn(0, M, D)), "6 heads cannot share 0 keys and values"),
    "k without heads": (of(k=drawn(M, D)), r"k has shape \(11, 5\)"),
    "a bias of two heads": (
        of(bias=np.zeros((2, N, M), np.float32)),
        r"bias has shape \(2, 7, 11\)",
    ),
    "a bias turned round": (
        of(bias=np.zeros((1, M, N), np.float32)),
        r"bias has shape \(1, 11, 7\)",
    ),
    "distances of one text": (
        of(distance_bias=drawn(H, 2 * N - 1)),
        r"distance_bias has shape \(6, 13\).*need \(6, 17\)",
    ),
    "neither q, k nor weights": (of(q=None, k=None), "neither queries and keys were recorded"),
    "q alone": (of(k=None), "neither queries and keys were recorded, nor weights"),
    "half precision": (
        of(q=drawn(H, N, D).astype(np.float16)),
        "q holds float16 .* and float32 is",
    ),
    "long intervals": (
        of(key_ranges=intervals("causal").astype(np.int64)),
        "key_ranges holds int64 .*int32",
    ),
    "a length below 0": (
        of(value_norms=-np.ones((H, M), np.float32)),
        "value_norms holds a length",
    ),
    "no scale": (of(scale=math.nan), "the scale is nan, which is not a number"),
    "an endless soft cap": (of(softcap=math.inf), "the soft cap is inf, which is not a number"),
    "a soft cap of 0": (of(softcap=0.0), "the soft cap is 0.0, and not above 1e-15"),
    "a soft cap below 0": (of(softcap=-1.0), "the soft cap is -1.0, and not above 1e-15"),
    "keys before the first": (
        of(key_ranges=intervals("causal") - np.array([1, 0], np.int32)),
        "the mask names keys that are not there",
    ),
    "keys behind the last": (
        of(key_ranges=intervals("causal") + np.array([0, M - N + 1], np.int32)),
        "the mask names keys that are not there",
    ),
    "an interval of nothing": (
        of(key_ranges=np.tile(np.array([3, 3], np.int32), (N, 1))),
        "the mask leaves a query without any key",
    ),
    "a bias that hides all": (
        of(bias=np.where(np.arange(N)[:, None] == 2, -np.inf, DENSE).astype(np.float32)),
        "the mask leaves a query without any key",
    ),
    "a bias that is NaN": (nan("bias"), "the mask leaves a query without any key"),
    "given of too few keys": (
        of(recorded_weights=np.ones((H, N, 1), np.float32)),
        r"recorded_weights has shape \(6, 7, 1\)",
    ),
    "given below 0": (
        of(recorded_weights=-np.ones((H, N, M), np.float32)),
        "recorded_weights holds a weight below 0",
    ),
    "given that is not finite": (
        of(recorded_weights=np.full((H, N, M), np.nan, np.float32)),
        "recorded_weights holds numbers",
    ),
}


@pytest.mark.parametrize("damage", REFUSED)
def test_records_that_cannot_be(damage: str) -> None:
    change, told = REFUSED[damage]
    inspection = whole()
    with pytest.raises(AttnvizError, match=f"^layer 1: {told}"):
        with_layer(inspection, 1, **change(inspection.layer(1)))


@pytest.mark.parametrize(
    "change",
    [
        {"k": drawn(3, M, D), "v": drawn(3, M, D), "z": drawn(H, N, D)},
        {"bias": drawn(H, N, M), "distance_bias": drawn(1, N + M - 1)},
        {"q": None, "k": None, "recorded_weights": np.full((H, N, M), 1 / M, np.float32)},
        {"v": None, "x": None, "encoder_states": None, "value_norms": None, "z": None},
        {"softcap": None, "sinks": None, "key_ranges": None, "bias": None, "distance_bias": None},
    ],
)
def test_records_that_can_be(change: dict[str, Any]) -> None:
    inspection = with_layer(whole(), 1, **change)
    weights = inspection.weights(1, unit="piece")
    assert weights.shape == (H, N, M)
    if inspection.sinks and "recorded_weights" not in change:
        assert weights.sum(axis=-1).max() < 1
    else:
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)


def test_as_many_bytes_as_its_arrays() -> None:
    record = whole().layer(1)
    numbers = N * 12 + M * 10 + H * (N * D + M * D + M * 3 + N * 3 + M + N + M - 1 + 1) + N * M
    assert record.nbytes == 4 * (numbers + 2 * N)
    assert whole().nbytes == record.nbytes + 4 * H * (N + M) * D


def test_an_inspection_of_no_layers() -> None:
    with pytest.raises(AttnvizError, match="no layer was recorded"):
        replace(whole(), layers=(None, None))
    two = inspection_of(tokens_of(["a"]), np.full((2, 1, 3, 3), 1 / 3))
    with pytest.raises(AttnvizError, match=r"x has shape \(3, 3\), and 4 tokens"):
        replace(two, tokens=tokens_of(["a", "b"]))
    with pytest.raises(AttnvizError, match=r"k has shape \(1, 3, 3\)"):
        replace(two, keys=tokens_of(["a", "b"]))
