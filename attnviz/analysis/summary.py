"""What does every head do on this sentence? Its kind, its entropy, its strongest links."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from attnviz.inspection import HeadId, HeadStack, View, row_shares
from attnviz.tokens import Token

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
    """The same head by head, each with its weights, (query, key); few are in memory at a time."""
    places_in = lru_cache(maxsize=1)(lambda layer: _Places.of(view, layer))
    for stack in view.stacks(view.all_heads()):
        for number, head in enumerate(stack.heads):
            summary = _head_summary(view, places_in(head.layer), stack, number, top)
            yield summary, stack.weights[number]


_Pairs = tuple[np.ndarray, np.ndarray]
"""The rows and the columns of some entries of a matrix."""


@dataclass(frozen=True, eq=False)
class _Places:
    """Index arrays that are the same in all heads of a layer; see Shares for the words.

    `rows`: the words that look; `columns`: those that are looked at; `special`: the columns that
    count as such. `itself`, `previous`, `next`: the pairs of words, as far as they may look.
    `largest`: (row,), the largest entropy possible, in bits.
    """

    rows: np.ndarray
    columns: np.ndarray
    special: np.ndarray
    itself: _Pairs
    previous: _Pairs
    next: _Pairs
    largest: np.ndarray

    @classmethod
    def of(cls, view: View, layer: int) -> "_Places":
        """Of a layer, whose mask says who may look where."""
        may_look = view.visible(layer)
        if may_look is None:
            may_look = np.ones((len(view.tokens), len(view.keys)), dtype=bool)
        choices = may_look.sum(axis=1) + _has_rest(view)
        words = [token.index for token in view.tokens if not token.special]
        words = words or list(range(len(view.tokens)))
        rows = [word for word in words if choices[word] > 1] or words
        columns = [key.index for key in view.keys if not key.special]
        rests = [key.index for key in view.keys if key.special]
        if not view.crossed and 0 not in rests:
            rests.insert(0, 0)
        return cls(
            rows=np.array(rows, dtype=np.intp),
            columns=np.array(columns or words, dtype=np.intp),
            special=np.array(rests, dtype=np.intp),
            itself=_pairs(view, rows, 0, may_look),
            previous=_pairs(view, rows, -1, may_look),
            next=_pairs(view, rows, 1, may_look),
            largest=np.log2(choices[rows]),
        )


def _pairs(view: View, rows: Sequence[int], offset: int, may_look: np.ndarray) -> _Pairs:
    """Each word and the one `offset` further on in its sentence, where it may look at it."""
    tokens, found = view.tokens, []
    for row in [] if view.crossed else rows:
        column = row + offset
        if not (0 <= column < len(tokens) and may_look[row, column]):
            continue
        one, other = tokens[row], tokens[column]
        if one is other or (one.segment == other.segment and not (one.special or other.special)):
            found.append((row, column))
    pairs = np.array(found, dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _has_rest(view: View) -> bool:
    """Whether rows do not sum to 1 by what is shown of them."""
    return view.measured.shares and (view.inspection.sinks or view.window is not None)


def _head_summary(
    view: View, places: _Places, stack: HeadStack, number: int, top: int
) -> HeadSummary:
    """A head's summary from the shares that its rows are, or become when divided by their sum."""
    own = stack.weights[number]
    weights = own if view.measured.shares else row_shares(own)
    rows = weights[places.rows]
    rest = np.maximum(1 - rows.sum(axis=1, keepdims=True), 0) if _has_rest(view) else None
    entropy = float(_entropies(rows if rest is None else np.hstack([rows, rest])).mean())
    largest = float(places.largest.mean())
    spread = entropy / largest if largest else 0.0
    sink = None if stack.sink is None else float(stack.sink[number, places.rows].mean())
    shares = _shares(weights, places, sink or 0.0)
    return HeadSummary(
        head=stack.heads[number],
        kind=_kind(shares, spread),
        entropy=entropy,
        spread=spread,
        shares=shares,
        links=_links(view, own, places, top),
        dropped=0.0 if stack.dropped is None else float(stack.dropped[number].mean()),
        sink=sink,
    )


def _entropies(rows: np.ndarray) -> np.ndarray:
    """The entropy of each row in bits: (query, key) -> (query,); 0 log 0 counts as 0."""
    logs = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    entropies: np.ndarray = np.abs(np.einsum("qk,qk->q", rows, logs))
    return entropies


def _shares(weights: np.ndarray, places: _Places, sink: float) -> Shares:
    itself = weights[places.itself]
    # a word's own column is no resting place
    own = itself[np.isin(places.itself[1], places.special)].sum()
    special = weights[np.ix_(places.rows, places.special)].sum() - own
    return Shares(
        itself=_mean(itself),
        previous=_mean(weights[places.previous]),
        next=_mean(weights[places.next]),
        special=float(special) / len(places.rows) + sink,
    )


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


def _links(view: View, weights: np.ndarray, places: _Places, top: int) -> tuple[Link, ...]:
    """The strongest links between two words; equal weights in the order of the sentence."""
    rows, columns = places.rows, places.columns
    between = weights[np.ix_(rows, columns)]
    if not view.crossed:
        between[rows[:, None] == columns] = 0
    flat = between.ravel()
    count = min(top, int(np.count_nonzero(flat)))
    if count <= 0:
        return ()
    threshold = np.partition(flat, -count)[-count]
    candidates = np.flatnonzero(flat >= threshold)
    best = candidates[np.argsort(-flat[candidates], kind="stable")][:count]
    places_of = (np.unravel_index(i, between.shape) for i in best)
    return tuple(
        Link(view.tokens[rows[i]], view.keys[columns[j]], float(between[i, j]))
        for i, j in places_of
    )
