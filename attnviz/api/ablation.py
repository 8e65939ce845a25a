"""Does that head matter? Runs without it, and what that changes."""

from pathlib import Path
from typing import Literal, TypedDict, Unpack, overload

from attnviz.answers.ablate import Ablation, EachAblation, pieces_in
from attnviz.answers.effects import EachOutcome
from attnviz.answers.select import HeadName, find_in, find_phrase
from attnviz.api.inspecting import heads_named, looked_at
from attnviz.api.questions import index_of
from attnviz.attention.edits import BY_KEY, What
from attnviz.corpus.ablation import each, single
from attnviz.corpus.means import corpus_means
from attnviz.corpus.reading import Files
from attnviz.errors import RequestError
from attnviz.inspection import Inspection, View
from attnviz.inspection.ablated import Ablating, Replacement
from attnviz.inspection.context import Role
from attnviz.inspection.outcomes import Asked, OutcomeName
from attnviz.model import Model, check_ablatable
from attnviz.model.reload import model_behind
from attnviz.text.tokens import Typed, Unit

Words = Literal["mask", "label", "next", "similarity"]
"""Outcomes of what a model says, which are of a word, a label, a token or another text."""


class EditOptions(TypedDict, total=False):
    """What else is asked of runs without heads.

    `what`: is replaced of a head: "z" (its result), "q", "k", "v" or "weights". `rows`: the words
    in whose rows alone it is replaced. `seed`: of noise. `mean_of`: files over whose texts the mean
    is taken, in place of that over the sentence. `of`, `against`, `logit`, `target`: of the
    outcome, as on the command line.
    """

    what: What
    rows: list[str]
    seed: int
    mean_of: str | Path | list[str | Path]
    of: str
    against: str
    logit: bool
    target: Typed


def ablate(
    inspection: Inspection,
    heads: HeadName | list[HeadName],
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
    query: str | None = None,
    outcome: OutcomeName = "states",
    **edit: Unpack[EditOptions],
) -> Ablation:
    """Run a sentence again without some heads, together: how far do words' final states move, or
    that of the query? With another `outcome`, also: what does the model say then?

    `heads`: as "L3H1" or (3, 1), or "L3" for a whole layer. Their outputs become zero, their mean
    over the sentence, or noise. The model is loaded by its name unless it is given.
    """
    view = looked_at(inspection, {"unit": unit})[0]
    check_ablatable(inspection)
    index, chosen = index_of(view.context, "query", query), heads_named(view.context.model, heads)
    loaded = model_behind(inspection, model)
    how = _how(view, loaded, replacement, edit)
    return single(loaded, view, chosen, how, _asked(outcome, edit), index)


@overload
def ablate_each(
    inspection: Inspection,
    query: str | None = None,
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
    outcome: Literal["states"] = "states",
    **edit: Unpack[EditOptions],
) -> EachAblation: ...


@overload
def ablate_each(
    inspection: Inspection,
    query: str | None = None,
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
    *,
    outcome: Words,
    **edit: Unpack[EditOptions],
) -> EachOutcome: ...


def ablate_each(
    inspection: Inspection,
    query: str | None = None,
    replacement: Replacement = "zero",
    unit: Unit = "word",
    model: Model | None = None,
    outcome: OutcomeName = "states",
    **edit: Unpack[EditOptions],
) -> EachAblation | EachOutcome:
    """Rank all heads, each ablated alone, by how far the query's final state moves; without a
    query, by the mean over all words but special tokens. With another `outcome`: by how much that
    changes.
    """
    view = looked_at(inspection, {"unit": unit})[0]
    check_ablatable(inspection)
    index = index_of(view.context, "query", query)
    loaded = model_behind(inspection, model)
    how = _how(view, loaded, replacement, edit)
    return each(loaded, view, how, _asked(outcome, edit), index)


def _asked(outcome: OutcomeName, edit: EditOptions) -> Asked:
    """What is measured; RequestError for what states do not have."""
    given = [name for name in ("of", "against", "logit", "target") if edit.get(name)]
    if outcome == "states" and given:
        raise RequestError(
            f"{given[0]} is of what a model says, and states are measured",
            'name an outcome, as in outcome="mask"',
        )
    words = edit.get("of"), edit.get("against")
    return Asked(outcome, *words, edit.get("logit", False), edit.get("target"))


def _how(view: View, model: Model, replacement: Replacement, edit: EditOptions) -> Ablating:
    """What is replaced; RequestError for a row that is not there."""
    what, files = edit.get("what", "z"), edit.get("mean_of")
    role: Role = "key" if what in BY_KEY else "query"
    rows = tuple(
        token
        for word in edit.get("rows") or ()
        for token in find_in(view.context, role, word, find_phrase).tokens
    )
    means = None
    if files is not None:
        names = files if isinstance(files, list) else [files]
        means, _ = corpus_means(model, Files([str(name) for name in names]), what)
    return Ablating(
        replacement if means is None else "mean",
        what,
        rows or None,
        tuple(pieces_in(view.context, role, rows)) if rows else None,
        edit.get("seed", 0),
        means,
    )
