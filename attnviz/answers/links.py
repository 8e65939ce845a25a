"""Which links are strong? Those of some heads, to be drawn as lines; and the one to show first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.answer import facts_of, last_cells, last_columns, shortest, token_name
from attnviz.answers.masks import allowed
from attnviz.answers.matrices import RowShares, ShareTally
from attnviz.answers.overview import Link, Overview, is_near, overview
from attnviz.answers.select import places_of
from attnviz.answers.word import LINK_COLUMNS, Pair, pair, word
from attnviz.attention.measures import number
from attnviz.attention.order import descending, largest
from attnviz.attention.shapes import Float, Int
from attnviz.errors import RequestError
from attnviz.inspection import Block, Context, HeadId, Shown, View
from attnviz.text.tokens import Token

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares, or parts of the largest number, under which links are not drawn; the later ones are for
long texts.
"""

MOST_LINES = 1500
"""More links than this raise the threshold."""

MANY_TOKENS = 148
"""Of a text of so many tokens, which cannot all be labelled, the strongest links are kept."""

LINKS_SEARCHED = 8
"""Links of each head among which the one that a notebook shows is sought."""

STRONGEST, PALEST = 30, 0.05
"""How many links those are, and what part of the largest weight each has at least, to be seen."""

SMALLEST = 1e-30


@dataclass(frozen=True, eq=False)
class Links(Shown):
    """The strong links of some heads, from one query or all to one key or all, in four arrays.

    `places` are places in `heads`; they, queries and keys ascend. `threshold`: weaker links are
    left out. `shares` are means over the queries. `strongest`: whether these are not all from there
    on.
    """

    schema: ClassVar[str] = "attnviz.links/1"

    context: Context
    heads: tuple[HeadId, ...]
    query: Token | None
    places: Int[np.ndarray, "link"]
    queries: Int[np.ndarray, "link"]
    keys: Int[np.ndarray, "link"]
    weights: Float[np.ndarray, "link"]
    threshold: float
    shares: RowShares
    strongest: bool
    key: Token | None = None

    @property
    def largest(self) -> float:
        """The largest weight; 1 where there is no link."""
        return float(self.weights.max(initial=0.0)) or 1.0

    @property
    def columns(self) -> tuple[str, ...]:
        """A link, in a head."""
        return LINK_COLUMNS + tuple(
            name for name in last_columns(self.context) if name != "dropped"
        )

    def data(self, top: int | None = None) -> dict[str, Any]:
        """The object `attnviz.links/1`."""
        ends = {"query": self.query, "key": self.key}
        named = {role: None if one is None else token_name(one) for role, one in ends.items()}
        links = [{"layer": h.layer, "head": h.head, **link.data()} for h, link in self._links(top)]
        facts = {**named, "threshold": shortest(self.threshold), "links": links}
        return facts_of(self.context, self.schema) | facts

    def rows(self, top: int | None = None) -> Iterator[tuple[Any, ...]]:
        """One row a link."""
        measure = last_cells(self.context, None)[0 if self.context.special else 1 :]
        for head, link in self._links(top):
            query, key = link.query, link.key
            named = (query.index, query.text, key.index, key.text)
            yield (*head, *named, shortest(link.weight), *measure)

    def _links(self, top: int | None) -> Iterator[tuple[HeadId, Link]]:
        """All links in the heads' order, or the `top` strongest, strongest first."""
        every = np.arange(len(self.weights))
        for at in every if top is None else descending(self.weights, top):
            query = self.context.tokens[self.queries[at]]
            key = self.context.keys[self.keys[at]]
            yield self.heads[self.places[at]], Link(query, key, float(self.weights[at]))


