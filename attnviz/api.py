"""The Python API: what the command line does, as functions.

Words are named as on the command line (`it`, `it#2`, `@10`), layers and heads by number, negative
ones from the end; a head also together with its layer, `"L3H1"`. Numbers are attention weights
between words, unless `unit`, `special` or `measure` say otherwise; see `Look`.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import attnviz.storage as storage
from attnviz.ablated import Replacement
from attnviz.analysis.ablation import (
    Ablation,
    EachAblation,
    ablation_of,
    parts_of,
    rank_heads,
)
from attnviz.analysis.align import aligned
from attnviz.analysis.compare import Comparison
from attnviz.analysis.compare import compare as compare_aligned
from attnviz.analysis.explain import explain_token
from attnviz.analysis.explanation import Explanation
from attnviz.analysis.find import Finding
from attnviz.analysis.find import find as find_heads
from attnviz.analysis.holding import Holding, holding
from attnviz.analysis.phrase import find_phrase
from attnviz.analysis.select import find_token, select_heads, select_in
from attnviz.analysis.strongest import one_head
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts, View
from attnviz.inspector import Model, load_model, load_model_of, matrices_of
from attnviz.measures import MeasureName
from attnviz.tokens import Token, Tokens, Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.console import RenderableType

__all__ = [
    "Ablation",
    "AttnvizError",
    "Comparison",
    "EachAblation",
    "Explanation",
    "Finding",
    "HeadId",
    "Holding",
    "Inspection",
    "Model",
    "ModelFacts",
    "RequestError",
    "Token",
    "Tokens",
    "View",
    "ablate",
    "ablate_each",
    "compare",
    "compare_heatmaps",
    "explain",
    "find",
    "heatmap",
    "holding",
    "inspect",
    "lines",
    "load",
    "load_model",
    "save",
    "steps",
    "steps_figure",
    "table",
    "to_json",
    "write_figure",
]


class Look(TypedDict, total=False):
    """How an inspection is looked at; every function that shows one takes these by name.

    `unit`: "word", or "piece" for what the tokenizer cut. `special=False` leaves special tokens
    out, and divides what remains by its sum where rows are shares. `measure`: "weights"; "norm",
    the sizes of what they bring (Kobayashi et al. 2020); or "rollout" or "flow", down through the
    layers (Abnar & Zuidema 2020), where a layer has no heads to choose. A name that is none of
    these is a RequestError.
    """

    unit: Unit
    special: bool
    measure: MeasureName


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
def _loaded(name: str, **options: Any) -> Model:
    return load_model(name, **options)


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
    head: int | str | None = None,
    top: int | None = None,
    **look: Unpack[Look],
) -> "RenderableType":
    """What `attnviz run` prints, for `rich.print`.

    Given a query, a key, or both: that word, or pair of words, in the heads chosen or in all. Given
    heads alone: their whole tables. Given nothing: the overview. `top` says how many links each
    names. Raises RequestError for a word, layer or head that is not there, and for a head without a
    layer.
    """
    from rich.console import Group

    from attnviz.render.terminal import looks

    if top is not None and top < 1:
        raise RequestError(f"top is {top}", "it should be at least 1")
    view = inspection.view(**look)
    heads = _heads(view, layer, head)
    return Group(*looks(view, heads, _index(view, query), _index(view, key), top))


def to_json(
    inspection: Inspection,
    layer: int | None = None,
    head: int | str | None = None,
    **look: Unpack[Look],
) -> str:
    """The `attnviz.run/1` object of all heads, or of those chosen, as one line of JSON.

    Raises RequestError for a layer or head that is not there, and for a head without a layer.
    """
    from attnviz.render.data import run_json

    view = inspection.view(**look)
    return b"".join(run_json(view, _heads(view, layer, head) or view.all_heads())).decode()


def heatmap(
    inspection: Inspection,
    layer: int | None = None,
    head: int | str | None = None,
    **look: Unpack[Look],
) -> "Figure":
    """One head, a layer's heads, or all heads as heatmaps: queries down, keys across.

    Raises RequestError for a layer or head that is not there, and for a head without a layer.
    """
    from attnviz.render.figure.heatmap import heatmap as draw

    view = inspection.view(**look)
    return draw(view, _heads(view, layer, head) or view.all_heads())


def lines(
    inspection: Inspection,
    query: str | None = None,
    layer: int | None = None,
    head: int | str | None = None,
    **look: Unpack[Look],
) -> "Figure":
    """The article's picture: lines from a query, or from all, to the keys, darker with weight.

    Without `layer` and `head`: the head, or for a measure without heads the layer, of the query's
    strongest link to a word further off. Raises
    RequestError for a word, layer or head that is not there, for a head without a layer, and where
    neither a query nor heads are given.
    """
    from attnviz.render.figure.lines import heads_or_strongest
    from attnviz.render.figure.lines import lines as draw

    view = inspection.view(**look)
    index = _index(view, query)
    heads, _ = heads_or_strongest(view, _heads(view, layer, head), index)
    return draw(view, heads, index)


def find(
    inspection: Inspection,
    query: str,
    key: str,
    layer: int | None = None,
    head: int | str | None = None,
    **look: Unpack[Look],
) -> Finding:
    """Which heads join a query and a key, best first: `attnviz.find(i, "it", "animal").heads`.

    Either may be a phrase, as in `"the street"`. For the heads that hold over many sentences give
    the findings to `holding`. Raises RequestError for a word, layer or head that is not there, for
    a head without a layer, and where query and key overlap.
    """
    view = inspection.view(**look)
    looks, looked_at = (find_phrase(view.tokens, word).phrase for word in (query, key))
    return find_heads(view, looks, looked_at, _heads(view, layer, head) or None)


def explain(
    inspection: Inspection,
    query: str,
    layer: int | None = None,
    head: int | str | None = None,
    unit: Unit = "word",
    model: Model | None = None,
) -> tuple[Explanation, ...]:
    """How a word's attention in one head comes about: every step, for each of the word's pieces.

    The head's matrices are read from the model's files or, where it runs through transformers, from
    `model`, which is found by its name unless it is given. Without `layer` and `head`: the head of
    the query's strongest link to a word further off. Raises RequestError for a word, layer or head
    that is not there, and for several heads, AttnvizError if the matrices cannot be had.
    """
    view = inspection.view(unit)
    index = find_token(view.tokens, query).token.index
    chosen, _ = one_head(view, _heads(view, layer, head), index)
    matrices = matrices_of(inspection, chosen.layer, lambda one: _model_of(one, model))
    return explain_token(view, index, chosen, matrices)


def steps(explanation: Explanation, top: int | None = None) -> "RenderableType":
    """What `attnviz explain` prints, for `rich.print`; `top` says how many keys it shows."""
    from attnviz.render.terminal.steps import Steps

    return Steps(explanation, top)


def steps_figure(explanation: Explanation, top: int | None = None) -> "Figure":
    """The same as a picture, a learner's page."""
    from attnviz.render.figure.explain import explanation_figure

    return explanation_figure(explanation, top)


