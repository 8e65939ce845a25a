"""`attnviz find`: which heads join these two words?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from attnviz.cli.options import AnswerOutput, HeadChoice, Look, ModelChoice, Source, count, valued
from attnviz.errors import RequestError

_PANEL = "What to find"


@dataclass(frozen=True)
class Sought:
    """Which words are to be joined, and how much of the answer to show."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            _PANEL,
            "Who looks: it, it#2 for its second occurrence, @10 for the token at index 10, or "
            'several words, as in "the street".',
        ),
    ] = None
    key: Annotated[
        str | None,
        valued("WORD", _PANEL, "What is looked at, named likewise."),
    ] = None
    both: Annotated[
        bool,
        typer.Option(
            "--both",
            rich_help_panel=_PANEL,
            help="Also how much the key looks at the query, as a second ranking.",
        ),
    ] = False
    tsv: Annotated[
        Path | None,
        valued(
            "FILE",
            "Input",
            "Sentences with words of their own: tab-separated columns sentence, query and "
            "key, named by the first line or in this order; - is standard input.",
        ),
    ] = None
    top: Annotated[
        int | None,
        count(_PANEL, "Name the K best heads (10 in tables, all in data)."),
    ] = None


def find(
    source: Source,
    sought: Sought,
    heads: HeadChoice,
    look: Look,
    choice: ModelChoice,
    output: AnswerOutput,
) -> None:
    """Rank all heads by how much one word looks at another, beside what that distance gets anyway.

    Of several sentences (as TEXT, piped in one a line, or in a table): the heads that hold over all
    of them, which tells a rule from luck.

    Example: attnviz find "The ship sank because it was leaking." --query it --key ship
    """
    _check(source, sought)
    from attnviz.cli.asked import Asked
    from attnviz.cli.finding import Finder, give_findings
    from attnviz.cli.need import Need
    from attnviz.cli.options import Words
    from attnviz.cli.output import Notes
    from attnviz.cli.sentences import Sentences
    from attnviz.cli.tsv import TsvReader

    notes = Notes(output.quiet)
    rows = None if sought.tsv is None else TsvReader(sought.tsv)
    need = Need(heads, look.measure)
    sentences = Sentences(source, choice, output, notes, need, rows=rows)
    words = rows or (sought.query or "", sought.key or "")
    finder = Finder(Asked(look, heads, Words(), notes), words, sought.both)
    give_findings(sentences, finder, output, sought.top)
    sentences.finish()


def _check(source: Source, sought: Sought) -> None:
    """Refuse words that are missing, or that come twice."""
    if sought.tsv is None:
        given = {"--query": sought.query, "--key": sought.key}
        missing = [option for option, word in given.items() if word is None]
        if missing:
            raise RequestError(
                "find needs the word that looks and the word that is looked at: "
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
                "as in attnviz find TEXT --query it --key animal",
            )
        return
    beside = {
        "TEXT": source.text,
        "--pair": source.pair,
        "--load": source.load,
        "--stride": source.stride,
        "--query": sought.query,
        "--key": sought.key,
    }
    extra = [name for name, value in beside.items() if value]
    if extra:
        raise RequestError(
            f"--tsv brings sentences and words with it, and {' and '.join(extra)} came beside it",
            "give one of the two",
        )
