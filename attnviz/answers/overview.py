"""What does every head do on this sentence? Its kind, its entropy, its strongest links."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from attnviz.answers.answer import facts_of, last_cells, last_columns, shortest, token_name
from attnviz.answers.masks import Places, Pool, allowed_blocks, by_mask, has_rest, steps_within
from attnviz.attention.order import descending
from attnviz.attention.shapes import Float
from attnviz.inspection import Block, Context, HeadId, Shown, View, row_shares
from attnviz.text.tokens import Token

Kind = Literal["to itself", "previous", "next", "first/special", "broad", "other"]

POSITIONAL_SHARE = 0.5
"""A head is `to itself`, `previous` or `next` above this share (Clark et al. 2019)."""

SPECIAL_SHARE = 0.6
"""A head is `first/special` above this share (Clark et al. 2019)."""

BROAD_ENTROPY = 0.78
"""A head is `broad` above this part of the largest entropy possible, log(number of keys): Clark et
al. 2019 call heads broad above 3.8 nats, of 128 tokens, and 3.8 / ln 128 = 0.78.
"""

LINKS = 3
"""How many of its strongest links are named for each head, unless the user says."""

POOLED = 64
"""Rows and columns of a head's small picture, at most."""


@dataclass(frozen=True)
class Link:
    """One token that looks at another, and how much: an entry of a head's matrix."""

    query: Token
    key: Token
    weight: float

    def data(self) -> dict[str, Any]:
        """The link in JSON."""
        return {
            "query": token_name(self.query),
            "key": token_name(self.key),
            "weight": shortest(self.weight),
        }


def is_near(query: Token, key: Token) -> bool:
    """Whether the key is the query itself or its neighbour: what a head finds by place alone."""
    return abs(query.index - key.index) <= 1 and query.segment == key.segment


@dataclass(frozen=True)
class HeadShares:
    """Where a head's attention goes: means over the words that look, from 0 to 1.

    `itself`: the word's own column. `previous`, `next`: the neighbouring word in the same sentence;
    None where no word may look there, as in cross-attention. `special`: special tokens, a sink, and
    (but in cross-attention) the first token, where models without special tokens rest.
    """

    itself: float | None
    previous: float | None
    next: float | None
    special: float


@dataclass(frozen=True)
class HeadSummary:
    """What one head does on this sentence.

    `entropy`, in bits, and `spread`, the part of the largest possible, are means over the words
    that look; what went to a sink or out of the window counts as one more key. `links`: the
    strongest between different words. `dropped`, `sink`: the mean share of special tokens left out,
    and of a sink. Where rows are not distributions, all but the links are of rows divided by their
    sum.
    """

    head: HeadId
    kind: Kind
    entropy: float
    spread: float
    shares: HeadShares
    links: tuple[Link, ...]
    dropped: float
    sink: float | None = None

    def data(self, top: int | None = None) -> dict[str, Any]:
        """Kind, entropy and strongest links in JSON."""
        return {
            "kind": self.kind,
            "entropy": shortest(self.entropy),
            "strongest": [link.data() for link in self.links[:top]],
        }


