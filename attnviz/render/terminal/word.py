"""One word in the heads chosen, and how much one word looks at another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from attnviz.analysis.summary import Link
from attnviz.inspection import HeadId, View
from attnviz.render.terminal.cells import (
    Line,
    cut,
    fit,
    label,
    render_lines,
    sentences,
    tone_of,
    width_of,
)
from attnviz.render.terminal.headgrid import HeadGrid
from attnviz.render.terminal.heading import Role, heading, question
from attnviz.render.terminal.matrix import LONGEST_WORD, named_weight
from attnviz.render.terminal.palette import BOLD, Scale
from attnviz.tokens import Token

KEYS_TOLD = 5
"""How many words each head's line names, unless the user says how many."""


@dataclass(frozen=True, eq=False)
class WordRows:
    """What one token looks at, or who looks at it: a line for each head, strongest first.

    weights: (head, other token). `token` is the query and the others its keys, or `token` is the
    key and the others the queries that look at it.
    """

    view: View
    token: Token
    heads: Sequence[HeadId]
    weights: np.ndarray
    role: Role
    note: str
    top: int | None = None

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.view.measured, float(self.weights.max()))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from heading(self.view, self.token, self._scale)
        yield Text()
        yield from render_lines(self._lines(options.max_width), options.max_width)

    def _lines(self, width: int) -> Iterator[Line]:
        yield [Segment(question(self.token, self.role, width), BOLD)]
        margin = max(len(str(head)) for head in self.heads) + 2
        for head, row in zip(self.heads, self.weights, strict=True):
            yield from self._row(head, row, margin, width)
        if self.note:
            yield []
            yield from sentences(self.note, width)

    def _row(self, head: HeadId, row: np.ndarray, margin: int, width: int) -> Iterator[Line]:
        """A head's line; and more below it, where the user asked for more than fits."""
        word = max(1, min(width_of(self.view.tokens, LONGEST_WORD), width - margin - 7))
        across = max(1, (width - margin) // (word + 7))
        count = self.top or min(KEYS_TOLD, across)
        order = np.argsort(-row, kind="stable")[:count]
        line = [Segment(fit(str(head), margin), BOLD)]
        for place, other in enumerate(order):
            if place and place % across == 0:
                yield line
                line = [Segment(" " * margin)]
            # what is named and coloured is the other word, whichever of the two looks
            link = Link(self.token, self.view.tokens[other], float(row[other]))
            line += named_weight(link, word, place == 0, self._scale)
        yield line


@dataclass(frozen=True, eq=False)
class PairGrid:
    """How much one token looks at another: layers down, heads across, then the strongest heads.

    Heads without an entry in `weights` stay empty.
    """

    view: View
    query: Token
    key: Token
    weights: dict[HeadId, float]
    note: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        scale = Scale.of(self.view.measured, max(self.weights.values()))
        grid = HeadGrid(self.weights, scale, tone_of(self.query, self.key))
        width = options.max_width
        yield from heading(self.view, self.query, scale)
        yield Text()
        asked = f"how much {label(self.query)} looks at {label(self.key)}"
        yield Text(cut(asked, width), style="bold")
        yield from render_lines(grid.blocks(width), width)
        yield from render_lines(grid.strongest(width), width)
        if self.note:
            yield from render_lines(sentences(self.note, width), width)
