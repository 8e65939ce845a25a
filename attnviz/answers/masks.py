"""The attention mask as answers need it: who may look where, and which links say what a head does.

Also `Pool`, which makes a matrix that is too large to show smaller.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from attnviz.inspection import Context, View
from attnviz.inspection.context import Role

ROWS_AT_ONCE = 256
"""Rows of a mask that are read together: 2 MB of them where a text has 8192 words."""

_Made = TypeVar("_Made")


def by_mask(view: View, make: Callable[[int], _Made]) -> Callable[[int], _Made]:
    """`make(layer)`, called once for all layers that have the same mask.

    For a long text this saves much work: most models have one mask or two.
    """
    made: dict[object, _Made] = {}

    def of(layer: int) -> _Made:
        mask = _mask(view, layer)
        if mask not in made:
            made[mask] = make(layer)
        return made[mask]

    return of


def _mask(view: View, layer: int) -> object:
    """Equal for layers with the same mask."""
    if not view.measured.per_head:
        return layer  # what is reached grows from layer to layer
    record = view.inspection.layer(layer)
    visible = None if record.key_ranges is None else record.key_ranges.tobytes()
    return visible, None if record.bias is None else id(record.bias)


def allowed(view: View, index: int, role: Role, layers: Sequence[int]) -> np.ndarray:
    """Which tokens one may look at, or which may look at it, in each layer: (layer, other)."""
    mask_of = _row if role == "query" else _column
    masks = {layer: mask_of(view, layer, index) for layer in dict.fromkeys(layers)}
    return np.stack([masks[layer] for layer in layers])


def _row(view: View, layer: int, index: int) -> np.ndarray:
    """Which keys a query may look at: (key,)."""
    mask = view.visible(layer, slice(index, index + 1))
    return np.ones(len(view.keys), bool) if mask is None else mask[0]


def _column(view: View, layer: int, index: int) -> np.ndarray:
    """Which queries may look at a key: (query,)."""
    column = np.ones(len(view.tokens), bool)
    for start in range(0, len(column), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        mask = view.visible(layer, rows)
        if mask is not None:
            column[rows] = mask[:, index]
    return column


def allowed_blocks(view: View, layer: int, steps: tuple[int, int]) -> np.ndarray | None:
    """Whether any query of a block of `steps` queries and keys may look at any of its keys.

    (block of queries, block of keys); None where all may.
    """
    count = len(view.tokens)
    pool = Pool((count, len(view.keys)), steps)
    for start in range(0, count, ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, count))
        mask = view.visible(layer, rows)
        every = np.ones((rows.stop - start, len(view.keys)), np.float32)
        pool.add(rows, every if mask is None else mask.astype(np.float32))
    blocks: np.ndarray = pool.numbers > 0
    return None if blocks.all() else blocks


class Pool:
    """The largest number of each block of `steps` rows and columns, collected as rows come.

    The largest, not the mean, which would hide diagonals and single links. `numbers`: (..., block
    of rows, block of columns), 0 until rows are added; the last blocks may be smaller.
    """

    def __init__(self, shape: tuple[int, ...], steps: tuple[int, int]) -> None:
        *others, down, across = shape
        self._steps = steps
        self._columns = np.arange(0, across, steps[1])
        blocks = math.ceil(down / steps[0]), len(self._columns)
        self.numbers = np.zeros((*others, *blocks), np.float32)

    def add(self, rows: slice, weights: np.ndarray) -> None:
        """Add some rows, (..., query, key), none of which is below 0."""
        step, first = self._steps[0], rows.start // self._steps[0]
        starts = np.maximum(np.arange(first * step, rows.stop, step) - rows.start, 0)
        largest = weights
        if step > 1:
            largest = np.maximum.reduceat(largest, starts, axis=-2)
        if self._steps[1] > 1:
            largest = np.maximum.reduceat(largest, self._columns, axis=-1)
        own = self.numbers[..., first : first + len(starts), :]
        np.maximum(own, largest, out=own)


def steps_within(shape: tuple[int, int], most: int) -> tuple[int, int]:
    """The steps of a Pool with at most so many blocks down and across."""
    return math.ceil(shape[0] / most), math.ceil(shape[1] / most)


Pairs = tuple[np.ndarray, np.ndarray]
"""The rows and the columns of some entries of a matrix."""


@dataclass(frozen=True, eq=False)
class Places:
    """The entries of a layer's matrices that say what a head does, as index arrays.

    `rows`: the words that look and have a choice; `columns`: the words that are looked at;
    `special`: the columns of special tokens, and of the first token of all. `itself`, `previous`,
    `next`: pairs of words, as far as the mask allows, rows ascending. `largest`: (row,), the
    largest entropy possible, in bits.
    """

    rows: np.ndarray
    columns: np.ndarray
    special: np.ndarray
    itself: Pairs
    previous: Pairs
    next: Pairs
    largest: np.ndarray

    @classmethod
    def of(cls, view: View, layer: int) -> "Places":
        """The places of a layer, by its mask."""
        choices, near = _choices(view, layer)
        words = [token.index for token in view.tokens if not token.special]
        words = words or list(range(len(view.tokens)))
        rows = [word for word in words if choices[word] > 1] or words
        columns = [key.index for key in view.keys if not key.special]
        rests = [key.index for key in view.keys if key.special]
        if not view.is_cross_attention and 0 not in rests:
            rests.insert(0, 0)
        return cls(
            rows=np.array(rows, dtype=np.intp),
            columns=np.array(columns or words, dtype=np.intp),
            special=np.array(rests, dtype=np.intp),
            itself=_pairs(view, rows, 0, near[0]),
            previous=_pairs(view, rows, -1, near[-1]),
            next=_pairs(view, rows, 1, near[1]),
            largest=np.log2(choices[rows]),
        )

    def within(self, rows: slice) -> "Places":
        """The places in some rows, counted from the first of them; `largest` stays."""
        if rows.start == 0 and (not len(self.rows) or rows.stop > self.rows[-1]):
            return self
        own = slice(*np.searchsorted(self.rows, [rows.start, rows.stop]))
        return replace(
            self,
            rows=self.rows[own] - rows.start,
            itself=_within(self.itself, rows),
            previous=_within(self.previous, rows),
            next=_within(self.next, rows),
        )


def has_rest(context: Context) -> bool:
    """Whether a part of each row is not shown: it went to a sink, or left the window."""
    measured = context.measured
    return measured.shares and (measured.sinks or context.window is not None)


def _choices(view: View, layer: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """How many keys each query may look at, and whether the keys next to it are among them.

    Both (query,); the second for the offsets -1, 0 and 1. What is not shown counts as one key.
    """
    count, across = len(view.tokens), len(view.keys)
    choices = np.full(count, across + has_rest(view.context))
    near = {offset: np.ones(count, dtype=bool) for offset in (-1, 0, 1)}
    for first in range(0, count, ROWS_AT_ONCE):
        rows = np.arange(first, min(first + ROWS_AT_ONCE, count))
        mask = view.visible(layer, slice(rows[0], rows[-1] + 1))
        if mask is None:
            continue
        choices[rows] += mask.sum(axis=1) - across
        for offset, may_look in near.items():
            may_look[rows] = mask[rows - first, np.clip(rows + offset, 0, across - 1)]
    return choices, near


def _within(pairs: Pairs, rows: slice) -> Pairs:
    down, across = pairs
    some = slice(*np.searchsorted(down, [rows.start, rows.stop]))
    return down[some] - rows.start, across[some]


def _pairs(view: View, rows: list[int], offset: int, may_look: np.ndarray) -> Pairs:
    """Each word and the one `offset` after it in its sentence, where it may look at it."""
    queries = np.array(list(_queries(view, rows, offset, may_look)), dtype=np.intp)
    return queries, queries + offset


def _queries(view: View, rows: list[int], offset: int, may_look: np.ndarray) -> Iterator[int]:
    tokens = view.tokens
    for row in [] if view.is_cross_attention else rows:
        column = row + offset
        if not (0 <= column < len(tokens) and may_look[row]):
            continue
        one, other = tokens[row], tokens[column]
        if one is other or (one.segment == other.segment and not (one.special or other.special)):
            yield row
