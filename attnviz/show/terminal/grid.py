"""Grids of layers down and heads across: a word's strongest partner in each head, or a number."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from attnviz.answers.overview import is_near
from attnviz.answers.word import Word
from attnviz.attention.order import NEAR_ZERO, descending, largest
from attnviz.inspection import HeadId
from attnviz.show.labels import names
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MANY,
    MARKER,
    STRONG_FROM,
    Hues,
    Scale,
    Tone,
    cut,
    fit,
    line,
    width_of,
)
from attnviz.show.terminal.heading import legend, question, word_heading

LONGEST_WORD = 12
SHORTEST_WORD = 6
"""Cells of a word in the grid: cut beyond the one, set in fewer columns before the other."""

WORDS_TOLD = 3
HEADS_TOLD = 4  # How many words, and heads for each, the lines below the grid name
TOLD_FROM = 0.1  # Smaller parts of the scale have no line below the grid, unless all are smaller

LEGENDS = (
    "{warm}: words further off · {cool}: itself or next to it · dim: special",
    "{warm}: far · {cool}: near · dim: special",
)
PLAIN_LEGEND = f"{MARKER}: the strongest of the words further off"
CROSSED_LEGENDS = "{warm}: words · dim: special", f"{MARKER}: the strongest of the words"
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


class Grid:
    """One token's strongest partner in every head; lines below name the `top` strongest of all."""

    def __init__(self, word: Word, top: int | None = None) -> None:
        self._word, self._top, self._others = word, top, word.others
        self._names = names(word.context, word.other_role)
        self._scale = Scale.of(word.context.measured, float(word.weights.max()))
        self._told_from = TOLD_FROM * self._scale.largest
        # (layer, head, other token)
        self._weights = word.weights.reshape(-1, word.context.num_heads, len(word.others))

    def lines(self, width: int, hues: Hues | None) -> Iterator[RenderableType]:
        """The heading, the grid and the words below it."""
        word = self._word
        yield from word_heading(word, self._scale)
        yield Text()
        crossed, asked = word.context.is_cross_attention, question(word, width)
        said = CROSSED_LEGENDS[:1] if crossed else LEGENDS
        marked = CROSSED_LEGENDS[1] if crossed else PLAIN_LEGEND
        [told] = legend(hues or MANY, width, *(said if hues else [marked]))
        if cell_len(asked) + 3 + cell_len(told.plain) <= width:
            yield line((asked, BOLD), (f"   {told}", DIM))
        else:
            yield from (told, line((asked, BOLD)))
        yield from self._blocks(width)
        yield from self._answers(width)

    @cached_property
    def _near(self) -> list[int]:
        """The token itself and the words next to it; none in cross-attention."""
        if self._word.context.is_cross_attention:
            return []
        others = (other for other in self._others if not other.special)
        return [other.index for other in others if is_near(self._word.token, other)]

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
        best = largest(np.where(self._word.allowed, self._word.weights, -1))
        partners: np.ndarray = best.reshape(self._weights.shape[:-1])
        return partners

    @cached_property
    def _best(self) -> float:
        """The largest weight of a cell that shows a word beyond the neighbours."""
        best = self._partners
        shown = np.where(self._far[best], self._weights.max(axis=-1), 0)
        return float(shown.max(initial=0))

    def _blocks(self, width: int) -> Iterator[Text]:
        model, layers = self._word.context.model, self._word.context.recorded
        margin = len(f"L{layers[-1]}") + 1
        shown = {int(i) for i in self._partners.ravel()}
        longest = width_of((self._names[i] for i in shown), LONGEST_WORD)
        shape = shape_for(width - margin, model.num_heads, longest)
        for first in range(0, model.num_heads, shape.columns):
            heads = range(first, min(first + shape.columns, model.num_heads))
            names = "".join(fit(f" H{head}", shape.cell + shape.gap) for head in heads)
            yield line((" " * margin + names.rstrip(), DIM))
            for place, layer in enumerate(layers):
                cells = [self._cell(place, head, shape) for head in heads]
                for part in range(shape.lines):
                    parts: list[tuple[str, Style] | str] = []
                    for texts, style in cells:
                        parts += [(texts[part], style), " " * shape.gap]
                    yield line((fit("" if part else f"L{layer}", margin), DIM), *parts)
            yield Text()

    def _cell(self, place: int, head: int, shape: Shape) -> tuple[tuple[str, ...], Style]:
        best = int(self._partners[place, head])
        weight = float(self._weights[place, head, best])
        style, strong = self._style(best, weight)
        word = (MARKER if strong else " ") + fit(self._names[best], shape.word)
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

    def _answers(self, width: int) -> Iterator[Text]:
        """Which words it is joined to most, strongest first, and in which heads."""
        flat = self._word.weights
        far = np.where(self._far, flat.max(axis=0), 0)
        order = descending(far, self._top or WORDS_TOLD)
        least = min(self._told_from, far.max()) if self._top is None else 0
        told = [int(i) for i in order if far[i] >= least and far[i] > 0]
        margin = width_of((self._names[i] for i in (*told, *self._near)), LONGEST_WORD) + 2
        if told:
            yield line((cut("strongest in", width), DIM))
        for other in told:
            yield self._answer(flat[:, other], other, "warm", margin, width)
        for other in self._near:
            if other not in told and flat[:, other].max() >= self._told_from:
                yield self._answer(flat[:, other], other, "cool", margin, width)

    def _answer(self, column: np.ndarray, other: int, tone: Tone, margin: int, width: int) -> Text:
        answer = line((fit(self._names[other], margin - 2) + "  ", BOLD))
        heads, used = self._word.heads, margin
        name_width = len(str(heads[-1]))
        for place in descending(column, HEADS_TOLD):
            weight = float(column[place])
            size = name_width + 7
            if used + size > width or weight < min(self._told_from, column.max()):
                break
            style = self._scale.style(weight, tone, self._scale.strong(weight))
            answer.append(f"{heads[int(place)]!s:<{name_width}} ")
            answer.append(f" {self._scale.text(weight)} ", style).append(" ")
            used += size
        kind = {-1: "the word before", 0: "itself", 1: "the word after"}
        said = kind.get(other - self._word.token.index, "") if tone == "cool" else ""
        fits = used + len(said) + 1 <= width
        return answer.append(" " + said, DIM) if said and fits else answer


