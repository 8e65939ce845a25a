"""Jensen-Shannon distances between all pairs of heads (Clark et al. 2019, section 6).

Each pair of heads is compared in the rows of some words, which are drawn by a hash of text and
word. In a small corpus all words are drawn; in a larger one a half, a quarter, and so on, so that
the time a text takes stays bounded. A word that is drawn among many would be drawn among few. So
any split of a corpus can be joined again: what was drawn for too few words is left out.
"""

from functools import lru_cache
from typing import Any

import numpy as np

from attnviz.answers.distances import Distances
from attnviz.attention.shapes import Float
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics.lots import lot_of, lots
from attnviz.inspection import row_shares

ROWS, FEWEST_ROWS, MOST_ROWS = 256, 32, 1 << 12
"""Words of which all are drawn, for HEADS heads: fewer for more heads, whose pairs are many."""

EVERY, HEADS = 64, 72
"""Of a large corpus one in so many words is drawn, for HEADS heads."""

WAITING_BYTES = 1 << 22
"""Rows that wait to be compared, before it is known whether they count."""

MOST_HEADS = 2048
"""More heads are not compared: each word would have over two million pairs."""

PAIRS_AT_ONCE = (
    3 << 13
)  # numbers: less than the 128 KiB from which memory comes anew from the system
CUT = 0.2
"""Heads of one cluster are this far apart or less, in bits, on average over its pairs."""

SMALLEST = np.float32(1e-30)  # whose logarithm is finite


