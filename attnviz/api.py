"""attnviz from Python: the command line's questions, and any answer in any form.

Words are named as on the command line: `it`, `it#2` (its second occurrence), `@10` (the token at
index 10). A head is `layer=3, head=1`, or `head=(3, 1)`, `head="L3H1"` or a HeadId alone; negative
layers count from the end.

What is wrong raises AttnvizError; RequestError, which is one, if the request itself is wrong.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

import attnviz.inspection.storage as storage
from attnviz.answers.ablate import Ablation, EachAblation, ablation_of, parts_of, rank_heads
from attnviz.answers.align import aligned
from attnviz.answers.answer import Answer
from attnviz.answers.check import Check
from attnviz.answers.check import check as check_evidence
from attnviz.answers.compare import Comparison
from attnviz.answers.compare import compare as compare_aligned
from attnviz.answers.explain import Explanation, explain_token
from attnviz.answers.find import By, Finding
from attnviz.answers.find import find as find_heads
from attnviz.answers.holding import Holding, holding
from attnviz.answers.links import Links, heads_or_strongest, one_head
from attnviz.answers.links import links as links_of
from attnviz.answers.matrices import Matrices
from attnviz.answers.matrices import matrices as matrices_in
from attnviz.answers.overview import LINKS, Overview
from attnviz.answers.overview import overview as overview_of
from attnviz.answers.select import HeadName, Heads, find_in, find_phrase, looked_at, select_heads
from attnviz.answers.word import Pair, Word, word_or_pair
from attnviz.attention.request import WHOLE, RecordRequest
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import whole_file
from attnviz.inspection import Context, HeadId, Inspection, ModelFacts, View
from attnviz.inspection.ablated import Replacement
from attnviz.inspection.context import Role
from attnviz.model import Model, check_ablatable, load_model, matrices_of
from attnviz.model.check import gather, run_to_check
from attnviz.model.describe import describe
from attnviz.model.load import ModelOptions
from attnviz.model.reload import model_behind, model_for
from attnviz.models import DEFAULT
from attnviz.models.describe import Catalog, Described
from attnviz.models.describe import catalog as models_at_hand
from attnviz.show import forms, write
from attnviz.text.tokens import Part, Token, Tokens, Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame
    from rich.console import RenderableType

__all__ = [
    "Ablation", "AttnvizError", "Catalog", "Check", "Comparison", "Described", "EachAblation",
    "Explanation", "Finding", "HeadId", "Holding", "Inspection", "Links", "Matrices", "Model",
    "ModelFacts", "Overview", "Pair", "Part", "RequestError", "Token", "Tokens", "View", "Word",
    "ablate", "ablate_each", "catalog", "check", "compare", "describe", "explain", "figure", "find",
    "heatmap", "holding", "inspect", "inspect_windows", "lines", "links", "load", "load_model",
    "matrices", "overview", "save", "table", "to_dataframe", "to_json", "to_rows", "word",
    "write_figure",
]  # fmt: skip


class Chosen(Heads, total=False):
    """What of an inspection is shown: a word, some heads, and how they are looked at."""

    query: str | None
    key: str | None


class InspectOptions(ModelOptions, total=False):
    """What `inspect` takes beside a text and a model."""

    pair: str | None
    truncate: bool
    layers: int | Iterable[int] | None
    tokenizer: Any


@overload
def inspect(text: str, model: Any = ..., **options: Unpack[InspectOptions]) -> Inspection: ...
@overload
def inspect(
    text: list[str], model: Any = ..., **options: Unpack[InspectOptions]
) -> list[Inspection]: ...
def inspect(
    text: str | list[str],
    model: Any = "minilm",
    pair: str | None = None,
    truncate: bool = False,
    layers: int | Iterable[int] | None = None,
    tokenizer: Any = None,
    **options: Unpack[ModelOptions],
) -> Inspection | list[Inspection]:
    """Run a text, or each of a list of texts, through a model, and keep its attention.

    `model`: a name as in `load_model`, which takes the `options` too; a Model; or a transformers
    model in memory with its `tokenizer`, which is used as it is. A named model stays loaded for the
    next call. Of a long text only the `layers` given are recorded.
    """
    loaded = model_for(model, tokenizer, **options)
    texts = [text] if isinstance(text, str) else text
    if not isinstance(texts, list | tuple) or not all(isinstance(one, str) for one in texts):
        raise RequestError("the text is neither a string nor a list of strings", "give one of them")
    tokens = [loaded.tokenize(one, pair, truncate) for one in texts]
    found = list(loaded.inspect_tokens(tokens, _recording(loaded, layers)))
    return found[0] if isinstance(text, str) else found


def inspect_windows(
    text: str,
    stride: int,
    model: Any = "minilm",
    layers: int | Iterable[int] | None = None,
    tokenizer: Any = None,
    **options: Unpack[ModelOptions],
) -> Iterator[Inspection]:
    """Run a text that is too long for a model in overlapping windows, one inspection each.

    Windows are as long as the model takes, and begin `stride` pieces apart, where a word begins;
    `inspection.part` says where. A text that fits gives one inspection, whose `part` is None.
    """
    loaded = model_for(model, tokenizer, **options)
    return loaded.inspect_tokens(loaded.windows(text, stride), _recording(loaded, layers))


def save(inspection: Inspection, path: str | Path) -> None:
    """Write an inspection to a safetensors file, whole or not at all."""
    storage.save(inspection, Path(path))


def load(path: str | Path) -> Inspection:
    """Read a saved inspection; that runs no code from it."""
    return storage.load(Path(path))


def catalog() -> Catalog:
    """The models at hand: those that come with attnviz, and those in the hub's cache."""
    return models_at_hand(DEFAULT)


