"""Which of the terminal's looks answers what was asked."""

from collections.abc import Iterator

from rich.console import RenderableType

from attnviz.analysis.summary import summarise
from attnviz.cli.asked import Answer
from attnviz.render import terminal

LINKS = 3
"""The strongest links that the overview names for each head, unless --top says how many."""


def looks(answer: Answer, top: int | None) -> Iterator[RenderableType]:
    """The overview; a word, or a pair of words, in all heads or those chosen; or whole heads."""
    view, heads, query, key = answer.view, answer.heads, answer.query, answer.key
    if query is not None and key is not None:
        yield terminal.pair_grid(view, query, key, answer.heads_or_all)
    elif query is not None:
        if heads:
            yield terminal.query_rows(view, query, heads, top)
        else:
            yield terminal.query_grid(view, query, top)
    elif key is not None:
        if heads:
            yield terminal.key_rows(view, key, heads, top)
        else:
            yield terminal.key_grid(view, key, top)
    elif heads:
        yield from (terminal.head_table(view, head, top) for head in heads)
    else:
        yield terminal.overview(view, summarise(view, top or LINKS))
