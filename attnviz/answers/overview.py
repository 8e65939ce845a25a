"""What does every head do on this sentence? Its kind, its entropy, its strongest links."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np

from attnviz.answers.answer import facts_of, last_cells, last_columns, shortest, token_name
from attnviz.answers.masks import Places, Pool, allowed_blocks, by_mask, has_rest, steps_within
from attnviz.attention.order import descending, descending_rows
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

NEAR = ("itself", "previous", "next")
"""The places near a word that heads look at, as `Places` and `HeadShares` call them."""

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
        tally = tally_of(some)
        pool = Pool((len(some), *shape), steps) if pictures else None
        for block in blocks:
            if pool is not None:
                pool.add(block.rows, block.weights)
            tally.add(block)
        drawn = [None] * len(some) if pool is None else pool.numbers
        return list(zip(tally.summaries(), drawn, strict=True))

    chosen = view.all_heads() if heads is None else heads
    found = [pair for group in view.over(chosen, summed) for pair in group]
    drawn = {}
    for summary, picture in found:
        if picture is not None:
            mask = masks(summary.head.layer)
            drawn[summary.head] = picture if mask is None else np.where(mask, picture, np.nan)
    return Overview(view.context, tuple(summary for summary, _ in found), drawn)


def tallies(view: View, links: int = LINKS) -> Callable[[Sequence[HeadId]], "Tally"]:
    """Makes the tally of some heads, which wants all their rows to give their summaries."""
    places = by_mask(view, lambda layer: Places.of(view, layer))

    def tally(heads: Sequence[HeadId]) -> Tally:
        groups: dict[int, _Group] = {}  # by mask
        for number, head in enumerate(heads):
            own = places(head.layer)
            groups.setdefault(id(own), _Group(view.context, own, links, [], [])).take(number, head)
        return Tally(list(groups.values()))

    return tally


class Tally:
    """What some heads' summaries are made of, collected as their rows come."""

    def __init__(self, groups: "Sequence[_Group]") -> None:
        self._groups = groups

    def add(self, block: Block) -> None:
        """Add some rows of the heads."""
        for group in self._groups:
            group.add(block if len(self._groups) == 1 else block.of(group.numbers))

    def summaries(self) -> list[HeadSummary]:
        """The heads' summaries in their order, once all rows are added."""
        numbered = [pair for group in self._groups for pair in group.summaries()]
        return [summary for _, summary in sorted(numbered, key=lambda pair: pair[0])]


@dataclass
class _Group:
    """The tally of heads that have the same mask, at `numbers` in their blocks: sums by head."""

    context: Context
    places: Places
    most_links: int
    numbers: list[int]
    heads: list[HeadId]
    sums: dict[str, np.ndarray] = field(default_factory=dict)
    links: list[list[Link]] = field(default_factory=list)

    def take(self, number: int, head: HeadId) -> None:
        """Add a head."""
        self.numbers.append(number)
        self.heads.append(head)
        self.links.append([])

    def add(self, block: Block) -> None:
        """Add some rows."""
        own, places = block.weights, self.places.within(block.rows)
        if block.dropped is not None:
            self._sum("dropped", block.dropped)
        if not len(places.rows):
            return
        weights = own if self.context.measured.shares else row_shares(own)
        rows = _taken(weights, places.rows, 1)
        if has_rest(self.context):
            rest = np.maximum(1 - rows.sum(axis=2, keepdims=True), 0)
            rows = np.concatenate([rows, rest], axis=2)
        self._sum("entropy", _entropies(rows))
        for name in NEAR:
            self._sum(name, _entries(weights, getattr(places, name)))
        self._sum("special", _entries(weights, places.resting))
        self._sum("special", -_entries(weights, places.own_resting))
        if block.sink is not None:
            self._sum("sink", block.sink[:, places.rows])
        self._keep_strongest(own, places, block.rows.start)

    def summaries(self) -> Iterator[tuple[int, HeadSummary]]:
        """Each head's number and summary, once all rows are added."""
        rows, largest = len(self.places.rows), float(self.places.largest.mean())
        counts = {name: len(getattr(self.places, name)[0]) for name in NEAR}
        counts |= {"dropped": len(self.context.tokens)}
        means = {
            name: (total / counts.get(name, rows)).tolist()
            for name, total in self.sums.items()
            if counts.get(name, rows)
        }
        for place, (number, head) in enumerate(zip(self.numbers, self.heads, strict=True)):
            own = {name: numbers[place] for name, numbers in means.items()}
            entropy, sink = own["entropy"], own.get("sink")
            spread = entropy / largest if largest else 0.0
            near = {name: own.get(name) for name in NEAR}
            shares = HeadShares(**near, special=own["special"] + (sink or 0.0))
            kind, links = _kind(shares, spread), tuple(self.links[place])
            dropped = own.get("dropped", 0.0)
            yield number, HeadSummary(head, kind, entropy, spread, shares, links, dropped, sink)

    def _sum(self, name: str, numbers: np.ndarray) -> None:
        total = numbers.sum(axis=tuple(range(1, numbers.ndim)), dtype=np.float64)
        self.sums[name] = self.sums[name] + total if name in self.sums else total

    def _keep_strongest(self, weights: np.ndarray, places: Places, first: int) -> None:
        """Keep the strongest links of rows from `first` on; of equal ones the first in the
        sentence.
        """
        apart = not self.context.is_cross_attention
        if apart:  # set to 0 and back, which saves a copy of the matrices
            itself = _entries(weights, places.itself)
            weights[:, places.itself[0], places.itself[1]] = 0
        between = _taken(_taken(weights, places.rows, 1), places.columns, 2)
        across = between.shape[2]
        numbers = between.reshape(len(weights), -1)
        most = self.most_links
        least = [own[-1].weight if own and len(own) == most else 0.0 for own in self.links]
        better = np.flatnonzero(numbers.max(axis=1) > least)
        some = numbers if len(better) == len(numbers) else numbers[better]
        for head, found in zip(better, descending_rows(some, most), strict=True):
            links, before = self.links[head], len(self.links[head])
            for place in found[numbers[head, found] > 0].tolist():
                row, column = divmod(place, across)
                query = self.context.tokens[first + places.rows[row]]
                key = self.context.keys[places.columns[column]]
                links.append(Link(query, key, float(numbers[head, place])))
            if before:
                strongest = descending(np.array([link.weight for link in links]), most)
                self.links[head] = [links[place] for place in strongest]
        if apart:
            weights[:, places.itself[0], places.itself[1]] = itself


def _entries(weights: np.ndarray, places: tuple[np.ndarray, ...]) -> np.ndarray:
    """The entries of each head at some pairs of rows and columns."""
    rows, columns = places
    entries: np.ndarray = weights[:, rows, columns]
    return entries


def _taken(weights: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Some rows or columns, as they lie where they follow each other, which saves a copy."""
    if places[-1] - places[0] + 1 == len(places):
        own = slice(places[0], places[-1] + 1)
        return weights[:, own] if axis == 1 else weights[:, :, own]
    return weights.take(places, axis=axis)


def _entropies(rows: Float[np.ndarray, "head query key"]) -> Float[np.ndarray, "head query"]:
    """The entropy of each row in bits; 0 log 0 counts as 0."""
    # few columns, where a mask keeps off the others
    looked_at = np.flatnonzero(rows.max(axis=(0, 1)))
    if len(looked_at):
        rows = rows[:, :, looked_at[0] : looked_at[-1] + 1]
    logs = np.log2(rows, out=np.zeros_like(rows), where=rows > 0)
    entropies: np.ndarray = np.abs(np.einsum("hqk,hqk->hq", rows, logs))
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
