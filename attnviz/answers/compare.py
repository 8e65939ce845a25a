"""What changes, and in which heads, if a word of the sentence changes, or the model?

A word that looks, the query, has a distribution over the words of each sentence. Laid over the
aligned words, with 0 where a sentence lacks a word, the two have a distance: the square root of the
Jensen-Shannon divergence to base 2, from 0 (equal) to 1 (nothing in common); Lin 1991, and Endres &
Schindelin 2003, who show that the root is a metric.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from attnviz.answers.align import SIDES, Aligned, Column, Side
from attnviz.answers.rows import rows_of
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.inspection import Block, HeadId, row_shares

NUMBERS_AT_ONCE = 1 << 18
"""Weights of each side that are compared together: all of a short text's, some rows of a long's."""


@dataclass(frozen=True)
class Both:
    """A number of A, and the same of B."""

    a: float
    b: float


@dataclass(frozen=True, eq=False)
class HeadChange:
    """What one head does differently in B.

    a, b: (key,), the query's distribution over the aligned words, 0 where the sentence lacks the
    word; without a query the mean of those of all words that both have. `distance`: between them,
    or the mean of the words' distances. `distances`: (column,), each word's own as a query, NaN
    for one that is in one sentence alone or is special; None where a query was given.

    `sums`: what rows were divided by, for measures whose rows are not shares. `dropped`: the share
    of the rows that went to special tokens, where the views leave them out. `rest`: the share of
    what is shown that went to no key, but to a model's sink, or out of the window; it counts in
    distances as one key more.
    """

    head: HeadId
    distance: float
    a: np.ndarray
    b: np.ndarray
    distances: np.ndarray | None
    sums: Both | None
    dropped: Both | None
    rest: Both | None = None

    @property
    def change(self) -> np.ndarray:
        """B minus A, (key,)."""
        change: np.ndarray = self.b - self.a
        return change

    def gained(self, count: int) -> list[int]:
        """The keys that gained most, most first, `count` at most."""
        return _largest(self.change, count)

    def lost(self, count: int) -> list[int]:
        """The keys that lost most, most first, `count` at most."""
        return _largest(-self.change, count)


@dataclass(frozen=True, eq=False)
class Comparison:
    """Heads of A beside the same heads of B, those that change most first.

    `query` is one of the `columns`, `key` one of the `keys`, None where none was asked for. Heads
    are ranked by distance; with a key by how much the link to it changes.
    """

    aligned: Aligned
    query: int | None
    key: int | None
    heads: tuple[HeadChange, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The aligned words that look."""
        return self.aligned.columns

    @property
    def keys(self) -> tuple[Column, ...]:
        """The aligned words that are looked at: the same, unless they are of another text."""
        return self.aligned.keys

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

    `key` is a column of the keys. Raises RequestError for a query or key that is not in both
    sentences.
    """
    if query is not None:
        aligned.pair(query)
    if key is not None:
        aligned.pair(key, "key")
    chosen = list(heads) or aligned.a.all_heads()
    changes = list(
        _all_words(aligned, chosen) if query is None else _one_word(aligned, query, chosen)
    )

    changes.sort(key=lambda head: (head.head.layer, head.head.place))
    sizes = [head.distance if key is None else abs(float(head.change[key])) for head in changes]
    order = descending(np.array(sizes), floor=NEAR_ZERO)
    return Comparison(aligned, query, key, tuple(changes[place] for place in order))


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
    order = descending(change, count, floor=NEAR_ZERO)
    return [int(column) for column in order if change[column] > NEAR_ZERO]


@dataclass(frozen=True, eq=False)
class _Rows:
    """What some queries of one sentence look at; see HeadChange.

    shares: (..., key); sums: (...,); dropped, rest: (...,), None where nothing was.
    """

    shares: np.ndarray
    sums: np.ndarray
    dropped: np.ndarray | None
    rest: np.ndarray | None

    @classmethod
    def of(cls, aligned: Aligned, side: Side, block: Block) -> "_Rows":
        """From one head's rows over the sentence's own tokens, in the view's measure."""
        view, rows = aligned.view(side), block.weights
        shares = rows if view.measured.shares else row_shares(rows)
        spread = np.zeros((*rows.shape[:-1], len(aligned.keys)), rows.dtype)
        spread[..., aligned.places(side)] = shares
        rest = block.sink
        if view.window is not None and not view.is_cross_attention and view.measured.shares:
            rest = np.maximum(1 - rows.sum(axis=-1), 0)
        return cls(spread, rows.sum(axis=-1), block.dropped, rest)

    def at(self, place: int) -> "_Rows":
        """The rows of one head."""
        dropped, rest = (None if own is None else own[place] for own in (self.dropped, self.rest))
        return _Rows(self.shares[place], self.sums[place], dropped, rest)

    def whole(self) -> np.ndarray:
        """Distributions over the keys, and over what is none: (..., key and one)."""
        rest = np.zeros_like(self.sums) if self.rest is None else self.rest
        return np.concatenate([self.shares, rest[..., None]], axis=-1)


