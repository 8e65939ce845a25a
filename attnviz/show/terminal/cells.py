"""What tables are made of: words in cells of a fixed width, numbers in three cells, and colours.

Nobody knows whether a terminal is light or dark. So a filled cell sets ink and background together,
and more weight never means lighter or darker: both ramps keep one lightness (OKLab) and grow vivid,
from grey. Each step is further from white, and from black, than the one before. But for the first,
they are colours of the 256 that most terminals have; with 16, a cell is bold or filled.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, NamedTuple

from rich.bar import Bar
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from attnviz.answers.overview import is_near
from attnviz.attention.measures import Measure
from attnviz.inspection import Context
from attnviz.show.labels import parted
from attnviz.text.tokens import Token

LONGEST_WORD = 14  # Cells of a word in a margin or a column title, beyond which it is cut

Tone = Literal["warm", "cool"]
"""Warm: links between words further off, and increases. Cool: all other links, and decreases."""

RAMPS: dict[Tone, tuple[str, ...]] = {
    "warm": ("#a39c97", "#d7875f", "#d78700", "#ff5f00"),
    "cool": ("#878a8f", "#5f87d7", "#0087ff"),
}
_SIXTEEN: dict[Tone, str] = {"warm": "yellow", "cool": "cyan"}  # of 16 colours, both under black
INK = "#000000"
QUIET_BELOW = 0.05  # Weights below are dim
FILLED_FROM = 0.25  # Weights from here on have a background
FULL_FROM = 0.8  # Weights from here on share the last colour of the ramp
STRONG_FROM = 0.5  # A key of half of a Scale's largest, or more, is strong


class Hues(NamedTuple):
    """What the two tones are called."""

    warm: str
    cool: str


MANY, FEW = Hues("orange", "blue"), Hues("yellow", "cyan")
HUES = {"truecolor": MANY, "256": MANY, "standard": FEW, "windows": FEW}
"""The tones' colours, by what rich says a terminal has; none where it has no colours."""

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)
MARKER = "▸"  # What shows the strongest without colour


def width_of(names: Iterable[str], most: int) -> int:
    """The cells that the longest name takes; its word `most` at most, and its place, as in `@5`."""
    parts = map(parted, names)
    return max((min(most, cell_len(word)) + len(place) for word, place in parts), default=1)


def cut(text: str, width: int) -> str:
    """The text as it is, or cut with an ellipsis to `width` cells."""
    return fit(text, min(width, cell_len(text)))


def fit(text: str, width: int, right: bool = False) -> str:
    """The text in exactly `width` cells: cut with an ellipsis or padded (left, if `right`).

    A name's place, as in `Alice@12`, is cut last. No blank is left before the ellipsis, as where a
    letter of two cells does not fit any more.
    """
    if width < 1:
        return ""
    if cell_len(text) > width:
        word, place = parted(text)
        if len(place) + 2 > width:
            word, place = text, ""
        text = set_cell_size(word, width - len(place) - 1).rstrip() + "…" + place
    padding = " " * (width - cell_len(text))
    return padding + text if right else text + padding


def tone_of(context: Context, query: Token, key: Token) -> Tone:
    """Cool for links to special tokens, itself and neighbours (none in cross-attention)."""
    near = not context.is_cross_attention and is_near(query, key)
    return "cool" if key.special or near else "warm"


def line(*parts: str | Text | tuple[str, Style | str]) -> Text:
    """A line of these parts, cut where a console is very narrow."""
    return Text.assemble(*parts, no_wrap=True, overflow="crop")


def title(text: str) -> Text:
    """A bold line above a table; several where the console is narrow."""
    return Text(text, style=BOLD)