def overview(
    inspection: Inspection | View, top: int | None = None, **heads: Unpack[Heads]
) -> Overview:
    """What each head does: its kind, its entropy, and its `top` strongest links (3)."""
    view, chosen = looked_at(inspection, heads)
    return overview_of(view, chosen or None, _positive(top) or LINKS)


def word(
    inspection: Inspection | View,
    query: str | None = None,
    key: str | None = None,
    **heads: Unpack[Heads],
) -> Word | Pair:
    """What a query looks at, or who looks at a key, in each head; with both, that one weight."""
    view, chosen = looked_at(inspection, heads)
    row, column = _index(view.context, "query", query), _index(view.context, "key", key)
    return word_or_pair(view, row, column, chosen or None)


def matrices(inspection: Inspection | View, **heads: Unpack[Heads]) -> Matrices:
    """The whole matrices of some heads, or of all."""
    view, chosen = looked_at(inspection, heads)
    return matrices_in(view, chosen or None)


def links(inspection: Inspection | View, query: str | None = None, **heads: Unpack[Heads]) -> Links:
    """The strong links from a query, or from all words, in some heads; without `layer` and `head`,
    in the head of the query's strongest link to a word further off.
    """
    view, chosen = looked_at(inspection, heads)
    index = _index(view.context, "query", query)
    return links_of(view, heads_or_strongest(view, chosen, index)[0], index)


def find(
    inspection: Inspection | View,
    query: str,
    key: str,
    both: bool = False,
    by: By = "excess",
    **heads: Unpack[Heads],
) -> Finding:
    """Which heads join a query and a key, best first; each may be a phrase, as in "the street".

    Best by `excess`, the weight less what other pairs get, or by `weight`. With `both`, also the
    other way round. Give the findings of many sentences to `holding`.
    """
    view, chosen = looked_at(inspection, heads)
    words = find_in(view.context, "query", query, find_phrase)
    keys = find_in(view.context, "key", key, find_phrase)
    return find_heads(view, words, keys, chosen or None, both, by)


