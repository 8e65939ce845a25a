"""The terminal's four looks at an inspection, as rich renderables; nothing here prints.

Colour says how large a weight is, and a marker says it again for terminals without colour. Every
look takes the width of the console that prints it.
"""

from rich.console import RenderableType

from attnviz.analysis.summary import Summary
from attnviz.inspection import HeadId, View
from attnviz.render.terminal.grid import Grid, dropped_note, special_note
from attnviz.render.terminal.matrix import HeadTable, TopKeys
from attnviz.render.terminal.overview import Overview


def overview(view: View, summary: Summary) -> RenderableType:
    """What every head does: a line for each, with its kind, entropy and strongest links."""
    return Overview(view, summary)


def query_grid(view: View, index: int) -> RenderableType:
    """What the token at `index` looks at most, in every head."""
    token = view.tokens[index]
    return Grid(view, token, view.query(index), "query", special_note(view, token))


def key_grid(view: View, index: int) -> RenderableType:
    """Who looks at the token at `index` most, in every head."""
    return Grid(view, view.tokens[index], view.key(index), "key", dropped_note(view))


def head_table(view: View, head: HeadId, top: int | None = None) -> RenderableType:
    """One head's weights: the whole table, or the `top` strongest keys of each query."""
    weights, dropped = view.weights(*head), None if view.special else view.dropped(*head)
    if top is None:
        return HeadTable(view, head, weights, dropped)
    return TopKeys(view, head, weights, dropped, top)
