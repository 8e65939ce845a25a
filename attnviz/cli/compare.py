"""`attnviz compare`: what changes if one word changes?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from attnviz.cli.options import AnswerOutput, HeadChoice, Look, ModelChoice, Truncate, count, valued

_INPUT, _PANEL = "Input", "What to compare"


@dataclass(frozen=True)
class TwoSources:
    """Which two sentences to look into, or which sentence in which two models."""

    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="A B",
            help="Two sentences, A and B. One alone is B, and A is that of the last run, or of "
            "--load. None: two lines on standard input.",
            show_default=False,
        ),
    ] = None
    pair: Annotated[
        str | None,
        valued("TEXT", _INPUT, "A second sentence, seen together with A and with B."),
    ] = None
    load: Annotated[
        list[Path] | None,
        valued(
            "FILE",
            _INPUT,
            "A saved inspection as A; given twice, as A and B. Once, without TEXT: B is that "
            "of the last run.",
        ),
    ] = None
    models: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="M1 M2",
            show_default=False,
            help="Compare one sentence in two models, whose layers and heads match.",
            rich_help_panel=_INPUT,
        ),
    ] = None
    truncate: Truncate = False


@dataclass(frozen=True)
class Followed:
    """Which words to follow, and how much of the answer to show."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            _PANEL,
            "What WORD looks at in A and in B: it, it#2 for its second occurrence in each, or "
            "@10 for the token at index 10. Without: all words that both have.",
        ),
    ] = None
    key: Annotated[
        str | None,
        valued("WORD", _PANEL, "Follow one link: how much is looked at WORD in A and in B."),
    ] = None
    top: Annotated[
        int | None,
        count(_PANEL, "Show the K heads that change most (10 in tables, all in data)."),
    ] = None


@dataclass(frozen=True)
class ComparisonOutput(AnswerOutput):
    """Where a comparison goes; of two inspections, none can be saved."""

    save: Annotated[Path | None, typer.Option(metavar="FILE", hidden=True)] = None


def compare(
    source: TwoSources,
    followed: Followed,
    heads: HeadChoice,
    look: Look,
    choice: ModelChoice,
    output: ComparisonOutput,
) -> None:
    """Compare two sentences that differ in a word, or two models: which heads change, and how.

    Words are aligned; each head has a distance between what WORD looks at in A and in B
    (Jensen-Shannon: 0 the same, 1 nothing in common) and the words that gained and lost. With -o
    FILE.png, .svg or .pdf: both heatmaps and their difference.

    Example: attnviz compare "The animal didn't cross the street because it was too wide."
    --query it
    """
    from attnviz.cli.asked import Asked
    from attnviz.cli.comparing import check_form, give_comparison
    from attnviz.cli.need import Need
    from attnviz.cli.options import Words
    from attnviz.cli.output import Notes
    from attnviz.cli.two import two_inspections

    notes = Notes(output.quiet)
    check_form(output)
    asked = Asked(look, heads, Words(followed.query, followed.key), notes)
    two = two_inspections(source, choice, notes, Need(heads, look.measure))
    give_comparison(asked, two, output, followed.top)
