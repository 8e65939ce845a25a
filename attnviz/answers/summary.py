"""What does every head do on this sentence? Its kind, its entropy, its strongest links."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from attnviz.answers.masks import by_mask
from attnviz.answers.places import Places, has_rest
from attnviz.answers.pooling import Pool
from attnviz.attention.order import descending
from attnviz.inspection import Block, HeadId, View, row_shares
from attnviz.text.tokens import Token

Kind = Literal["to itself", "previous", "next", "first/special", "broad", "content"]

POSITIONAL_SHARE = 0.5
"""A head is `to itself`, `previous` or `next` above this share (Clark et al. 2019)."""

SPECIAL_SHARE = 0.6
"""A head is `first/special` above this share (Clark et al. 2019)."""

BROAD_ENTROPY = 0.78
"""A head is `broad` above this part of the largest entropy possible, log(number of keys).

Clark et al. 2019 call a head broad above 3.8 nats, on segments of 128 tokens: 3.8 / ln 128 = 0.78.
Taken relative to the length, the threshold also serves sentences that cannot reach 3.8 nats.
"""

POOLED = 64
"""Rows and columns of the matrix that comes with a head's summary, at most."""


@dataclass(frozen=True)
class Link:
    """One word that looks at another, and how much: an entry of a head's matrix."""

    query: Token
    key: Token
    weight: float


def is_near(query: Token, key: Token) -> bool:
    """Whether the key is the query itself or its neighbour: what a head finds by place alone."""
    return abs(query.index - key.index) <= 1 and query.segment == key.segment


@dataclass(frozen=True)
class Shares:
    """Where a head's attention goes: means over the words that look, from 0 to 1.

    `itself`: the word's own column. `previous`, `next`: the neighbouring word, over the words that
    have one in their own sentence and may look there. Each is None where no word may, and where
    queries and keys are of two texts, in which nothing is a word itself, or stands beside it.
    `special`: special tokens, a model's sink, and the first token of all, where models without
    special tokens rest their attention (not in a text that another looks at).
    """

    itself: float | None
    previous: float | None
    next: float | None
    special: float


@dataclass(frozen=True)
class HeadSummary:
    """What one head does on this sentence.

    `entropy` in bits and `spread`, the entropy as a part of the largest possible (0: one key takes
    all, 1: all keys alike), are means over the words that look. Where rows do not sum to 1, what
    went to the sink, or to keys outside the window, counts as one key more. `links` are the
    strongest between two different words, strongest first. `dropped` is the mean share that went to
    special tokens where the view leaves them out, and 0 where it does not; `sink` the words' mean
    share of a sink, None in models without. Where rows are not distributions, all but the links
    tell of the rows divided by their sum.
    """

    head: HeadId
    kind: Kind
    entropy: float
    spread: float
    shares: Shares
    links: tuple[Link, ...]
    dropped: float
    sink: float | None = None


@dataclass(frozen=True)
class Summary:
    """One HeadSummary a head, layer by layer."""

    heads: tuple[HeadSummary, ...]

    def layer(self, number: int) -> tuple[HeadSummary, ...]:
        """The heads of one layer."""
        return tuple(summary for summary in self.heads if summary.head.layer == number)


def summarise(view: View, top: int = 3) -> Summary:
    """Name what every head does, with its `top` strongest links.

    Rows of special tokens do not count: what `[SEP]` looks at says nothing of the sentence. Nor do
    rows that may look at one key alone, as the first under a causal mask: they have no choice.
    Kinds follow Clark et al. 2019, "What Does BERT Look At?", section 3, and are told in the order
    to itself / previous / next (the largest), first/special, broad; what is none of these attends
    by content. Between two texts, no head is told by place.
    """
    return Summary(tuple(summary for summary, _ in summaries(view, top)))


def summaries(view: View, top: int = 3) -> Iterator[tuple[HeadSummary, np.ndarray]]:
    """The same head by head, each with its weights pooled to at most POOLED rows and columns."""
    places_in = by_mask(view, lambda layer: Places.of(view, layer))

    def summed(
        heads: list[HeadId], blocks: Iterator[Block]
    ) -> list[tuple[HeadSummary, np.ndarray]]:
        sums = [_Sums(view, places_in(head.layer), head, top) for head in heads]
        for stack in blocks:
            for number, one in enumerate(sums):
                one.add(stack, number)
        return [(one.summary(), one.pool.numbers) for one in sums]

    for found in view.over(view.all_heads(), summed):
        yield from found


