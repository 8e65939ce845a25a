"""The questions: each takes an inspection, or two, and gives an answer."""

from functools import partial
from pathlib import Path
from typing import Any, Unpack

import attnviz.inspection.storage as storage
from attnviz.answers.align import aligned
from attnviz.answers.check import Check
from attnviz.answers.check import check as check_evidence
from attnviz.answers.compare import Comparison
from attnviz.answers.compare import compare as compare_aligned
from attnviz.answers.explain import Explanation, explain_token, pieces_of
from attnviz.answers.find import By, Finding
from attnviz.answers.find import find as find_heads
from attnviz.answers.head import HeadSteps
from attnviz.answers.head import explain_head as steps_of_head
from attnviz.answers.layer import Layer, one_layer
from attnviz.answers.layer import layer as layer_of
from attnviz.answers.links import Links, heads_or_strongest, one_head
from attnviz.answers.links import links as links_of
from attnviz.answers.matrices import Matrices
from attnviz.answers.matrices import matrices as matrices_in
from attnviz.answers.overview import LINKS, Overview
from attnviz.answers.overview import overview as overview_of
from attnviz.answers.select import (
    HeadName,
    find_in,
    find_phrase,
    keeping,
)
from attnviz.answers.similar import EachSimilarity, Similarity, similarity
from attnviz.answers.similar import rank_heads as rank_similarity
from attnviz.answers.why import By as TermOrder
from attnviz.answers.why import Why, pairs_of, pieces_for
from attnviz.answers.why import why as split_score
from attnviz.answers.word import Pair, Word, word_or_pair
from attnviz.api.inspecting import Heads, looked_at, one_text
from attnviz.attention.request import RecordRequest
from attnviz.errors import RequestError
from attnviz.inspection import Context, Inspection, View
from attnviz.inspection.ablated import Replacement
from attnviz.inspection.context import Role
from attnviz.model import Model, load_model, matrices_of
from attnviz.model.check import gather, run_to_check
from attnviz.model.load import ModelOptions
from attnviz.model.reload import model_behind, model_for, origins_behind, sublayers_behind
from attnviz.models import DEFAULT
from attnviz.models.describe import Catalog
from attnviz.models.describe import catalog as models_at_hand
from attnviz.text.tokens import Unit


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
    return overview_of(view, chosen or None, positive(top) or LINKS)


def word(
    inspection: Inspection | View,
    query: str | None = None,
    key: str | None = None,
    **heads: Unpack[Heads],
) -> Word | Pair:
    """What a query looks at, or who looks at a key, in each head; with both, that one weight."""
    view, chosen = looked_at(inspection, heads)
    view = keeping(view, query)
    row, column = index_of(view.context, "query", query), index_of(view.context, "key", key)
    return word_or_pair(view, row, column, chosen or None)


def matrices(inspection: Inspection | View, **heads: Unpack[Heads]) -> Matrices:
    """The whole matrices of some heads, or of all."""
    view, chosen = looked_at(inspection, heads)
    return matrices_in(view, chosen or None)


def links(
    inspection: Inspection | View,
    query: str | None = None,
    key: str | None = None,
    **heads: Unpack[Heads],
) -> Links:
    """The strong links from a query, or to a key, or of all words, in some heads; without `layer`
    and `head`, in the head of that word's strongest link to a word further off.
    """
    view, chosen = looked_at(inspection, heads)
    view = keeping(view, query)
    row, column = index_of(view.context, "query", query), index_of(view.context, "key", key)
    return links_of(view, heads_or_strongest(view, chosen, row, column)[0], row, column)


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
    view = keeping(view, query)
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

    `query` is a word of both, or the one that differs, as in A or as in B; without it, all words
    that both have are compared. Heads are ranked
    by the Jensen-Shannon distance, or with `key` by how much the link to it changes. A picture
    shows the head that changes most.
    """
    view, chosen = looked_at(a, heads)
    both = aligned(keeping(view, query), keeping(looked_at(b, heads)[0], query))
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

    Without `head`: in the head of the query's strongest link to a word further off, in `layer` if
    it is given. (The function `layer` shows all of a layer.) The matrices come from the model's
    files, or from `model`, which is loaded by its name if not given.
    """
    view, heads = looked_at(inspection, {"unit": unit, "layer": layer, "head": head})
    index = find_in(view.context, "query", query).token.index
    chosen, _ = one_head(view, heads, index)
    layer_matrices = matrices_of(inspection, chosen.layer, partial(model_behind, model=model))
    return explain_token(view, index, chosen, layer_matrices)


