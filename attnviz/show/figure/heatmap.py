"""Heatmaps of one head, a layer's or all: queries down, keys across, one scale; masked is grey."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text

from attnviz.answers.matrices import Matrices, Pooled
from attnviz.errors import RequestError
from attnviz.inspection import Context, HeadId
from attnviz.show.figure.captions import (
    Heading,
    TokenLabels,
    axis_name,
    ground_note,
    heading,
    many_labelled,
    token_labels,
)
from attnviz.show.figure.drawing import (
    DPI,
    FAINT,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing_of,
    widest,
)
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import (
    color_bar,
    draw_matrix,
    ends_of,
    label_columns,
    label_rows,
    whole_dots,
    write_numbers,
)
from attnviz.show.forms import Limits

NUMBERED_UP_TO = 20  # tokens up to which one head's larger weights are written into their cells
NUMBERED_FROM = 0.1  # shares from here on are written into cells; else, parts of the largest number
LABELLED_PANELS = 16  # up to so many, each has its name over it

_LARGEST_CELL, _SMALLEST_CELL, _USUAL_SIDE, _LARGEST_SIDE, _SMALLEST_SIDE = 0.9, 0.17, 6.0, 12, 1.6
_SMALLEST_DOT = 2  # pixels: one would vanish under the frame, and in a smaller view
_ONE_HEADS_DOT = 4  # pixels, where cells stand for several tokens: there are enough of them
_LONG_SIDE = 7.0  # of a text whose tokens are too many to be labelled: it may as well be handy
_DRAWN_OUT = 2.0  # how many times as long as usual a cell may be, where there are few
_SHORTEST_BAR = 1.2
_AXIS_TITLE = 0.3
_BAR_ROOM = 1.05


@dataclass(frozen=True, eq=False)
class _Panels:
    """The matrices as they are drawn, `wide` and `tall` inches each."""

    context: Context
    pooled: Pooled
    wide: float
    tall: float
    scale: Limits | None

    @classmethod
    def of(cls, matrices: Matrices, scale: Limits | None, room: float, least: int) -> "_Panels":
        """Panels whose longer side takes `room` inches, in cells of at least `least` dots."""
        wide, tall, steps = _sides(matrices.context, room, least)
        return cls(matrices.context, matrices.pooled(steps), wide, tall, scale)

    @cached_property
    def limits(self) -> Limits:
        """What the palest and the darkest colour stand for: 0 and the largest number, or as asked.

        Where all are 0, 1 has the darkest colour.
        """
        largest = max(float(np.nanmax(one)) for one in self.pooled.weights.values())
        return self.scale or (0.0, largest or 1.0)

    @property
    def arrows(self) -> tuple[bool, bool]:
        """Whether numbers lie below the scale, and above it."""
        ends = ends_of(self.pooled.weights.values())
        return ends[0] < self.limits[0], ends[1] > self.limits[1]

    @cached_property
    def rows(self) -> TokenLabels:
        return token_labels(self.context, self.tall / len(self.context.tokens))

    @cached_property
    def columns(self) -> TokenLabels:
        return token_labels(self.context, self.wide / len(self.context.keys), "key")

    @property
    def _block(self) -> str:
        down, across = self.pooled.steps
        return f"{down} × {across}" if down * across > 1 else ""

    def heading(self, *notes: str) -> Heading:
        weights = self.pooled.weights
        lines = [*notes]
        if self._block:
            what = "weights" if self.context.measure == "weights" else "numbers"
            lines.insert(0, f"each cell: the largest of {self._block} {what}")
        masked = any(np.isnan(one).any() for one in weights.values())
        legend = ground_note(masked)
        return heading(self.context, list(weights), self.pooled.shares, lines, legend=legend)

    def draw(self, axes: Axes, head: HeadId) -> AxesImage:
        weights, (down, across) = self.pooled.weights[head], self.pooled.steps
        edges = weights.shape[1] * across - 0.5, weights.shape[0] * down - 0.5
        return draw_matrix(axes, weights, self.limits, edges=edges)

    def color_bar(
        self, picture: Figure, image: AxesImage, place: tuple[float, float, float]
    ) -> None:
        """The scale, at `place`: left, top, and the height of what it stands beside."""
        blocks = f", the largest of {self._block}" if self._block else ""
        name = self.context.measured.quantity + blocks
        color_bar(picture, image, name, place, ends_of(self.pooled.weights.values()))


def _sides(context: Context, room: float, least: int) -> tuple[float, float, tuple[int, int]]:
    """A panel's width and height, in inches, and how many queries and keys a cell stands for."""
    counts = len(context.keys), len(context.tokens)
    cell = room / max(counts)
    shortest = [min(_SMALLEST_SIDE, room, _DRAWN_OUT * cell * count) for count in counts]
    sides = [max(cell * count, short) for count, short in zip(counts, shortest, strict=True)]
    steps = [
        1 if count * _SMALLEST_DOT <= round(side * DPI) else math.ceil(count * least / (side * DPI))
        for count, side in zip(counts, sides, strict=True)
    ]
    blocks = [math.ceil(count / step) for count, step in zip(counts, steps, strict=True)]
    wide, tall = (whole_dots(*side) for side in zip(sides, blocks, strict=True))
    return wide, tall, (steps[1], steps[0])


