"""One number for each head: layers down, heads across, the largest marked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from rich.segment import Segment

from attnviz.attention.order import descending
from attnviz.inspection import HeadId
from attnviz.show.terminal.cells import Line, fit
from attnviz.show.terminal.palette import DIM, MARKER, PLAIN, Scale, Tone

HEADS_TOLD = 6
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
        for place in self.ranked[:HEADS_TOLD]:
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
