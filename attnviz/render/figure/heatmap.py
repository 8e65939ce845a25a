"""Attention as heatmaps: one head with its numbers, a layer's heads, or all heads of a model.

Rows are queries (who looks), columns are keys (what is looked at). All panels of a picture share
one scale from 0 to the largest weight shown, so that their colours can be compared.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attnviz.errors import RequestError
from attnviz.inspection import HeadId, View
from attnviz.measures import Measure
from attnviz.render.figure.captions import KEY_AXIS, QUERY_AXIS, heading, token_labels
from attnviz.render.figure.colors import weight_colors
from attnviz.render.figure.drawing import (
    DPI,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing_of,
    text_width,
)
from attnviz.render.figure.matrix import (
    color_bar,
    draw_matrix,
    label_columns,
    label_rows,
    whole_dots,
)

NUMBERED_UP_TO = 20
"""Tokens up to which one head's larger weights are written into their cells."""

NUMBERED_FROM = 0.1
"""Shares from here on are written into their cells; of other numbers, parts of the largest."""

LABELLED_PANELS = 16
"""Panels up to which each has its name over it and tokens are labelled at the grid's edge."""

_LARGEST_CELL, _SMALLEST_CELL, _USUAL_SIDE, _LARGEST_SIDE, _SMALLEST_SIDE = 0.9, 0.17, 6.0, 12, 1.6
_SMALLEST_DOT = 2  # pixels: one would vanish under the frame, and in a smaller view
_AXIS_TITLE = 0.3
_BAR_ROOM = 1.05


@dataclass(frozen=True, eq=False)
class _Panels:
    """What is drawn: each head's weights, pooled if they are too many for a panel's dots."""

    weights: dict[HeadId, np.ndarray]
    largest: float
    dropped: float | None
    pooled: int
    measured: Measure

    @property
    def numbered_from(self) -> float:
        """Numbers from here on are written into their cells."""
        return NUMBERED_FROM * (1 if self.measured.shares else self.largest)

    @property
    def note(self) -> str:
        if self.pooled == 1:
            return ""
        return f"each dot shows the largest of {self.pooled} × {self.pooled} numbers"


def heatmap(view: View, heads: Sequence[HeadId]) -> Figure:
    """One head large, or several as small multiples.

    The heads of a grid of layers and heads stand layers down, heads across; layers alone fold.
    Raises RequestError without a head.
    """
    if not heads:
        raise RequestError("there is no head to draw", "give one, as L3H1")
    with drawing_of(view):
        if len(heads) == 1:
            return _one_head(view, heads[0])
        layers, across = {head.layer for head in heads}, {head.head for head in heads}
        complete = len(layers) > 1 and len(set(heads)) == len(layers) * len(across)
        full = complete and view.measured.per_head
        columns = len(across) if full else _columns(len(heads))
        if len(heads) > LABELLED_PANELS and full:
            return _overview(view, sorted(set(heads)), columns)
        return _grid(view, heads, columns)


def _panels(view: View, heads: Sequence[HeadId], side: float) -> _Panels:
    """The weights of the heads, pooled to cells large enough for panels `side` inches wide."""
    step = math.ceil(len(view.tokens) * _SMALLEST_DOT / round(side * DPI))
    starts = np.arange(0, len(view.tokens), step)
    drawn: dict[HeadId, np.ndarray] = {}
    shares = []
    for stack in view.stacks(heads):
        weights = stack.weights
        if step > 1:  # the largest, since a mean would hide diagonals and single links
            rows = np.maximum.reduceat(weights, starts, axis=-2)
            weights = np.maximum.reduceat(rows, starts, axis=-1)
        drawn.update(zip(stack.heads, weights, strict=True))
        if stack.dropped is not None:
            shares.append(stack.dropped)
    largest = max(float(weights.max()) for weights in drawn.values())
    dropped = float(np.concatenate(shares).mean()) if shares else None
    return _Panels(drawn, largest or 1.0, dropped, step, view.measured)


def _one_head(view: View, head: HeadId) -> Figure:
    count = len(view.tokens)
    cell = min(max(_USUAL_SIDE / count, _SMALLEST_CELL), _LARGEST_CELL, _LARGEST_SIDE / count)
    side = whole_dots(max(cell * count, _SMALLEST_SIDE), count)
    panels = _panels(view, [head], side)
    labels = token_labels(view, side / count)
    title = heading(view, [head], panels.dropped, [panels.note])
    left = MARGIN + _AXIS_TITLE + labels.width + 0.1
    below = labels.height + _AXIS_TITLE + 0.1 + MARGIN
    width = max(left + side + _BAR_ROOM + MARGIN, title.width + 2 * MARGIN, 4.0)
    top = MARGIN + title.height + 0.05
    figure = blank(width, top + side + below)
    title.draw(figure)
    axes = axes_at(figure, left, top, side, side)
    image = _draw(axes, panels.weights[head], panels, count)
    label_rows(axes, labels)
    label_columns(axes, labels)
    note = f" ({labels.note})" if labels.note else ""
    axes.set_ylabel(QUERY_AXIS + note, labelpad=6)
    axes.set_xlabel(KEY_AXIS + note, labelpad=6)
    _mark_pair(axes, view)
    if count <= NUMBERED_UP_TO:
        _write_numbers(axes, panels)
    color_bar(figure, image, panels.measured.quantity, (left + side + 0.2, top, side))
    return figure


