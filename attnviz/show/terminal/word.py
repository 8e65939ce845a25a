"""One word in the heads chosen, and how much one word looks at another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from attnviz.answers.masks import allowed
from attnviz.answers.summary import Link
from attnviz.inspection import HeadId, View
from attnviz.inspection.context import Role
from attnviz.show.terminal.cells import (
    Line,
    cut,
    fit,
    label,
    render_lines,
    sentences,
    tone_of,
)
from attnviz.show.terminal.headgrid import HeadGrid
from attnviz.show.terminal.heading import heading, question, word_heading
from attnviz.show.terminal.naming import Names
from attnviz.show.terminal.palette import BOLD, Scale
from attnviz.show.terminal.topkeys import KEYS_TOLD, named_weight, strongest
from attnviz.show.wording import MAY_NOT, tokens_of
from attnviz.text.tokens import Token


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
        yield from word_heading(self.view.context, self.token, self.role, self.weights, self._scale)
        yield Text()
        yield from render_lines(self._lines(options.max_width), options.max_width)

    def _lines(self, width: int) -> Iterator[Line]:
        yield [Segment(question(self.token, self.role, width), BOLD)]
        margin = max(len(str(head)) for head in self.heads) + 2
        layers = [head.layer for head in self.heads]
        seen = allowed(self.view, self.token.index, self.role, layers)
        for head, row, own in zip(self.heads, self.weights, seen, strict=True):
            yield from self._row(head, row, own, margin, width)
        if self.note:
            yield []
            yield from sentences(self.note, width)

    @cached_property
    def _others(self) -> tuple[Token, ...]:
        return tokens_of(self.view.context, self._other_role)

    @property
    def _other_role(self) -> Role:
        return "key" if self.role == "query" else "query"

    @cached_property
    def _names(self) -> Names:
        return Names(self.view.context)

    def _row(
        self, head: HeadId, row: np.ndarray, seen: np.ndarray, margin: int, width: int
    ) -> Iterator[Line]:
        """A head's line; and more below it, where the user asked for more than fits.

        seen: (other,), which of the others may look at the token, or be looked at by it.
        """
        word = max(1, min(self._names.width(self._other_role), width - margin - 7))
        across = max(1, (width - margin) // (word + 7))
        count = self.top or min(KEYS_TOLD, across)
        order = strongest(row, seen, count)
        line = [Segment(fit(str(head), margin), BOLD)]
        for place, other in enumerate(order):
            if place and place % across == 0:
                yield line
                line = [Segment(" " * margin)]
            # what is named and coloured is the other word, whichever of the two looks
            link = Link(self.token, self._others[other], float(row[other]))
            name = self._names.of(link.key, self._other_role, word)
            line += named_weight(self.view, link, name, word, place == 0, self._scale)
        yield line


@dataclass(frozen=True, eq=False)
class PairGrid:
    """How much one token looks at another: layers down, heads across, then the strongest heads.

    Heads without an entry in `weights` stay empty; those of `blind` keep their place: in their
    layers, the one may not look at the other.
    """

    view: View
    query: Token
    key: Token
    weights: dict[HeadId, float]
    blind: Sequence[HeadId]
    note: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        scale = Scale.of(self.view.measured, max(self.weights.values(), default=0))
        grid = HeadGrid(
            self.weights, scale, tone_of(self.view.context, self.query, self.key), self.blind
        )
        width = options.max_width
        yield from heading(self.view.context, scale, [self.query], [self.key])
        yield Text()
        query, key = label(self.query), label(self.key)
        yield Text(cut(f"how much {query} looks at {key}", width), style="bold")
        if self.weights:
            yield from render_lines(grid.blocks(width), width)
            yield from render_lines(grid.strongest(width), width)
            if self.blind:
                yield from render_lines(sentences(f"blank: {MAY_NOT}", width), width)
        else:
            yield from render_lines(sentences(f'"{query}" may not look at "{key}".', width), width)
        if self.note:
            yield from render_lines(sentences(self.note, width), width)
