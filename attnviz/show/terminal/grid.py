"""Grids of layers down and heads across: a word's strongest partner in each head, or a number."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from attnviz.answers.overview import is_near
from attnviz.answers.word import Word
from attnviz.attention.order import descending, largest
from attnviz.inspection import HeadId
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    STRONG_FROM,
    Line,
    Scale,
    Tone,
    fit,
    label,
    render_lines,
    width_of,
)
from attnviz.show.terminal.heading import question, quiet_line, word_heading
from attnviz.text.tokens import Token

LONGEST_WORD = 12
SHORTEST_WORD = 6
"""Cells of a word in the grid: cut beyond the one, set in fewer columns before the other."""

WORDS_TOLD = 3
HEADS_TOLD = 4
"""How many words, and heads for each, the lines below the grid name."""

TOLD_FROM = 0.1
"""Parts of the scale below are not worth a line below the grid, unless nothing is above."""


LEGEND = "orange: words further off · blue: itself or next to it · dim: special"
PLAIN_LEGEND = f"{MARKER}: the strongest of the words further off"
CROSSED_LEGENDS = "orange: words · dim: special", f"{MARKER}: the strongest of the words"
"""In cross-attention no word is further off than others."""


class Shape(NamedTuple):
    """How a grid is laid out: heads side by side, cells of a word, lines and gap of a cell."""

    columns: int
    word: int
    lines: int
    gap: int

    @property
    def cell(self) -> int:
        """The cells that a head takes, its gap left out: marker, word, weight, space."""
        return self.word + (6 if self.lines == 1 else 2)


def shape_for(width: int, num_heads: int, longest: int) -> Shape:
    """The widest rows of heads in which words stay readable, weights beside them if they can."""
    wanted = max(2, min(longest, LONGEST_WORD))
    readable = min(wanted, SHORTEST_WORD)
    for blocks in range(1, num_heads + 1):
        columns = -(-num_heads // blocks)
        room = width // columns
        for lines, extra in ((1, 6), (2, 2)):
            if room - extra >= readable:
                word = min(wanted, room - extra)
                return Shape(columns, word, lines, min(2, room - extra - word))
    return Shape(1, max(1, width - 6), 1, 0)


@dataclass(frozen=True, eq=False)
class Grid:
    """One token's strongest partner in every head.

    The lines below name the `top` strongest partners; without `top`, those that are worth it.
    """

    word: Word
    note: str
    top: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        word = self.word
        yield from word_heading(word.context, word.token, word.role, word.weights, self._scale)
        yield Text()
        coloured = console.color_system is not None and not console.no_color
        legends = CROSSED_LEGENDS if word.context.is_cross_attention else (LEGEND, PLAIN_LEGEND)
        legend = legends[0 if coloured else 1]
        width = options.max_width
        yield from render_lines(self._question(width, legend), width)
        yield from render_lines(self._blocks(width), width)
        yield from render_lines(self._answers(width), width)
        yield from quiet_line(self.note)

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.word.context.measured, float(self.word.weights.max()))

    @cached_property
    def _weights(self) -> np.ndarray:
        """(layer, head, other token)."""
        return self.word.weights.reshape(-1, self.word.context.num_heads, len(self._others))

    @cached_property
    def _told_from(self) -> float:
        return TOLD_FROM * self._scale.largest

    @cached_property
    def _others(self) -> tuple[Token, ...]:
        return self.word.others

    @cached_property
    def _near(self) -> list[int]:
        """The token itself and the words next to it; none in cross-attention."""
        if self.word.context.is_cross_attention:
            return []
        others = (other for other in self._others if not other.special)
        return [other.index for other in others if is_near(self.word.token, other)]

    @cached_property
    def _far(self) -> np.ndarray:
        """Which tokens are words beyond the neighbours; all words, where there are none."""
        word = np.array([not token.special for token in self._others])
        far = word.copy()
        far[self._near] = False
        return far if far.any() else word

    @cached_property
    def _partners(self) -> np.ndarray:
        """The index of each head's strongest partner, (layer, head)."""
        best = largest(np.where(self.word.allowed, self.word.weights, -1))
        partners: np.ndarray = best.reshape(self._weights.shape[:-1])
        return partners

    @cached_property
    def _best(self) -> float:
        """The largest weight of a cell that shows a word beyond the neighbours."""
        best = self._partners
        shown = np.where(self._far[best], self._weights.max(axis=-1), 0)
        return float(shown.max(initial=0))

    def _question(self, width: int, legend: str) -> Iterator[Line]:
        asked = question(self.word.token, self.word.role, width)
        line = [Segment(asked, BOLD)]
        if cell_len(asked) + cell_len(legend) + 3 <= width:
            line.append(Segment("   " + legend, DIM))
        yield line

    def _blocks(self, width: int) -> Iterator[Line]:
        model, layers = self.word.context.model, self.word.context.recorded
        margin = len(f"L{layers[-1]}") + 1
        shown = {int(i) for i in self._partners.ravel()}
        longest = width_of((self._others[i] for i in shown), LONGEST_WORD)
        shape = shape_for(width - margin, model.num_heads, longest)
        for first in range(0, model.num_heads, shape.columns):
            heads = range(first, min(first + shape.columns, model.num_heads))
            names = (fit(f" H{head}", shape.cell + shape.gap) for head in heads)
            yield [Segment(" " * margin + "".join(names).rstrip(), DIM)]
            for place, layer in enumerate(layers):
                cells = [self._cell(place, head, shape) for head in heads]
                for part in range(shape.lines):
                    name = f"L{layer}" if part == 0 else ""
                    line = [Segment(fit(name, margin), DIM)]
                    for texts, style in cells:
                        line += [Segment(texts[part], style), Segment(" " * shape.gap)]
                    yield line
            yield []

    def _cell(self, place: int, head: int, shape: Shape) -> tuple[tuple[str, ...], Style]:
        best = int(self._partners[place, head])
        weight = float(self._weights[place, head, best])
        style, strong = self._style(best, weight)
        word = (MARKER if strong else " ") + fit(label(self._others[best]), shape.word)
        number = " " + self._scale.text(weight)
        if shape.lines == 1:
            return (word + number + " ",), style
        return (word + " ", fit(number, shape.cell)), style

    def _style(self, other: int, weight: float) -> tuple[Style, bool]:
        """Words beyond the neighbours are warm, near ones cool, special tokens dim."""
        if self._others[other].special:
            return DIM, False
        tone: Tone = "warm" if self._far[other] else "cool"
        least = min(STRONG_FROM * self._scale.largest, self._best)
        strong = tone == "warm" and weight > 0 and weight >= least
        return self._scale.style(weight, tone, strong), strong

    def _answers(self, width: int) -> Iterator[Line]:
        """Which words it is joined to most, strongest first, and in which heads."""
        flat = self.word.weights
        far = np.where(self._far, flat.max(axis=0), 0)
        order = descending(far, self.top or WORDS_TOLD)
        least = min(self._told_from, far.max()) if self.top is None else 0
        told = [int(i) for i in order if far[i] >= least and far[i] > 0]
        margin = width_of((self._others[i] for i in (*told, *self._near)), LONGEST_WORD) + 2
        if told:
            yield [Segment(fit("strongest in", min(width, 12)), DIM)]
        for other in told:
            yield self._answer(flat[:, other], other, "warm", margin, width)
        for other in self._near:
            if other not in told and flat[:, other].max() >= self._told_from:
                yield self._answer(flat[:, other], other, "cool", margin, width)

    def _answer(self, column: np.ndarray, other: int, tone: Tone, margin: int, width: int) -> Line:
        line = [Segment(fit(label(self._others[other]), margin - 2) + "  ", BOLD)]
        heads, used = self.word.heads, margin
        name_width = len(str(heads[-1]))
        for place in descending(column, HEADS_TOLD):
            weight = float(column[place])
            head = f"{heads[int(place)]!s:<{name_width}}"
            size = name_width + 7
            if used + size > width or weight < min(self._told_from, column.max()):
                break
            style = self._scale.style(weight, tone, self._scale.strong(weight))
            line += [Segment(head + " ", PLAIN), Segment(f" {self._scale.text(weight)} ", style)]
            line.append(Segment(" "))
            used += size
        kind = {-1: "the word before", 0: "itself", 1: "the word after"}
        said = kind.get(other - self.word.token.index, "") if tone == "cool" else ""
        if said and used + len(said) + 1 <= width:
            line.append(Segment(" " + said, DIM))
        return line


