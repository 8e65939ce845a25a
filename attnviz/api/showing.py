"""What an inspection, and what was found in one, looks like: tables, JSON, pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from attnviz.answers.compare import Comparison
from attnviz.answers.explain import Explanation
from attnviz.answers.select import HeadName, select_in
from attnviz.api.choosing import Look, heads_of, index_of
from attnviz.errors import RequestError
from attnviz.inspection import Inspection

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType


def table(
    inspection: Inspection,
    query: str | None = None,
    key: str | None = None,
    layer: int | None = None,
    head: HeadName | None = None,
    top: int | None = None,
    **look: Unpack[Look],
) -> "RenderableType":
    """What `attnviz run` prints, for `rich.print`.

    Given a query, a key, or both: that word, or pair of words, in the heads chosen or in all. Given
    heads alone: their whole tables. Given nothing: the overview. `top` says how many links each
    names. Raises RequestError for a word, layer or head that is not there, and for a head without a
    layer.
    """
    from attnviz.answers import answer_about
    from attnviz.show.terminal import table_of

    if top is not None and top < 1:
        raise RequestError(f"top is {top}", "it should be at least 1")
    view = inspection.view(**look)
    heads = heads_of(view, layer, head)
    words = index_of(view, "query", query), index_of(view, "key", key)
    return table_of(answer_about(view, heads, *words, top), top)


def to_json(
    inspection: Inspection,
    layer: int | None = None,
    head: HeadName | None = None,
    **look: Unpack[Look],
) -> str:
    """The `attnviz.run/1` object of all heads, or of those chosen, as one line of JSON.

    Raises RequestError for a layer or head that is not there, and for a head without a layer.
    """
    from attnviz.answers.matrices import matrices
    from attnviz.show.matrix_data import json_chunks

    view = inspection.view(**look)
    return b"".join(json_chunks(matrices(view, heads_of(view, layer, head) or None))).decode()


def heatmap(
    inspection: Inspection,
    layer: int | None = None,
    head: HeadName | None = None,
    **look: Unpack[Look],
) -> "Figure":
    """One head, a layer's heads, or all heads as heatmaps: queries down, keys across.

    Raises RequestError for a layer or head that is not there, and for a head without a layer.
    """
    from attnviz.answers.matrices import matrices
    from attnviz.show.figure.heatmap import figure

    view = inspection.view(**look)
    return figure(matrices(view, heads_of(view, layer, head) or None))


def lines(
    inspection: Inspection,
    query: str | None = None,
    layer: int | None = None,
    head: HeadName | None = None,
    **look: Unpack[Look],
) -> "Figure":
    """The article's picture: lines from a query, or from all, to the keys, darker with weight.

    Without `layer` and `head`: the head, or for a measure without heads the layer, of the query's
    strongest link to a word further off. Raises
    RequestError for a word, layer or head that is not there, for a head without a layer, and where
    neither a query nor heads are given.
    """
    from attnviz.answers.links import heads_or_strongest, links
    from attnviz.show.figure.lines import figure

    view = inspection.view(**look)
    index = index_of(view, "query", query)
    heads, _ = heads_or_strongest(view, heads_of(view, layer, head), index)
    return figure(links(view, heads, index))


def steps(explanation: Explanation, top: int | None = None) -> "RenderableType":
    """What `attnviz explain` prints, for `rich.print`; `top` says how many keys it shows."""
    from attnviz.show.terminal.explain import table as steps_table

    return steps_table(explanation, top)


def steps_figure(explanation: Explanation, top: int | None = None) -> "Figure":
    """The same as a picture, a learner's page."""
    from attnviz.show.figure.explain import figure

    return figure(explanation, top)


def compare_heatmaps(
    comparison: Comparison, layer: int | None = None, head: HeadName | None = None
) -> "Figure":
    """A and B as heatmaps, and their difference, of one head or, for one query, of several.

    Without `layer` and `head`: the head that changes most. Raises RequestError for a layer or head
    that was not compared, and for several heads without a query.
    """
    from attnviz.show.figure.compare import figure

    layers = [] if layer is None else [layer]
    chosen = select_in(comparison.alignment.a, layers, [] if head is None else [head])
    return figure(comparison, heads=chosen or [comparison.heads[0].head])


def write_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the path's suffix; the same figure, the same bytes.

    Raises RequestError for another suffix, AttnvizError if the file cannot be written.
    """
    from attnviz.files import whole_file
    from attnviz.show.figure.drawing import format_of
    from attnviz.show.figure.drawing import write_figure as write

    path = Path(path)
    form = format_of(path)
    with whole_file(path) as stream:
        write(figure, stream, form)
