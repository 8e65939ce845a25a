"""Checks that a layer's record is consistent: shapes, number types, finite values."""

from collections.abc import Mapping

import numpy as np

from attnviz.attention.layer import ARRAYS, WIDER, LayerRecord
from attnviz.errors import AttnvizError

DAMAGED = "the model's weights are damaged or overflow; try another checkpoint"


def check_record(
    number: int, record: LayerRecord, sizes: Mapping[str, int], dtype: str = "float32"
) -> None:
    """Raise AttnvizError for wrong shapes, dtypes or values, or a query without a key.

    sizes: of the axes head, query, key, d_model and d_k. dtype: what the model computed in.
    """
    if record.recorded_weights is None and (record.q is None or record.k is None):
        raise AttnvizError(
            f"layer {number}: neither queries and keys were recorded, nor weights",
            "run the text again",
        )
    sizes = _all_sizes(number, record, sizes)
    for name, array in record.arrays().items():
        facts = ARRAYS[name]
        needed = tuple(sizes[axis] for axis in facts.shape.split())
        if array.shape != needed and not (facts.shared and array.shape == (1, *needed[1:])):
            raise AttnvizError(
                f"layer {number}: {name} has shape {array.shape}, "
                f"and {sizes['query']} tokens in this model need {needed}"
            )
        if array.dtype != facts.dtype:
            raise AttnvizError(
                f"layer {number}: {name} holds {array.dtype} numbers, "
                f"and {np.dtype(facts.dtype).name} is expected"
            )
        if facts.finite:
            check_finite(number, name, array, dtype)
    _check_values(number, record)
    _check_mask(number, record, sizes["key"])


def check_finite(number: int, name: str, array: np.ndarray, dtype: str) -> None:
    """Raise AttnvizError if an array holds NaN or infinity; `dtype`: what the model computed in."""
    if not np.isfinite(array).all():
        raise AttnvizError(
            f"layer {number}: {name} holds numbers that are not finite (NaN or infinity)",
            WIDER if dtype == "float16" else DAMAGED,
        )


def _all_sizes(number: int, record: LayerRecord, sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes of all axes that LayerRecord names: also of those that only the record has."""
    heads, k, states = sizes["head"], record.k, record.encoder_states
    values = record.z if record.v is None else record.v
    kv_heads = len(k) if k is not None and k.ndim == 3 else heads
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise AttnvizError(f"layer {number}: {heads} heads cannot share {kv_heads} keys and values")
    return {
        **sizes,
        "kv_head": kv_heads,
        "d_v": values.shape[-1] if values is not None and values.ndim == 3 else sizes["d_k"],
        "d_encoder": states.shape[-1] if states is not None and states.ndim else 0,
        "query+key-1": sizes["query"] + sizes["key"] - 1,
        "2": 2,
    }


def _check_values(number: int, record: LayerRecord) -> None:
    for name, what in (("value_norms", "length"), ("recorded_weights", "weight")):
        array = getattr(record, name)
        if array is not None and (array < 0).any():
            raise AttnvizError(f"layer {number}: {name} holds a {what} below 0")
    for name, factor in (("scale", record.scale), ("soft cap", record.softcap)):
        if factor is not None and not np.isfinite(factor):
            raise AttnvizError(f"layer {number}: the {name} is {factor}, which is not finite")
    if record.softcap is not None and not record.softcap > 0:
        raise AttnvizError(f"layer {number}: the soft cap is {record.softcap}, and not above 0")


def _check_mask(number: int, record: LayerRecord, keys: int) -> None:
    blind = AttnvizError(f"layer {number}: the mask leaves a query without any key")
    if record.key_ranges is not None:
        first, end = record.key_ranges[:, 0], record.key_ranges[:, 1]
        if (first < 0).any() or (end > keys).any():
            raise AttnvizError(f"layer {number}: the mask names keys that are not there")
        if (first >= end).any():
            raise blind
    if record.bias is not None and (
        np.isnan(record.bias).any() or not np.isfinite(record.bias.max(axis=-1)).all()
    ):
        raise blind
