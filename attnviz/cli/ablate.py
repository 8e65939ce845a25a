"""`attnviz ablate`: does that head matter?"""

from dataclasses import dataclass
from typing import Annotated, Literal

import typer

from attnviz.cli.options import AnswerOutput, ModelChoice, Source, count, valued
from attnviz.errors import RequestError

_PANEL = "What to ablate"


@dataclass(frozen=True)
class Ablating:
    """Which heads to take away, and what to show of it."""

    layer: Annotated[
        list[str] | None,
        valued("N", _PANEL, "All heads of a layer, from 0; -1 is the last. May repeat."),
    ] = None
    head: Annotated[
        list[str] | None,
        valued(
            "N",
            _PANEL,
            "A head, from 0, beside --layer; or 3.1, 3-1, L3H1 alone. May repeat: all of them "
            "are taken away together.",
        ),
    ] = None
    each: Annotated[
        bool,
        typer.Option(
            "--each",
            rich_help_panel=_PANEL,
            help="Take every head of the model away alone, and rank them by what that does.",
        ),
    ] = False
    replacement: Annotated[
        Literal["zero", "mean"],
        typer.Option(
            "--with",
            rich_help_panel=_PANEL,
            help="What stands in for the head's output: zero, or its mean over the sentence.",
        ),
    ] = "zero"
    query: Annotated[
        str | None,
        valued(
            "WORD",
            _PANEL,
            "With --each: rank heads by how far WORD moves, in place of the mean over all "
            "words. it, it#2 for its second occurrence, or @10.",
        ),
    ] = None
    top: Annotated[
        int | None,
        count(
            _PANEL,
            "Name the K words that move most, or heads that move most (10 in tables, all in data).",
        ),
    ] = None
    words: Annotated[
        bool,
        typer.Option(
            "--words/--pieces",
            rich_help_panel=_PANEL,
            help="Whole words (the mean of their pieces' states), or what the tokenizer cut.",
        ),
    ] = True


def ablate(
    source: Source,
    ablating: Ablating,
    choice: ModelChoice,
    output: AnswerOutput,
) -> None:
    """Take heads away, and see how far each word's final state moves: does that head matter?

    The model runs again with the heads' outputs set to zero, or to their mean. The distance is
    1 - cos between a word's final states: 0 if nothing changes, 1 at right angles. Where the model
    predicts masked words, also what becomes of its prediction at a mask.

    Example: attnviz ablate "The animal didn't cross the street because it was too tired."
    --head 3.1
    """
    _check(ablating)
    from attnviz.cli.ablating import give_ablations
    from attnviz.cli.need import NOTHING
    from attnviz.cli.output import Notes
    from attnviz.cli.sentences import Sentences

    notes = Notes(output.quiet)
    sentences = Sentences(source, choice, output, notes, NOTHING)
    give_ablations(sentences, ablating, output, notes)
    sentences.finish()


def _check(ablating: Ablating) -> None:
    """Refuse what no sentence can make sense of."""
    named = bool(ablating.head or ablating.layer)
    if ablating.each and named:
        raise RequestError(
            "--each takes every head away alone, and --head or --layer came beside it",
            "give one of the two; --each --top 1000 ranks all heads, that one among them",
        )
    if not ablating.each and not named:
        raise RequestError(
            "no head was named",
            "name one, as in --head 3.1, or a layer with --layer 3, or rank all heads with --each",
        )
    if ablating.query is not None and not ablating.each:
        raise RequestError(
            f"--query {ablating.query} says by which word --each ranks heads, and --each is not "
            "there",
            "add --each, or leave --query out: every word's distance is told",
        )
