"""Answers as rich renderables for the terminal; nothing here prints.

Colour says how large a weight is, and a marker says it again for terminals without colour. Every
table takes the width of the console that prints it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType

    from attnviz.answers.matrices import Matrices
    from attnviz.answers.overview import Overview
    from attnviz.answers.word import Pair, Word


def table_of(
    answer: "Overview | Word | Pair | Matrices", top: int | None = None
) -> "RenderableType":
    """The table of what `attnviz run` answers."""
    from attnviz.answers.matrices import Matrices
    from attnviz.answers.overview import Overview
    from attnviz.answers.word import Word
    from attnviz.show.terminal import matrix, overview, word

    if isinstance(answer, Overview):
        return overview.table(answer, top)
    if isinstance(answer, Matrices):
        return matrix.table(answer, top)
    return word.table(answer, top) if isinstance(answer, Word) else word.pair_table(answer, top)
