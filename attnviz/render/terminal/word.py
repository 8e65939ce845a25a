"""One word in the heads chosen, and how much one word looks at another."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.text import Text

from attnviz.analysis.summary import Link
from attnviz.inspection import HeadId, View
from attnviz.render.terminal.cells import (
    Line,
    fit,
    label,
    render_lines,
    sentences,
    tone_of,
    width_of,
)
from attnviz.render.terminal.heading import Role, heading, question
from attnviz.render.terminal.matrix import LONGEST_WORD, named_weight
from attnviz.render.terminal.palette import BOLD, DIM, MARKER, PLAIN, Scale
from attnviz.tokens import Token

KEYS_TOLD = 5
"""How many words each head's line names, unless the user says how many."""

HEADS_TOLD = 6
"""How many heads the line below the grid names."""

CELL = 6
"""Marker, weight, and space around it."""


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

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.view.measured, max(self.weights.values()))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from heading(self.view, self.query, self._scale)
        yield Text()
        width = options.max_width
        asked = f"how much {label(self.query)} looks at {label(self.key)}"
        yield Text(fit(asked, min(width, cell_len(asked))), style="bold")
        yield from render_lines(self._blocks(width), width)
        yield from render_lines(self._closing(width), width)

    def _blocks(self, width: int) -> Iterator[Line]:
        layers = sorted({place.layer for place in self.weights})
        across = sorted({place.place for place in self.weights})
        margin = len(f"L{layers[-1]}") + 1
        columns = max(1, (width - margin) // CELL)
        for first in range(0, len(across), columns):
            heads = across[first : first + columns]
            if self.view.measured.per_head:
                names = "".join(fit(f"H{head}", CELL - 2, right=True) + "  " for head in heads)
                yield [Segment(" " * margin + names.rstrip(), DIM)]
            for layer in layers:
                line = [Segment(fit(f"L{layer}", margin), DIM)]
                for head in heads:
                    line += self._cell(self.view.head_at(layer, head))
                yield line
            yield []

    def _cell(self, place: HeadId) -> Line:
        if place not in self.weights:
            return [Segment(" " * CELL)]
        weight = self.weights[place]
        strongest = weight > 0 and weight == max(self.weights.values())
        style = self._scale.style(weight, tone_of(self.query, self.key), strongest)
        mark = MARKER if strongest else " "
        return [Segment(f"{mark}{self._scale.text(weight)} ", style), Segment(" ")]

    def _closing(self, width: int) -> Iterator[Line]:
        ranked = sorted(self.weights, key=lambda place: (-self.weights[place], place))
        line, used = [Segment("strongest in  ", DIM)], len("strongest in  ")
        for place in ranked[:HEADS_TOLD]:
            size = len(str(place)) + 7
            if used + size > width:
                break
            weight = self.weights[place]
            style = self._scale.style(weight, tone_of(self.query, self.key))
            line += [Segment(f"{place} ", PLAIN), Segment(f" {self._scale.text(weight)} ", style)]
            line.append(Segment(" "))
            used += size
        if len(self.weights) > 1 and len(line) > 1:
            yield line
        if self.note:
            yield from sentences(self.note, width)