def compare(
    a: Inspection | View,
    b: Inspection | View,
    query: str | None = None,
    key: str | None = None,
    **heads: Unpack[Heads],
) -> Comparison:
    """What heads do differently in B: of two sentences in one model, or of one in two models.

    `query` is a word of both; without it, all words that both have are compared. Heads are ranked
    by the Jensen-Shannon distance, or with `key` by how much the link to it changes. A picture
    shows the head that changes most.
    """
    view, chosen = looked_at(a, heads)
    both = aligned(view, looked_at(b, heads)[0])
    query_at = None if query is None else both.find(query)[0]
    key_at = None if key is None else both.find(key, "key")[0]
    return compare_aligned(both, query_at, key_at, chosen, 1)


def explain(
    inspection: Inspection,
    query: str,
    layer: int | None = None,
    head: HeadName | None = None,
    unit: Unit = "word",
    model: Model | None = None,
) -> tuple[Explanation, ...]:
    """How a word's attention in one head comes about: every step, for each of its pieces.

    Without `layer` and `head`: in the head of the query's strongest link to a word further off. The
    matrices come from the model's files, or from `model`, which is loaded by its name if not given.
    """
    view, heads = looked_at(inspection, {"unit": unit, "layer": layer, "head": head})
    index = find_in(view.context, "query", query).token.index
    chosen, _ = one_head(view, heads, index)
    layer_matrices = matrices_of(inspection, chosen.layer, lambda one: model_behind(one, model))
    return explain_token(view, index, chosen, layer_matrices)


def ablate(
    inspection: Inspection,
    heads: HeadName | list[HeadName],
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
) -> Ablation:
    """Run a sentence again without some heads, together: how far do words' final states move?

    `heads`: as "L3H1" or (3, 1), or "L3" for a whole layer. Their outputs become zero, or their
    mean over the sentence. The model is loaded by its name unless it is given.
    """
    context = looked_at(inspection, {"unit": unit})[0].context
    check_ablatable(inspection)
    layers, names = [], []
    for name in heads if isinstance(heads, list) else [heads]:
        if isinstance(name, tuple) and name[-1] is None:
            name = str(HeadId(*name))
        layer = re.fullmatch(r"[lL](\d+)", name.strip()) if isinstance(name, str) else None
        layers += [layer[1]] if layer else []
        names += [] if layer else [name]
    chosen = {*select_heads(context.model, layers), *select_heads(context.model, [], names)}
    run = model_behind(inspection, model).ablate(inspection.tokens, sorted(chosen), replacement)
    return ablation_of(context, run)


def ablate_each(
    inspection: Inspection,
    query: str | None = None,
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
) -> EachAblation:
    """Rank all heads, each ablated alone, by how far the query's final state moves; without a
    query, by the mean over all words but special tokens.
    """
    context = looked_at(inspection, {"unit": unit})[0].context
    check_ablatable(inspection)
    index = _index(context, "query", query)
    pieces = slice(None) if index is None else parts_of(inspection.tokens, unit)[index]
    runs = model_behind(inspection, model).ablate_each(inspection.tokens, replacement, pieces)
    return rank_heads(context, runs, index)


def check(model: str = DEFAULT, **options: Unpack[ModelOptions]) -> Check:
    """Whether attnviz's numbers are the model's own, a line a check; options as in `load_model`.

    The model is loaded a second time, by transformers alone.
    """
    run = run_to_check(model, options)
    options["target"] = run.target
    return check_evidence(gather(load_model(model, **options), run))


def table(x: Any, top: int | None = None, **chosen: Unpack[Chosen]) -> "RenderableType":
    """What the command line prints of an answer, for `rich.print`.

    `x`: an answer, or several; or an inspection, of which `query` and `key` show a word, `layer`
    and `head` whole tables, and nothing the overview. `top` limits links, keys or heads.
    """
    from rich.console import Group

    answers = _answers(x, top, chosen, briefly=True)
    return Group(*(forms.table(answer, top) for answer in answers))


