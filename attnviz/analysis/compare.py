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
from attnviz.inspection import HeadId, Seen, row_shares


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

    shares: (..., key); sums: (...,); dropped, rest: (...,), None where nothing was.
    """

    shares: np.ndarray
    sums: np.ndarray
    dropped: np.ndarray | None
    rest: np.ndarray | None

    @classmethod
    def of(cls, aligned: Aligned, side: Side, seen: Seen) -> "_Rows":
        """From rows over the sentence's own tokens, (..., token), in the view's measure."""
        view, rows = aligned.view(side), seen.weights
        shares = rows if view.measured.shares else row_shares(rows)
        spread = np.zeros((*rows.shape[:-1], len(aligned.keys)), rows.dtype)
        spread[..., aligned.places(side)] = shares
        rest = seen.sink
        if view.window is not None and not view.crossed and view.measured.shares:
            rest = np.maximum(1 - rows.sum(axis=-1), 0)
        return cls(spread, rows.sum(axis=-1), seen.dropped, rest)

    def at(self, place: tuple[int, ...]) -> "_Rows":
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
        sides.append(_Rows.of(aligned, side, aligned.view(side).row(token.index)))
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
        distances[words] = _distances(a, b)
        yield _change(aligned, head, a, b, distances)


def _each_head(aligned: Aligned, side: Side, heads: Sequence[HeadId]) -> Iterator[_Rows]:
    """What the words that stand in both sentences look at, head by head: (word, ...)."""
    own = SIDES.index(side)
    queries = [aligned.pair(column)[own].index for column in aligned.words]
    for stack in aligned.view(side).stacks(heads):
        for place, weights in enumerate(stack.weights):
            dropped = None if stack.dropped is None else stack.dropped[place, queries]
            sink = None if stack.sink is None else stack.sink[place, queries]
            yield _Rows.of(aligned, side, Seen(weights[queries], dropped, sink))


def _change(
    aligned: Aligned, head: HeadId, a: _Rows, b: _Rows, distances: np.ndarray | None
) -> HeadChange:
    """From one word's rows, (key,), or from those of several, (word, key): their mean."""
    mean_a, mean_b = (rows.shares.reshape(-1, len(aligned.keys)).mean(axis=0) for rows in (a, b))
    return HeadChange(
        head=head,
        distance=float(_distances(a, b).mean()),
        a=mean_a,
        b=mean_b,
        distances=distances,
        sums=None if aligned.a.measured.shares else _means(a.sums, b.sums),
        dropped=_means(a.dropped, b.dropped),
        rest=_means(a.rest, b.rest),
    )


def _means(a: np.ndarray | None, b: np.ndarray | None) -> Both | None:
    """The mean of each, 0 for one that has none; None where neither has any."""
    if a is None and b is None:
        return None
    return Both(*(0.0 if part is None else float(part.mean()) for part in (a, b)))
