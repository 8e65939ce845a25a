"""The terminal's looks at an inspection, as rich renderables; nothing here prints.

Colour says how large a weight is, and a marker says it again for terminals without colour. Every
look takes the width of the console that prints it.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import RenderableType

from attnviz.answers.masks import allowed
from attnviz.answers.special import received
from attnviz.answers.summary import Summary, summarise
from attnviz.inspection import HeadId, View
from attnviz.show.terminal.grid import Grid
from attnviz.show.terminal.matrix import HeadTable
from attnviz.show.terminal.naming import is_long
from attnviz.show.terminal.notes import dropped_note, query_note
from attnviz.show.terminal.overview import Overview
from attnviz.show.terminal.topkeys import TopKeys
from attnviz.show.terminal.word import PairGrid, WordRows

LINKS = 3
"""The strongest links that the overview names for each head, unless somebody says how many."""


def looks(
    view: View,
    heads: Sequence[HeadId] = (),
    query: int | None = None,
    key: int | None = None,
    top: int | None = None,
) -> Iterator[RenderableType]:
    """What answers a question about some heads (none: no choice), a query and a key, by index.

    A word, or a pair of words, in the heads chosen or in all; the heads chosen, each whole; or the
    overview. `top` says how many links a look names.
    """
    if query is not None and key is not None:
        yield pair_grid(view, query, key, heads or view.all_heads())
    elif query is not None:
        yield query_rows(view, query, heads, top) if heads else query_grid(view, query, top)
    elif key is not None:
        yield key_rows(view, key, heads, top) if heads else key_grid(view, key, top)
    elif heads:
        yield from (head_table(view, head, top) for head in heads)
    else:
        yield overview(view, summarise(view, top or LINKS))


def overview(view: View, summary: Summary) -> RenderableType:
    """What every head does: a line for each, with its kind, entropy and strongest links."""
    return Overview(view, summary)


def query_grid(view: View, index: int, top: int | None = None) -> RenderableType:
    """What the token at `index` looks at most, in every head; then its `top` strongest keys.

    For a measure without heads, its strongest keys in every layer.
    """
    if not view.measured.per_head:
        return query_rows(view, index, view.all_heads(), top)
    weights, note = _query_row(view, index, view.all_heads())
    shape = -1, view.num_heads, weights.shape[-1]
    return Grid(view, view.tokens[index], weights.reshape(shape), "query", note, top)


def _query_row(view: View, index: int, heads: Sequence[HeadId]) -> tuple[np.ndarray, str]:
    """The query's row in some heads, (head, key), and the note on what is not in it."""
    row, every = view.row(index), {head: place for place, head in enumerate(view.all_heads())}
    places = [every[head] for head in heads]
    special = float(np.mean([row.special[place] for place in places]))
    sink = None if row.sink is None else float(np.mean([row.sink[place] for place in places]))
    note = query_note(view.context, index, heads, special, sink)
    return row.block.weights[places, 0], note


def key_grid(view: View, index: int, top: int | None = None) -> RenderableType:
    """Who looks at the token at `index` most, in every head; then the `top` that do most.

    For a measure without heads, those that do most in every layer.
    """
    heads = view.all_heads()
    if not view.measured.per_head:
        return key_rows(view, index, heads, top)
    found = received(view, index, heads)
    weights = found.weights.reshape(-1, view.num_heads, len(view.tokens))
    note = dropped_note(view.context, found.dropped, heads)
    return Grid(view, view.keys[index], weights, "key", note, top)


def query_rows(
    view: View, index: int, heads: Sequence[HeadId], top: int | None = None
) -> RenderableType:
    """What the token at `index` looks at, a line for each head: its `top` strongest keys."""
    weights, note = _query_row(view, index, heads)
    return WordRows(view, view.tokens[index], heads, weights, "query", note, top)


def key_rows(
    view: View, index: int, heads: Sequence[HeadId], top: int | None = None
) -> RenderableType:
    """Who looks at the token at `index`, a line for each head: the `top` that do most."""
    found = received(view, index, heads)
    note = dropped_note(view.context, found.dropped, heads)
    return WordRows(view, view.keys[index], heads, found.weights, "key", note, top)


def pair_grid(view: View, query: int, key: int, heads: Sequence[HeadId]) -> RenderableType:
    """How much one token looks at another, in each head."""
    row, note = _query_row(view, query, heads)
    seen = allowed(view, query, "query", [head.layer for head in heads])[:, key]
    weights = {
        head: float(weight)
        for head, weight, open_to in zip(heads, row[:, key], seen, strict=True)
        if open_to
    }
    blind = [head for head in heads if head not in weights]
    return PairGrid(view, view.tokens[query], view.keys[key], weights, blind, note)


def head_table(view: View, head: HeadId, top: int | None = None) -> RenderableType:
    """One head's weights: the whole table, or the `top` strongest keys of each query.

    Of a long text the first queries, with as many of their strongest keys as there is room for.
    """
    if top is not None or is_long(view.context):
        return TopKeys.of(view, head, top)
    block = view.block(head)
    dropped, sink = (None if one is None else one[0] for one in (block.dropped, block.sink))
    return HeadTable(view, head, block.weights[0], dropped, sink)
