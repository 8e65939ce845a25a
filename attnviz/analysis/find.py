"""Which heads join these two words, and is it more than what each head gives at that distance?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attnviz.analysis.phrase import Phrase, check_apart
from attnviz.inspection import Group, HeadId, HeadStack, View

Link = tuple[Phrase, Phrase]
"""A query and a key."""


@dataclass(frozen=True)
class FoundHead:
    """How one head joins a query and a key.

    `weight`: what the query gives the key, in the view's measure: the sum over the key's words,
    averaged over the query's. `rank`: 1 and as many more as there are keys outside the phrase that
    the query gives more. `expected`: the same head's mean at that distance in this sentence, and
    `lift`, weight / expected; None where nothing is expected. `argmax`: whether the key, or a word
    of it, is what the query gives most, alone at the top.
    """

    head: HeadId
    weight: float
    rank: int
    expected: float
    lift: float | None
    argmax: bool


@dataclass(frozen=True, eq=False, repr=False)
class Finding:
    """How heads join a query and a key in one sentence; arrays have one entry a head.

    weights, ranks, expected, argmax: as in FoundHead, in the order of `places`. `strongest`: the
    index of what the query gives most, and `most`, how much that is. `dropped`: the share of the
    query's row that went to special tokens, None where they are not left out. `keys`: how many
    there are to be ranked, a phrase counting as one. `pairs`: how many pairs of tokens `expected`
    is a mean of.
    """

    view: View
    query: Phrase
    key: Phrase
    places: list[HeadId]
    weights: np.ndarray
    ranks: np.ndarray
    expected: np.ndarray
    argmax: np.ndarray
    strongest: np.ndarray
    most: np.ndarray
    dropped: np.ndarray | None
    keys: int
    pairs: int

    def __repr__(self) -> str:
        return f"<Finding of {self.query.text!r} looking at {self.key.text!r}: {self.heads[:1]}>"

    @cached_property
    def order(self) -> np.ndarray:
        """Where the heads stand in the arrays, best first: by weight, then as in the model."""
        return np.argsort(-self.weights, kind="stable")

    @cached_property
    def lifts(self) -> np.ndarray:
        """Weight / expected, NaN where nothing is expected."""
        return lifts_of(self.weights, self.expected)

    @cached_property
    def heads(self) -> tuple[FoundHead, ...]:
        """The heads, best first."""
        return tuple(self._head(int(place)) for place in self.order)

    @property
    def alone(self) -> bool:
        """Whether no other words of the sentence stand as far apart, so that no lift can show."""
        return self.pairs == len(self.query.tokens) * len(self.key.tokens)

    def _head(self, place: int) -> FoundHead:
        lift = float(self.lifts[place])
        return FoundHead(
            head=self.places[place],
            weight=float(self.weights[place]),
            rank=int(self.ranks[place]),
            expected=float(self.expected[place]),
            lift=None if np.isnan(lift) else lift,
            argmax=bool(self.argmax[place]),
        )


def find(view: View, query: Phrase, key: Phrase, heads: Sequence[HeadId] | None = None) -> Finding:
    """How the heads given, or all, join a query and a key.

    A phrase of several words counts as pieces merged to a word do: the sum over the key's words,
    the mean over the query's (Clark et al. 2019). What is expected is a mean over all pairs of
    tokens that stand as far apart, key after query or before it; special tokens do not count in it,
    unless the query or the key is one. For phrases, each of its words is expected what stands at
    its distance, and these are summed and averaged as the weights are.

    Raises RequestError if query and key overlap.
    """
    [finding] = _findings(view, [(query, key)], heads)
    return finding


def find_both(
    view: View, query: Phrase, key: Phrase, heads: Sequence[HeadId] | None = None
) -> tuple[Finding, Finding]:
    """The same, and how the heads join them the other way round, in one pass over the heads."""
    there, back = _findings(view, [(query, key), (key, query)], heads)
    return there, back


def lifts_of(weights: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Weight / expected, entry by entry; NaN where nothing is expected."""
    nothing = np.full_like(weights, np.nan)
    lifts: np.ndarray = np.divide(weights, expected, out=nothing, where=expected > 0)
    return lifts


def _findings(view: View, links: Sequence[Link], heads: Sequence[HeadId] | None) -> list[Finding]:
    """A finding for each link; each head's weights are computed once for all of them."""
    check_apart(*links[0])
    places = view.all_heads() if heads is None else list(heads)
    askers = [_Asker(view, query, key) for query, key in links]

    def answered(group: Group) -> list[_Answers]:
        sums = [_Sums(asker, len(group.heads)) for asker in askers]
        for part in group.stacks:
            for one in sums:
                one.add(part)
        return [one.answers() for one in sums]

    answers = list(zip(*view.over(places, answered), strict=True))
    return [asker.finding(view, places, own) for asker, own in zip(askers, answers, strict=True)]


