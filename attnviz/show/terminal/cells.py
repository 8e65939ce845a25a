"""What tables are made of: words in cells of a fixed width, numbers in three cells, and colours.

A filled cell sets foreground and background together, so that the terminal's own theme does not
matter. Both ramps start at a greyish colour of middle lightness, as near to black as to white, and
grow vivid: seven steps in OKLCH, warm from (0.56, 0.06, 55) to (0.77, 0.17, 62), cool from
(0.55, 0.03, 250) to (0.66, 0.10, 240).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

from rich.bar import Bar
from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from attnviz.answers.overview import is_near
from attnviz.attention.measures import Measure
from attnviz.inspection import Context
from attnviz.show.labels import visible
from attnviz.text.tokens import Token

Line = list[Segment]

LONGEST_WORD = 14
"""Cells of a word in a margin or a column title, beyond which it is cut."""

EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
"""The ends of a bar, by how many eighths of a cell they fill."""

BLANK = "␣"
"""How a token of nothing but white space is shown."""

Tone = Literal["warm", "cool"]
"""Warm: a link between words further off. Cool: one to a neighbour, itself, or a special token.

In a comparison, warm is an increase and cool a decrease.
"""

RAMPS: dict[Tone, tuple[str, ...]] = {
    "warm": ("#906b52", "#a37250", "#b57a4c", "#c88146", "#da883e", "#ed9032", "#ff971e"),
    "cool": ("#657383", "#64798f", "#63809b", "#6086a6", "#5d8db2", "#5993be", "#549ac9"),
}

TINTS: dict[Tone, str] = {"warm": "#b7743d", "cool": "#5c85a8"}
"""Letters of weights too small for a background."""

QUIET_BELOW = 0.05
"""Weights below are dim."""

TINTED_FROM = 0.15
FILLED_FROM = 0.25
"""Weights from here on have a background."""

FULL_FROM = 0.8
"""Weights from here on share the last colour of the ramp."""

STRONG_FROM = 0.5
"""A key that takes half of a query's attention, or more, is strong; half of a Scale's largest."""

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)
MARKER = "▸"
"""What shows the strongest without colour."""


def label(token: Token) -> str:
    """What a table prints for a token: its label with control characters escaped."""
    return visible(token.label) if token.label.strip() else BLANK


def width_of(tokens: Iterable[Token], most: int) -> int:
    """The cells that the longest label takes, `most` at most."""
    return min(most, max((cell_len(label(token)) for token in tokens), default=1))


def cut(text: str, width: int) -> str:
    """The text as it is, or cut with an ellipsis to `width` cells."""
    return fit(text, min(width, cell_len(text)))


def bar(part: float, width: int) -> str:
    """A bar that is a part of `width` cells long, in eighths of a cell."""
    whole, rest = divmod(round(part * width * 8), 8)
    return "█" * whole + EIGHTHS[rest]


def fit(text: str, width: int, right: bool = False) -> str:
    """The text in exactly `width` cells: cut with an ellipsis or padded (left, if `right`)."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    padding = " " * (width - length)
    return padding + text if right else text + padding


def tone_of(context: Context, query: Token, key: Token) -> Tone:
    """The colour of a link: cool to special tokens, itself and neighbours, warm to all others.

    In cross-attention no word is the neighbour of another.
    """
    near = not context.is_cross_attention and is_near(query, key)
    return "cool" if key.special or near else "warm"


def render_lines(lines: Iterable[Line], width: int) -> Iterator[Segment]:
    """The lines as segments, each with its end, cut where a console is very narrow."""
    for line in lines:
        yield from Segment.adjust_line_length(line, width, pad=False)
        yield Segment.line()


def remarks(text: str, width: int) -> Iterator[Line]:
    """A quiet remark below a table; no line where there is nothing to say."""
    if text:
        yield from sentences(text, width)


def sentences(text: str, width: int) -> Iterator[Line]:
    """A quiet remark below a table, broken between words."""
    line = ""
    for word in text.split():
        if line and cell_len(line) + 1 + cell_len(word) > width:
            yield [Segment(line, DIM)]
            line = ""
        line = f"{line} {word}" if line else cut(word, width)
    yield [Segment(line, DIM)]


