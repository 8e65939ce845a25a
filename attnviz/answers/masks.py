"""The attention mask as answers need it, and `Pool`, which makes large matrices smaller."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from attnviz.attention.shapes import Bool, Float, Int
from attnviz.inspection import Context, View
from attnviz.inspection.context import Role

ROWS_AT_ONCE = 256
"""Rows of a mask that are read together."""

_Made = TypeVar("_Made")


def by_mask(view: View, make: Callable[[int], _Made]) -> Callable[[int], _Made]:
    """`make(layer)`, called once for all layers that have the same mask: most models have one or
    two.
    """
    made: dict[object, _Made] = {}

    def of(layer: int) -> _Made:
        mask: object = layer
        if view.context.measured.per_head:  # else what is reached grows from layer to layer
            record = view.inspection.layer(layer)
            ranges = None if record.key_ranges is None else record.key_ranges.tobytes()
            mask = ranges, None if record.bias is None else id(record.bias)
        if mask not in made:
            made[mask] = make(layer)
        return made[mask]

    return of


def allowed(
    view: View, index: int, role: Role, layers: Sequence[int]
) -> Bool[np.ndarray, "layer other"]:
    """Which tokens one may look at, or which may look at it, in each layer."""
    masks = {}
    for layer in dict.fromkeys(layers):
        if role == "query":
            mask = view.visible(layer, slice(index, index + 1))
            masks[layer] = np.ones(len(view.keys), bool) if mask is None else mask[0]
            continue
        masks[layer] = np.ones(len(view.tokens), bool)
        for rows in _some_rows(view):
            mask = view.visible(layer, rows)
            if mask is not None:
                masks[layer][rows] = mask[:, index]
    return np.stack([masks[layer] for layer in layers])


def _some_rows(view: View) -> Iterator[slice]:
    """All rows of a view, some at a time."""
    count = len(view.tokens)
    for start in range(0, count, ROWS_AT_ONCE):
        yield slice(start, min(start + ROWS_AT_ONCE, count))


def allowed_blocks(
    view: View, layer: int, steps: tuple[int, int]
) -> Bool[np.ndarray, "row column"] | None:
    """Whether any query of a block may look at any of its keys; None where all may."""
    pool = Pool((len(view.tokens), len(view.keys)), steps)
    for rows in _some_rows(view):
        mask = view.visible(layer, rows)
        every = np.ones((rows.stop - rows.start, len(view.keys)), np.float32)
        pool.add(rows, every if mask is None else mask.astype(np.float32))
    blocks: np.ndarray = pool.numbers > 0
    return None if blocks.all() else blocks


class Pool:
    """The largest number of each block of `steps` rows and columns, collected as rows come.

    A mean would hide diagonals and single links. `numbers`: (..., block of rows, block of columns),
    0 until rows are added; the last blocks may be smaller.
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


Pairs = tuple[np.ndarray, np.ndarray]  # the rows and the columns of some entries of a matrix


@dataclass(frozen=True, eq=False)
class Places:
    """The entries of a layer's matrices that say what a head does, as index arrays.

    `rows`: the words that look and have a choice; `columns`: those looked at; `special`: the
    columns of special tokens, and of the first token of all. `itself`, `previous`, `next`: pairs of
    words, as far as the mask allows, rows ascending. `largest`: the largest entropy possible, in
    bits.
    """

    rows: Int[np.ndarray, "row"]
    columns: Int[np.ndarray, "column"]
    special: Int[np.ndarray, "special"]
    itself: Pairs
    previous: Pairs
    next: Pairs
    largest: Float[np.ndarray, "all_rows"]

    @cached_property
    def resting(self) -> tuple[np.ndarray, ...]:
        """The entries of the rows in the columns of special tokens."""
        return np.ix_(self.rows, self.special)

    @cached_property
    def own_resting(self) -> tuple[np.ndarray, np.ndarray]:
        """The entries of `resting` in a word's own column, which is no resting place."""
        down, across = self.itself
        own = np.isin(across, self.special)
        return down[own], across[own]

    @classmethod
    def of(cls, view: View, layer: int) -> "Places":
        """The places of a layer, by its mask."""
        choices, near = _choices(view, layer)
        words = [token.index for token in view.tokens if not token.special]
        words = words or list(range(len(view.tokens)))
        rows = [word for word in words if choices[word] > 1] or words
        columns = [key.index for key in view.keys if not key.special]
        rests = [key.index for key in view.keys if key.special]
        if not view.context.is_cross_attention and 0 not in rests:
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
        itself, previous, next_ = (
            _within(pairs, rows) for pairs in (self.itself, self.previous, self.next)
        )
        rows_in = self.rows[own] - rows.start
        return replace(self, rows=rows_in, itself=itself, previous=previous, next=next_)


def has_rest(context: Context) -> bool:
    """Whether a part of each row is not shown: it went to a sink, or left the window."""
    measured = context.measured
    return measured.shares and (measured.sinks or context.window is not None)


def _choices(view: View, layer: int) -> tuple[np.ndarray, dict[int, np.ndarray]]:
    """How many keys each query may look at, what is not shown counted as one; and whether the keys
    at offsets -1, 0 and 1 from it are among them.
    """
    count, across = len(view.tokens), len(view.keys)
    choices = np.full(count, across + has_rest(view.context))
    near = {offset: np.ones(count, dtype=bool) for offset in (-1, 0, 1)}
    for rows in _some_rows(view):
        mask = view.visible(layer, rows)
        if mask is None:
            continue
        choices[rows] += mask.sum(axis=1) - across
        own = np.arange(rows.start, rows.stop)
        for offset, may_look in near.items():
            may_look[rows] = mask[own - rows.start, np.clip(own + offset, 0, across - 1)]
    return choices, near


def _within(pairs: Pairs, rows: slice) -> Pairs:
    down, across = pairs
    some = slice(*np.searchsorted(down, [rows.start, rows.stop]))
    return down[some] - rows.start, across[some]


def _pairs(view: View, rows: list[int], offset: int, may_look: np.ndarray) -> Pairs:
    """Each word and the one `offset` after it in its sentence, where it may look at it."""
    found, tokens = [], view.tokens
    for row in [] if view.context.is_cross_attention else rows:
        if 0 <= row + offset < len(tokens) and may_look[row]:
            one, other = tokens[row], tokens[row + offset]
            same = one.segment == other.segment and not (one.special or other.special)
            if one is other or same:
                found.append(row)
    queries = np.array(found, dtype=np.intp)
    return queries, queries + offset
