"""Which keys the queries of a layer may look at: the attention mask, as answers need it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from attnviz.answers.pooling import Pool
from attnviz.inspection import View
from attnviz.inspection.context import Role

ROWS_AT_ONCE = 256
"""Rows whose masks are looked at together: 2 MB of them where a text has 8192 words."""

_Made = TypeVar("_Made")


def by_mask(view: View, make: Callable[[int], _Made]) -> Callable[[int], _Made]:
    """What `make` makes of a layer, made once for all layers with the same mask.

    Of a long text that is much work, and most models have one mask or two.
    """
    made: dict[object, _Made] = {}

    def of(layer: int) -> _Made:
        mask = _mask(view, layer)
        if mask not in made:
            made[mask] = make(layer)
        return made[mask]

    return of


def _mask(view: View, layer: int) -> object:
    """What tells the mask of a layer from those of others."""
    if not view.measured.per_head:
        return layer  # what is reached grows from layer to layer
    record = view.inspection.layer(layer)
    visible = None if record.key_ranges is None else record.key_ranges.tobytes()
    return visible, None if record.bias is None else id(record.bias)


def allowed(view: View, index: int, role: Role, layers: Sequence[int]) -> np.ndarray:
    """Which tokens one may look at, or which may look at it, in each layer: (layer, other)."""
    sees = _row if role == "query" else _column
    found = {layer: sees(view, layer, index) for layer in dict.fromkeys(layers)}
    return np.stack([found[layer] for layer in layers])


def _row(view: View, layer: int, index: int) -> np.ndarray:
    """Which keys a query may look at: (key,)."""
    seen = view.visible(layer, slice(index, index + 1))
    return np.ones(len(view.keys), bool) if seen is None else seen[0]


def _column(view: View, layer: int, index: int) -> np.ndarray:
    """Which queries may look at a key: (query,). Of a long text, some rows at a time."""
    whole = np.ones(len(view.tokens), bool)
    for start in range(0, len(whole), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        seen = view.visible(layer, rows)
        if seen is not None:
            whole[rows] = seen[:, index]
    return whole


def allowed_blocks(view: View, layer: int, steps: tuple[int, int]) -> np.ndarray | None:
    """Whether any query of a block of `steps` queries and keys may look at any of its keys.

    (block of queries, block of keys); None where all may.
    """
    count = len(view.tokens)
    pool = Pool((count, len(view.keys)), steps)
    for start in range(0, count, ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, count))
        seen = view.visible(layer, rows)
        every = np.ones((rows.stop - start, len(view.keys)), np.float32)
        pool.add(rows, every if seen is None else seen.astype(np.float32))
    found: np.ndarray = pool.numbers > 0
    return None if found.all() else found
