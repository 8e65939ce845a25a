"""Vectors and matrices as pictures: numbers as cells, coloured by sign and size."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attnviz.show.figure.drawing import DPI, FAINT, INK, MUTED, axes_at, signed_colors

FULL_FROM = 99
"""The percentile of the sizes from which on numbers have the strongest colour: few are far out."""


@dataclass(frozen=True)
class Place:
    """Where a part of a picture stands, in inches from the figure's upper left corner."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height

    @property
    def middle(self) -> float:
        """How far down its middle lies."""
        return self.top + self.height / 2


def full_size(values: np.ndarray) -> float:
    """The size from which on numbers have the strongest colour."""
    return float(np.percentile(np.abs(values), FULL_FROM)) or 1.0


def cells(figure: Figure, place: Place, values: np.ndarray, full: float) -> AxesImage:
    """A matrix, (rows, columns), or a vector as one row: a cell a number, blue below 0.

    Where there are more numbers than dots, those that share one are averaged.
    """
    axes = axes_at(figure, place.left, place.top, place.width, place.height)
    rows = np.atleast_2d(values)
    crowded = rows.shape[0] > place.height * DPI or rows.shape[1] > place.width * DPI
    image = axes.imshow(
        rows,
        cmap=signed_colors(),
        vmin=-full,
        vmax=full,
        aspect="auto",
        interpolation="antialiased" if crowded else "nearest",
    )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set(color=FAINT, linewidth=0.6)
    return image


def bars(figure: Figure, place: Place, values: np.ndarray, colors: Sequence[object]) -> Axes:
    """A bar a number, one below the other, from 0 to the left or to the right."""
    axes = axes_at(figure, place.left, place.top, place.width, place.height)
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    axes.barh(range(len(values)), values, height=0.66, color=colors, linewidth=0)
    axes.set(xlim=(low, high or 1.0), ylim=(len(values) - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    return axes


def write(
    figure: Figure,
    at: tuple[float, float],
    text: str,
    size: float = 9.0,
    color: str = INK,
    **style: Any,
) -> None:
    """Words at a place in inches from the upper left corner, on their upper left corner."""
    width, height = figure.get_size_inches()
    where = (at[0] / width, 1 - at[1] / height)
    figure.text(*where, text, size=size, color=color, **{"va": "top", **style})
