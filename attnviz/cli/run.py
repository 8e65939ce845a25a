"""`attnviz run`: what does every head do here?"""

from dataclasses import dataclass
from typing import Annotated

from attnviz.cli.options import DataOutput, HeadChoice, Look, ModelChoice, Source, Words, count


@dataclass(frozen=True)
class HowMuch:
    """How much of it to show."""

    top: Annotated[
        int | None,
        count(
            "What to show",
            "Name the K strongest links of each head; with --head, of each query; with "
            "--query or --key, of that word.",
        ),
    ] = None


def run(
    source: Source,
    words: Words,
    heads: HeadChoice,
    look: Look,
    how_much: HowMuch,
    choice: ModelChoice,
    output: DataOutput,
) -> None:
    """Show what every head does with a sentence: as tables, JSON, CSV or NPZ.

    Without a selector: a line for each head, with its kind, its entropy and its strongest links.
    --query or --key: a grid, layers down and heads across; both: that one weight in every head.
    --layer, --head: whole tables; beside --query or --key, what these heads do with that word.

    Example: attnviz run "The animal didn't cross the street because it was too tired." --query it
    """
    from attnviz.cli.asked import Asked
    from attnviz.cli.need import Need
    from attnviz.cli.output import Notes
    from attnviz.cli.sentences import Sentences
    from attnviz.cli.show import show

    notes = Notes(output.quiet)
    sentences = Sentences(source, choice, output, notes, Need(heads, look.measure))
    show(sentences, Asked(look, heads, words, notes), output, how_much.top)
    sentences.finish()
