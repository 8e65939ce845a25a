"""Which heads join these two words, and is it more than what each head gives pairs like these?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attnviz.answers.masks import by_mask
from attnviz.answers.pairs import count, likes_of, seen_by
from attnviz.answers.phrase import Phrase, check_apart
from attnviz.attention.order import descending, exceeds, largest
from attnviz.errors import RequestError
from attnviz.inspection import Block, HeadId, View

Link = tuple[Phrase, Phrase]
"""A query and a key."""


@dataclass(frozen=True)
class FoundHead:
    """How one head joins a query and a key.

    `weight`: what the query gives the key, in the view's measure: the sum over the key's words,
    averaged over the query's. `rank`: 1 and as many more as there are keys outside the phrase that
    the query gives more. `expected`: the same head's mean over pairs like these, see `find`; None
    where the layer's mask lets none of them look. `lift`: weight / expected, None where nothing is
    expected. `argmax`: whether the key, or a word of it, is what the query gives most, alone at the
    top.
    """

    head: HeadId
    weight: float
    rank: int
    expected: float | None
    lift: float | None
    argmax: bool


@dataclass(frozen=True, eq=False, repr=False)
class Finding:
    """How heads join a query and a key in one sentence; arrays have one entry a head.

    weights, ranks, expected, argmax: as in FoundHead, in the order of `places`, NaN for None.
    `strongest`: the index of what the query gives most, and `most`, how much that is. `dropped`:
    the share of the query's row that went to special tokens, None where they are not left out.
    `keys`: how many there are to be ranked, those that the query may look at, a phrase counting as
    one. `pairs`: how many pairs of
    tokens `expected` is a mean of; the most, where layers' masks differ.
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
        return descending(self.weights)

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
        """Whether no other words are a pair like these, so that no lift can show."""
        return self.pairs == len(self.query.tokens) * len(self.key.tokens)

    def _head(self, place: int) -> FoundHead:
        lift, expected = float(self.lifts[place]), float(self.expected[place])
        return FoundHead(
            head=self.places[place],
            weight=float(self.weights[place]),
            rank=int(self.ranks[place]),
            expected=None if np.isnan(expected) else expected,
            lift=None if np.isnan(lift) else lift,
            argmax=bool(self.argmax[place]),
        )


def find(view: View, query: Phrase, key: Phrase, heads: Sequence[HeadId] | None = None) -> Finding:
    """How the heads given, or all, join a query and a key.

    A phrase of several words counts as pieces merged to a word do: the sum over the key's words,
    the mean over the query's (Clark et al. 2019). What is expected is a mean over all pairs of
    tokens that stand as far apart, key after query or before it; special tokens do not count in it,
    unless the query or the key is one. Where keys are of another text, nothing is far or near: then
    it is the mean of what all queries give the same key. Pairs that a mask keeps apart count
    nowhere. For phrases, each of its words is expected what pairs like it have, and these are
    summed and averaged as the weights are.

    Raises RequestError if query and key overlap, and where a mask keeps them apart in all heads.
    """
    [finding] = _findings(view, [(query, key)], heads)
    return finding


def find_both(
    view: View, query: Phrase, key: Phrase, heads: Sequence[HeadId] | None = None
) -> tuple[Finding, Finding]:
    """The same, and how the heads join them the other way round, in one pass over the heads.

    RequestError where keys are of another text, which does not look back.
    """
    if view.is_cross_attention:
        raise RequestError(
            "words of the source are keys, and do not look back at the target",
            "leave out --both",
        )
    there, back = _findings(view, [(query, key), (key, query)], heads)
    return there, back


