"""`attnviz lines`: the article's picture."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.drawn import PictureOutput
from attnviz.cli.options import SHOW, HeadChoice, Look, ModelChoice, Source, valued
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.answers.answer import Answer
    from attnviz.cli.inputs import Item


@dataclass(frozen=True)
class Start:
    """Where the lines begin, or end."""

    query: Annotated[
        str | None,
        valued("WORD", SHOW, "Draw lines from WORD only: it, it#2 (its second occurrence), @10."),
    ] = None
    key: Annotated[str | None, valued("WORD", SHOW, "Draw lines to WORD only.")] = None


def lines(
    source: Source,
    start: Start,
    heads: HeadChoice,
    look: Look,
    choice: ModelChoice,
    output: PictureOutput,
) -> None:
    """Draw the sentence twice, with lines from each query to its keys, darker with weight.

    One head, or all heads of a layer in a colour each. Without --layer and --head: the head in
    which WORD looks hardest at a word that is not its neighbour, or is looked at hardest.

    Example: attnviz lines --query it --layer 3 --head 1 -o it.svg
    """
    if not (heads.layer or heads.head or start.query or start.key):
        raise RequestError(
            "lines of all words in all heads would be a tangle",
            "choose a word with --query or --key WORD, or heads with --layer N and --head N",
        )
    from attnviz.answers.links import heads_or_strongest, links
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session

    check_output(output, "Links")
    session = Session(choice, output)
    selection = Selection(session, look, heads)
    inputs = Inputs(source, session, output, selection.request)

    def ask(item: "Item") -> "Answer":
        view = selection.view(item.inspection, start.query)
        query = selection.word(item.place, view, "query", start.query)
        key = selection.word(item.place, view, "key", start.key)
        chosen, note = heads_or_strongest(view, selection.heads(view.context), query, key)
        if note:
            session.notes.say(item.place + note)
        return links(view, chosen, query, key)

    answer_each(inputs, ask, doing="drawing")