def links(
    view: View, heads: Sequence[HeadId], query: int | None = None, key: int | None = None
) -> Links:
    """The links of one query or all, to one key or all, that are strong enough to be drawn;
    RequestError without a head.
    """
    if not heads:
        raise RequestError("there is no head to draw", "give one, as L3H1")
    many = max(len(view.tokens), len(view.keys)) >= MANY_TOKENS
    least, most = (0.0, STRONGEST) if many else (THRESHOLDS[0], MOST_LINES + 1)

    def tallies() -> tuple[_Strongest, ShareTally]:
        shares = view.context.measured.shares
        return _Strongest(most, least, shares, key), ShareTally(view.context)

    def collected(
        some: list[HeadId], blocks: Iterator[Block]
    ) -> tuple[_Strongest, ShareTally, int]:
        own, own_shares = tallies()
        for block in blocks:
            own.add(block)
            own_shares.add(block)
        return own, own_shares, len(some)

    if query is None:
        groups = view.over(heads, collected)
    else:
        places = [view.all_heads().index(head) for head in heads]
        own_rows = view.row(query).block.of(places)
        groups = iter([collected(list(heads), iter([own_rows]))])
    (strongest, shares), done = tallies(), 0
    for own, own_shares, count in groups:
        strongest.join(own, done)
        shares.join(own_shares)
        done += count
    weights = strongest.weights
    thresholds = [strongest.scale * part for part in THRESHOLDS]
    fitting = (t for t in thresholds if (weights >= t).sum() <= MOST_LINES)
    palest = PALEST * float(weights.max(initial=0.0))
    threshold = palest if many else next(fitting, thresholds[-1])
    strong = weights >= threshold
    return Links(
        context=view.context,
        heads=tuple(heads),
        query=None if query is None else view.tokens[query],
        places=strongest.heads[strong],
        queries=strongest.queries[strong],
        keys=strongest.keys[strong],
        weights=weights[strong],
        threshold=threshold,
        shares=shares.shares,
        strongest=many,
        key=None if key is None else view.keys[key],
    )


class _Strongest:
    """The strongest links, `most` of them; of equal ones the first.

    `heads` are places in the order in which heads came; they, queries and keys ascend. Links are
    weights above 0 of at least `least` times the `scale`: 1 for shares, else the largest number.
    With a `key`, only those to it count.
    """

    def __init__(self, most: int, least: float, shares: bool, key: int | None = None) -> None:
        self.heads, self.queries, self.keys = (np.zeros(0, np.intp) for _ in range(3))
        self.weights = np.zeros(0, np.float32)
        self.scale = 1.0 if shares else SMALLEST
        self._most, self._least, self._shares = most, least, shares
        self._first, self._columns = key or 0, slice(None) if key is None else slice(key, key + 1)

    def add(self, block: Block) -> None:
        """Add some rows of some heads."""
        every = block.weights[..., self._columns]
        if not self._shares:
            self.scale = max(self.scale, float(every.max()))
        weakest = float(self.weights.min()) if len(self.weights) == self._most else 0.0
        needed = max(self._least * self.scale, weakest)
        heads, queries, keys = np.nonzero((every >= needed) & (every > 0))
        weights = every[heads, queries, keys]
        self._keep(heads, queries + block.rows.start, keys + self._first, weights)

    def join(self, other: "_Strongest", first: int) -> None:
        """Add what another has; its heads come after `first` others."""
        self.scale = max(self.scale, other.scale)
        self._keep(other.heads + first, other.queries, other.keys, other.weights)

    def _keep(self, *more: np.ndarray) -> None:
        """Put more after those there are, and keep the strongest."""
        own = [self.heads, self.queries, self.keys, self.weights]
        arrays = [np.concatenate([old, new]) for old, new in zip(own, more, strict=True)]
        if len(arrays[-1]) > self._most:
            order = descending(arrays[-1], self._most)
            arrays = [array[np.sort(order)] for array in arrays]
        self.heads, self.queries, self.keys, self.weights = arrays


@dataclass(frozen=True)
class HeadLink:
    """A link, and the head in which it has its weight."""

    head: HeadId
    link: Link

    def why(self, context: Context, among: str = "") -> str:
        """Why this head is shown, where the user named none; `among`: which words were asked."""
        place = "layer" if self.head.head is None else "head"
        query, key = self.link.query, self.link.key
        looks = query.label + places_of(context, "query")[query.index]
        looked_at = key.label + places_of(context, "key")[key.index]
        return (
            f'no {place} given, so {self.head}, in which{among} "{looks}" looks hardest at '
            f'"{looked_at}": {number(self.link.weight)}'
        )


