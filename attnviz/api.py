"""The Python API: what the command line does, as functions.

Words are named as on the command line (`it`, `it#2`, `@10`), layers and heads by number, negative
ones from the end. Rows and columns are words, or the tokenizer's pieces with `unit="piece"`;
`special=False` leaves special tokens out and renormalises.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import attnviz.storage as storage
from attnviz.analysis.select import find_token, select_heads
from attnviz.analysis.strongest import strongest_head
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts, View
from attnviz.inspector import Model, load_model
from attnviz.tokens import Token, Tokens, Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

__all__ = [
    "AttnvizError",
    "HeadId",
    "Inspection",
    "Model",
    "ModelFacts",
    "RequestError",
    "Token",
    "Tokens",
    "View",
    "heatmap",
    "inspect",
    "lines",
    "load",
    "load_model",
    "save",
    "table",
    "to_json",
    "write_figure",
]


def inspect(
    text: str, model: str | Model = "minilm", pair: str | None = None, truncate: bool = False
) -> Inspection:
    """Run a sentence, or a pair of sentences, through a model and keep its attention.

    `model` is a name as in `load_model`, or a Model that is loaded already; the model that a name
    means stays loaded for the next call. Raises RequestError for a sentence that is empty or too
    long and for a name that means nothing, AttnvizError for a model that is damaged.
    """
    loaded = model if isinstance(model, Model) else _loaded(model)
    return loaded.inspect(text, pair, truncate)


@lru_cache(maxsize=1)
def _loaded(name: str) -> Model:
    return load_model(name)


def save(inspection: Inspection, path: str | Path) -> None:
    """Write an inspection to a safetensors file, whole or not at all; AttnvizError if it fails."""
    storage.save(inspection, Path(path))


def load(path: str | Path) -> Inspection:
    """Read a saved inspection; RequestError if there is none, AttnvizError if it is damaged."""
    return storage.load(Path(path))


def table(
    inspection: Inspection,
    query: str | None = None,
    key: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    unit: Unit = "word",
    special: bool = True,
) -> "RenderableType":
    """What `attnviz run` prints, for `rich.print`.

    Given `layer`, and `head` or not: whole tables. Given `query` or `key`: the grid of all heads.
    Otherwise the overview. Raises RequestError for a word, layer or head that is not there.
    """
    from rich.console import Group

    from attnviz.analysis.summary import summarise
    from attnviz.render import terminal

    view = inspection.view(unit, special)
    if layer is not None or head is not None:
        return Group(*(terminal.head_table(view, place) for place in _heads(view, layer, head)))
    if query is not None:
        return terminal.query_grid(view, find_token(view.tokens, query).token.index)
    if key is not None:
        return terminal.key_grid(view, find_token(view.tokens, key).token.index)
    return terminal.overview(view, summarise(view))


def to_json(
    inspection: Inspection,
    layer: int | None = None,
    head: int | None = None,
    unit: Unit = "word",
    special: bool = True,
) -> str:
    """The `attnviz.run/1` object of all heads, or of those chosen, as one line of JSON."""
    from attnviz.render.data import run_json

    view = inspection.view(unit, special)
    return b"".join(run_json(view, _heads(view, layer, head))).decode()


def heatmap(
    inspection: Inspection,
    layer: int | None = None,
    head: int | None = None,
    unit: Unit = "word",
    special: bool = True,
) -> "Figure":
    """One head, a layer's heads, or all heads as heatmaps: queries down, keys across."""
    from attnviz.render.figure.heatmap import heatmap as draw

    view = inspection.view(unit, special)
    return draw(view, _heads(view, layer, head))


def lines(
    inspection: Inspection,
    query: str | None = None,
    layer: int | None = None,
    head: int | None = None,
    unit: Unit = "word",
    special: bool = True,
) -> "Figure":
    """The article's picture: lines from a query, or from all, to the keys, darker with weight.

    Without `layer` and `head`: the head in which the query looks at another word hardest.
    """
    from attnviz.render.figure.lines import lines as draw

    view = inspection.view(unit, special)
    index = None if query is None else find_token(view.tokens, query).token.index
    if layer is None and head is None and index is not None:
        return draw(view, [strongest_head(view, index)], index)
    if layer is None:
        raise RequestError("lines of all words in all heads would be a tangle", "choose a layer")
    return draw(view, _heads(view, layer, head), index)


def write_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the path's suffix; the same figure, the same bytes.

    Raises RequestError for another suffix, AttnvizError if the file cannot be written.
    """
    from attnviz.files import whole_file
    from attnviz.render.figure.drawing import format_of
    from attnviz.render.figure.drawing import write_figure as write

    path = Path(path)
    form = format_of(path)
    with whole_file(path) as stream:
        write(figure, stream, form)


def _heads(view: View, layer: int | None, head: int | None) -> list[HeadId]:
    """The heads that a layer and a head mean; all heads where neither is given."""
    if layer is None and head is None:
        return view.all_heads()
    layers = [] if layer is None else [str(layer)]
    return select_heads(view.model, layers, [] if head is None else [str(head)])


def _as_html(inspection: Inspection) -> str:
    from attnviz.render.html import inspection_html

    return inspection_html(inspection)


# A notebook asks an object to show itself; an inspection does not know how it is drawn, so the
# one room that knows both tells it.
Inspection._repr_html_ = _as_html  # type: ignore[attr-defined]
