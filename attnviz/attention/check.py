"""Checks that a layer's record is consistent: shapes, number types, finite values."""

from dataclasses import dataclass

import numpy as np

from attnviz.attention.layer import ARRAYS, WIDER, LayerRecord
from attnviz.errors import AttnvizError

DAMAGED = "the model's weights are damaged or overflow; try another checkpoint"
"""Hint for numbers that are not finite."""


@dataclass(frozen=True)
class Shape:
    """The sizes that a layer's record should have; `length` counts queries, `keys` keys."""

    num_heads: int
    d_model: int
    d_k: int
    length: int
    keys: int


def check_record(number: int, record: LayerRecord, shape: Shape, dtype: str = "float32") -> None:
    """Raise AttnvizError if the record of layer `number` is inconsistent.

    Each array must have the shape and number type that LayerRecord declares and hold finite numbers
    (a bias may hold -inf), and every query must have a key to attend to. `dtype`: what the model
    computed in.
    """
    if record.recorded_weights is None and (record.q is None or record.k is None):
        raise AttnvizError(
            f"layer {number}: neither queries and keys were recorded, nor weights",
            "run the text again",
        )
    sizes = _sizes(number, record, shape)
    for name, array in record.arrays().items():
        facts = ARRAYS[name]
        needed = tuple(sizes[axis] for axis in facts.shape.split())
        if array.shape != needed and not (facts.shared and array.shape == (1, *needed[1:])):
            raise AttnvizError(
                f"layer {number}: {name} has shape {array.shape}, "
                f"and {shape.length} tokens in this model need {needed}"
            )
        if array.dtype != facts.dtype:
            raise AttnvizError(
                f"layer {number}: {name} holds {array.dtype} numbers, "
                f"and {np.dtype(facts.dtype).name} is expected"
            )
        if facts.finite:
            check_finite(number, name, array, dtype)
    _check_values(number, record)
    _check_mask(number, record, shape)


def check_finite(number: int, name: str, array: np.ndarray, dtype: str) -> None:
    """Raise AttnvizError if an array of layer `number` holds NaN or infinity.

    `dtype`: what the model computed in.
    """
    if not np.isfinite(array).all():
        raise AttnvizError(
            f"layer {number}: {name} holds numbers that are not finite (NaN or infinity)",
            WIDER if dtype == "float16" else DAMAGED,
        )


def _sizes(number: int, record: LayerRecord, shape: Shape) -> dict[str, int]:
    """The size of each axis that LayerRecord's shapes name.

    kv_heads, d_v and d_encoder are the record's own: the model's facts do not have them.
    """
    heads, n, m = shape.num_heads, shape.length, shape.keys
    kv_heads = len(record.k) if record.k is not None and record.k.ndim == 3 else heads
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise AttnvizError(f"layer {number}: {heads} heads cannot share {kv_heads} keys and values")
    values = record.z if record.v is None else record.v
    d_v = values.shape[-1] if values is not None and values.ndim == 3 else shape.d_k
    states = record.encoder_states
    d_encoder = shape.d_model if states is None else states.shape[-1]
    return {
        **{"heads": heads, "kv_heads": kv_heads, "n": n, "m": m, "n+m-1": n + m - 1},
        **{"d_model": shape.d_model, "d_k": shape.d_k, "d_v": d_v, "d_encoder": d_encoder},
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


def _check_mask(number: int, record: LayerRecord, shape: Shape) -> None:
    blind = AttnvizError(f"layer {number}: the mask leaves a query without any key")
    if record.key_ranges is not None:
        first, end = record.key_ranges[:, 0], record.key_ranges[:, 1]
        if (first < 0).any() or (end > shape.keys).any():
            raise AttnvizError(f"layer {number}: the mask names keys that are not there")
        if (first >= end).any():
            raise blind
    if record.bias is not None and (
        np.isnan(record.bias).any() or not np.isfinite(record.bias.max(axis=-1)).all()
    ):
        raise blind
