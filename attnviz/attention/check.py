"""Whether what was recorded of a layer can be what it is said to be."""

from dataclasses import dataclass

import numpy as np

from attnviz.attention.layer import OPTIONAL, WIDER, LayerRecord
from attnviz.errors import AttnvizError

DAMAGED = "the model's weights are damaged or overflow; try another checkpoint"
"""What to try where numbers are none."""


@dataclass(frozen=True)
class Shape:
    """What the sizes of a layer's record should be, as in LayerRecord.

    `length`: how many queries there are; `keys`: how many keys.
    """

    num_heads: int
    d_model: int
    d_k: int
    length: int
    keys: int


def check_record(number: int, record: LayerRecord, shape: Shape, dtype: str = "float32") -> None:
    """Raise AttnvizError if the record of layer `number` cannot be one.

    Each array must have the shape that these sizes call for, hold float32, all finite (a bias may
    hold -inf), and leave every query a key to look at. `dtype`: what the model computed in.
    """
    if record.given is None and (record.q is None or record.k is None):
        raise AttnvizError(
            f"layer {number}: neither queries and keys were recorded, nor weights",
            "look at the sentence anew",
        )
    expected = _expected(number, record, shape)
    for name in OPTIONAL:
        array = getattr(record, name)
        if array is None:
            continue
        if array.shape not in expected[name]:
            raise AttnvizError(
                f"layer {number}: {name} has shape {array.shape}, "
                f"and {shape.length} tokens in this model need {expected[name][-1]}"
            )
        wanted = np.int32 if name == "visible" else np.float32
        if array.dtype != wanted:
            raise AttnvizError(
                f"layer {number}: {name} holds {array.dtype} numbers, "
                f"and {np.dtype(wanted).name} is expected"
            )
        if name not in ("bias", "visible"):
            check_finite(number, name, array, dtype)
    _check_values(number, record)
    _check_keys_are_left(number, record, shape)


def check_finite(number: int, name: str, array: np.ndarray, dtype: str) -> None:
    """Raise AttnvizError if an array of layer `number` holds NaN or infinity.

    `dtype`: what the model computed in.
    """
    if not np.isfinite(array).all():
        raise AttnvizError(
            f"layer {number}: {name} holds numbers that are not finite (NaN or infinity)",
            WIDER if dtype == "float16" else DAMAGED,
        )


def _check_values(number: int, record: LayerRecord) -> None:
    for name, what in (("value_norms", "length"), ("given", "weight")):
        array = getattr(record, name)
        if array is not None and (array < 0).any():
            raise AttnvizError(f"layer {number}: {name} holds a {what} below 0")
    for name, factor in (("scale", record.scale), ("soft cap", record.softcap)):
        if factor is not None and not np.isfinite(factor):
            raise AttnvizError(f"layer {number}: the {name} is {factor}, which is not finite")
    if record.softcap is not None and not record.softcap > 0:
        raise AttnvizError(f"layer {number}: the soft cap is {record.softcap}, and not above 0")


def _expected(number: int, record: LayerRecord, shape: Shape) -> dict[str, list[tuple[int, ...]]]:
    """The shapes that each array may have, the usual one last."""
    heads, n, m, d_k = shape.num_heads, shape.length, shape.keys, shape.d_k
    shared = len(record.k) if record.k is not None and record.k.ndim == 3 else heads
    if not 1 <= shared <= heads or heads % shared:
        raise AttnvizError(f"layer {number}: {heads} heads cannot share {shared} keys and values")
    made = record.z if record.v is None else record.v
    d_v = made.shape[-1] if made is not None and made.ndim == 3 else d_k
    width = record.memory.shape[-1] if record.memory is not None else shape.d_model
    every_head = {
        "bias": (n, m),
        "distance_bias": (n + m - 1,),
    }
    return {
        "x": [(n, shape.d_model)],
        "memory": [(m, width)],
        "q": [(heads, n, d_k)],
        "k": [(shared, m, d_k)],
        "v": [(shared, m, d_v)],
        "z": [(heads, n, d_v)],
        "value_norms": [(heads, m)],
        **{name: [(1, *size), (heads, *size)] for name, size in every_head.items()},
        "visible": [(n, 2)],
        "sinks": [(heads,)],
        "given": [(heads, n, m)],
    }


def _check_keys_are_left(number: int, record: LayerRecord, shape: Shape) -> None:
    blind = AttnvizError(f"layer {number}: the mask leaves a query without any key")
    if record.visible is not None:
        first, end = record.visible[:, 0], record.visible[:, 1]
        if (first < 0).any() or (end > shape.keys).any():
            raise AttnvizError(f"layer {number}: the mask names keys that are not there")
        if (first >= end).any():
            raise blind
    if record.bias is not None and (
        np.isnan(record.bias).any() or not np.isfinite(record.bias.max(axis=-1)).all()
    ):
        raise blind
