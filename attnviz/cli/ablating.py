"""How `attnviz ablate` gives out what ablated heads change: as tables, JSON or CSV."""

from attnviz.answers.ablate import (
    COLUMNS,
    Ablation,
    EachAblation,
    ablation_of,
    parts_of,
    rank_heads,
)
from attnviz.cli.ablate import Ablating
from attnviz.cli.asked import Answer, Asked
from attnviz.cli.giving import Forms, check_answer, give_each, giving
from attnviz.cli.options import AnswerOutput, Form, HeadChoice, Look, Words
from attnviz.cli.output import Notes
from attnviz.cli.sentences import Sentences
from attnviz.inspection import Inspection
from attnviz.model import MASKS, Model, check_ablatable
from attnviz.show.data import answer_csv, answer_json, csv_line
from attnviz.show.terminal.ablate import table

_Answer = tuple[int, Ablation | EachAblation]
"""What was found in the input's sentence of that index."""


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
        table=lambda answer: [table(answer[1], top)],
        json=lambda answer: [answer_json(answer[1], top)],
        csv=lambda answer: answer_csv(answer[1], answer[0], top),
        csv_header=csv_line(("text_index", *COLUMNS)),
    )

    def answer_to(index: int, inspection: Inspection) -> _Answer:
        check_ablatable(inspection)
        answer = asked.of(inspection, sentences.place(index))
        with sentences.working("taking heads away"):
            found = _found(sentences.model_of(inspection), answer, ablating)
        if form == "csv":
            asked.say_what_csv_lacks(inspection)
        _say_of_masks(found, inspection, form, notes, sentences.place(index))
        return index, found

    with giving(output, forms) as give:
        give_each(sentences, give, answer_to)


def _found(model: Model, answer: Answer, ablating: Ablating) -> Ablation | EachAblation:
    """Run the sentence again, without the heads chosen or without each alone."""
    view, tokens = answer.view, answer.view.inspection.tokens
    if not ablating.each:
        run = model.ablate(tokens, answer.heads, ablating.replacement)
        return ablation_of(view.context, run)
    pieces = slice(None) if answer.query is None else parts_of(tokens, view.unit)[answer.query]
    runs = model.ablate_each(tokens, ablating.replacement, pieces)
    return rank_heads(view.context, runs, answer.query)


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