class HeadDistances:
    """Adds up distances between heads over the words that are drawn."""

    def __init__(self) -> None:
        self._words = 0
        self._sums: dict[int, np.ndarray] = {}  # by level: (pair,)
        self._rows: dict[int, int] = {}
        self._waiting: list[tuple[int, np.ndarray]] = []  # level, (head, key)
        self._bytes, self._heads = 0, 0

    def add(self, seen: Seen) -> None:
        """Draw words of a text, and compare the heads' rows of those."""
        words = [token.index for token in seen.view.tokens if not token.special]
        self._words += len(words)
        self._heads = len(seen.view.context.recorded) * seen.view.context.num_heads
        if self._heads > MOST_HEADS:
            return
        drawn = lots(lot_of(seen, "distance"), np.array(words, np.int64))
        level = self._level()
        chosen = np.flatnonzero(drawn >> np.uint64(64 - level) == 0) if level else range(len(words))
        if len(chosen):
            blocks = seen.blocks()
            kept = blocks if isinstance(blocks, list) else None
            for place in chosen:
                row = _row(seen, words[place], kept)
                self._waiting.append((64 - int(drawn[place]).bit_length(), row))
                self._bytes += row.nbytes
            if self._bytes > WAITING_BYTES:
                self._compare()

    def merge(self, other: "HeadDistances") -> None:
        """Add what another has added up."""
        self._words += other._words
        self._heads = self._heads or other._heads
        for level, sums in other._sums.items():
            self._add(level, other._rows[level], sums)
        self._waiting += other._waiting
        self._bytes += other._bytes
        self._forget()
        if self._bytes > WAITING_BYTES:
            self._compare()

    def result(self) -> Distances | None:
        """The mean distances, clusters and tree; None without rows, or with 1 or too many heads."""
        self._compare()
        rows = sum(self._rows.values())
        if not rows or self._heads < 2:
            return None
        pairs = np.maximum(sum(self._sums.values()) / rows, 0)
        matrix = np.zeros((self._heads, self._heads))
        matrix[_pairs(self._heads)] = pairs
        return clustered(matrix + matrix.T, rows)

    def state(self) -> dict[str, Any]:
        """All that it knows."""
        self._compare()
        levels = sorted(self._sums)
        return {
            "words": self._words,
            "heads": self._heads,
            "levels": levels,
            "rows": [self._rows[level] for level in levels],
            "sums": np.array([self._sums[level] for level in levels]),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self._words, self._heads = int(state["words"]), int(state["heads"])
        self._waiting, self._bytes = [], 0
        self._rows = dict(zip(state["levels"], state["rows"], strict=True))
        self._sums = dict(zip(state["levels"], state["sums"], strict=True))

    def _level(self) -> int:
        """Of 2^level words one is drawn, once so many were seen."""
        heads = (HEADS / max(self._heads, 1)) ** 2
        most = np.clip(ROWS * heads, FEWEST_ROWS, MOST_ROWS) + self._words * min(1, heads / EVERY)
        return int(np.ceil(np.log2(max(1, self._words / most))))

    def _forget(self) -> None:
        """Leave out what was drawn when fewer words were seen."""
        least = self._level()
        for level in [level for level in self._sums if level < least]:
            del self._sums[level], self._rows[level]
        self._waiting = [one for one in self._waiting if one[0] >= least]
        self._bytes = sum(row.nbytes for _, row in self._waiting)

    def _compare(self) -> None:
        """Compare the heads in the rows that wait."""
        self._forget()
        for level, row in self._waiting:
            self._add(level, 1, distances(row))
        self._waiting, self._bytes = [], 0

    def _add(self, level: int, rows: int, sums: np.ndarray) -> None:
        self._rows[level] = self._rows.get(level, 0) + rows
        self._sums[level] = self._sums.get(level, 0) + sums


def _row(seen: Seen, index: int, blocks: Any) -> Float[np.ndarray, "head key"]:
    """A word's row in every head, which sums to 1; a sink's share is one more key."""
    if blocks is None:
        block = seen.view.row(index).block
        rows, sink = block.weights[:, 0], None if block.sink is None else block.sink[:, 0]
    else:
        rows = np.concatenate([block.weights[:, index] for block in blocks])
        sinks = [block.sink[:, index] for block in blocks if block.sink is not None]
        sink = np.concatenate(sinks) if sinks else None
    if sink is not None:
        rows = np.concatenate([rows, sink[:, None]], axis=1)
    shares: np.ndarray = row_shares(rows.astype(np.float32))
    return shares


@lru_cache(maxsize=4)
def _pairs(heads: int) -> tuple[np.ndarray, np.ndarray]:
    """The places of both heads of each pair, in the order of scipy's condensed matrices."""
    return np.triu_indices(heads, 1)


def distances(rows: Float[np.ndarray, "head key"]) -> Float[np.ndarray, "pair"]:
    """Jensen-Shannon distances between all pairs of rows that sum to 1, in bits, float64.

    H((p + q) / 2) − (H(p) + H(q)) / 2 = 1 + ½ Σ (p log₂ p + q log₂ q − (p + q) log₂(p + q)).
    """
    a, b = _pairs(len(rows))
    rows = np.maximum(rows, SMALLEST)
    own = _times_log(rows)
    found = np.empty(len(a))
    at_once = max(1, PAIRS_AT_ONCE // rows.shape[1])
    for first in range(0, len(a), at_once):
        some = slice(first, first + at_once)
        both = rows.take(a[some], axis=0)
        both += rows.take(b[some], axis=0)
        found[some] = own[a[some]] + own[b[some]] - _times_log(both)
    return 1 + found / 2


def _times_log(rows: Float[np.ndarray, "row key"]) -> Float[np.ndarray, "row"]:
    """Σ p log₂ p of each row."""
    sums: np.ndarray = np.einsum("rk,rk->r", rows, np.log(rows)) / np.log(2)
    return sums


def clustered(matrix: Float[np.ndarray, "head head"], rows: int) -> Distances:
    """The distances with their tree (average linkage) and its branches below CUT."""
    from scipy.cluster.hierarchy import fcluster, linkage

    tree = linkage(matrix[_pairs(len(matrix))].round(9), "average")
    members: dict[int, list[int]] = {}
    for place, cluster in enumerate(fcluster(tree, CUT, "distance").tolist()):
        members.setdefault(cluster, []).append(place)
    ordered = sorted(members.values(), key=lambda own: (-len(own), own))
    return Distances(
        matrix=matrix,
        rows=rows,
        clusters=tuple(map(tuple, ordered)),
        tree=tuple((int(a), int(b), height, int(size)) for a, b, height, size in tree.tolist()),
        cut=CUT,
    )