def _distances(a: _Rows, b: _Rows) -> np.ndarray:
    """How far the rows of A and B are apart: (...,)."""
    if a.rest is None and b.rest is None:
        return jensen_shannon(a.shares, b.shares)
    return jensen_shannon(a.whole(), b.whole())


def _one_word(aligned: Aligned, query: int, heads: Sequence[HeadId]) -> Iterator[HeadChange]:
    """The heads' changes for the word in one column."""
    sides = []
    for side, token in zip(SIDES, aligned.pair(query), strict=True):
        sides.append(_Rows.of(aligned, side, aligned.view(side).row(token.index).block))
    place_of = {head: place for place, head in enumerate(aligned.a.all_heads())}
    for head in heads:
        a, b = (rows.at(place_of[head]) for rows in sides)
        yield _change(aligned, head, [(a, b)], None)


def _all_words(aligned: Aligned, heads: Sequence[HeadId]) -> Iterator[HeadChange]:
    """The heads' changes for the words that stand in both sentences, few in memory at a time."""
    sides = (_each_head(aligned, side, heads) for side in SIDES)
    for head, a, b in zip(heads, *sides, strict=True):
        yield _change(aligned, head, zip(a, b, strict=True), aligned.words)


def _each_head(aligned: Aligned, side: Side, heads: Sequence[HeadId]) -> Iterator[Iterator[_Rows]]:
    """What the words that stand in both sentences look at, head by head: (word, ...).

    Of long ones some words at a time, as many on both sides.
    """
    own, view = SIDES.index(side), aligned.view(side)
    queries = np.array([aligned.pair(column)[own].index for column in aligned.words])
    at_once = max(1, NUMBERS_AT_ONCE // len(aligned.keys))
    blocks = view.blocks(heads)
    for first in blocks:
        if first.rows.start:  # rows of the head before, which were not needed
            continue
        for place in range(len(first.heads)):
            rows = rows_of(queries, chain([first], blocks), place, at_once)
            yield (_Rows.of(aligned, side, block) for block in rows)


class _Mean:
    """What rows have on average, put together as they come; see HeadChange."""

    def __init__(self) -> None:
        self._shares, self._count = np.zeros((), np.float32), 0
        self._others: dict[str, list[np.ndarray]] = {"sums": [], "dropped": [], "rest": []}

    def add(self, rows: _Rows) -> None:
        """Count one word's rows, (key,), or those of several, (word, key)."""
        shares = rows.shares.reshape(-1, rows.shares.shape[-1])
        self._shares = self._shares + shares.sum(axis=0)
        self._count += len(shares)
        for name, found in self._others.items():
            own = getattr(rows, name)
            if own is not None:
                found.append(np.ravel(own))

    @property
    def shares(self) -> np.ndarray:
        mean: np.ndarray = self._shares / np.float32(self._count)
        return mean

    def of(self, name: str) -> float | None:
        found = self._others[name]
        return float(np.concatenate(found).mean()) if found else None


def _change(
    aligned: Aligned,
    head: HeadId,
    pairs: Iterable[tuple[_Rows, _Rows]],
    words: Sequence[int] | None,
) -> HeadChange:
    """From the rows of A and of B; `words` are the columns whose rows they are, if not one's."""
    means, found = (_Mean(), _Mean()), []
    for both in pairs:
        for mean, rows in zip(means, both, strict=True):
            mean.add(rows)
        found.append(np.ravel(_distances(*both)))
    each = np.concatenate(found)
    distances = None
    if words is not None:
        distances = np.full(len(aligned.columns), np.nan)
        distances[words] = each
    a, b = means
    return HeadChange(
        head=head,
        distance=float(each.mean()),
        a=a.shares,
        b=b.shares,
        distances=distances,
        sums=None if aligned.a.measured.shares else _both(a, b, "sums"),
        dropped=_both(a, b, "dropped"),
        rest=_both(a, b, "rest"),
    )


def _both(a: _Mean, b: _Mean, name: str) -> Both | None:
    """The mean of each, 0 for one that has none; None where neither has any."""
    found = a.of(name), b.of(name)
    return None if found == (None, None) else Both(*(part or 0.0 for part in found))