@dataclass(frozen=True)
class Scale:
    """How the numbers of one table are shown: relative to 1 for shares, else to the largest.

    Shares that are all close to zero, as in a long text, are also relative to their largest.
    `largest` has the strongest colour. Digits are multiples of `unit`, a power of ten that is 1
    unless three cells could not tell the numbers apart.
    """

    largest: float = 1.0
    unit: float = 1.0

    @classmethod
    def of(cls, measured: Measure, largest: float) -> "Scale":
        """The scale for numbers of this measure, the largest of which is `largest`."""
        if not largest > 0 or (measured.shares and largest >= SMALLEST_SHARE):
            return SHARES
        readable = SMALLEST_READABLE <= largest < LARGEST_READABLE
        return cls(largest, 1.0 if readable else 10.0 ** math.floor(math.log10(largest)))

    @property
    def note(self) -> str:
        """What to say of the unit, or nothing."""
        return "" if self.unit == 1 else f"numbers are multiples of {self.unit:g}"

    def text(self, weight: float) -> str:
        """A number in three cells."""
        return weight_text(weight / self.unit)

    def style(self, weight: float, tone: Tone = "warm", bold: bool = False) -> Style:
        """The style of a cell that holds this number."""
        return weight_style(weight / self.largest, tone, bold)

    def strong(self, weight: float) -> bool:
        """Whether a number is at least half of the scale's largest."""
        return weight >= STRONG_FROM * self.largest


SMALLEST_READABLE, LARGEST_READABLE = 0.1, 999.5
SMALLEST_SHARE = 0.01
SHARES = Scale()


def weight_text(weight: float) -> str:
    """A number in three cells: `.68`, `1.0`, ` 38`, and a dot for what rounds to zero."""
    if weight < 0.005:
        return "  ·"
    if weight >= 0.995:
        return f"{weight:.1f}" if weight < 9.95 else f"{weight:3.0f}"
    return f"{weight:.2f}"[1:]


def percent(share: float) -> str:
    """A share of attention as `41%`."""
    return f"{share:.0%}"


def weight_style(weight: float, tone: Tone = "warm", bold: bool = False) -> Style:
    """The style of a cell that holds this weight."""
    if weight < QUIET_BELOW:
        return BOLD if bold else DIM
    if weight < FILLED_FROM:
        return _tinted(tone if weight >= TINTED_FROM else None, bold)
    place = (weight - FILLED_FROM) / (FULL_FROM - FILLED_FROM)
    steps = len(RAMPS[tone])
    return _filled(RAMPS[tone][min(int(place * steps), steps - 1)], bold)


@cache
def _tinted(tone: Tone | None, bold: bool) -> Style:
    return Style(color=None if tone is None else TINTS[tone], bold=bold or None)


@cache
def _filled(background: str, bold: bool) -> Style:
    return Style(color=_ink(background), bgcolor=background, bold=bold or None)


def _ink(background: str) -> str:
    """Black or white, whichever contrasts more (WCAG relative luminance above or below 0.18)."""
    channels = Color.parse(background).get_truecolor()
    linear = [((part / 255 + 0.055) / 1.055) ** 2.4 for part in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if luminance > 0.18 else "#ffffff"


LONGEST_BAR = 40
"""Cells of the longest bar of a ranking."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """A table with a line a head, or a word; from the right, columns that do not fit are left out.

    `least`: how many columns always stay. `bars`: for each row a bar, as a part of the longest and
    its colour, in the room that remains.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Text]]
    least: int = 2
    bars: Sequence[tuple[float, str]] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        count, width = len(self.columns), options.max_width
        while count > self.least and not self.fits(width, count):
            count -= 1
        room = min(LONGEST_BAR, width - self._width(count) - 2)
        yield self._table(count, room if self.bars and room > 0 else 0)

    def fits(self, width: int, count: int | None = None) -> bool:
        """Whether the first `count` columns, or all of them, fit."""
        return self._width(len(self.columns) if count is None else count) <= width

    def _width(self, count: int) -> int:
        return sum(self._widths[:count]) + 2 * (count - 1)

    @cached_property
    def _widths(self) -> list[int]:
        titles = [str(column.header) for column in self.columns]
        return [
            max(cell_len(title), *(row[place].cell_len for row in self.rows))
            for place, title in enumerate(titles)
        ]

    def _table(self, count: int, room: int = 0) -> Table:
        """The first `count` columns, and bars if there is room."""
        columns = [column.copy() for column in self.columns[:count]]
        table = Table(
            *columns,
            box=None,
            padding=(0, 2, 0, 0),
            pad_edge=False,
            header_style=DIM,
            show_header=any(column.header for column in columns),
        )
        if room:
            table.add_column(no_wrap=True)
        for place, row in enumerate(self.rows):
            cells: list[RenderableType] = list(row[:count])
            if room:
                part, color = self.bars[place]
                cells.append(Bar(1, 0, part, width=room, color=color))
            table.add_row(*cells)
        return table


def column(title: str = "", justify: Literal["left", "right"] = "left") -> Column:
    """A ranking's column; its title is dim, and what is too long for it ends in an ellipsis."""
    return Column(title, justify=justify, no_wrap=True, overflow="ellipsis")
