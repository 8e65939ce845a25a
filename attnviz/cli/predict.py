"""`attnviz predict`: what does the model say?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.drawn import FigureOutput
from attnviz.cli.options import AsWords, HeadChoice, Look, ModelChoice, Source, count

if TYPE_CHECKING:
    from attnviz.answers.predict import Prediction
    from attnviz.cli.inputs import Item
    from attnviz.inspection import Inspection


@dataclass(frozen=True)
class Said:
    """How much of what is said to show."""

    top: Annotated[
        int | None,
        count("The K likeliest words at each mask, labels, or next tokens; without, 5 in tables."),
    ] = None
    words: AsWords = True


def predict(source: Source, said: Said, choice: ModelChoice, output: FigureOutput) -> None:
    """Show what the model says, through the head that its checkpoint has.

    The likeliest words at each mask, labels of the text or of each word, an answer in the second
    text, the next token, or what a decoder writes; all with probabilities. Of a model of sentence
    embeddings: how similar two texts are; of several, the first and each of the others.

    Example: attnviz predict "The animal didn't cross the [MASK]." -m google-bert/bert-base-uncased
    """
    from attnviz.answers.predict import prediction_of
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session
    from attnviz.model.predict import compares, predict

    check_output(output, "Prediction")
    session = Session(choice, output)
    selection = Selection(session, Look(words=said.words), HeadChoice())
    inputs = Inputs(source, session, output, None)
    first: list[Inspection] = []  # of several texts, with which the others are compared

    def ask(item: "Item") -> "Prediction | Sequence[Prediction]":
        model, inspection, other = session.model_of(item.inspection), item.inspection, None
        session.spinner.update("asking its head")
        alike = compares(model)
        if inputs.many and inspection.tokens.pair is None and alike:
            if not first:
                first.append(inspection)
                return ()
            inspection, other = first[0], inspection.tokens
        context = selection.view(inspection).context
        typed = None if other is None else other.typed[0]
        run = predict(model, inspection.tokens, said.top, typed)
        for note in model.pooling.notes if alike else ():
            session.notes.say_once(note)
        return prediction_of(context, run, None if other is None else other.text)

    answer_each(inputs, ask, said.top, doing="asking its head")
