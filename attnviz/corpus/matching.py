"""Heads of two models side by side: their rows on the same words, and which heads are alike.

Both models read the same corpus, one after the other. Each keeps its heads' rows of some words,
which are drawn by a hash of the text and the word, so that both draw the same ones.
"""

from typing import Any, NamedTuple

import numpy as np

from attnviz.attention.shapes import Float, Int
from attnviz.corpus.document import hashed
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics.lots import lot_of, lots
from attnviz.inspection import row_shares

ROWS, FEWEST_ROWS, HEADS = 512, 64, 72
"""Words whose rows are kept, for HEADS heads: fewer for more heads, whose pairs are many."""

MOST_KEYS = 512
"""Of texts with more keys no row is kept, so that memory stays flat."""

NUMBERS_AT_ONCE = 1 << 18
SMALLEST = np.float32(1e-30)  # whose logarithm is finite


class Row(NamedTuple):
    """A word's row in every head, over the text's words; what goes elsewhere is one more key.

    `words`: a hash of the words, by which rows of two models are known to be of the same ones; in
    cross-attention of those of both texts.
    """

    words: int
    shares: Float[np.ndarray, "head key"]


class Rows:
    """Keeps the heads' rows of some words of a corpus, the same in any order and any split."""

    def __init__(self, heads: int) -> None:
        self.heads = heads
        self._most = int(np.clip(ROWS * (HEADS / heads) ** 2, FEWEST_ROWS, ROWS))
        self._rows: dict[int, Row] = {}  # by lot
        self._end = 1 << 64  # no lot from here on is kept

    def add(self, seen: Seen) -> None:
        """Draw words of a text, and keep the heads' rows of those."""
        view = seen.view
        keys = [token.index for token in view.keys if not token.special]
        if not keys or len(view.keys) > MOST_KEYS:
            return
        words = [token.index for token in view.tokens if not token.special]
        lots_of_words = lots(lot_of(seen, "row"), np.arange(len(words))).tolist()
        each = zip(lots_of_words, words, strict=True)
        drawn = {lot: index for lot, index in each if lot < self._end}
        if not drawn:
            return
        read = view.keys if view.keys is view.tokens else (*view.keys, *view.tokens)
        told = hashed(*(token.text for token in read if not token.special))
        rows = np.concatenate([block.weights for block in seen.blocks()])
        for lot, index in drawn.items():
            row = rows[:, index]
            whole = row if view.context.measured.shares else row_shares(row)
            shares = whole[:, keys].astype(np.float32)
            rest = np.maximum(1 - shares.sum(axis=1, keepdims=True), 0)
            self._rows[lot] = Row(told, np.concatenate([shares, rest], axis=1))
        self._forget()

    def merge(self, other: "Rows") -> None:
        """Keep what either has kept, as far as there is room."""
        self._rows |= other._rows
        self._forget()

    def state(self) -> dict[str, Any]:
        """All that it knows."""
        lots = sorted(self._rows)
        rows = [self._rows[lot] for lot in lots]
        nothing = np.zeros((self.heads, 0), np.float32)
        return {
            "lots": np.array(lots, np.uint64),
            "words": np.array([row.words for row in rows], np.uint64),
            "lengths": np.array([row.shares.shape[1] for row in rows], np.int64),
            "shares": np.concatenate([nothing, *(row.shares for row in rows)], axis=1),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; ValueError if it is of another number of heads."""
        if len(state["shares"]) != self.heads:
            raise ValueError(f"the rows are of {len(state['shares'])} heads")
        parts = np.split(state["shares"], np.cumsum(state["lengths"])[:-1], axis=1)
        words = state["words"].tolist()
        rows = zip(state["lots"].tolist(), words, parts, strict=False)  # no lot, one empty part
        self._rows = {lot: Row(told, shares) for lot, told, shares in rows}
        self._end = 1 << 64
        self._forget()

    def kept(self) -> dict[int, Row]:
        """The rows, by lot, the smallest lot first."""
        return dict(sorted(self._rows.items()))

    def _forget(self) -> None:
        """Leave out the largest lots if they are too many."""
        if len(self._rows) > self._most:
            for lot in sorted(self._rows)[self._most :]:
                del self._rows[lot]
        if len(self._rows) == self._most:
            self._end = max(self._rows)


class Between(NamedTuple):
    """Mean Jensen-Shannon distances in bits between heads of A and of B, over so many `rows`.

    `apart`: rows left out, since the two models see other words in their text.
    """

    matrix: Float[np.ndarray, "head other_head"]
    rows: int
    apart: int

    def assigned(self) -> Int[np.ndarray, "two pair"]:
        """The places of heads of A, and of B: each head once, the sum of distances the smallest."""
        from scipy.optimize import linear_sum_assignment

        return np.array(linear_sum_assignment(self.matrix.round(9)))


def between(a: Rows, b: Rows) -> Between:
    """Compare the heads of A with those of B in the rows that both have."""
    rows_a, rows_b = a.kept(), b.kept()
    both = [(row, rows_b[lot]) for lot, row in rows_a.items() if lot in rows_b]
    same = [(one.shares, other.shares) for one, other in both if one.words == other.words]
    matrix = np.zeros((a.heads, b.heads))
    for one, other in same:
        matrix += distances(one, other)
    return Between(matrix / max(len(same), 1), len(same), len(both) - len(same))


def distances(
    a: Float[np.ndarray, "head key"], b: Float[np.ndarray, "other_head key"]
) -> Float[np.ndarray, "head other_head"]:
    """Jensen-Shannon distances between all rows of A and of B, which sum to 1: in bits, float64.

    H((p + q) / 2) − (H(p) + H(q)) / 2 = 1 + ½ Σ (p log₂ p + q log₂ q − (p + q) log₂(p + q)).
    """
    a, b = np.maximum(a, SMALLEST), np.maximum(b, SMALLEST)
    found = _times_log(a)[:, None] + _times_log(b)
    at_once = max(1, NUMBERS_AT_ONCE // b.size)
    for first in range(0, len(a), at_once):
        some = slice(first, first + at_once)
        found[some] -= _times_log(a[some, None] + b)
    inside: np.ndarray = np.clip(1 + found / 2, 0, 1)
    return inside


def _times_log(rows: np.ndarray) -> np.ndarray:
    """Σ p log₂ p of each row, float64."""
    sums: np.ndarray = np.einsum("...k,...k->...", rows, np.log2(rows)).astype(np.float64)
    return sums
