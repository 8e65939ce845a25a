"""`attnviz explain`: how does that number come about?"""

from dataclasses import dataclass
from typing import Annotated

import typer

from attnviz.cli.options import AnswerOutput, HeadChoice, ModelChoice, Source, count, valued
from attnviz.errors import RequestError

_PANEL = "What to show"


@dataclass(frozen=True)
class Followed:
    """Which word is followed, in which unit, and how many keys it is shown with."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            _PANEL,
            "The word that looks: it, it#2 for its second occurrence, @10 for the token at "
            "index 10. Each of its pieces is explained, one after the other.",
        ),
    ] = None
    words: Annotated[
        bool,
        typer.Option(
            "--words/--pieces",
            rich_help_panel=_PANEL,
            help="Whether WORD is a word, or one of the tokenizer's pieces.",
        ),
    ] = True
    top: Annotated[
        int | None,
        count(
            _PANEL,
            "Show the K keys with the largest weights; 20 in tables and pictures, all in data.",
        ),
    ] = None


@dataclass(frozen=True)
class OneHead(HeadChoice):
    """Which head to follow; lists as in HeadChoice, so that two heads are told from one."""

    layer: Annotated[
        list[str] | None,
        valued("N", _PANEL, "The head's layer, from 0; -1 is the last."),
    ] = None
    head: Annotated[
        list[str] | None,
        valued("N", _PANEL, "The head, from 0, beside --layer; or 3.1, 3-1, L3H1 alone."),
    ] = None


def explain(
    source: Source,
    followed: Followed,
    heads: OneHead,
    choice: ModelChoice,
    output: AnswerOutput,
) -> None:
    """Show how a word's attention in one head comes about, step by step, with the real numbers.

    The word's vector x; times the head's W_Q, W_K and W_V: q, k and v; q · k for every key; over
    √d_k; softmax; weights times values, summed; W_O; and a check against the encoder's own.

    A table, JSON, CSV, or a picture: -o FILE.png, .svg or .pdf. Without --layer and --head: the
    head in which WORD looks hardest at a word further off.

    Example: attnviz explain "I am a student" --model paper --query student --layer 0 --head 0
    """
    if followed.query is None:
        raise RequestError("explain follows one word, and none was named", "add --query WORD")
    from attnviz.cli.asked import Asked
    from attnviz.cli.explaining import explain_all
    from attnviz.cli.need import Need
    from attnviz.cli.options import Look, Words
    from attnviz.cli.output import Notes
    from attnviz.cli.sentences import Sentences

    notes = Notes(output.quiet)
    drawn = output.form == "picture"
    # without a head, all layers are searched for one first, and that one's is recorded then
    need = Need(heads, whole=bool(heads.layer or heads.head))
    sentences = Sentences(source, choice, output, notes, need, one_picture=drawn)
    asked = Asked(Look(words=followed.words), heads, Words(query=followed.query), notes)
    explain_all(sentences, asked, output, followed.top)
    sentences.finish()
