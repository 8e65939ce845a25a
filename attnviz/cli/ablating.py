"""How `attnviz ablate` gives out what ablated heads change: as tables, JSON or CSV."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rich.console import RenderableType

from attnviz.answers.ablation import Ablation, EachAblation, ablation_of, parts_of, rank_heads
from attnviz.cli.ablate import Ablating
from attnviz.cli.asked import Answer, Asked
from attnviz.cli.giving import Forms, check_answer, give_each, giving
from attnviz.cli.options import AnswerOutput, Form, HeadChoice, Look, Words
from attnviz.cli.output import Notes
from attnviz.cli.sentences import Sentences
from attnviz.inspection import Inspection, View
from attnviz.model import MASKS, Model, check_ablatable
from attnviz.show.data.ablations import (
    ABLATE_CSV_HEADER,
    ablation_csv,
    ablation_json,
    each_csv,
    each_json,
)
from attnviz.show.terminal.ablations import HeadEffects, MovedWords

SHOWN = 10
"""Words, or heads, in a table, unless the user says how many."""


@dataclass(frozen=True)
class _Answer:
    """What was found in the input's sentence of that index."""

    index: int
    view: View
    found: Ablation | EachAblation


def give_ablations(
    sentences: Sentences, ablating: Ablating, output: AnswerOutput, notes: Notes
) -> None:
    """Give out each sentence in the form asked for, as soon as it is there."""
    check_answer("ablate", output)
    asked = Asked(
        Look(words=ablating.words),
        HeadChoice(ablating.layer, ablating.head),
        Words(ablating.query),
        notes,
    )
    form, top = output.form, ablating.top
    forms = Forms[_Answer](
        table=lambda answer: _table(answer, top or SHOWN),
        json=lambda answer: [_json(answer, top)],
        csv=lambda answer: _csv(answer, top),
        csv_header=ABLATE_CSV_HEADER + b"\n",
    )

    def answer_to(index: int, inspection: Inspection) -> _Answer:
        check_ablatable(inspection)
        answer = asked.of(inspection, sentences.place(index))
        with sentences.working("taking heads away"):
            found = _found(sentences.model_of(inspection), answer, ablating)
        if form == "csv":
            asked.say_what_csv_lacks(inspection)
        _say_of_masks(found, inspection, form, notes, sentences.place(index))
        return _Answer(index, answer.view, found)

    with giving(output, forms) as give:
        give_each(sentences, give, answer_to)


def _found(model: Model, answer: Answer, ablating: Ablating) -> Ablation | EachAblation:
    """Run the sentence again, without the heads chosen or without each alone."""
    view, tokens = answer.view, answer.view.inspection.tokens
    if not ablating.each:
        return ablation_of(model.ablate(tokens, answer.heads, ablating.replacement), view.unit)
    pieces = slice(None) if answer.query is None else parts_of(tokens, view.unit)[answer.query]
    runs = model.ablate_each(tokens, ablating.replacement, pieces)
    return rank_heads(runs, view.unit, answer.query)


def _say_of_masks(
    ablation: Ablation | EachAblation, inspection: Inspection, form: Form, notes: Notes, place: str
) -> None:
    """What cannot be told of the masks in a sentence, and why."""
    mask = next((entry for entry in inspection.tokens.vocabulary if entry in MASKS), None)
    if mask is None:
        return
    if isinstance(ablation, EachAblation):
        notes.say(f"{place}--head tells how predictions at {mask} change, --each does not")
    elif ablation.predictions is None:
        notes.say(
            f"{place}{inspection.model.name} has no masked-LM head, so nothing is predicted at "
            f"{mask}"
        )
    elif ablation.predictions and form == "csv":
        notes.say(f"{place}csv has no room for the predictions at {mask}; take -f json")


def _table(answer: _Answer, top: int) -> Iterator[RenderableType]:
    if isinstance(answer.found, Ablation):
        yield MovedWords(answer.view, answer.found, top)
    else:
        yield HeadEffects(answer.view, answer.found, top)


def _json(answer: _Answer, top: int | None) -> bytes:
    if isinstance(answer.found, Ablation):
        return ablation_json(answer.view, answer.found, top)
    return each_json(answer.view, answer.found, top)


def _csv(answer: _Answer, top: int | None) -> Iterable[bytes]:
    if isinstance(answer.found, Ablation):
        return ablation_csv(answer.found, answer.index, top)
    return each_csv(answer.found, answer.index, top)
