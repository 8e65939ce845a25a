"""The terminal's looks at an inspection, as rich renderables; nothing here prints.

Colour says how large a weight is, and a marker says it again for terminals without colour. Every
look takes the width of the console that prints it.
"""

from collections.abc import Sequence

import numpy as np
from rich.console import RenderableType

from attnviz.analysis.summary import Summary
from attnviz.inspection import HeadId, View
from attnviz.render.terminal.grid import Grid, dropped_note, special_note
from attnviz.render.terminal.matrix import HeadTable, TopKeys
from attnviz.render.terminal.overview import Overview
from attnviz.render.terminal.word import PairGrid, WordRows


def overview(view: View, summary: Summary) -> RenderableType:
    """What every head does: a line for each, with its kind, entropy and strongest links."""
    return Overview(view, summary)


def query_grid(view: View, index: int, top: int | None = None) -> RenderableType:
    """What the token at `index` looks at most, in every head; then its `top` strongest keys."""
    token = view.tokens[index]
    return Grid(view, token, view.query(index), "query", special_note(view, token), top)


def key_grid(view: View, index: int, top: int | None = None) -> RenderableType:
    """Who looks at the token at `index` most, in every head; then the `top` that do most."""
    return Grid(view, view.tokens[index], view.key(index), "key", dropped_note(view), top)


def query_rows(
    view: View, index: int, heads: Sequence[HeadId], top: int | None = None
) -> RenderableType:
    """What the token at `index` looks at, a line for each head: its `top` strongest keys."""
    token, rows = view.tokens[index], view.query(index)
    weights = np.stack([rows[head.layer, head.head] for head in heads])
    return WordRows(view, token, heads, weights, "query", special_note(view, token), top)


def key_rows(
    view: View, index: int, heads: Sequence[HeadId], top: int | None = None
) -> RenderableType:
    """Who looks at the token at `index`, a line for each head: the `top` that do most."""
    weights = np.stack([head_weights[:, index] for _, head_weights in view.heads(heads)])
    return WordRows(view, view.tokens[index], heads, weights, "key", dropped_note(view), top)


def pair_grid(view: View, query: int, key: int, heads: Sequence[HeadId]) -> RenderableType:
    """How much one token looks at another, in each head."""
    row, token = view.query(query)[..., key], view.tokens[query]
    weights = {head: float(row[head.layer, head.head]) for head in heads}
    return PairGrid(view, token, view.tokens[key], weights, special_note(view, token))


def head_table(view: View, head: HeadId, top: int | None = None) -> RenderableType:
    """One head's weights: the whole table, or the `top` strongest keys of each query."""
    weights, dropped = view.weights(*head), None if view.special else view.dropped(*head)
    if top is None:
        return HeadTable(view, head, weights, dropped)
    return TopKeys(view, head, weights, dropped, top)
