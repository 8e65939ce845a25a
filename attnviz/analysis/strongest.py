"""Which link is worth showing first, and in which head?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.analysis.summary import Link, Summary, is_near
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, View
from attnviz.measures import number
from attnviz.tokens import Token


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
    and to special tokens last: they count only where there is nothing else to look at.
    """
    rows, token = view.query(query), view.tokens[query]
    ranks = [_rank(token, key) for key in view.keys]
    keys = [key for key, rank in zip(view.keys, ranks, strict=True) if rank == min(ranks)]
    weights = rows[..., [key.index for key in keys]]
    layer, head, place = (int(i) for i in np.unravel_index(np.nanargmax(weights), weights.shape))
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


def strongest_of(summary: Summary) -> HeadLink | None:
    """The same for all queries, out of the links that a summary names; None if it names none."""
    found = [HeadLink(head.head, link) for head in summary.heads for link in head.links]
    return min(found, key=_order, default=None)


def _order(found: HeadLink) -> tuple[int, float]:
    link = found.link
    return _rank(link.query, link.key), -link.weight


def _rank(query: Token, key: Token) -> int:
    """0 for a key further off, 1 for a neighbour, 2 for itself and special tokens."""
    if key.special or key.index == query.index:
        return 2
    return 1 if is_near(query, key) else 0
