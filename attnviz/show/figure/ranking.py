"""Heads side by side: all of them on a map, layers down, and the first ones ranked as bars."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from attnviz.inspection import HeadId
from attnviz.show.figure.captions import Heading
from attnviz.show.figure.drawing import FAINT, INK, MARGIN, MUTED, axes_at, blank, widest
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import color_bar, draw_matrix, ends_of, write_numbers
from attnviz.show.forms import Limits

HEADS_SHOWN = 10  # heads that are ranked, unless the user says how many
STRONG, QUIET = "#d2495d", "#b4b4bd"  # bars: of a head, and of one that a yardstick explains away
NUMBERED_FROM = 0.25  # the part of the largest number from which on cells of the map have theirs

_TEXT, _NUMBER = 9.0, 6.5
_LOWEST_CELL, _LOWEST_MAP, _ROW, _BARS = 0.27, 1.2, 0.26, 2.3
_AXIS_TITLE, _TITLE, _BAR_ROOM, _GAP, _COLUMN_GAP = 0.3, 0.3, 0.95, 0.35, 0.16
_MARKS: tuple[dict[str, Any], ...] = (
    {"marker": "D", "markerfacecolor": "white", "markersize": 5},
    {"marker": "o", "markerfacecolor": INK, "markersize": 5},
)


@dataclass(frozen=True)
class Bar:
    """One ranked head, or word: its name, number, marks beside it, interval, text after it."""

    name: str
    number: float
    cells: tuple[str, ...]
    marks: tuple[float | None, ...] = ()
    interval: tuple[float, float] | None = None
    quiet: bool = False
    bold: bool = False
    muted: bool = False
    color: str = STRONG


def turned(number: float, interval: tuple[float, float] | None) -> tuple[float, float] | None:
    """A number's interval beside its bar, which is as long as the number is large."""
    if interval is None or number >= 0:
        return interval
    low, high = interval
    return -high, -low


@dataclass(frozen=True, eq=False)
class Ranked:
    """A map of heads' numbers, NaN where there is none, and bars with their columns of text.

    `signed`: numbers below 0 are blue. `told`: a number as cells of the map show it.
    """

    title: str
    quantity: str
    numbers: Mapping[HeadId, float]
    signed: bool
    told: Callable[[float], str]
    bar_name: str
    columns: tuple[str, ...]
    bars: Sequence[Bar]

    @property
    def largest(self) -> float:
        """The largest size of a number; 1 if all are 0."""
        return float(np.nanmax(np.abs(list(self.numbers.values())), initial=0.0)) or 1.0

    @property
    def longest_bar(self) -> float:
        """How far bars, marks and intervals reach."""
        every = [bar.number for bar in self.bars]
        every += [mark for bar in self.bars for mark in bar.marks if mark is not None]
        every += [bar.interval[1] for bar in self.bars if bar.interval]
        return max(every, default=0.0) or 1.0

    @property
    def grid(self) -> tuple[list[int], list[int], np.ndarray]:
        """The layers, the heads, and the numbers of all pairs of them."""
        layers = sorted({head.layer for head in self.numbers})
        across = sorted({head.place for head in self.numbers})
        numbers = np.full((len(layers), len(across)), np.nan)
        for head, number in self.numbers.items():
            numbers[layers.index(head.layer), across.index(head.place)] = number
        return layers, across, numbers


@dataclass(frozen=True)
class _Frame:
    """Widths and heights of the parts of all rankings, in inches."""

    map: tuple[float, float]
    names: float
    columns: tuple[float, ...]
    bars: int
    above: float

    @classmethod
    def of(cls, every: Sequence[Ranked], with_map: bool) -> "_Frame":
        """The room that all of them need, so that they stand below each other."""
        layers, across, _ = every[0].grid
        texts = [one.told(float(n)) for one in every for n in one.numbers.values() if n == n]
        cell = max(widest(texts, _NUMBER) + 0.08, 1.2 * _LOWEST_CELL)
        size = len(across) * cell, max(len(layers) * _LOWEST_CELL, _LOWEST_MAP)
        names = widest([bar.name for one in every for bar in one.bars], _TEXT, bold=True)
        columns = []
        for place, title in enumerate(every[0].columns):
            cells = [bar.cells[place] for one in every for bar in one.bars]
            columns.append(max(widest(cells, _TEXT), widest([say(title)], _TEXT)) + _COLUMN_GAP)
        most = max(len(one.bars) for one in every)
        above = _TITLE * (2 if any(one.title for one in every) else 1)
        return cls(size if with_map else (0.0, 0.0), names, tuple(columns), most, above)

    @property
    def left(self) -> float:
        """Where bars begin."""
        wide = self.map[0]
        beside = MARGIN + _AXIS_TITLE + 0.35 + wide + _BAR_ROOM + _GAP if wide else MARGIN
        return beside + self.names + 0.1

    @property
    def right(self) -> float:
        """Where the last column of text ends."""
        return self.left + _BARS + 0.12 + sum(self.columns)

    @property
    def height(self) -> float:
        """How high one ranking is, its title and the names of axes included."""
        return self.above + max(self.map[1], self.bars * _ROW + 0.25) + 0.1


