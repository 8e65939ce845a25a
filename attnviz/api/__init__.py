"""The Python API: what the command line does, as functions.

Words are named as on the command line (`it`, `it#2`, `@10`), layers and heads by number, negative
ones from the end; a head also together with its layer, `"L3H1"`. Numbers are attention weights
between words, unless `unit`, `special` or `measure` say otherwise; see `Look`.
"""

from attnviz.answers.ablate import Ablation, EachAblation
from attnviz.answers.compare import Comparison
from attnviz.answers.explain import Explanation
from attnviz.answers.find import Finding
from attnviz.answers.holding import Holding, holding
from attnviz.api.asking import ablate, ablate_each, compare, explain, find
from attnviz.api.reading import inspect, inspect_windows, load, save
from attnviz.api.showing import (
    compare_heatmaps,
    heatmap,
    lines,
    steps,
    steps_figure,
    table,
    to_json,
    write_figure,
)
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts, View
from attnviz.model import Model, load_model
from attnviz.text.tokens import Part, Token, Tokens

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
    "Part",
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
    "inspect_windows",
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


def _as_html(inspection: Inspection) -> str:
    return _view_as_html(inspection.view())


def _view_as_html(view: View) -> str:
    from attnviz.answers.links import strongest_of
    from attnviz.answers.overview import overview
    from attnviz.answers.word import pair
    from attnviz.show.notebook import LINKS_SEARCHED, overview_html

    every = overview(view, links=LINKS_SEARCHED, pictures=True)
    best = strongest_of(every)
    if best is None:
        return overview_html(every, None)
    query, key = best.link.query.index, best.link.key.index
    return overview_html(every, pair(view, query, key, [best.head]))


# A notebook asks an object to show itself; an inspection and its views do not know how they are
# drawn, so the one room that knows both tells them.
Inspection._repr_html_ = _as_html  # type: ignore[attr-defined]
View._repr_html_ = _view_as_html  # type: ignore[attr-defined]