class _Sums:
    """What one head's summary is made of, put together as its rows come.

    The shares are those that its rows are, or become when divided by their sum.
    """

    def __init__(self, view: View, places: Places, head: HeadId, top: int) -> None:
        self.view, self.places, self.head, self.top = view, places, head, top
        self.pool = Pool.within((len(view.tokens), len(view.keys)), POOLED)
        self._entropies: list[np.ndarray] = []
        self._near: dict[str, list[np.ndarray]] = {"itself": [], "previous": [], "next": []}
        self._special = 0.0
        self._dropped: list[np.ndarray] = []
        self._sinks: list[np.ndarray] = []
        self._links: list[Link] = []

    def add(self, stack: Block, number: int) -> None:
        """Count some rows of the head, which is one of the stack's."""
        own, places = stack.weights[number], self.places.within(stack.rows)
        self.pool.add(stack.rows, own)
        if stack.dropped is not None:
            self._dropped.append(stack.dropped[number])
        if not len(places.rows):
            return
        weights = own if self.view.measured.shares else row_shares(own)
        self._count_entropies(weights[places.rows])
        for name, found in self._near.items():
            found.append(weights[getattr(places, name)])
        # a word's own column is no resting place
        itself = self._near["itself"][-1][np.isin(places.itself[1], places.special)]
        resting = weights[np.ix_(places.rows, places.special)]
        self._special += float(resting.sum() - itself.sum())
        if stack.sink is not None:
            self._sinks.append(stack.sink[number, places.rows])
        self._keep_strongest(own, places, stack.rows.start)

    def summary(self) -> HeadSummary:
        """The summary, once all rows are counted."""
        entropy = float(np.concatenate(self._entropies).mean())
        largest = float(self.places.largest.mean())
        spread = entropy / largest if largest else 0.0
        sink = float(np.concatenate(self._sinks).mean()) if self._sinks else None
        near = {name: _mean(np.concatenate(found)) for name, found in self._near.items()}
        special = self._special / len(self.places.rows) + (sink or 0.0)
        shares = Shares(**near, special=special)
        return HeadSummary(
            head=self.head,
            kind=_kind(shares, spread),
            entropy=entropy,
            spread=spread,
            shares=shares,
            links=tuple(self._links),
            dropped=float(np.concatenate(self._dropped).mean()) if self._dropped else 0.0,
            sink=sink,
        )

    def _count_entropies(self, rows: np.ndarray) -> None:
        if has_rest(self.view):
            rest = np.maximum(1 - rows.sum(axis=1, keepdims=True), 0)
            rows = np.hstack([rows, rest])
        self._entropies.append(_entropies(rows))

    def _keep_strongest(self, weights: np.ndarray, places: Places, first: int) -> None:
        """Keep the strongest links, strongest first; of equal ones those first in the sentence.

        weights: of some rows, from `first` on; not needed any more.
        """
        if not self.view.is_cross_attention:
            weights[places.itself] = 0
        between = _taken(_taken(weights, places.rows, 0), places.columns, 1)
        full = len(self._links) == self.top
        least = self._links[-1].weight if full and self._links else 0.0
        if self.top < 1 or not between.max() > least:
            return
        candidates = np.flatnonzero(between > least)
        numbers = between.ravel()[candidates]
        for place in descending(numbers, self.top):
            row, column = divmod(int(candidates[place]), between.shape[1])
            query = self.view.tokens[first + places.rows[row]]
            key = self.view.keys[places.columns[column]]
            self._links.append(Link(query, key, float(numbers[place])))
        strongest = descending(np.array([link.weight for link in self._links]), self.top)
        self._links = [self._links[place] for place in strongest]


def _taken(weights: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Some rows or columns, as they lie where they follow each other, which saves a copy."""
    if places[-1] - places[0] + 1 == len(places):
        own = slice(places[0], places[-1] + 1)
        return weights[own] if axis == 0 else weights[:, own]
    return weights.take(places, axis=axis)


def _entropies(rows: np.ndarray) -> np.ndarray:
    """The entropy of each row in bits: (query, key) -> (query,); 0 log 0 counts as 0."""
    looked_at = np.flatnonzero(rows.max(axis=0))  # few columns, where a mask keeps off the others
    if len(looked_at):
        rows = rows[:, looked_at[0] : looked_at[-1] + 1]
    logs = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    entropies: np.ndarray = np.abs(np.einsum("qk,qk->q", rows, logs))
    return entropies


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if values.size else None


def _kind(shares: Shares, spread: float) -> Kind:
    positional: dict[Kind, float] = {
        "to itself": shares.itself or 0.0,
        "previous": shares.previous or 0.0,
        "next": shares.next or 0.0,
    }
    kind = max(positional, key=lambda name: positional[name])
    if positional[kind] > POSITIONAL_SHARE:
        return kind
    if shares.special > SPECIAL_SHARE:
        return "first/special"
    return "broad" if spread > BROAD_ENTROPY else "content"
