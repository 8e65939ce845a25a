"""What does every head do on this sentence? Its kind, its entropy, its strongest links."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from attnviz.inspection import HeadId, View, row_shares
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
    have one in their own sentence. `special`: special tokens, and the first token of all, where
    models without special tokens rest their attention.
    """

    itself: float
    previous: float
    next: float
    special: float


@dataclass(frozen=True)
class HeadSummary:
    """What one head does on this sentence.

    `entropy` in bits and `spread`, the entropy as a part of the largest possible (0: one key takes
    all, 1: all keys alike), are means over the words that look. `links` are the strongest between
    two different words, strongest first. `dropped` is the mean share that went to special tokens
    where the view leaves them out, and 0 where it does not. Where rows are not distributions, all
    but the links tell of the rows divided by their sum.
    """

    head: HeadId
    kind: Kind
    entropy: float
    spread: float
    shares: Shares
    links: tuple[Link, ...]
    dropped: float


@dataclass(frozen=True)
class Summary:
    """One HeadSummary a head, layer by layer."""

    heads: tuple[HeadSummary, ...]

    def layer(self, number: int) -> tuple[HeadSummary, ...]:
        """The heads of one layer."""
        return tuple(summary for summary in self.heads if summary.head.layer == number)


def summarise(view: View, top: int = 3) -> Summary:
    """Name what every head does, with its `top` strongest links.

    Rows of special tokens do not count: what `[SEP]` looks at says nothing of the sentence. Kinds
    follow Clark et al. 2019, "What Does BERT Look At?", section 3, and are told in the order to
    itself / previous / next (the largest), first/special, broad; what is none of these attends by
    content.
    """
    return Summary(tuple(summary for summary, _ in summaries(view, top)))


def summaries(view: View, top: int = 3) -> Iterator[tuple[HeadSummary, np.ndarray]]:
    """The same head by head, each with its weights, (query, key); few are in memory at a time."""
    places = _Places.of(view.tokens)
    for stack in view.stacks(view.all_heads()):
        for number, (head, weights) in enumerate(zip(stack.heads, stack.weights, strict=True)):
            dropped = 0.0 if stack.dropped is None else float(stack.dropped[number].mean())
            shares = weights if view.measured.shares else row_shares(weights)
            links = _links(view.tokens, weights, places.words, top)
            yield _head_summary(places, head, shares, links, dropped), weights


@dataclass(frozen=True, eq=False)
class _Places:
    """Index arrays that are the same in every head; see Shares for the words."""

    words: np.ndarray
    special: np.ndarray
    follows: np.ndarray

    @classmethod
    def of(cls, tokens: Sequence[Token]) -> "_Places":
        words = [token.index for token in tokens if not token.special]
        special = [token.index for token in tokens if token.special or token.index == 0]
        follows = [
            b.index
            for a, b in pairwise(tokens)
            if not a.special and not b.special and a.segment == b.segment
        ]
        queries = words or list(range(len(tokens)))
        return cls(*(np.array(part, dtype=np.intp) for part in (queries, special, follows)))


def _head_summary(
    places: _Places,
    head: HeadId,
    weights: np.ndarray,
    links: tuple[Link, ...],
    dropped: float,
) -> HeadSummary:
    """A head's summary from the shares that its rows are, or become when divided by their sum."""
    rows = weights[places.words]
    entropy = float(_entropies(rows).mean())
    largest = np.log2(len(weights))
    spread = entropy / largest if largest else 0.0
    shares = _shares(weights, places)
    return HeadSummary(
        head=head,
        kind=_kind(shares, spread),
        entropy=entropy,
        spread=float(spread),
        shares=shares,
        links=links,
        dropped=dropped,
    )


def _entropies(rows: np.ndarray) -> np.ndarray:
    """The entropy of each row in bits: (query, key) -> (query,); 0 log 0 counts as 0."""
    logs = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    entropies: np.ndarray = np.abs(np.einsum("qk,qk->q", rows, logs))
    return entropies


def _shares(weights: np.ndarray, places: _Places) -> Shares:
    words, follows = places.words, places.follows
    itself = weights[words, words]
    special = weights[np.ix_(words, places.special)].sum(axis=1)
    special = special - np.where(np.isin(words, places.special), itself, 0)
    return Shares(
        itself=float(itself.mean()),
        previous=_mean(weights[follows, follows - 1]),
        next=_mean(weights[follows - 1, follows]),
        special=float(special.mean()),
    )


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else 0.0


def _kind(shares: Shares, spread: float) -> Kind:
    positional: dict[Kind, float] = {
        "to itself": shares.itself,
        "previous": shares.previous,
        "next": shares.next,
    }
    kind = max(positional, key=lambda name: positional[name])
    if positional[kind] > POSITIONAL_SHARE:
        return kind
    if shares.special > SPECIAL_SHARE:
        return "first/special"
    return "broad" if spread > BROAD_ENTROPY else "content"


def _links(
    tokens: Sequence[Token], weights: np.ndarray, words: np.ndarray, top: int
) -> tuple[Link, ...]:
    """The strongest links between two words; equal weights in the order of the sentence."""
    between = weights[np.ix_(words, words)]
    np.fill_diagonal(between, 0)
    flat = between.ravel()
    count = min(top, int(np.count_nonzero(flat)))
    if count <= 0:
        return ()
    threshold = np.partition(flat, -count)[-count]
    candidates = np.flatnonzero(flat >= threshold)
    best = candidates[np.argsort(-flat[candidates], kind="stable")][:count]
    return tuple(
        Link(tokens[words[i // len(words)]], tokens[words[i % len(words)]], float(flat[i]))
        for i in best
    )