def ablate(
    inspection: Inspection,
    heads: str | HeadId | Sequence[str | HeadId],
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
) -> Ablation:
    """Run a sentence again without some heads, together: how far do its words' final states move?

    `heads` are named as in `"L3H1"`, or `"L3"` for a whole layer; their outputs become zero, or
    their mean over the sentence (`replacement="mean"`). The model is found by its name, unless it
    is given. Raises RequestError for a head that is not there, AttnvizError if the model cannot be
    had.
    """
    named = [heads] if isinstance(heads, str | HeadId) else heads
    chosen = sorted({head for name in named for head in _named(inspection, str(name))})
    run = _model_of(inspection, model).ablate(inspection.tokens, chosen, replacement)
    return ablation_of(run, unit)


def ablate_each(
    inspection: Inspection,
    query: str | None = None,
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
) -> EachAblation:
    """Rank all heads, each ablated alone, by how far the query's final state moves.

    Without a query: by the mean over all words but special tokens. Otherwise as `ablate`; raises
    RequestError for a word that is not there.
    """
    index = _index(inspection.view(unit), query)
    pieces = slice(None) if index is None else parts_of(inspection.tokens, unit)[index]
    runs = _model_of(inspection, model).ablate_each(inspection.tokens, replacement, pieces)
    return rank_heads(runs, unit, index)


def compare(
    a: Inspection,
    b: Inspection,
    query: str | None = None,
    key: str | None = None,
    layer: int | None = None,
    head: int | str | None = None,
    **look: Unpack[Look],
) -> Comparison:
    """What heads do differently in B: of two sentences in one model, or of one in two models.

    `query` is a word that both have; without one, all words that both have are compared. Heads are
    ranked by the Jensen-Shannon distance, or with `key` by how much the link to it changes. Raises
    RequestError for a word, layer or head that is not there, for models whose layers and heads do
    not match, and for sentences without a word in common.
    """
    both = aligned(a.view(**look), b.view(**look))
    query_at, key_at = (None if word is None else both.find(word).column for word in (query, key))
    return compare_aligned(both, query_at, key_at, _heads(both.a, layer, head))


def compare_heatmaps(
    comparison: Comparison, layer: int | None = None, head: int | str | None = None
) -> "Figure":
    """A and B as heatmaps, and their difference, of one head or, for one query, of several.

    Without `layer` and `head`: the head that changes most. Raises RequestError for a layer or head
    that was not compared, and for several heads without a query.
    """
    from attnviz.render.figure.compare import compare_heatmaps as draw

    chosen = _heads(comparison.aligned.a, layer, head)
    return draw(comparison, chosen or [comparison.heads[0].head])


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


def _named(inspection: Inspection, name: str) -> list[HeadId]:
    """The head, or the layer's heads, that one name means."""
    layer = name.strip().lower().removeprefix("l")
    if name.strip().lower().startswith("l") and "h" not in layer:
        return select_heads(inspection.model, [layer])
    return select_heads(inspection.model, [], [name])


def _model_of(inspection: Inspection, model: Model | None) -> Model:
    if model is None:
        return load_model_of(inspection, _loaded)
    if model.facts != inspection.model:
        raise RequestError(
            f"the sentence was looked at in {inspection.model.name}, and this is another model: "
            f"{model.facts}",
            "give the same one, or none",
        )
    return model


def _heads(view: View, layer: int | None, head: int | str | None) -> list[HeadId]:
    """The heads that a layer and a head mean; none where neither is given."""
    layers = [] if layer is None else [str(layer)]
    return select_in(view, layers, [] if head is None else [str(head)])


def _index(view: View, word: str | None) -> int | None:
    return None if word is None else find_token(view.tokens, word).token.index


def _as_html(inspection: Inspection) -> str:
    return _view_as_html(inspection.view())


def _view_as_html(view: View) -> str:
    from attnviz.render.html import view_html

    return view_html(view)


# A notebook asks an object to show itself; an inspection and its views do not know how they are
# drawn, so the one room that knows both tells them.
Inspection._repr_html_ = _as_html  # type: ignore[attr-defined]
View._repr_html_ = _view_as_html  # type: ignore[attr-defined]
