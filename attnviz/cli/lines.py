"""`attnviz lines`: the article's picture."""

from dataclasses import dataclass
from typing import Annotated

from attnviz.cli.options import HeadChoice, Look, ModelChoice, Output, Source, valued
from attnviz.errors import RequestError


@dataclass(frozen=True)
class From:
    """Where the lines begin."""

    query: Annotated[
        str | None,
        valued(
            "WORD",
            "What to show",
            "Draw lines from WORD only: it, it#2 for its second occurrence, @10 for the "
            "token at index 10.",
        ),
    ] = None


def lines(
    source: Source, start: From, heads: HeadChoice, look: Look, choice: ModelChoice, output: Output
) -> None:
    """Draw the sentence twice, with lines from each query to its keys, darker with weight.

    One head, or a layer's heads in a colour each. Without --layer and --head: the head in which
    WORD looks hardest at a word further off.

    Example: attnviz lines --query it --layer 3 --head 1 -o it.svg
    """
    if not (heads.layer or heads.head or start.query):
        raise RequestError(
            "lines of all words in all heads would be a tangle",
            "choose a word with --query WORD, or heads with --layer N and --head N",
        )
    from attnviz.cli.asked import Asked
    from attnviz.cli.need import Need
    from attnviz.cli.options import Words
    from attnviz.cli.output import Notes
    from attnviz.cli.picture import draw_all, draw_lines
    from attnviz.cli.sentences import Sentences

    notes = Notes(output.quiet)
    need = Need(heads, look.measure)
    sentences = Sentences(source, choice, output, notes, need, one_picture=True)
    asked = Asked(look, heads, Words(query=start.query), notes)
    draw_all(sentences, asked, output, draw_lines)
    sentences.finish()
