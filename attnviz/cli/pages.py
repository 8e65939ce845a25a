"""Answers as a page: it has the inspections too, and is written when the last sentence came."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from attnviz.answers.answer import Answer
from attnviz.answers.compare import Comparison
from attnviz.answers.opening import opening_of
from attnviz.answers.page import PageText, Shows, State, check_room, numbers_held, page
from attnviz.cli.options import Results
from attnviz.cli.output import write_page
from attnviz.cli.session import Session
from attnviz.errors import AttnvizError
from attnviz.inspection import Context, Inspection, View
from attnviz.model.reload import is_native, layers_behind, load_model_of
from attnviz.show.forms import forms_of
from attnviz.text.tokens import Unit

if TYPE_CHECKING:
    from attnviz.attention.sublayers import Sublayers
    from attnviz.cli.inputs import Inputs, Item
    from attnviz.model import Model

Looked = tuple[View, State]  # a text as a page shows it, and what of it the page shows first


def answer_as_page(inputs: "Inputs", ask: "Callable[[Item], Answer | Sequence[Answer]]") -> None:
    """Ask about each text, and write one page of all, which shows the first answer first."""

    def look(item: "Item", _: bool) -> Looked:
        answers = ask(item)
        first: Any = answers[0] if isinstance(answers, Sequence) else answers
        inputs.session.note_unseen(first, item.place)
        return _view_of(item.inspection, first.context), _opening_of(first)

    look_into_each(inputs, look)


def look_into_each(inputs: "Inputs", look: "Callable[[Item, bool], Looked]") -> None:
    """Look into each text as it comes, told whether it is the first, and write one page of all."""
    session, looked, held = inputs.session, list[Looked](), 0
    with session, closing(iter(inputs)) as items:
        for item in items:
            with session.trying(item.place):
                session.spinner.start()
                looked.append(look(item, not looked))
                held += numbers_held(looked[-1][0])
            check_room(held, len(looked))  # as soon as it is too much, and for all
        if looked:
            session.spinner.update("writing the page")
            views = [view for view, _ in looked]
            write_views(session, inputs.output, views, looked[0][1])
    inputs.finish()


def write_compared(
    session: Session, output: Results, two: Sequence[Inspection], comparison: Comparison
) -> None:
    """Write the page of two texts side by side."""
    words = comparison.alignment
    views = [_view_of(*side) for side in zip(two, (words.a, words.b), strict=True)]
    write_views(session, output, views, _opening_of(comparison), [(0, 1)])


def _view_of(inspection: Inspection, context: Context) -> View:
    """The inspection as an answer looked at it."""
    return View(inspection, context.unit, context.special, context.measure, context.window)


def _opening_of(answer: Answer) -> State:
    return opening_of(answer, cast("Shows", forms_of(answer).page))


def write_views(
    session: Session,
    output: Results,
    views: Sequence[View],
    state: State,
    pairs: Sequence[tuple[int, int]] = (),
) -> None:
    """Write the page of some texts; `pairs`: the places of those that are compared."""
    state = replace(state, lang=output.language, view=output.shows or state.view)
    made = page(views, state, pairs, partial(_sublayers, session))
    for text, view in zip(made.texts, views, strict=True):
        if text.is_cut and view.window is None:
            session.notes.say(_cut_told(text, view.unit))
    session.spinner.make_way()
    write_page(made, output, session.notes)


def _cut_told(text: PageText, unit: Unit) -> str:
    """What to say of a text that is too long for the page as a whole."""
    shown = text.span(unit)
    count = len(text.words.tokens if unit == "word" else text.pieces.tokens)
    return (
        f"too long to draw as a whole: the page opens on the window {shown.start}:{shown.stop} of "
        f"{count} tokens; --window A:B chooses another"
    )


def _sublayers(
    session: Session, inspection: Inspection, layers: Sequence[int], pieces: Sequence[int]
) -> "list[Sublayers | AttnvizError]":
    """Layers' parts, where the model is at hand; AttnvizError says why there are none."""
    return layers_behind(inspection, layers, pieces, partial(_at_hand, session))


def _at_hand(session: Session, inspection: Inspection) -> "Model":
    """The session's model, or one that is loaded at once; AttnvizError if that takes torch."""
    if session.model is None or session.model.facts != inspection.model:
        if not is_native(inspection):
            raise AttnvizError(
                f"a layer's steps need the model {inspection.model.name}, which is not loaded: "
                "give the sentence alone, as TEXT"
            )
        session.model = load_model_of(inspection)
    return session.model
