"""Which heads join these two words, and is it more than what each head gives at that distance?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attnviz.analysis.phrase import Phrase, check_apart
from attnviz.inspection import HeadId, View
from attnviz.tokens import Token

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
    askers = [_Asker(view.tokens, query, key) for query, key in links]
    parts: list[list[_Answers]] = [[] for _ in links]
    for stack in view.stacks(places):
        for asker, part in zip(askers, parts, strict=True):
            part.append(asker.ask(stack.weights, stack.dropped))
    return [asker.finding(view, places, part) for asker, part in zip(askers, parts, strict=True)]


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
    """One link, and which entries of a head's matrix answer for it."""

    def __init__(self, tokens: Sequence[Token], query: Phrase, key: Phrase) -> None:
        self.query, self.key = query, key
        first, end = key.tokens[0].index, key.tokens[-1].index + 1
        self._queries = slice(query.tokens[0].index, query.tokens[-1].index + 1)
        self._keys, self._others = slice(first, end), np.r_[0:first, end : len(tokens)]
        special = np.array([token.special for token in tokens])
        looks = np.ones_like(special) if query.special else ~special
        seen = np.ones_like(special) if key.special else ~special
        distances = np.subtract.outer(key.indices, query.indices).ravel()
        # each distance: how often it occurs between the two, and the rows of its pairs
        self._distances: list[tuple[int, int, np.ndarray]] = []
        for distance, count in zip(*np.unique(distances, return_counts=True), strict=True):
            rows = np.flatnonzero(looks[max(0, -distance) : len(tokens) - max(0, distance)])
            rows += max(0, -distance)
            self._distances.append((int(distance), int(count), rows[seen[rows + distance]]))

    def ask(self, weights: np.ndarray, dropped: np.ndarray | None) -> _Answers:
        """weights: (head, query, key); dropped: (head, query)."""
        row = weights[:, self._queries].mean(axis=1)
        weight = row[:, self._keys].sum(axis=1)
        others = row[:, self._others]
        return _Answers(
            weights=weight,
            ranks=1 + (others > weight[:, None]).sum(axis=1),
            expected=self._expected(weights),
            argmax=row[:, self._keys].max(axis=1) > others.max(axis=1, initial=0),
            strongest=row.argmax(axis=1),
            most=row.max(axis=1),
            dropped=None if dropped is None else dropped[:, self._queries].mean(axis=1),
        )

    def _expected(self, weights: np.ndarray) -> np.ndarray:
        total = np.zeros(len(weights))
        for distance, count, rows in self._distances:
            total += count * weights[:, rows, rows + distance].mean(axis=1, dtype=np.float64)
        expected: np.ndarray = (total / len(self.query.tokens)).astype(weights.dtype)
        return expected

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
            keys=len(self._others) + 1,
            pairs=sum(len(rows) for _, _, rows in self._distances),
        )
