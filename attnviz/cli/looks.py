"""Which of the terminal's looks answers what was asked."""

from collections.abc import Iterator

from rich.console import RenderableType

from attnviz.cli.asked import Answer
from attnviz.render import terminal


def looks(answer: Answer, top: int | None) -> Iterator[RenderableType]:
    """The looks of an answer; `top` says how many links they name."""
    return terminal.looks(answer.view, answer.heads, answer.query, answer.key, top)
