"""Which link is worth showing first, and in which head?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.answers.summary import Link, Summary, is_near
from attnviz.attention.measures import number
from attnviz.attention.order import largest
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, View
from attnviz.text.tokens import Token


@dataclass(frozen=True)
class HeadLink:
    """A link, and the head in which it has its weight."""

    head: HeadId
    link: Link

    @property
    def why(self) -> str:
        """What to say where the head was chosen by this link, since nobody named one."""
        place = "layer" if self.head.head is None else "head"
        return (
            f'no {place} given, so {self.head}, in which "{self.link.query.label}" looks hardest '
            f'at "{self.link.key.label}": {number(self.link.weight)}'
        )


def strongest_link(view: View, query: int) -> HeadLink:
    """The strongest link from the query at index `query` to a word further off, in any head.

    Links to neighbours, which a head can find by place alone, come after those, and links to itself
    and to special tokens last: they count only where there is nothing else that it may look at.
    """
    rows, token = view.query(query), view.tokens[query]
    ranks = {key: _rank(view, token, key) for key in _may_look_at(view, query)}
    keys = [key for key, rank in ranks.items() if rank == min(ranks.values())]
    weights = rows[..., [key.index for key in keys]]
    layer, head, place = (int(i) for i in np.unravel_index(largest(weights.ravel()), weights.shape))
    link = Link(token, keys[place], float(weights[layer, head, place]))
    return HeadLink(view.head_at(layer, head), link)


def one_head(view: View, heads: Sequence[HeadId], query: int) -> tuple[HeadId, str]:
    """The head chosen; without one, that of the query's strongest link, and a note on it.

    Raises RequestError where several were chosen.
    """
    if len(heads) > 1:
        raise RequestError(
            f"one head can be followed, and {len(heads)} were chosen",
            f"name one, as in {heads[0]}",
        )
    if heads:
        return heads[0], ""
    found = strongest_link(view, query)
    return found.head, found.why


def strongest_of(view: View, summary: Summary) -> HeadLink | None:
    """The same for all queries, out of the links that a summary names; None if it names none."""
    found = [HeadLink(head.head, link) for head in summary.heads for link in head.links]
    ranks = [_rank(view, one.link.query, one.link.key) for one in found]
    first = [one for one, rank in zip(found, ranks, strict=True) if rank == min(ranks)]
    return first[largest(np.array([one.link.weight for one in first]))] if first else None


def _may_look_at(view: View, query: int) -> list[Token]:
    """The keys that the query may look at in any layer."""
    seen = np.zeros(len(view.keys), dtype=bool)
    for layer in view.inspection.recorded:
        row = view.visible(layer, slice(query, query + 1))
        seen |= True if row is None else row[0]
    return [key for key in view.keys if seen[key.index]]


def _rank(view: View, query: Token, key: Token) -> int:
    """0 for a key further off, 1 for a neighbour, 2 for itself and special tokens.

    Between two texts, no key is a neighbour.
    """
    if key.special:
        return 2
    if view.is_cross_attention or not is_near(query, key):
        return 0
    return 2 if key.index == query.index else 1
