"""How `attnviz explain` gives out the steps: as tables, JSON, CSV, or a picture."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from attnviz.answers.explain import COLUMNS, Explanation, explain_token
from attnviz.answers.links import one_head
from attnviz.cli.asked import Answer, Asked
from attnviz.cli.giving import Forms, check_answer, give_each, giving
from attnviz.cli.options import AnswerOutput
from attnviz.cli.sentences import Sentences
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.model import matrices_of
from attnviz.show.data import answer_csv, answer_json, csv_line
from attnviz.show.terminal.explain import table

Explained = tuple[int, Sequence[Explanation]]
"""The pieces of a word in the input's sentence of that index, from 0."""


def explain_all(sentences: Sentences, asked: Asked, output: AnswerOutput, top: int | None) -> None:
    """Give out each sentence's explanations in the form asked for, as soon as they are there."""
    form = output.form
    check_answer("explain", output, draws=True)
    if form == "picture":
        _draw(sentences, asked, output, top)
        return
    if form != "table" and top is not None:
        asked.notes.say(f"{form} holds all keys: --top chooses what tables and pictures show")
    forms = Forms[Explained](
        table=lambda explained: [table(one, top) for one in explained[1]],
        json=lambda explained: map(answer_json, explained[1]),
        csv=lambda explained: (
            row for one in explained[1] for row in answer_csv(one, explained[0])
        ),
        csv_header=csv_line(("text_index", *COLUMNS)),
    )

    def explained(index: int, inspection: Inspection) -> Explained:
        place = sentences.place(index)
        pieces, note = _explained(asked.of(inspection, place), sentences)
        if note:
            asked.notes.say(place + note)
        if form == "csv":
            asked.say_what_csv_lacks(inspection)
        return index, pieces

    with giving(output, forms) as give:
        give_each(sentences, give, explained)


def _explained(answer: Answer, sentences: Sentences) -> tuple[tuple[Explanation, ...], str]:
    """The query's pieces in the head chosen, and what to say if that was not by the user."""
    if answer.query is None:
        raise RequestError("explain follows one word", "choose it with --query WORD")
    head, note = one_head(answer.view, answer.heads, answer.query)
    inspection = sentences.with_inputs(answer.view.inspection, head.layer)
    load = partial(sentences.model_of, doing="taking the matrices from")
    layer = matrices_of(inspection, head.layer, load)
    view = replace(answer.view, inspection=inspection)
    return explain_token(view, answer.query, head, layer), note


def _draw(sentences: Sentences, asked: Asked, output: AnswerOutput, top: int | None) -> None:
    from attnviz.cli.picture import Picture, draw_all
    from attnviz.show.figure.explain import figure

    def draw(answer: Answer) -> Picture:
        explained, note = _explained(answer, sentences)
        if len(explained) > 1:
            pieces = [one.query.label for one in explained]
            raise RequestError(
                f"the word was cut into {len(pieces)} pieces, {', '.join(pieces)}, and a picture "
                "explains one",
                f"choose it with --pieces --query @{explained[0].query.index}",
            )
        return Picture(figure(explained[0], top), [explained[0].head], note=note)

    draw_all(sentences, asked, output, draw)
