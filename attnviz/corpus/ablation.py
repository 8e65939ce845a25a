"""Ask a model about one text without some heads, or without each: what it says, how states move."""

from collections.abc import Sequence

from attnviz.answers.ablate import Ablation, EachAblation, ablation_of, rank_heads
from attnviz.answers.effects import EachOutcome, Effect, rank_outcomes
from attnviz.inspection import HeadId, View
from attnviz.inspection.ablated import Ablating
from attnviz.inspection.outcomes import Asked
from attnviz.model.model import Model
from attnviz.model.outcomes import Outcome, outcome_of
from attnviz.text.tokens import parts_of


def measured(
    model: Model, view: View, asked: Asked, runs: float, query: int | None, both: bool
) -> Outcome:
    """What is measured of a text; errors as in `outcome_of`.

    Of a target that the model wrote itself only what stands before the word asked for is fed.
    """
    inspection, unit = view.inspection, view.context.unit
    source = inspection.source or inspection.keys
    if asked.name == "next" and asked.of is not None and source is not None:
        written = outcome_of(model, source, unit, asked, runs, token=query, both=both)
        ids = written.text.tokens.ids
        if inspection.tokens.ids[: len(ids)] == ids:
            return written
    return outcome_of(model, inspection, unit, asked, runs, token=query, both=both)


def single(
    model: Model,
    view: View,
    heads: Sequence[HeadId],
    how: Ablating,
    asked: Asked,
    query: int | None,
) -> Ablation:
    """What changes without some heads, together; errors as in `outcome_of` and `Model.ablate`."""
    inspection, context = view.inspection, view.context
    effect = None
    if asked.name != "states":
        both = how.rows is None
        outcome = measured(model, view, asked, 2, query, both)
        [after] = outcome.values([list(map(how.edit, heads))])
        effect = Effect(outcome.facts, outcome.plain, after)
    run = model.ablate(inspection, heads, how)
    return ablation_of(context, run, query, effect)


def each(
    model: Model, view: View, how: Ablating, asked: Asked, query: int | None
) -> EachAblation | EachOutcome:
    """What changes without each head alone; errors as in `single`."""
    inspection, context = view.inspection, view.context
    if asked.name == "states":
        parts = parts_of(inspection.tokens, context.unit)
        pieces = slice(None) if query is None else parts[query]
        return rank_heads(context, model.ablate_each(inspection, how, pieces), query)
    every, both = model.heads, how.rows is None
    runs = 1 + len(every) / 2  # each begins at its head's layer
    outcome = measured(model, view, asked, runs, query, both)
    values = outcome.values([[how.edit(head)] for head in every])
    found = zip(every, values, strict=True)
    return rank_outcomes(context, how, outcome.facts, outcome.plain, found)