def figure(matrices: Matrices, top: int | None = None, scale: Limits | None = None) -> Figure:
    """One head large, or several small ones; `top` is ignored. RequestError without a head."""
    context, heads = matrices.context, matrices.heads
    if not heads:
        raise RequestError("there is no head to draw", "give one, as L3H1")
    with drawing_of(context):
        if len(heads) == 1:
            return OneHead(matrices, scale).figure()
        layers, across = {head.layer for head in heads}, {head.head for head in heads}
        complete = len(layers) > 1 and len(set(heads)) == len(layers) * len(across)
        full = complete and context.measured.per_head
        columns = len(across) if full else _columns(context, len(heads))
        if len(heads) > LABELLED_PANELS and full:
            return _overview(matrices, scale, columns)
        return _labelled(matrices, scale, columns)


class OneHead:
    """One head large; others of the same text may be drawn over it."""

    def __init__(self, matrices: Matrices, scale: Limits | None) -> None:
        context, (self._head,) = matrices.context, matrices.heads
        self._count = max(len(context.tokens), len(context.keys))
        largest = _LARGEST_SIDE if many_labelled(_LARGEST_SIDE / self._count) else _LONG_SIDE
        cell = max(_USUAL_SIDE / self._count, _SMALLEST_CELL)
        room = max(min(cell, _LARGEST_CELL, largest / self._count) * self._count, _SMALLEST_SIDE)
        self._panels = _Panels.of(matrices, scale, room, _ONE_HEADS_DOT)
        self.title = self._panels.heading()

    @property
    def _left(self) -> float:
        return MARGIN + _AXIS_TITLE + self._panels.rows.width + 0.1

    @property
    def _width(self) -> float:
        """The picture's width, but for a title that needs more."""
        return max(self._left + self._panels.wide + _BAR_ROOM + MARGIN, 4.0)

    def is_laid_out_as(self, other: "OneHead") -> bool:
        """Whether only the title, the matrix and its numbers differ."""
        own, its = self._panels, other._panels
        titles = max(self.title.width, other.title.width) + 2 * MARGIN
        return (
            own.context is its.context
            and own.limits == its.limits
            and own.arrows == its.arrows
            and self.title.notes == other.title.notes
            and titles <= self._width
        )

    def figure(self) -> Figure:
        """The picture."""
        panels, context, title = self._panels, self._panels.context, self.title
        rows, columns, left = panels.rows, panels.columns, self._left
        below = columns.height + _AXIS_TITLE + 0.1 + MARGIN
        top = MARGIN + title.height + 0.05
        width = max(self._width, title.width + 2 * MARGIN)
        picture = blank(width, top + panels.tall + below)
        title.draw(picture)
        axes = axes_at(picture, left, top, panels.wide, panels.tall)
        image = panels.draw(axes, self._head)
        label_rows(axes, rows)
        label_columns(axes, columns)
        notes = [f" ({labels.note})" if labels.note else "" for labels in (rows, columns)]
        axes.set_ylabel(axis_name(context, "query") + notes[0], labelpad=6)
        axes.set_xlabel(axis_name(context, "key") + notes[1], labelpad=6)
        _mark_pairs(axes, context)
        self._write_numbers(axes)
        bar = (left + panels.wide + 0.2, top, max(panels.tall, _SHORTEST_BAR))
        panels.color_bar(picture, image, bar)
        return picture

    def draw_over(self, picture: Figure) -> None:
        """Put this head in the place of another that is laid out as it is."""
        axes = picture.axes[0]
        axes.images[0].set_data(self._panels.pooled.weights[self._head])
        for text in list(axes.texts):
            text.remove()
        self._write_numbers(axes)
        title_of(picture).set_text(say(self.title.title))

    def _write_numbers(self, axes: Axes) -> None:
        if self._count > NUMBERED_UP_TO:
            return
        (weights,), measured = self._panels.pooled.weights.values(), self._panels.context.measured
        limits, size = self._panels.limits, 7.5 if max(weights.shape) > 8 else 9
        least = NUMBERED_FROM * (1 if measured.shares else limits[1])
        write_numbers(axes, weights, limits, least, measured.number, size)


def title_of(picture: Figure) -> Text:
    """The title among a picture's texts."""
    return next(text for text in picture.texts if text.get_text() == picture.get_suptitle())