def strongest_link(view: View, query: int) -> HeadLink:
    """The strongest link from a query to a word further off, in any head; if there is none, to a
    neighbour, which place alone can explain; else to itself or a special token.
    """
    rows, token = view.query(query), view.tokens[query]
    seen = np.any(allowed(view, query, "query", view.inspection.recorded), axis=0)
    ranks = {key: _rank(view.context, token, key) for key in view.keys if seen[key.index]}
    keys = [key for key, rank in ranks.items() if rank == min(ranks.values())]
    weights = rows[..., [key.index for key in keys]]
    layer, head, place = (int(i) for i in np.unravel_index(largest(weights.ravel()), weights.shape))
    link = Link(token, keys[place], float(weights[layer, head, place]))
    return HeadLink(view.context.head_at(layer, head), link)


def strongest_to(view: View, key: int, query: int | None = None) -> HeadLink:
    """The strongest link to a key, from a word further off if there is one, or from that query."""
    found = word(view, key, "key")
    ranks = {
        token: 2 if token.special else _rank(view.context, token, found.token)
        for token in view.tokens
        if found.allowed[:, token.index].any() and query in (None, token.index)
    }
    queries = [token for token, rank in ranks.items() if rank == min(ranks.values())]
    if not queries:
        raise RequestError("a mask keeps these two words apart", "choose other words")
    weights = found.weights[:, [token.index for token in queries]]
    at, place = (int(i) for i in np.unravel_index(largest(weights.ravel()), weights.shape))
    return HeadLink(found.heads[at], Link(queries[place], found.token, float(weights[at, place])))


def strongest_of(overview: Overview) -> HeadLink | None:
    """The same of all links that an overview names; None if it names none."""
    named = [HeadLink(head.head, link) for head in overview.heads for link in head.links]
    ranks = [_rank(overview.context, one.link.query, one.link.key) for one in named]
    first = [one for one, rank in zip(named, ranks, strict=True) if rank == min(ranks)]
    return first[largest(np.array([one.link.weight for one in first]))] if first else None


def one_head(view: View, heads: Sequence[HeadId], query: int) -> tuple[HeadId, str]:
    """The head chosen, or the query's strongest link's and a note; RequestError for several."""
    if len(heads) > 1:
        raise RequestError(
            f"one head can be followed, and {len(heads)} were chosen",
            f"name one, as in {heads[0]}",
        )
    if heads:
        return heads[0], ""
    strongest = strongest_link(view, query)
    return strongest.head, strongest.why(view.context)


def heads_or_strongest(
    view: View, heads: list[HeadId], query: int | None, key: int | None = None
) -> tuple[list[HeadId], str]:
    """The heads chosen, or that of the strongest link of the words named, and a note; RequestError
    without either.
    """
    if heads:
        return heads, ""
    among = ""
    if key is not None:
        strongest = strongest_to(view, key, query)
        link, alone = strongest.link, query is not None or view.context.is_cross_attention
        if not (alone or link.query.special or _rank(view.context, link.query, link.key)):
            among = ", of the words further off,"
    elif query is not None:
        strongest = strongest_link(view, query)
    else:
        raise RequestError(
            "lines of all words in all heads would be a tangle", "choose a query or a key, or heads"
        )
    return [strongest.head], strongest.why(view.context, among)


def _rank(context: Context, query: Token, key: Token) -> int:
    """0 for a key further off, 1 for a neighbour, 2 for itself and special tokens."""
    if key.special:
        return 2
    if context.is_cross_attention or not is_near(query, key):
        return 0
    return 2 if key.index == query.index else 1


def at_a_glance(view: View) -> tuple[Overview, Pair | None]:
    """What a notebook shows of a view: what every head does, and one strong link in its head."""
    found = overview(view, links=LINKS_SEARCHED, pictures=True)
    strongest = strongest_of(found)
    if strongest is None:
        return found, None
    link = strongest.link
    return found, pair(view, link.query.index, link.key.index, [strongest.head])