@dataclass(frozen=True, eq=False)
class Page:
    """What `draw` yields, given the console's width and the colours it has."""

    draw: Callable[[int, Hues | None], Iterable[RenderableType]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        hues = None if console.no_color else HUES.get(console.color_system or "")
        shown = self.draw(options.max_width, hues)
        if hues != FEW:
            yield from shown
            return
        for part in shown:
            for text, style, control in console.render(part, options):
                yield Segment(text, None if style is None else _of_sixteen(style), control)


@dataclass(frozen=True)
class Scale:
    """How one table shows numbers: `largest` has the strongest colour, digits count `unit`s."""

    largest: float = 1.0
    unit: float = 1.0

    @classmethod
    def of(cls, measured: Measure, largest: float) -> "Scale":
        """The scale for numbers up to `largest`; shares are relative to 1 unless all are tiny."""
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


def weight_style(weight: float, tone: Tone = "warm", bold: bool = False) -> Style:
    """The style of a cell that holds this weight."""
    if weight < QUIET_BELOW:
        return BOLD if bold else DIM
    if weight < FILLED_FROM:
        return BOLD if bold else PLAIN
    place = (weight - FILLED_FROM) / (FULL_FROM - FILLED_FROM)
    return _style(step_of(RAMPS[tone], place), bold)


def step_of(ramp: tuple[str, ...], part: float) -> str:
    """The colour of a ramp for a part from 0 to 1."""
    return ramp[min(int(part * len(ramp)), len(ramp) - 1)]


@cache
def _style(background: str, bold: bool) -> Style:
    return Style(color=INK, bgcolor=background, bold=bold or None)


@cache
def _of_sixteen(style: Style) -> Style:
    """The same with the 16 colours that a terminal has; letters and bars in its own colour."""
    filled = None if style.bgcolor is None else style.bgcolor.name
    for tone, ramp in RAMPS.items():
        if filled == ramp[0]:
            return style.without_color + BOLD
        if filled in ramp:  # not bold, which makes black letters grey in some terminals
            return Style(color="black", bgcolor=_SIXTEEN[tone])
    own = style.color is None or style.color.name.startswith("#")
    return style.without_color if own and filled is None else style


LONGEST_BAR = 40  # Cells of the longest bar of a ranking


@dataclass(frozen=True, eq=False)
class Ranking:
    """A line for each head, or word; columns that do not fit are left out, from the right.

    A line names those. The first `least` columns stay, and `together` at a time are left out.
    `bars`: each row's bar, a part of the longest, and its colour.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Text]]
    least: int = 2
    bars: Sequence[tuple[float, str]] = ()
    together: int = 1

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        count, width = len(self.columns), options.max_width
        while count > self.least and not self.fits(width, count):
            count -= self.together
        room = min(LONGEST_BAR, width - self._width(count) - 2) if self.bars else 0
        columns = [column.copy() for column in self.columns[:count]]
        table = Table(
            *columns,
            box=None,
            padding=(0, 2, 0, 0),
            pad_edge=False,
            header_style=DIM,
            show_header=any(column.header for column in columns),
        )
        if room > 0:
            table.add_column(no_wrap=True)
        for place, row in enumerate(self.rows):
            cells: list[RenderableType] = list(row[:count])
            if room > 0:
                part, color = self.bars[place]
                cells.append(Bar(1, 0, part, width=room, color=color))
            table.add_row(*cells)
        yield table
        if count < len(self.columns):
            yield Text(self._hidden(count), style=DIM)

    def _hidden(self, count: int) -> str:
        """Which columns are left out; those without a title belong to the one before."""
        titles = [str(column.header) for column in self.columns]
        named = dict.fromkeys(
            next(filter(None, reversed(titles[: place + 1])), "")
            for place in range(count, len(titles))
        )
        if len(named) > 1:  # a bar alone, after a number that is shown, is not missed
            named.pop(next(filter(None, reversed(titles[:count])), ""), None)
        told = ", ".join(filter(None, named))
        hidden = f"{len(named)} column{' is' if len(named) == 1 else 's are'} hidden"
        return f"{hidden}{f': {told}' if told else ''} (a wider terminal, or --json)."

    def fits(self, width: int, count: int | None = None) -> bool:
        """Whether the first `count` columns, or all of them, fit."""
        return self._width(len(self.columns) if count is None else count) <= width

    def _width(self, count: int) -> int:
        widths = [
            max(cell_len(str(column.header)), *(row[place].cell_len for row in self.rows))
            for place, column in enumerate(self.columns[:count])
        ]
        return sum(widths) + 2 * (count - 1)


def column(title: str = "", justify: Literal["left", "right"] = "left") -> Column:
    """A ranking's column; its title is dim, and what is too long for it ends in an ellipsis."""
    return Column(title, justify=justify, no_wrap=True, overflow="ellipsis")