def explain_head(
    inspection: Inspection, head: HeadName, layer: int | None = None, model: Model | None = None
) -> HeadSteps:
    """How all attention of one head comes about, all pieces at once: X times W_Q, W_K and W_V to Q,
    K and V, their products, softmax, and Z.

    The matrices come from the model's files, or from `model`, as in `explain`.
    """
    view, heads = looked_at(inspection, {"unit": "piece", "layer": layer, "head": head})
    chosen, _ = one_head(view, heads, 0)
    layer_matrices = matrices_of(inspection, chosen.layer, partial(model_behind, model=model))
    return steps_of_head(inspection, chosen, layer_matrices)


def layer(
    inspection: Inspection,
    query: str,
    layer: int,
    unit: Unit = "word",
    model: Model | None = None,
) -> tuple[Layer, ...]:
    """What a layer makes of a word: attention, feed-forward, norms, step by step, for each of its
    pieces, and how much of the result comes from x, each head and the feed-forward network.

    The matrices come from the model's files, or from `model`, as for `explain`.
    """
    view, heads = looked_at(inspection, {"unit": unit, "layer": layer})
    number = one_layer(heads)
    pieces = pieces_of(view, find_in(view.context, "query", query).token.index)
    load = partial(model_behind, model=model)
    return layer_of(inspection, number, sublayers_behind(inspection, number, pieces, load))


def why(
    inspection: Inspection,
    query: str,
    key: str,
    head: HeadName | None = None,
    layer: int | None = None,
    by: TermOrder = "term",
    unit: Unit = "word",
    model: Model | None = None,
) -> tuple[Why, ...]:
    """Why a head looks there: the score of a query and a key, q · k, split by what the two vectors
    are made of, for each pair of their pieces.

    Terms are ranked `by` their size, or by their "excess" over those of the other keys. Without
    `head`: in the head in which the query looks at the key most. The matrices come from the model's
    files, or from `model`, as for `explain`.
    """
    view, heads = looked_at(inspection, {"unit": unit, "layer": layer, "head": head})
    row = find_in(view.context, "query", query).token.index
    column = find_in(view.context, "key", key).token.index
    chosen, _ = one_head(view, heads_or_strongest(view, heads, row, column)[0], row)
    pairs = pairs_of(view, row, column, chosen)
    pieces, load = pieces_for(inspection, pairs, chosen.layer), partial(model_behind, model=model)
    origins = origins_behind(inspection, chosen.layer, pieces, load)
    return split_score(inspection, pairs, chosen, origins, by)


def similar(
    a: str | list[str],
    b: str | list[str],
    model: Any = DEFAULT,
    unit: Unit = "word",
    special: bool = True,
    tokenizer: Any = None,
    pretokenized: bool = False,
    **options: Unpack[ModelOptions],
) -> Similarity:
    """Why a model finds two texts alike: what each pair of their words gives to the cosine.

    `pairs` is None where the checkpoint's pooling makes no sum of words. The model, and
    `pretokenized`, as in `inspect`.
    """
    loaded = model_for(model, tokenizer, **options)
    texts = (one_text(text, pretokenized) for text in (a, b))
    read = [loaded.inspect(text, recording=RecordRequest(frozenset([0]), False)) for text in texts]
    views = [one.view(unit, special) for one in read]
    return similarity(views[0], views[1], *(loaded.pooled(one.tokens) for one in read))


def similar_each(
    a: str | list[str],
    b: str | list[str],
    replacement: Replacement = "zero",
    model: Any = DEFAULT,
    tokenizer: Any = None,
    pretokenized: bool = False,
    **options: Unpack[ModelOptions],
) -> EachSimilarity:
    """Rank all heads by how the cosine of two texts changes without each, in both texts."""
    loaded = model_for(model, tokenizer, **options)
    plain = similar(a, b, loaded, pretokenized=pretokenized)
    texts = (plain.contexts[0].text, plain.contexts[1].text)
    return rank_similarity(plain, loaded.pooled_each(texts, replacement), replacement)


def check(model: str = DEFAULT, **options: Unpack[ModelOptions]) -> Check:
    """Whether attnviz's numbers are the model's own, a line a check; options as in `load_model`.

    The model is loaded a second time, by transformers alone.
    """
    run = run_to_check(model, options)
    options["target"] = run.target
    return check_evidence(gather(load_model(model, **options), run))


def index_of(context: Context, role: Role, selector: str | None) -> int | None:
    """The row or column that a selector names, if there is one."""
    return None if selector is None else find_in(context, role, selector).token.index


def positive(top: int | None) -> int | None:
    """The `top` that was asked for; RequestError if it is no count."""
    if top is not None and top < 1:
        raise RequestError(f"top is {top}", "it should be at least 1")
    return top