HEADS_NAMED = 6  # How many heads the line below the grid names
CELL = 6  # Marker, number, and space around it


@dataclass(frozen=True, eq=False)
class HeadGrid:
    """A number for each head, or for each layer where heads are mixed; none for `blank` heads.

    most: the head that is marked, if it is not the one with the largest number.
    """

    numbers: Mapping[HeadId, float]
    scale: Scale
    tone: Tone
    blank: Sequence[HeadId] = ()
    most: HeadId | None = None

    def blocks(self, width: int) -> Iterator[Text]:
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
                yield line((" " * margin + names.rstrip(), DIM))
            for layer in layers:
                cells = [self._cell(at.get((layer, head))) for head in heads]
                yield line((fit(f"L{layer}", margin), DIM), *cells)
            yield Text()

    def _cell(self, place: HeadId | None) -> Text:
        if place is None:
            return Text(" " * CELL)
        number = self.numbers[place]
        largest = number > 0 and number == max(self.numbers.values())
        largest = place == self.most if self.most is not None else largest
        largest &= abs(number) > NEAR_ZERO
        text = fit((MARKER if largest else " ") + self.scale.text(number), CELL - 1)
        return Text.assemble((text, self.scale.style(number, self.tone, largest)), " ")

    def strongest(self, width: int) -> Iterator[Text]:
        """A line that names the heads with the largest numbers; none where there is no choice."""
        named, places = line(("strongest in  ", DIM)), sorted(self.numbers)
        numbers = np.array([self.numbers[place] for place in places])
        for at in descending(numbers, HEADS_NAMED):
            number, name = float(numbers[at]), f"{places[at]} "
            if named.cell_len + len(name) + 6 > width:
                break
            named.append(name).append(
                f" {self.scale.text(number)} ", self.scale.style(number, self.tone)
            )
            named.append(" ")
        if len(places) > 1 and len(named.spans) > 1:
            yield named