@dataclass(frozen=True, eq=False)
class _Answers:
    """What some heads, together, say of a link; fields as in Finding."""

    weights: np.ndarray
    ranks: np.ndarray
    expected: np.ndarray
    argmax: np.ndarray
    strongest: np.ndarray
    most: np.ndarray
    dropped: np.ndarray | None


class _Asker:
    """One link, and which entries of a head's matrix answer for it.

    `distances`: each distance between words of the two, how often it occurs, and the rows of its
    pairs of tokens, ascending.
    """

    def __init__(self, view: View, query: Phrase, key: Phrase) -> None:
        self.query, self.key = query, key
        tokens, keys = view.tokens, view.keys
        first, end = key.tokens[0].index, key.tokens[-1].index + 1
        self.queries = slice(query.tokens[0].index, query.tokens[-1].index + 1)
        self.keys, self.others = slice(first, end), np.r_[0:first, end : len(keys)]
        looks = np.array([query.special or not token.special for token in tokens])
        seen = np.array([key.special or not token.special for token in keys])
        distances = np.subtract.outer(key.indices, query.indices).ravel()
        self.distances: list[tuple[int, int, np.ndarray]] = []
        for distance, count in zip(*np.unique(distances, return_counts=True), strict=True):
            low, high = max(0, -distance), min(len(tokens), len(keys) - distance)
            rows = np.flatnonzero(looks[low:high]) + low
            self.distances.append((int(distance), int(count), rows[seen[rows + distance]]))

    def finding(self, view: View, places: list[HeadId], parts: Sequence[_Answers]) -> Finding:
        """The answers of all heads together."""
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("weights", "ranks", "expected", "argmax", "strongest", "most")
        }
        shares = [part.dropped for part in parts if part.dropped is not None]
        return Finding(
            view=view,
            query=self.query,
            key=self.key,
            places=places,
            **joined,
            dropped=np.concatenate(shares) if shares else None,
            keys=len(self.others) + 1,
            pairs=sum(len(rows) for _, _, rows in self.distances),
        )


class _Sums:
    """What a link's rows and diagonals sum to in some heads, as their rows come."""

    def __init__(self, asker: _Asker, heads: int) -> None:
        self._asker = asker
        self._row: np.ndarray | None = None
        self._dropped: np.ndarray | None = None
        self._expected = np.zeros((len(asker.distances), heads))

    def add(self, part: HeadStack) -> None:
        """Count some rows more."""
        asked, (start, stop) = self._asker.queries, (part.rows.start, part.rows.stop)
        own = slice(max(asked.start, start) - start, min(asked.stop, stop) - start)
        if own.start < own.stop:
            row = part.weights[:, own].sum(axis=1)
            self._row = row if self._row is None else self._row + row
            if part.dropped is not None:
                dropped = part.dropped[:, own].sum(axis=1)
                self._dropped = dropped if self._dropped is None else self._dropped + dropped
        for total, (distance, _, rows) in zip(self._expected, self._asker.distances, strict=True):
            here = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)]
            weights = part.weights[:, here - start, here + distance]
            total += weights.sum(axis=1, dtype=np.float64)

    def answers(self) -> _Answers:
        """What follows, once all rows are counted."""
        asker, words = self._asker, self._asker.queries.stop - self._asker.queries.start
        if self._row is None:
            raise ValueError("the query's rows did not come")
        row = self._row / self._row.dtype.type(words)
        weight, others = row[:, asker.keys].sum(axis=1), row[:, asker.others]
        return _Answers(
            weights=weight,
            ranks=1 + (others > weight[:, None]).sum(axis=1),
            expected=self._mean_expected().astype(row.dtype),
            argmax=row[:, asker.keys].max(axis=1) > others.max(axis=1, initial=0),
            strongest=row.argmax(axis=1),
            most=row.max(axis=1),
            dropped=None if self._dropped is None else self._dropped / row.dtype.type(words),
        )

    def _mean_expected(self) -> np.ndarray:
        """The mean of each word's distance, (head,), summed and averaged as the weights are."""
        total = np.zeros(self._expected.shape[1])
        for summed, (_, count, rows) in zip(self._expected, self._asker.distances, strict=True):
            total += count * (summed / len(rows))
        mean: np.ndarray = total / len(self._asker.query.tokens)
        return mean
