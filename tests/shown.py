"""Views asked and shown in one step, for tests: tables, pictures, data."""

from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure
from rich.console import RenderableType

from attnviz.answers.answer import Answer
from attnviz.answers.links import links
from attnviz.answers.matrices import matrices
from attnviz.answers.overview import LINKS, overview
from attnviz.answers.word import pair, word, word_or_pair
from attnviz.inspection import HeadId, View
from attnviz.show.figure import heatmap as heatmap_picture
from attnviz.show.figure import lines as lines_picture
from attnviz.show.forms import table as table_of
from attnviz.show.matrix_data import csv_chunks, json_chunks


def view_html(view: View) -> str:
    return view._repr_html_()


def looks(
    view: View,
    heads: Sequence[HeadId] = (),
    query: int | None = None,
    key: int | None = None,
    top: int | None = None,
) -> Iterator[RenderableType]:
    """What `attnviz run` prints."""
    yield table_of(answer_about(view, heads, query, key, top), top)


def answer_about(
    view: View,
    heads: Sequence[HeadId] = (),
    query: int | None = None,
    key: int | None = None,
    top: int | None = None,
) -> Answer:
    """What `attnviz run` answers: a word or a pair, whole matrices, or the overview."""
    if query is not None or key is not None:
        return word_or_pair(view, query, key, list(heads) or None)
    return matrices(view, heads) if heads else overview(view, links=LINKS if top is None else top)


def overview_table(view: View) -> RenderableType:
    return table_of(overview(view))


def query_grid(view: View, index: int, top: int | None = None) -> RenderableType:
    return table_of(word(view, index, "query"), top)


def key_grid(view: View, index: int, top: int | None = None) -> RenderableType:
    return table_of(word(view, index, "key"), top)


def query_rows(
    view: View, index: int, heads: Sequence[HeadId], top: int | None = None
) -> RenderableType:
    return table_of(word(view, index, "query", heads), top)


def key_rows(
    view: View, index: int, heads: Sequence[HeadId], top: int | None = None
) -> RenderableType:
    return table_of(word(view, index, "key", heads), top)


def pair_grid(view: View, query: int, key: int, heads: Sequence[HeadId]) -> RenderableType:
    return table_of(pair(view, query, key, heads))


def head_table(view: View, head: HeadId, top: int | None = None) -> RenderableType:
    return table_of(matrices(view, [head]), top)


def heatmap(view: View, heads: Sequence[HeadId]) -> Figure:
    return heatmap_picture.figure(matrices(view, heads))


def lines(view: View, heads: Sequence[HeadId], query: int | None) -> Figure:
    return lines_picture.figure(links(view, heads, query))


def run_json(view: View, heads: Sequence[HeadId]) -> Iterator[bytes]:
    return json_chunks(matrices(view, heads))


def run_csv(view: View, heads: Sequence[HeadId], text_index: int) -> Iterator[bytes]:
    return csv_chunks(matrices(view, heads), text_index)