def figure(
    x: Any, top: int | None = None, scale: forms.Limits | None = None, **chosen: Unpack[Chosen]
) -> "Figure":
    """The picture of an answer, its colours from 0 to 1 for `scale=(0, 1)`; heatmaps of a View."""
    answers = _answers(x, top, chosen)
    if len(answers) != 1:
        raise RequestError(f"{len(answers)} answers came, and a picture shows one", "give one")
    return forms.figure(answers[0], top, scale)


def to_json(x: Any, top: int | None = None, **chosen: Unpack[Chosen]) -> str:
    """The JSON of an answer, one line for each; of an inspection, whole matrices or a word."""
    chunks = (write.json_chunks(answer, top) for answer in _answers(x, top, chosen))
    return b"".join(chain.from_iterable(chunks)).decode()


def to_rows(x: Any, top: int | None = None, **chosen: Unpack[Chosen]) -> list[dict[str, Any]]:
    """The rows of an answer, as dictionaries by column: one a link, head or finding."""
    answers = _answers(x, top, chosen)
    return [dict(zip(a.columns, row, strict=True)) for a in answers for row in a.rows(top)]


def to_dataframe(x: Any, top: int | None = None, **chosen: Unpack[Chosen]) -> "DataFrame":
    """The rows of an answer as a pandas DataFrame; AttnvizError if pandas is not installed."""
    if find_spec("pandas") is None:
        raise AttnvizError("pandas is not installed", "pip install pandas, or use to_rows")
    from pandas import DataFrame

    answers = _answers(x, top, chosen)
    columns = list(answers[0].columns) if answers else []
    return DataFrame([row for answer in answers for row in answer.rows(top)], columns=columns)


def heatmap(inspection: Inspection | View, **heads: Unpack[Heads]) -> "Figure":
    """One head, a layer's heads, or all heads as heatmaps: queries down, keys across."""
    return forms.figure(matrices(inspection, **heads))


def lines(
    inspection: Inspection | View, query: str | None = None, **heads: Unpack[Heads]
) -> "Figure":
    """The picture of `links`: lines from queries to keys, darker with weight."""
    return forms.figure(links(inspection, query, **heads))


def write_figure(figure: "Figure", path: str | Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the path's suffix; equal figures give equal bytes."""
    from attnviz.show.figure import drawing

    form = drawing.format_of(Path(path))
    with whole_file(Path(path)) as stream:
        drawing.write_figure(figure, stream, form)


def _recording(model: Model, layers: int | Iterable[int] | None) -> RecordRequest:
    if layers is None:
        return WHOLE
    heads = select_heads(model.facts, [layers] if isinstance(layers, int) else list(layers))
    return RecordRequest(frozenset(head.layer for head in heads) or None)


def _index(context: Context, role: Role, selector: str | None) -> int | None:
    return None if selector is None else find_in(context, role, selector).token.index


def _positive(top: int | None) -> int | None:
    if top is not None and top < 1:
        raise RequestError(f"top is {top}", "it should be at least 1")
    return top


def _answers(x: Any, top: int | None, chosen: Chosen, briefly: bool = False) -> Sequence[Answer]:
    """The answers that came; of an inspection a word, or matrices (`briefly`: the overview)."""
    _positive(top)
    if isinstance(x, Inspection | View):
        heads: Any = dict(chosen)
        words = {name: heads.pop(name, None) for name in ("query", "key")}
        if any(word is not None for word in words.values()):
            return [word(x, **words, **heads)]
        in_full = any(heads.get(name) is not None for name in ("layer", "head"))
        return [matrices(x, **heads) if in_full or not briefly else overview(x, top, **heads)]
    if chosen:
        raise RequestError(
            f"an answer is shown as it is, and {', '.join(chosen)} came with it",
            "choose words and heads when you ask the question",
        )
    answers = list(x) if isinstance(x, list | tuple) else [x]
    for answer in answers:
        forms.forms_of(answer)
    return answers
