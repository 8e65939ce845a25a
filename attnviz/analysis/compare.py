"""What changes, and in which heads, if a word of the sentence changes, or the model?

A word that looks, the query, has a distribution over the words of each sentence. Laid over the
aligned words, with 0 where a sentence lacks a word, the two have a distance: the square root of the
Jensen-Shannon divergence to base 2, from 0 (equal) to 1 (nothing in common); Lin 1991, and Endres &
Schindelin 2003, who show that the root is a metric.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.analysis.align import SIDES, Aligned, Column, Side
from attnviz.analysis.special import special_shares
from attnviz.inspection import HeadId, row_shares


@dataclass(frozen=True)
class Both:
    """A number of A, and the same of B."""

    a: float
    b: float


@dataclass(frozen=True, eq=False)
class HeadChange:
    """What one head does differently in B.

    a, b: (column,), the query's distribution over the aligned words, 0 where the sentence lacks the
    word; without a query the mean of those of all words that both have. `distance`: between them,
    or the mean of the words' distances. `distances`: (column,), each word's own as a query, NaN
    for one that is in one sentence alone or is special; None where a query was given.

    `sums`: what rows were divided by, for measures whose rows are not shares. `dropped`: the share
    of the rows that went to special tokens, where the views leave them out.
    """

    head: HeadId
    distance: float
    a: np.ndarray
    b: np.ndarray
    distances: np.ndarray | None
    sums: Both | None
    dropped: Both | None

    @property
    def change(self) -> np.ndarray:
        """B minus A, (column,)."""
        change: np.ndarray = self.b - self.a
        return change

    def gained(self, count: int) -> list[int]:
        """The columns that gained most, most first, `count` at most."""
        return _largest(self.change, count)

    def lost(self, count: int) -> list[int]:
        """The columns that lost most, most first, `count` at most."""
        return _largest(-self.change, count)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Heads of A beside the same heads of B, those that change most first.

    `query` and `key` are columns, None where none was asked for. Heads are ranked by distance; with
    a key by how much the link to it changes.
    """

    aligned: Aligned
    query: int | None
    key: int | None
    heads: tuple[HeadChange, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The aligned words."""
        return self.aligned.columns

    def __repr__(self) -> str:
        texts = [view.inspection.tokens.text for view in (self.aligned.a, self.aligned.b)]
        return f"<Comparison of {texts[0]!r} and {texts[1]!r}: {len(self.heads)} heads>"


def compare(
    aligned: Aligned,
    query: int | None = None,
    key: int | None = None,
    heads: Sequence[HeadId] = (),
) -> Comparison:
    """Compare what the word in column `query`, or every word, looks at in the heads (none: all).

    Raises RequestError for a query or key that is not in both sentences.
    """
    for column in (query, key):
        if column is not None:
            aligned.pair(column)
    chosen = list(heads) or aligned.a.all_heads()
    changes = list(
        _all_words(aligned, chosen) if query is None else _one_word(aligned, query, chosen)
    )

    def size(head: HeadChange) -> float:
        return head.distance if key is None else abs(float(head.change[key]))

    changes.sort(key=lambda head: (-size(head), head.head.layer, head.head.place))
    return Comparison(aligned, query, key, tuple(changes))


def jensen_shannon(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """The Jensen-Shannon distance to base 2 of distributions: (..., n), (..., n) -> (...).

    One without anything, all 0, is at distance 1 from any other, and 0 from another such.
    """
    p, q = np.asarray(p, np.float64), np.asarray(q, np.float64)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    distance: np.ndarray = np.sqrt(np.clip(divergence, 0, 1))
    empty = (p.sum(axis=-1) == 0) != (q.sum(axis=-1) == 0)
    return np.where(empty, 1.0, distance)


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Kullback and Leibler's divergence in bits; 0 log 0 counts as 0."""
    logs = np.log2(np.divide(p, q, out=np.ones_like(p), where=p > 0))
    entropy: np.ndarray = (p * logs).sum(axis=-1)
    return entropy


def _largest(change: np.ndarray, count: int) -> list[int]:
    order = np.argsort(-change, kind="stable")[:count]
    return [int(column) for column in order if change[column] > 0]


@dataclass(frozen=True, eq=False)
class _Rows:
    """What some queries of one sentence look at; see HeadChange.

    shares: (..., column); sums, dropped: (...,), `dropped` None where nothing was.
    """

    shares: np.ndarray
    sums: np.ndarray
    dropped: np.ndarray | None

    @classmethod
    def of(
        cls, aligned: Aligned, side: Side, rows: np.ndarray, dropped: np.ndarray | None
    ) -> "_Rows":
        """From rows over the sentence's own tokens, (..., token), in the view's measure."""
        shares = rows if aligned.a.measured.shares else row_shares(rows)
        spread = np.zeros((*rows.shape[:-1], len(aligned.columns)), rows.dtype)
        spread[..., aligned.places(side)] = shares
        return cls(spread, rows.sum(axis=-1), dropped)

    def at(self, place: tuple[int, ...]) -> "_Rows":
        """The rows of one head."""
        dropped = None if self.dropped is None else self.dropped[place]
        return _Rows(self.shares[place], self.sums[place], dropped)


def _one_word(aligned: Aligned, query: int, heads: Sequence[HeadId]) -> Iterator[HeadChange]:
    """The heads' changes for the word in one column."""
    sides = []
    for side, token in zip(SIDES, aligned.pair(query), strict=True):
        view = aligned.view(side)
        dropped = None if view.special else special_shares(view, token.index)
        sides.append(_Rows.of(aligned, side, view.query(token.index), dropped))
    for head in heads:
        a, b = (rows.at((head.layer, head.place)) for rows in sides)
        yield _change(aligned, head, a, b, None)


def _all_words(aligned: Aligned, heads: Sequence[HeadId]) -> Iterator[HeadChange]:
    """The heads' changes for the words that stand in both sentences, few in memory at a time."""
    words = aligned.words
    for head, a, b in zip(
        heads, *(_each_head(aligned, side, heads) for side in SIDES), strict=True
    ):
        distances = np.full(len(aligned.columns), np.nan)
        distances[words] = jensen_shannon(a.shares, b.shares)
        yield _change(aligned, head, a, b, distances)


def _each_head(aligned: Aligned, side: Side, heads: Sequence[HeadId]) -> Iterator[_Rows]:
    """What the words that stand in both sentences look at, head by head: (word, ...)."""
    own = SIDES.index(side)
    queries = [aligned.pair(column)[own].index for column in aligned.words]
    for stack in aligned.view(side).stacks(heads):
        for place, weights in enumerate(stack.weights):
            dropped = None if stack.dropped is None else stack.dropped[place, queries]
            yield _Rows.of(aligned, side, weights[queries], dropped)


def _change(
    aligned: Aligned, head: HeadId, a: _Rows, b: _Rows, distances: np.ndarray | None
) -> HeadChange:
    """From one word's rows, (column,), or from those of several, (word, column): their mean."""
    mean_a, mean_b = (rows.shares.reshape(-1, len(aligned.columns)).mean(axis=0) for rows in (a, b))
    sums = None if aligned.a.measured.shares else _means(a.sums, b.sums)
    dropped = None
    if a.dropped is not None and b.dropped is not None:
        dropped = _means(a.dropped, b.dropped)
    distance = float(jensen_shannon(a.shares, b.shares).mean())
    return HeadChange(head, distance, mean_a, mean_b, distances, sums, dropped)


def _means(a: np.ndarray, b: np.ndarray) -> Both:
    return Both(float(a.mean()), float(b.mean()))
