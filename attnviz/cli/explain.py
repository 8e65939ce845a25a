"""`attnviz explain`: how does that number come about? Of one word, or of all words in a head."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.options import (
    SHOW,
    AsWords,
    HeadChoice,
    Look,
    ModelChoice,
    Output,
    Source,
    count,
    valued,
)
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.answers.answer import Answer
    from attnviz.answers.explain import Explanation
    from attnviz.attention.layer import Projections
    from attnviz.cli.inputs import Item
    from attnviz.cli.session import Session
    from attnviz.inspection import HeadId, Inspection, View


@dataclass(frozen=True)
class Followed:
    """Which word to follow, in which unit, and how many keys to show."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            SHOW,
            "The word that looks: it, it#2 (its second occurrence), or @10. Without: all words.",
        ),
    ] = None
    words: AsWords = True
    top: Annotated[
        int | None,
        count(
            "The K largest weights of WORD, or the first K of all words. Without: 20 (of all "
            "words, 12 in tables), and all in data."
        ),
    ] = None


@dataclass(frozen=True)
class OneHead(HeadChoice):
    """Which head to follow; lists as in HeadChoice, so that two heads are told from one."""

    layer: Annotated[
        list[str] | None, valued("N", SHOW, "The head's layer, from 0; -1 is the last.")
    ] = None
    head: Annotated[
        list[str] | None, valued("N", SHOW, "A head, from 0, beside --layer; or L3H1, 3.1, 3-1.")
    ] = None


def explain(
    source: Source, followed: Followed, heads: OneHead, choice: ModelChoice, output: Output
) -> None:
    """Show how a word's attention in one head comes about, step by step, with the real numbers.

    The word's vector x; times the head's W_Q, W_K and W_V: q, k and v; q · k for every key; over
    √d_k; softmax; weights times values, summed; W_O; and a check against the model's own numbers.
    A word of several pieces is explained piece by piece. Without --layer and --head: the head in
    which WORD looks hardest at a word that is not its neighbour. With a head and without --query:
    all words at once, as matrices, X times W_Q, W_K and W_V to Q, K and V, and so on to Z.

    Example: attnviz explain "I am a student" --model paper --query student --layer 0 --head 0
    """
    whole = followed.query is None
    if whole and not heads.head:
        raise RequestError(
            "explain follows one word, or all words in one head, and neither was named",
            "add --query WORD, or --head L0H0",
        )
    from attnviz.answers.head import explain_head
    from attnviz.answers.links import one_head
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session, request_for

    check_output(output, "HeadSteps" if whole else "Explanation")
    session = Session(choice, output)
    selection = Selection(session, Look(words=followed.words), heads)
    # without a head, all layers are searched for one first, and that one's is recorded later
    named = bool(heads.layer or heads.head)
    inputs = Inputs(source, session, output, lambda model: request_for(model, heads, whole=named))

    def ask(item: "Item") -> "Answer | tuple[Explanation, ...]":
        view = selection.view(item.inspection)
        query = selection.word(item.place, view, "query", followed.query) or 0
        head, note = one_head(view, selection.heads(view.context), query)
        if note:
            session.notes.say(item.place + note)
        inspection = session.with_inputs(item.inspection, item.tokens, head.layer)
        matrices = _matrices(session, inspection, head.layer)
        if whole:
            return explain_head(inspection, head, matrices)
        return _pieces(selection.view(inspection), query, head, matrices, output)

    answer_each(inputs, ask, followed.top)


def _matrices(session: "Session", inspection: "Inspection", layer: int) -> "Projections":
    """The layer's matrices, from the session's model, or from the files of a remembered one's."""
    from functools import partial

    from attnviz.model import matrices_of
    from attnviz.model.load import is_native
    from attnviz.models.find import is_on_hub

    why, name = "taking the matrices from", inspection.model.name
    if session.model is None and is_native(inspection) and is_on_hub(name):
        session.notes.say(f"{why} {name}, of the Hugging Face Hub")
    return matrices_of(inspection, layer, partial(session.model_of, why=why))


def _pieces(
    view: "View", query: int, head: "HeadId", matrices: "Projections", output: Output
) -> "tuple[Explanation, ...]":
    """An explanation for each piece of the word; RequestError for a picture of several."""
    from attnviz.answers.explain import explain_token
    from attnviz.show.forms import PICTURES

    pieces = explain_token(view, query, head, matrices)
    if output.form in PICTURES and len(pieces) > 1:
        raise RequestError(
            f"the word was cut into {len(pieces)} pieces, "
            f"{', '.join(piece.query.label for piece in pieces)}, and a picture explains one",
            f"choose it with --pieces --query @{pieces[0].query.index}",
        )
    return pieces
