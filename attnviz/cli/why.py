"""`attnviz why`: why does a head look there? A score, split by what its two vectors are made of."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal

from attnviz.cli.drawn import DrawnOutput
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
from attnviz.show.forms import PICTURES

if TYPE_CHECKING:
    from attnviz.answers.why import Why
    from attnviz.attention.request import RecordRequest
    from attnviz.cli.inputs import Item
    from attnviz.inspection import ModelFacts


@dataclass(frozen=True)
class Looked:
    """Which score to split, and how much of that to show."""

    query: Annotated[
        str | None,
        valued("WORD", SHOW, "The word that looks: it, it#2 (its second occurrence), or @10."),
    ] = None
    key: Annotated[str | None, valued("WORD", SHOW, "The word that is looked at.")] = None
    by: Annotated[
        Literal["term", "excess"],
        valued(
            "ORDER",
            SHOW,
            "Rank by the size of the term (the default), or of its excess: the term less the same "
            "with the other keys.",
        ),
    ] = "term"
    words: AsWords = True
    top: Annotated[int | None, count("The K largest terms; in tables and JSON 10.")] = None


@dataclass(frozen=True)
class InHead(HeadChoice):
    """In which head; lists as in HeadChoice, so that two heads are told from one."""

    layer: Annotated[list[str] | None, valued("N", SHOW, "A layer, from 0; -1 is the last.")] = None
    head: Annotated[
        list[str] | None, valued("N", SHOW, "A head, from 0, beside --layer; or L3H1, 3.1, 3-1.")
    ] = None


def why(
    source: Source, looked: Looked, heads: InHead, choice: ModelChoice, output: DrawnOutput
) -> None:
    """Split the score of two words in one head, q · k, by what q and k are made of.

    Both vectors are sums: of what the embeddings (token, position, type), each head and each
    feed-forward network below wrote, and of biases. So the score is the sum over all pairs of a
    part of the query and a part of the key. Norms are held at the values that they had. The sum is
    exact, and checked; it does not say what the score would be without a part.

    The softmax compares keys: a term that all keys have alike changes no weight, and so each stands
    beside the same with the other keys. Words of several pieces are split piece by piece. Without
    --head: the head in which WORD looks at the key most.

    Example: attnviz why "The ship sank because it leaked." --query it --key ship --head L3H1
    """
    given = {"--query": looked.query, "--key": looked.key}
    missing = [option for option, word in given.items() if word is None]
    if missing:
        raise RequestError(
            "why needs the word that looks and the word that is looked at: "
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            "as in attnviz why TEXT --query it --key animal --head L3H1",
        )
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session

    check_output(output, "Why")
    session = Session(choice, output)
    selection = Selection(session, Look(words=looked.words), heads)
    request = partial(_request, heads=heads)

    def answer(item: "Item") -> "tuple[Why, ...]":
        from attnviz.answers.links import heads_or_strongest, one_head
        from attnviz.answers.why import pairs_of, pieces_for
        from attnviz.answers.why import why as split
        from attnviz.model.reload import origins_behind

        view = selection.view(item.inspection)
        query, key = (
            selection.word(item.place, view, "query", looked.query) or 0,
            selection.word(item.place, view, "key", looked.key) or 0,
        )
        chosen, note = heads_or_strongest(view, selection.heads(view.context), query, key)
        head, _ = one_head(view, chosen, query)
        if note:
            session.notes.say(item.place + note)
        inspection = session.with_inputs(item.inspection, item.tokens, *range(head.layer + 1))
        pairs = pairs_of(selection.view(inspection), query, key, head)
        pieces = pieces_for(inspection, pairs, head.layer)
        load = partial(session.model_of, why="taking the parts from")
        origins = origins_behind(inspection, head.layer, pieces, load)
        answers = split(inspection, pairs, head, origins, looked.by)
        _check_pieces(answers, output)
        return answers

    answer_each(Inputs(source, session, output, request), answer, looked.top, "splitting a score")


def _check_pieces(answers: "tuple[Why, ...]", output: DrawnOutput) -> None:
    """RequestError for a picture of several pairs of pieces."""
    if output.form in PICTURES and len(answers) > 1:
        raise RequestError(
            f"the words were cut into {len(answers)} pairs of pieces, "
            f"{', '.join(f'{one.query.label} to {one.key.label}' for one in answers)}, and a "
            "picture shows one",
            "choose one with --pieces "
            f"--query @{answers[0].query.index} --key @{answers[0].key.index}",
        )


def _request(model: "ModelFacts", heads: InHead) -> "RecordRequest":
    """All of the layers up to the head's; of all layers what weights need, where none is named."""
    from attnviz.attention.request import RecordRequest
    from attnviz.cli.session import request_for

    layers = request_for(model, heads).layers
    return RecordRequest(layers and frozenset(range(max(layers) + 1)), whole=layers is not None)
