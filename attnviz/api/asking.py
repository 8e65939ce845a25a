"""Questions about inspections: find, explain, compare, ablate."""

from collections.abc import Sequence
from typing import Any, Unpack

from attnviz.answers.ablate import Ablation, EachAblation, ablation_of, parts_of, rank_heads
from attnviz.answers.align import aligned
from attnviz.answers.compare import Comparison
from attnviz.answers.compare import compare as compare_aligned
from attnviz.answers.explain import Explanation, explain_token
from attnviz.answers.find import Finding
from attnviz.answers.find import find as find_heads
from attnviz.answers.links import one_head
from attnviz.answers.select import HeadName, find_in, find_phrase
from attnviz.api.choosing import Look, heads_named, heads_of, index_of
from attnviz.api.reading import model_of
from attnviz.inspection import Inspection
from attnviz.inspection.ablated import Replacement
from attnviz.model import Model, check_ablatable, matrices_of
from attnviz.text.tokens import Unit

MATRICES_KEPT = 1 << 21
"""Numbers of A up to which a comparison keeps every head's whole matrices (8 MB)."""


def find(
    inspection: Inspection,
    query: str,
    key: str,
    layer: int | None = None,
    head: HeadName | None = None,
    **look: Unpack[Look],
) -> Finding:
    """Which heads join a query and a key, best first: `attnviz.find(i, "it", "animal").heads`.

    Either may be a phrase, as in `"the street"`. For the heads that hold over many sentences give
    the findings to `holding`. In cross-attention the query is a word of the target, the key one of
    the source. Raises RequestError for a word, layer or head that is not there, for a head without
    a layer, where query and key overlap, and where the model does not let the one look at the
    other.
    """
    view = inspection.view(**look)
    looks = find_in(view.context, "query", query, find_phrase)
    looked_at = find_in(view.context, "key", key, find_phrase)
    return find_heads(view, looks, looked_at, heads_of(view, layer, head) or None)


def explain(
    inspection: Inspection,
    query: str,
    layer: int | None = None,
    head: HeadName | None = None,
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
    index = find_in(view.context, "query", query).token.index
    chosen, _ = one_head(view, heads_of(view, layer, head), index)
    matrices = matrices_of(inspection, chosen.layer, lambda one: model_of(one, model))
    return explain_token(view, index, chosen, matrices)


def ablate(
    inspection: Inspection,
    heads: HeadName | Sequence[HeadName],
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
) -> Ablation:
    """Run a sentence again without some heads, together: how far do its words' final states move?

    `heads` are named as in `"L3H1"`, or `"L3"` for a whole layer; their outputs become zero, or
    their mean over the sentence (`replacement="mean"`). The model is found by its name, unless it
    is given. Raises RequestError for a head that is not there, and for a model whose heads cannot
    be ablated, AttnvizError if the model cannot be had.
    """
    check_ablatable(inspection)
    # a HeadId, or (3, 1), is a sequence too, but of numbers
    one = isinstance(heads, str | int) or isinstance(next(iter(heads), None), int)
    named: Sequence[Any] = [heads] if one else heads  # type: ignore[assignment]
    chosen = sorted({head for name in named for head in heads_named(inspection, name)})
    run = model_of(inspection, model).ablate(inspection.tokens, chosen, replacement)
    return ablation_of(inspection.view(unit).context, run)


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
    check_ablatable(inspection)
    view = inspection.view(unit)
    index = index_of(view, "query", query)
    pieces = slice(None) if index is None else parts_of(inspection.tokens, unit)[index]
    runs = model_of(inspection, model).ablate_each(inspection.tokens, replacement, pieces)
    return rank_heads(view.context, runs, index)


def compare(
    a: Inspection,
    b: Inspection,
    query: str | None = None,
    key: str | None = None,
    layer: int | None = None,
    head: HeadName | None = None,
    **look: Unpack[Look],
) -> Comparison:
    """What heads do differently in B: of two sentences in one model, or of one in two models.

    `query` is a word that both have; without one, all words that both have are compared. Heads are
    ranked by the Jensen-Shannon distance, or with `key` by how much the link to it changes. Raises
    RequestError for a word, layer or head that is not there, for models whose layers and heads do
    not match, and for sentences without a word in common. Whole matrices, which pictures need, are
    kept of all heads in short texts, and of the head that changes most in long ones.
    """
    both = aligned(a.view(**look), b.view(**look))
    query_at = None if query is None else both.find(query)[0]
    key_at = None if key is None else both.find(key, "key")[0]
    chosen = heads_of(both.views[0], layer, head)
    compared = chosen or both.a.all_heads()
    size = len(compared) * len(both.columns) * len(both.keys)
    kept = compared if size <= MATRICES_KEPT else 1
    return compare_aligned(both, query_at, key_at, chosen, kept)
