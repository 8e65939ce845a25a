"""A vector as a strip of small cells: a colour a number, warm above 0 and cool below.

Where there is no colour, each number is a bar, from the lowest of seven heights to the highest,
which stand for the same range; 0 lies in the middle.
"""

from collections.abc import Iterator

import numpy as np
from rich.segment import Segment
from rich.style import Style

from attnviz.show.terminal.cells import Line

ZERO = "#8f8b87"
ABOVE = ("#a09080", "#b09477", "#c1996e", "#d19c62", "#e1a055", "#f2a344", "#ffa629")
BELOW = ("#778496", "#667b9a", "#54719d", "#4168a0", "#2e5da3", "#1652a5", "#0046a7")
"""Steps in OKLCH from a middle grey: lighter above 0, to (0.80, 0.165, 68), darker below."""

HEIGHTS = "▁▂▃▄▅▆▇"
UPPER_HALF, FULL = "▀", "█"

FULL_FROM = 95
"""The percentile of the sizes from which on numbers have the strongest colour: few are far out."""


def full_size(values: np.ndarray) -> float:
    """The size from which on numbers of this vector, or of these, have the strongest colour."""
    return float(np.percentile(np.abs(values), FULL_FROM)) or 1.0


def strip(values: np.ndarray, full: float, width: int, colored: bool) -> Iterator[Line]:
    """The numbers, (n,), in lines of at most `width` cells.

    `full`: the size that has the strongest colour, and the highest and lowest bars. Numbers that do
    not fit into one line are folded; with colour, two of the rows then share a line.
    """
    rows = [values[first : first + width] for first in range(0, len(values), width)]
    if not colored:
        yield from ([Segment("".join(_bar(value / full) for value in row))] for row in rows)
    elif len(rows) == 1:
        yield [Segment(FULL, Style(color=_color(value / full))) for value in rows[0]]
    else:
        rows += [rows[0][:0]] * (len(rows) % 2)
        for upper, lower in zip(rows[::2], rows[1::2], strict=True):
            yield [_pair(upper, lower, place, full) for place in range(len(upper))]


def _pair(upper: np.ndarray, lower: np.ndarray, place: int, full: float) -> Segment:
    """Two numbers in one cell, one above the other."""
    below = _color(lower[place] / full) if place < len(lower) else None
    return Segment(UPPER_HALF, Style(color=_color(upper[place] / full), bgcolor=below))


def _color(part: float) -> str:
    """The colour of a number, as a part of the full size."""
    ramp = ABOVE if part > 0 else BELOW
    step = min(round(abs(part) * len(ramp)), len(ramp))
    return ramp[step - 1] if step else ZERO


def _bar(part: float) -> str:
    step = round((min(max(part, -1.0), 1.0) + 1) / 2 * (len(HEIGHTS) - 1))
    return HEIGHTS[step]