def _grid(view: View, heads: Sequence[HeadId], columns: int) -> Figure:
    """Panels with a name over each, tokens labelled along the left and the lower edge."""
    count, rows = len(view.tokens), math.ceil(len(heads) / columns)
    room = min(max(count * _SMALLEST_CELL, 1.2), 12 / columns, 2.9)
    panels = _panels(view, heads, room)
    side = whole_dots(room, math.ceil(count / panels.pooled))
    labels = token_labels(view, side / count)
    title = heading(view, heads, panels.dropped, [panels.note, labels.note])
    left = MARGIN + _AXIS_TITLE + labels.width + 0.1
    top = MARGIN + title.height + 0.25
    across, down = side + 0.15, side + 0.33
    width = max(left + columns * across + _BAR_ROOM, title.width + 2 * MARGIN)
    below = labels.height + _AXIS_TITLE + MARGIN
    figure = blank(width, top + rows * down - 0.2 + below)
    title.draw(figure)
    for place, head in enumerate(heads):
        row, column = divmod(place, columns)
        axes = axes_at(figure, left + column * across, top + row * down, side, side)
        image = _draw(axes, panels.weights[head], panels, count)
        axes.set_title(str(head), size=9, pad=3)
        if column == 0:
            label_rows(axes, labels)
        if place + columns >= len(heads):
            label_columns(axes, labels)
    _axis_titles(figure, left, left + columns * across, top, top + rows * down)
    height = rows * down - 0.33
    color_bar(
        figure, image, panels.measured.quantity, (left + columns * across + 0.05, top, height)
    )
    return figure


def _overview(view: View, heads: Sequence[HeadId], columns: int) -> Figure:
    """Small panels, layers down and heads across, numbered along the upper and left edge."""
    count, rows = len(view.tokens), len(heads) // columns
    room = min(max(13 / columns, 0.5), 1.1)
    panels = _panels(view, heads, room)
    side = whole_dots(room, math.ceil(count / panels.pooled))
    title = heading(view, heads, panels.dropped, [panels.note])
    names = [f"layer {head.layer}" for head in heads[::columns]]
    left = MARGIN + _AXIS_TITLE + max(text_width(name, 8) for name in names) + 0.1
    top = MARGIN + title.height + 0.22
    step = side + 0.06
    width = max(left + columns * step + _BAR_ROOM, title.width + 2 * MARGIN)
    figure = blank(width, top + rows * step + _AXIS_TITLE + MARGIN)
    title.draw(figure)
    for place, head in enumerate(heads):
        row, column = divmod(place, columns)
        axes = axes_at(figure, left + column * step, top + row * step, side, side)
        image = _draw(axes, panels.weights[head], panels, count)
        axes.spines[:].set_color(FAINT)
        if row == 0:
            axes.set_title(f"head {head.head}", size=8, pad=3)
        if column == 0:
            axes.text(
                -0.08, 0.5, names[row], size=8, ha="right", va="center", transform=axes.transAxes
            )
    _axis_titles(figure, left, left + columns * step, top, top + rows * step)
    color_bar(
        figure,
        image,
        panels.measured.quantity,
        (left + columns * step + 0.05, top, rows * step - 0.06),
    )
    return figure


def _columns(panels: int) -> int:
    """Columns that make a grid of about 4 : 3 with few empty places."""

    def cost(columns: int) -> float:
        rows = math.ceil(panels / columns)
        return columns * rows - panels + abs(math.log(columns / rows / (4 / 3)))

    return min(range(1, panels + 1), key=cost)


def _draw(axes: Axes, weights: np.ndarray, panels: _Panels, count: int) -> AxesImage:
    edge = len(weights) * panels.pooled - 0.5
    limits = (0.0, panels.largest)
    image = draw_matrix(axes, weights, weight_colors(), limits, (edge, edge))
    axes.set(xlim=(-0.5, count - 0.5), ylim=(count - 0.5, -0.5), xticks=[], yticks=[])
    return image


def _axis_titles(figure: Figure, left: float, right: float, top: float, bottom: float) -> None:
    """Name rows and columns for all panels at once."""
    width, height = figure.get_size_inches()
    figure.supylabel(
        QUERY_AXIS, x=MARGIN / width, y=1 - (top + bottom) / 2 / height, ha="left", size=10
    )
    figure.supxlabel(
        KEY_AXIS, x=(left + right) / 2 / width, y=MARGIN / height, va="bottom", size=10
    )


def _mark_pair(axes: Axes, view: View) -> None:
    """A thin line where the second sentence of a pair begins."""
    second = [token.index for token in view.tokens if token.segment]
    if second and second[0]:
        axes.axhline(second[0] - 0.5, color=MUTED, linewidth=0.6, zorder=2.7)
        axes.axvline(second[0] - 0.5, color=MUTED, linewidth=0.6, zorder=2.7)


def _write_numbers(axes: Axes, panels: _Panels) -> None:
    (weights,) = panels.weights.values()
    for query, key in np.argwhere(weights >= panels.numbered_from):
        weight = float(weights[query, key])
        color = "white" if weight > 0.45 * panels.largest else INK
        size = 7.5 if len(weights) > 8 else 9
        shown = panels.measured.number(weight)
        axes.text(key, query, shown, size=size, color=color, ha="center", va="center")