def lifts_of(weights: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Weight / expected, entry by entry; NaN where nothing is expected."""
    nothing = np.full_like(weights, np.nan)
    lifts: np.ndarray = np.divide(weights, expected, out=nothing, where=expected > 0)
    return lifts


def _findings(view: View, links: Sequence[Link], heads: Sequence[HeadId] | None) -> list[Finding]:
    """A finding for each link; each head's weights are computed once for all of them."""
    if not view.is_cross_attention:
        check_apart(*links[0])
    places = view.all_heads() if heads is None else list(heads)
    layers = list(dict.fromkeys(head.layer for head in places))
    for query, key in links:
        if not seen_by(view, query, layers)[key.indices].any():
            raise _masked(view, query, key, layers, both=len(links) > 1)
    askers = [_Asker(view, query, key, layers) for query, key in links]

    def answered(heads: list[HeadId], blocks: Iterator[Block]) -> list[_Answers]:
        sums = [_Sums(asker, heads) for asker in askers]
        for part in blocks:
            for one in sums:
                one.add(part)
        return [one.answers() for one in sums]

    answers = list(zip(*view.over(places, answered), strict=True))
    return [asker.finding(view, places, own) for asker, own in zip(askers, answers, strict=True)]


def _masked(
    view: View, query: Phrase, key: Phrase, layers: Sequence[int], both: bool
) -> RequestError:
    """What to say where no word of the query may look at any of the key."""
    if both:
        hint = "leave out --both"
    elif not view.is_cross_attention and seen_by(view, key, layers)[query.indices].any():
        hint = f'"{key.text}" may look at "{query.text}": name them the other way round'
    else:
        hint = "choose other words, or other layers"
    return RequestError(f'"{query.text}" may not look at "{key.text}": a mask keeps it off', hint)


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

    `likes`: the pairs like those of its words; `counts`: how many of them may look, in each layer.
    """

    def __init__(self, view: View, query: Phrase, key: Phrase, layers: Sequence[int]) -> None:
        self.query, self.key = query, key
        first, end = key.tokens[0].index, key.tokens[-1].index + 1
        self.queries = slice(query.tokens[0].index, query.tokens[-1].index + 1)
        self.keys, self.others = slice(first, end), np.r_[0:first, end : len(view.keys)]
        self.likes = likes_of(view, query, key)
        counted = by_mask(view, lambda layer: count(view, layer, self.likes))
        self.counts = {layer: counted(layer) for layer in layers}
        self.ranked = 1 + int(seen_by(view, query, layers)[self.others].sum())

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
            keys=self.ranked,
            pairs=max(int(counts.sum()) for counts in self.counts.values()),
        )


class _Sums:
    """What a link's rows, and the pairs like it, sum to in some heads, as their rows come."""

    def __init__(self, asker: _Asker, heads: Sequence[HeadId]) -> None:
        self._asker, self._heads = asker, heads
        self._row: np.ndarray | None = None
        self._dropped: np.ndarray | None = None
        self._expected = np.zeros((len(asker.likes), len(heads)))

    def add(self, part: Block) -> None:
        """Count some rows more."""
        asked, (start, stop) = self._asker.queries, (part.rows.start, part.rows.stop)
        own = slice(max(asked.start, start) - start, min(asked.stop, stop) - start)
        if own.start < own.stop:
            row = part.weights[:, own].sum(axis=1)
            self._row = row if self._row is None else self._row + row
            if part.dropped is not None:
                dropped = part.dropped[:, own].sum(axis=1)
                self._dropped = dropped if self._dropped is None else self._dropped + dropped
        for total, like in zip(self._expected, self._asker.likes, strict=True):
            here = slice(*np.searchsorted(like.rows, (start, stop)))
            weights = part.weights[:, like.rows[here] - start, like.columns[here]]
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
            ranks=1 + exceeds(others, weight[:, None]).sum(axis=1),
            expected=self._mean_expected().astype(row.dtype),
            argmax=exceeds(row[:, asker.keys].max(axis=1), others.max(axis=1, initial=0)),
            strongest=largest(row),
            most=row.max(axis=1),
            dropped=None if self._dropped is None else self._dropped / row.dtype.type(words),
        )

    def _mean_expected(self) -> np.ndarray:
        """What pairs like each word's have on average, summed and averaged as the weights are.

        (head,), NaN where none of them may look; where some do not, nothing is expected of them.
        """
        asker = self._asker
        counts = np.stack([asker.counts[head.layer] for head in self._heads], axis=1)
        means = np.divide(
            self._expected, counts, out=np.zeros_like(self._expected), where=counts > 0
        )
        words = np.array([like.words for like in asker.likes])
        mean: np.ndarray = words @ means / len(asker.query.tokens)
        return np.where(counts.any(axis=0), mean, np.nan)