def _labelled(matrices: Matrices, scale: Limits | None, columns: int) -> Figure:
    """Panels with a name over each, tokens labelled along the left and the lower edge."""
    heads = matrices.heads
    room = min(_panel_room(matrices.context), 12 / columns)
    panels = _Panels.of(matrices, scale, room, _SMALLEST_DOT)
    rows, keys = panels.rows.note, panels.columns.note
    notes = [rows]
    if rows != keys:
        notes = [rows.replace("token", "query"), keys.replace("token", "key")]
    below = panels.columns.height + _AXIS_TITLE + MARGIN - 0.2
    grid = _Grid(columns, (panels.rows.width, 0.25), (0.15, 0.33), below, _SHORTEST_BAR)
    picture, drawn = _draw_grid(panels, panels.heading(*notes), heads, grid)
    for place, (head, axes) in enumerate(zip(heads, drawn, strict=True)):
        axes.set_title(str(head), size=9, pad=3)
        if place % columns == 0:
            label_rows(axes, panels.rows)
        if place + columns >= len(heads):
            label_columns(axes, panels.columns)
    return picture


def _overview(matrices: Matrices, scale: Limits | None, columns: int) -> Figure:
    """Small panels, layers down and heads across, numbered along the upper and left edge."""
    heads = sorted(set(matrices.heads))
    panels = _Panels.of(matrices, scale, min(max(13 / columns, 0.5), 1.1), _SMALLEST_DOT)
    names = [say(f"layer {head.layer}") for head in heads[::columns]]
    grid = _Grid(columns, (widest(names, 8), 0.22), (0.06, 0.06), _AXIS_TITLE + MARGIN, 0)
    picture, drawn = _draw_grid(panels, panels.heading(), heads, grid)
    for place, (head, axes) in enumerate(zip(heads, drawn, strict=True)):
        row, column = divmod(place, columns)
        axes.spines[:].set_color(FAINT)
        if row == 0:
            axes.set_title(say(f"head {head.head}"), size=8, pad=3)
        if column == 0:
            name = axes.text(-0.08, 0.5, names[row], size=8, transform=axes.transAxes)
            name.set(ha="right", va="center")
    return picture


class _Grid(NamedTuple):
    """A grid's columns, and in inches the room for labels left and above, gaps, and the rest."""

    columns: int
    labels: tuple[float, float]
    gaps: tuple[float, float]
    below: float
    shortest_bar: float


def _draw_grid(
    panels: _Panels, title: Heading, heads: Sequence[HeadId], grid: _Grid
) -> tuple[Figure, list[Axes]]:
    """Draw the heads in a grid, with a title, the names of both axes, and one scale."""
    rows, (left, top) = math.ceil(len(heads) / grid.columns), grid.labels
    left, top = MARGIN + _AXIS_TITLE + left + 0.1, MARGIN + title.height + top
    across, down = panels.wide + grid.gaps[0], panels.tall + grid.gaps[1]
    right, bottom = left + grid.columns * across, top + rows * down
    picture = blank(max(right + _BAR_ROOM, title.width + 2 * MARGIN), bottom + grid.below)
    title.draw(picture)
    drawn = []
    for place, head in enumerate(heads):
        row, column = divmod(place, grid.columns)
        axes = axes_at(picture, left + column * across, top + row * down, panels.wide, panels.tall)
        image = panels.draw(axes, head)
        drawn.append(axes)
    width, height = picture.get_size_inches()
    middle, center = 1 - (top + bottom) / 2 / height, (left + right) / 2 / width
    queries, keys = axis_name(panels.context, "query"), axis_name(panels.context, "key")
    picture.supylabel(queries, x=MARGIN / width, y=middle, ha="left", size=10)
    picture.supxlabel(keys, x=center, y=MARGIN / height, va="bottom", size=10)
    bar = (right + 0.05, top, max(rows * down - grid.gaps[1], grid.shortest_bar))
    panels.color_bar(picture, image, bar)
    return picture, drawn


def _panel_room(context: Context) -> float:
    """How long a panel's side is, where there is room for all."""
    return min(max(max(len(context.tokens), len(context.keys)) * _SMALLEST_CELL, 1.2), 2.9)


def _columns(context: Context, panels: int) -> int:
    """Columns that make a grid of about 4 : 3 with few empty places."""
    wide, tall, _ = _sides(context, _panel_room(context), _SMALLEST_DOT)

    def cost(columns: int) -> float:
        rows = math.ceil(panels / columns)
        return columns * rows - panels + abs(math.log(columns * wide / (rows * tall) / (4 / 3)))

    return min(range(1, panels + 1), key=cost)


def _mark_pairs(axes: Axes, context: Context) -> None:
    """A thin line where the second sentence of a pair begins."""
    for tokens, line in ((context.tokens, axes.axhline), (context.keys, axes.axvline)):
        second = [token.index for token in tokens if token.segment]
        if second and second[0]:
            line(second[0] - 0.5, color=MUTED, linewidth=0.6, zorder=2.7)