def draw_ranked(
    title: Heading, every: Sequence[Ranked], scale: Limits | None, no_map: bool = False
) -> Figure:
    """The rankings below each other, each beside its map, on one scale."""
    frame = _Frame.of(every, not no_map)
    top = MARGIN + title.height
    width = max(frame.right + MARGIN, title.width + 2 * MARGIN + 0.01)
    picture = blank(width, top + len(every) * frame.height + MARGIN)
    title.draw(picture)
    limits = scale or (0.0, max(one.largest for one in every))
    furthest = max(one.longest_bar for one in every)
    for place, one in enumerate(every):
        upper = top + place * frame.height
        if not no_map:
            _draw_map(picture, one, frame, upper, limits)
        _draw_bars(picture, one, frame, upper, furthest)
    return picture


def _draw_map(picture: Figure, one: Ranked, frame: _Frame, top: float, limits: Limits) -> None:
    layers, across, numbers = one.grid
    wide, tall = frame.map
    left, below = MARGIN + _AXIS_TITLE + 0.35, top + frame.above
    axes = axes_at(picture, left, below, wide, tall)
    above: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(one.title, (0, 1), (0, 27), size=_TEXT + 1, weight="bold", **above)
    low, high = (-max(map(abs, limits)), max(map(abs, limits))) if one.signed else limits
    image = draw_matrix(axes, numbers, (low, high), one.signed)
    axes.set_xticks(range(len(across)), list(map(str, across)), size=_NUMBER + 1)
    axes.set_yticks(range(len(layers)), list(map(str, layers)), size=_NUMBER + 1)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.set_xlabel(say("head"), size=_TEXT, labelpad=3)
    axes.set_ylabel(say("layer"), size=_TEXT, labelpad=4)
    axes.tick_params(length=0, pad=2)
    least = NUMBERED_FROM * one.largest
    write_numbers(axes, numbers, (low, high), least, one.told, _NUMBER, one.signed)
    bar = left + wide + 0.12, below, tall
    color_bar(picture, image, one.quantity, bar, ends_of([numbers]))


def _draw_bars(picture: Figure, one: Ranked, frame: _Frame, top: float, furthest: float) -> None:
    """The bars with their names, marks and columns of text."""
    count = max(len(one.bars), 1)
    axes = axes_at(picture, frame.left, top + frame.above, _BARS, count * _ROW)
    least = min((bar.interval[0] for bar in one.bars if bar.interval), default=0.0)
    axes.set(xlim=(min(least, 0.0) * 1.03, furthest * 1.03), ylim=(count - 0.5, -0.5))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(axis="x", length=2, width=0.6, labelsize=_NUMBER + 0.5, color=MUTED, pad=2)
    axes.grid(axis="x", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    names = [bar.name for bar in one.bars]
    axes.set_yticks(range(len(names)), names, size=_TEXT)
    axes.tick_params(axis="y", length=0, pad=4)
    for name, bar in zip(axes.get_yticklabels(), one.bars, strict=True):
        name.set(fontweight="bold" if bar.bold else "normal", color=MUTED if bar.muted else INK)
    colors = [QUIET if bar.quiet else bar.color for bar in one.bars]
    axes.barh(range(len(names)), [bar.number for bar in one.bars], height=0.62, color=colors)
    for row, bar in enumerate(one.bars):
        if bar.interval is not None:
            axes.plot(bar.interval, (row, row), color=INK, linewidth=1.1, marker="|", markersize=6)
        for mark, style in zip(bar.marks, _MARKS, strict=False):
            if mark is not None:
                axes.plot(mark, row, color=INK, markeredgewidth=0.9, clip_on=False, **style)
    _write_columns(axes, one, frame)


def _write_columns(axes: Axes, one: Ranked, frame: _Frame) -> None:
    """The names of bars and columns, and below them the texts, on their right edges."""
    style: dict[str, Any] = {"size": _TEXT, "annotation_clip": False, "va": "center"}
    left, right = axes.get_xlim()
    axes.annotate(say(one.bar_name), (left, -0.85), color=MUTED, ha="left", **style)
    if not frame.map[0]:  # which has it elsewhere
        axes.annotate(one.title, (left, -1.9), weight="bold", **style)
    edge = _BARS + 0.12
    for place, (title, width) in enumerate(zip(one.columns, frame.columns, strict=True)):
        edge += width
        x = left + edge / _BARS * (right - left)
        axes.annotate(say(title), (x, -0.85), color=MUTED, ha="right", **style)
        for row, bar in enumerate(one.bars):
            color = MUTED if bar.quiet else INK
            axes.annotate(bar.cells[place], (x, row), color=color, ha="right", **style)