@dataclass(frozen=True, eq=False)
class Overview(Shown):
    """One HeadSummary a head, layer by layer.

    `pictures`: each head's weights, pooled to at most POOLED rows and columns, if asked for.
    """

    schema: ClassVar[str] = "attnviz.overview/1"

    context: Context
    heads: tuple[HeadSummary, ...]
    pictures: Mapping[HeadId, Float[np.ndarray, "row column"]] = field(default_factory=dict)

    def layer(self, number: int) -> tuple[HeadSummary, ...]:
        """The heads of one layer."""
        return tuple(summary for summary in self.heads if summary.head.layer == number)

    @property
    def columns(self) -> tuple[str, ...]:
        """Kind and entropy of the head, and a link of it."""
        link = ("query_index", "query", "key_index", "key", "weight")
        return ("layer", "head", "kind", "entropy", *link, *last_columns(self.context))

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The object `attnviz.overview/1`; `top` limits each head's links."""
        heads = []
        for summary in self.heads:
            place = {"layer": summary.head.layer, "head": summary.head.head}
            dropped = {} if self.context.special else {"dropped": shortest(summary.dropped)}
            sink = {} if summary.sink is None else {"sink": shortest(summary.sink)}
            heads.append({**place, **summary.data(top), **dropped, **sink})
        return facts_of(self.context, self.schema) | {"heads": heads}

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a link; a head without any has one, without a link."""
        for summary in self.heads:
            start = (*summary.head, summary.kind, shortest(summary.entropy))
            end = last_cells(self.context, summary.dropped)
            links = summary.links[:top]
            for link in links:
                query, key = link.query, link.key
                named = (query.index, query.text, key.index, key.text)
                yield (*start, *named, shortest(link.weight), *end)
            if not links:
                yield (*start, *[None] * 5, *end)


def overview(
    view: View, heads: Sequence[HeadId] | None = None, links: int = LINKS, pictures: bool = False
) -> Overview:
    """What every head does, or each of some heads, with its strongest `links`.

    Rows of special tokens do not count, nor rows that may look at one key alone. Kinds are those of
    Clark et al. 2019, "What Does BERT Look At?", section 3, tried in the order to itself / previous
    / next (the largest), first/special, broad, other. In cross-attention no head is named by place.
    """
    tally_of = tallies(view, links)
    shape = len(view.tokens), len(view.keys)
    steps = steps_within(shape, POOLED)
    masks = by_mask(view, lambda layer: allowed_blocks(view, layer, steps))

    def summed(
        some: list[HeadId], blocks: Iterator[Block]
    ) -> list[tuple[HeadSummary, np.ndarray | None]]:
        own = [tally_of(head) for head in some]
        pool = Pool((len(some), *shape), steps) if pictures else None
        for block in blocks:
            if pool is not None:
                pool.add(block.rows, block.weights)
            for place, tally in enumerate(own):
                tally.add(block, place)
        drawn = [None] * len(some) if pool is None else pool.numbers
        return [(tally.summary(), picture) for tally, picture in zip(own, drawn, strict=True)]

    chosen = view.all_heads() if heads is None else heads
    found = [pair for group in view.over(chosen, summed) for pair in group]
    drawn = {}
    for summary, picture in found:
        if picture is not None:
            mask = masks(summary.head.layer)
            drawn[summary.head] = picture if mask is None else np.where(mask, picture, np.nan)
    return Overview(view.context, tuple(summary for summary, _ in found), drawn)


def tallies(view: View, links: int = LINKS) -> Callable[[HeadId], "HeadTally"]:
    """Makes the tally of a head, which wants all rows of it to give its summary."""
    places = by_mask(view, lambda layer: Places.of(view, layer))
    return lambda head: HeadTally(view.context, places(head.layer), head, links)


class HeadTally:
    """What one head's summary is made of, collected as its rows come."""

    def __init__(self, context: Context, places: Places, head: HeadId, links: int) -> None:
        self._context, self._places, self._head, self._most = context, places, head, links
        self._entropies: list[np.ndarray] = []
        self._near: dict[str, list[np.ndarray]] = {"itself": [], "previous": [], "next": []}
        self._special = 0.0
        self._dropped: list[np.ndarray] = []
        self._sinks: list[np.ndarray] = []
        self._links: list[Link] = []

    def add(self, block: Block, number: int) -> None:
        """Add some rows of the head, which is at `number` in the block."""
        own, places = block.weights[number], self._places.within(block.rows)
        if block.dropped is not None:
            self._dropped.append(block.dropped[number])
        if not len(places.rows):
            return
        weights = own if self._context.measured.shares else row_shares(own)
        rows = weights[places.rows]
        if has_rest(self._context):
            rows = np.hstack([rows, np.maximum(1 - rows.sum(axis=1, keepdims=True), 0)])
        self._entropies.append(_entropies(rows))
        for name, numbers in self._near.items():
            numbers.append(weights[getattr(places, name)])
        self._special += float(weights[places.resting].sum() - weights[places.own_resting].sum())
        if block.sink is not None:
            self._sinks.append(block.sink[number, places.rows])
        self._keep_strongest(own, places, block.rows.start)

    def summary(self) -> HeadSummary:
        """The summary, once all rows are added."""
        entropy = float(np.concatenate(self._entropies).mean())
        largest = float(self._places.largest.mean())
        spread = entropy / largest if largest else 0.0
        sink = float(np.concatenate(self._sinks).mean()) if self._sinks else None
        joined = {name: np.concatenate(numbers) for name, numbers in self._near.items()}
        near = {name: float(all_.mean()) if all_.size else None for name, all_ in joined.items()}
        special = self._special / len(self._places.rows) + (sink or 0.0)
        shares = HeadShares(**near, special=special)
        return HeadSummary(
            head=self._head,
            kind=_kind(shares, spread),
            entropy=entropy,
            spread=spread,
            shares=shares,
            links=tuple(self._links),
            dropped=float(np.concatenate(self._dropped).mean()) if self._dropped else 0.0,
            sink=sink,
        )

    def _keep_strongest(self, weights: np.ndarray, places: Places, first: int) -> None:
        """Keep the strongest links of rows from `first` on; of equal ones the first in the
        sentence.
        """
        apart = not self._context.is_cross_attention
        if apart:  # set to 0 and back, which saves a copy of the matrix
            itself = weights[places.itself]
            weights[places.itself] = 0
        between = _taken(_taken(weights, places.rows, 0), places.columns, 1)
        full = len(self._links) == self._most
        least = self._links[-1].weight if full and self._links else 0.0
        if self._most > 0 and between.max() > least:
            candidates = np.flatnonzero(between > least)
            numbers = between.ravel()[candidates]
            before = len(self._links)
            for place in descending(numbers, self._most):
                row, column = divmod(int(candidates[place]), between.shape[1])
                query = self._context.tokens[first + places.rows[row]]
                key = self._context.keys[places.columns[column]]
                self._links.append(Link(query, key, float(numbers[place])))
            if before:
                strongest = descending(np.array([link.weight for link in self._links]), self._most)
                self._links = [self._links[place] for place in strongest]
        if apart:
            weights[places.itself] = itself


def _taken(weights: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Some rows or columns, as they lie where they follow each other, which saves a copy."""
    if places[-1] - places[0] + 1 == len(places):
        own = slice(places[0], places[-1] + 1)
        return weights[own] if axis == 0 else weights[:, own]
    return weights.take(places, axis=axis)


def _entropies(rows: Float[np.ndarray, "query key"]) -> Float[np.ndarray, "query"]:
    """The entropy of each row in bits; 0 log 0 counts as 0."""
    looked_at = np.flatnonzero(rows.max(axis=0))  # few columns, where a mask keeps off the others
    if len(looked_at):
        rows = rows[:, looked_at[0] : looked_at[-1] + 1]
    logs = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    entropies: np.ndarray = np.abs(np.einsum("qk,qk->q", rows, logs))
    return entropies


def _kind(shares: HeadShares, spread: float) -> Kind:
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
    return "broad" if spread > BROAD_ENTROPY else "other"
