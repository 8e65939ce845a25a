"""`attnviz run`: what does every head do here?"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from attnviz.cli.options import (
    SHOW,
    HeadChoice,
    Look,
    ModelChoice,
    Output,
    Source,
    Words,
    count,
    flag,
)
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from attnviz.answers.answer import Answer
    from attnviz.cli.inputs import Item
    from attnviz.cli.session import Session


@dataclass(frozen=True)
class Amount:
    """How much to show."""

    top: Annotated[
        int | None, count("The K strongest links of each head, of each query, or of WORD.")
    ] = None
    summary: Annotated[
        bool, flag("--summary", SHOW, "The overview of heads, without whole matrices, as data too.")
    ] = False


def note_head(session: "Session") -> None:
    """Say once, of a model that was loaded, that it also says something."""
    if session.model is None:
        return
    from attnviz.models import DEFAULT, PAPER

    if session.model.facts.name in (DEFAULT, PAPER):
        return
    from attnviz.model.predict import facts_of
    from attnviz.show.wording import GIVES

    head = facts_of(session.model)
    if head is not None:
        architecture = f" ({head.architecture})" if head.architecture else ""
        session.notes.say_once(
            f"attnviz predict shows what it says: {GIVES[head.kind]}{architecture}"
        )


def run(
    source: Source,
    words: Words,
    heads: HeadChoice,
    look: Look,
    amount: Amount,
    choice: ModelChoice,
    output: Output,
) -> None:
    """Show what every head does with a sentence.

    Without options: a line for each head, with its kind, its entropy and its strongest links.
    --query or --key: a grid of that word in every head, layers down; both: one weight in every
    head. --layer, --head: whole tables; with --query or --key, that word in these heads.

    Example: attnviz run "The animal didn't cross the street because it was too tired." --query it
    """
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session

    about_word = words.query is not None or words.key is not None
    if amount.summary and about_word:
        raise RequestError(
            "--summary shows what heads do, and --query and --key follow a word", "give one of them"
        )
    is_table = output.form in ("table", "md")
    in_short = amount.summary or (is_table and not (heads.layer or heads.head))
    check_output(output, "Word" if about_word else "Overview" if in_short else "Matrices")
    session = Session(choice, output)
    selection = Selection(session, look, heads)
    inputs = Inputs(source, session, output, selection.request)

    def ask(item: "Item") -> "Answer":
        note_head(session)
        view = selection.view(item.inspection, words.query)
        chosen = selection.heads(view.context)
        if about_word:
            from attnviz.answers.word import word_or_pair

            query = selection.word(item.place, view, "query", words.query)
            key = selection.word(item.place, view, "key", words.key)
            return word_or_pair(view, query, key, chosen or None)
        if in_short:
            from attnviz.answers.overview import LINKS, overview

            return overview(view, chosen or None, amount.top or LINKS)
        from attnviz.answers.matrices import matrices

        return matrices(view, chosen or None)

    answer_each(inputs, ask, amount.top)
