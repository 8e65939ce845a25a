"""Which entries of a head's matrix tell what it does: words' own, neighbours', resting places."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from attnviz.answers.masks import ROWS_AT_ONCE
from attnviz.inspection import View

Pairs = tuple[np.ndarray, np.ndarray]
"""The rows and the columns of some entries of a matrix."""


@dataclass(frozen=True, eq=False)
class Places:
    """Index arrays that are the same in all heads of a layer.

    `rows`: the words that look and have a choice; `columns`: those that are looked at; `special`:
    the columns of special tokens, and of the first token of all. `itself`, `previous`, `next`: the
    pairs of words, as far as they may look, rows ascending. `largest`: (row,), the largest entropy
    possible, in bits.
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
        """Of a layer, whose mask says who may look where."""
        masks = _Masks(view, layer)
        words = [token.index for token in view.tokens if not token.special]
        words = words or list(range(len(view.tokens)))
        rows = [word for word in words if masks.choices[word] > 1] or words
        columns = [key.index for key in view.keys if not key.special]
        rests = [key.index for key in view.keys if key.special]
        if not view.is_cross_attention and 0 not in rests:
            rests.insert(0, 0)
        return cls(
            rows=np.array(rows, dtype=np.intp),
            columns=np.array(columns or words, dtype=np.intp),
            special=np.array(rests, dtype=np.intp),
            itself=_pairs(view, rows, 0, masks),
            previous=_pairs(view, rows, -1, masks),
            next=_pairs(view, rows, 1, masks),
            largest=np.log2(masks.choices[rows]),
        )

    def within(self, rows: slice) -> "Places":
        """Those of some rows alone, which are counted anew from 0; `largest` stays."""
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


def has_rest(view: View) -> bool:
    """Whether rows do not sum to 1 by what is shown of them."""
    return view.measured.shares and (view.inspection.sinks or view.window is not None)


class _Masks:
    """Who may look at whom in a layer: at how many keys, and at its neighbours.

    choices: (query,), a place beside the keys counts too. `near`: for the offsets -1, 0 and 1
    whether a query may look at the key so far behind it, (query,).
    """

    def __init__(self, view: View, layer: int) -> None:
        count, across = len(view.tokens), len(view.keys)
        self.choices = np.full(count, across + has_rest(view))
        self.near = {offset: np.ones(count, dtype=bool) for offset in (-1, 0, 1)}
        for first in range(0, count, ROWS_AT_ONCE):
            rows = np.arange(first, min(first + ROWS_AT_ONCE, count))
            may_look = view.visible(layer, slice(rows[0], rows[-1] + 1))
            if may_look is None:
                continue
            self.choices[rows] += may_look.sum(axis=1) - across
            for offset, near in self.near.items():
                there = np.clip(rows + offset, 0, across - 1)
                near[rows] = may_look[rows - first, there]


def _within(pairs: Pairs, rows: slice) -> Pairs:
    down, across = pairs
    some = slice(*np.searchsorted(down, [rows.start, rows.stop]))
    return down[some] - rows.start, across[some]


def _pairs(view: View, rows: list[int], offset: int, masks: _Masks) -> Pairs:
    """Each word and the one `offset` further on in its sentence, where it may look at it."""
    found = np.array(list(_found(view, rows, offset, masks)), dtype=np.intp)
    return found, found + offset


def _found(view: View, rows: list[int], offset: int, masks: _Masks) -> Iterator[int]:
    tokens = view.tokens
    for row in [] if view.is_cross_attention else rows:
        column = row + offset
        if not (0 <= column < len(tokens) and masks.near[offset][row]):
            continue
        one, other = tokens[row], tokens[column]
        if one is other or (one.segment == other.segment and not (one.special or other.special)):
            yield row
