"""`attnviz explain`: how does that number come about? In a head, of one word or all, or a layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.drawn import FigureOutput
from attnviz.cli.options import (
    SHOW,
    AsWords,
    HeadChoice,
    Look,
    ModelChoice,
    Source,
    count,
    valued,
)
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.answers.answer import Answer
    from attnviz.answers.explain import Explanation
    from attnviz.answers.head import HeadSteps
    from attnviz.answers.layer import Layer
    from attnviz.cli.inputs import Item
    from attnviz.cli.session import Selection, Session
    from attnviz.inspection import Inspection, View
    from attnviz.model import Model


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
            "The K largest weights of WORD, the first K of all words, or a layer's K heads of the "
            "largest shares. Without: 20 (of all words, 12 in tables; 16 heads), and all in data."
        ),
    ] = None


@dataclass(frozen=True)
class OneHead(HeadChoice):
    """Which head to follow; lists as in HeadChoice, so that two heads are told from one."""

    layer: Annotated[
        list[str] | None,
        valued("N", SHOW, "A layer, from 0; -1 is the last. Without --head, all of it."),
    ] = None
    head: Annotated[
        list[str] | None, valued("N", SHOW, "A head, from 0, beside --layer; or L3H1, 3.1, 3-1.")
    ] = None


def explain(
    source: Source, followed: Followed, heads: OneHead, choice: ModelChoice, output: FigureOutput
) -> None:
    """Show how a word's attention in one head comes about, step by step, with the real numbers.

    The word's vector x; times the head's W_Q, W_K and W_V: q, k and v; q · k for every key; over
    √d_k; softmax; weights times values, summed; W_O; and a check against the model's own numbers.
    A word of several pieces is explained piece by piece. Without --layer and --head: the head in
    which WORD looks hardest at a word that is not its neighbour. With a head and without --query:
    all words at once, as matrices, X times W_Q, W_K and W_V to Q, K and V, and so on to Z.

    With --layer alone, the whole layer: the heads' z side by side, W_O, + x, norm, feed-forward, +,
    norm, the next layer's x; and how much of that comes from x, each head and feed-forward.

    Example: attnviz explain "I am a student" --model paper --query student --layer 0 --head 0
    """
    if followed.query is None and not heads.head:
        raise RequestError(
            "explain follows one word, or all words in one head, and neither was named",
            "add --query WORD, or --head L0H0",
        )
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session, request_for

    session = Session(choice, output)
    asked = _Asked(session, Selection(session, Look(words=followed.words), heads), followed.query)
    whole_layer = bool(heads.layer) and not heads.head
    kind = "Layer" if whole_layer else "Explanation" if followed.query else "HeadSteps"
    check_output(output, kind)
    # without a head, all layers are searched for one first, and that one's is recorded later
    named = bool(heads.layer or heads.head)
    inputs = Inputs(source, session, output, lambda model: request_for(model, heads, whole=named))
    ask = asked.layer if whole_layer else asked.head

    def answer(item: "Item") -> "Answer | Sequence[Explanation | Layer]":
        answers = ask(item)
        _check_pieces(answers, output)
        return answers

    answer_each(inputs, answer, followed.top)


@dataclass(frozen=True)
class _Asked:
    """What was asked of each text, and what answers it."""

    session: "Session"
    selection: "Selection"
    query: str | None

    def head(self, item: "Item") -> "HeadSteps | tuple[Explanation, ...]":
        """One head: of each piece of the word, or of all words."""
        from attnviz.answers.explain import explain_token
        from attnviz.answers.head import explain_head
        from attnviz.answers.links import one_head
        from attnviz.model import matrices_of

        view, query = self._word(item)
        head, note = one_head(view, self.selection.heads(view.context), query)
        if note:
            self.session.notes.say(item.place + note)
        inspection = self.session.with_inputs(item.inspection, item.tokens, head.layer)
        matrices = matrices_of(inspection, head.layer, self._load(inspection))
        if self.query is None:
            return explain_head(inspection, head, matrices)
        return explain_token(self.selection.view(inspection), query, head, matrices)

    def layer(self, item: "Item") -> "tuple[Layer, ...]":
        """All of a layer, for each piece of the word."""
        from attnviz.answers.explain import pieces_of
        from attnviz.answers.layer import layer, one_layer
        from attnviz.model.reload import sublayers_behind

        view, query = self._word(item)
        number = one_layer(self.selection.heads(view.context))
        inspection = self.session.with_inputs(item.inspection, item.tokens, number)
        pieces, load = pieces_of(view, query), self._load(inspection)
        return layer(inspection, number, sublayers_behind(inspection, number, pieces, load))

    def _word(self, item: "Item") -> "tuple[View, int]":
        view = self.selection.view(item.inspection)
        return view, self.selection.word(item.place, view, "query", self.query) or 0

    def _load(self, inspection: "Inspection") -> "Callable[[Inspection], Model]":
        """What gives the session's model, or loads that of a remembered inspection."""
        from attnviz.model.reload import is_native
        from attnviz.models.find import is_on_hub

        session, why, name = self.session, "taking the matrices from", inspection.model.name
        if session.model is None and is_native(inspection) and is_on_hub(name):
            session.notes.say(f"{why} {name}, of the Hugging Face Hub")
        return partial(session.model_of, why=why)


def _check_pieces(answers: "Answer | Sequence[Explanation | Layer]", output: FigureOutput) -> None:
    """RequestError for a picture of several pieces."""
    from attnviz.show.forms import PICTURES

    if output.form in PICTURES and isinstance(answers, tuple) and len(answers) > 1:
        raise RequestError(
            f"the word was cut into {len(answers)} pieces, "
            f"{', '.join(piece.query.label for piece in answers)}, and a picture explains one",
            f"choose it with --pieces --query @{answers[0].query.index}",
        )