HEADS_NAMED = 6
"""How many heads the line below the grid names."""

CELL = 6
"""Marker, number, and space around it."""


@dataclass(frozen=True, eq=False)
class HeadGrid:
    """A number for each head, or for each layer where heads are mixed; others stay empty.

    `blank`: heads that have no number, and their place all the same.
    """

    numbers: Mapping[HeadId, float]
    scale: Scale
    tone: Tone
    blank: Sequence[HeadId] = ()

    @property
    def ranked(self) -> list[HeadId]:
        """The heads, largest number first."""
        places = sorted(self.numbers)
        numbers = np.array([self.numbers[place] for place in places])
        return [places[i] for i in descending(numbers)]

    def blocks(self, width: int) -> Iterator[Line]:
        """The grid, in as many blocks of heads as the width calls for; an empty line after each."""
        at = {(place.layer, place.place): place for place in self.numbers}
        places = {*at, *((place.layer, place.place) for place in self.blank)}
        layers, across = (sorted({place[axis] for place in places}) for axis in (0, 1))
        named = any(place.head is not None for place in self.numbers)
        margin = len(f"L{layers[-1]}") + 1
        columns = max(1, (width - margin) // CELL)
        end = 1 + cell_len(self.scale.text(0))
        for first in range(0, len(across), columns):
            heads = across[first : first + columns]
            if named:
                names = "".join(fit(fit(f"H{head}", end, right=True), CELL) for head in heads)
                yield [Segment(" " * margin + names.rstrip(), DIM)]
            for layer in layers:
                line = [Segment(fit(f"L{layer}", margin), DIM)]
                for head in heads:
                    line += self._cell(at.get((layer, head)))
                yield line
            yield []

    def _cell(self, place: HeadId | None) -> Line:
        if place is None:
            return [Segment(" " * CELL)]
        number = self.numbers[place]
        largest = number > 0 and number == max(self.numbers.values())
        style = self.scale.style(number, self.tone, largest)
        mark = MARKER if largest else " "
        return [Segment(fit(f"{mark}{self.scale.text(number)}", CELL - 1), style), Segment(" ")]

    def strongest(self, width: int) -> Iterator[Line]:
        """A line that names the heads with the largest numbers; none where there is no choice."""
        line, used = [Segment("strongest in  ", DIM)], len("strongest in  ")
        for place in self.ranked[:HEADS_NAMED]:
            size = len(str(place)) + 7
            if used + size > width:
                break
            number = self.numbers[place]
            style = self.scale.style(number, self.tone)
            line += [Segment(f"{place} ", PLAIN), Segment(f" {self.scale.text(number)} ", style)]
            line.append(Segment(" "))
            used += size
        if len(self.numbers) > 1 and len(line) > 1:
            yield line
