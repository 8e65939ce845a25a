"""What pictures of matrices are made of: the image, labels along its edges, and its colour bar."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from attnviz.show.figure.captions import TokenLabels
from attnviz.show.figure.drawing import (
    DPI,
    INK,
    MUTED,
    axes_at,
    ground,
    ink_on,
    signed_colors,
    weight_colors,
)
from attnviz.show.figure.language import say

_BAR_WIDTH, _BAR_HEIGHT, _NUMBERS_APART = 0.16, 4.0, 0.16


def whole_dots(side: float, cells: int) -> float:
    """The side of a panel whose cells all have the same whole number of dots."""
    return max(1, round(side * DPI / cells)) * cells / DPI


def draw_matrix(
    axes: Axes,
    numbers: np.ndarray,
    limits: tuple[float, float],
    signed: bool = False,
    edges: tuple[float, float] | None = None,
) -> AxesImage:
    """Draw numbers, (row, column), blue below 0 if `signed`; NaN shows the ground.

    `edges`: the right and the lower one, where cells stand for several tokens.
    """
    colors = signed_colors() if signed else weight_colors()
    right, bottom = edges or (numbers.shape[1] - 0.5, numbers.shape[0] - 0.5)
    image = DotImage(
        axes,
        cmap=colors,  # which leave NaN unpainted
        norm=Normalize(*limits),
        interpolation="nearest",
        extent=(-0.5, right, bottom, -0.5),
        zorder=2.6,  # over the frame, which would cover the first column of a long text
    )
    image.set_data(numbers)
    image.set_clip_path(axes.patch)
    axes.add_image(image)
    axes.set(xlim=(-0.5, right), ylim=(bottom, -0.5), xticks=[], yticks=[])
    if np.isnan(numbers).any():
        axes.set_facecolor(ground()[0])
    return image


def write_numbers(
    axes: Axes,
    numbers: np.ndarray,
    limits: tuple[float, float],
    least: float,
    told: Callable[[float], str],
    size: float,
    signed: bool = False,
    middle: Literal["center", "center_baseline"] = "center",
) -> None:
    """Write the numbers of at least this size, (row, column), in ink that their cells let see."""
    low, high = limits
    for row, column in np.argwhere(np.abs(numbers) >= least):  # not NaN
        number = float(numbers[row, column])
        strong = abs(number) > 0.6 * max(abs(low), abs(high))
        ink = ("white" if strong else INK) if signed else ink_on((number - low) / (high - low))
        text = axes.text(column, row, told(number), size=size, color=ink, zorder=3.1)
        text.set(ha="center", va=middle)


def short_share(share: float) -> str:
    """The size of a share in few letters: `.68`, `1.0`."""
    return "1.0" if abs(share) >= 0.995 else f"{abs(share):.2f}"[1:]


def label_rows(axes: Axes, labels: TokenLabels) -> None:
    """Write what rows stand for along the left edge."""
    axes.set_yticks(labels.places, labels.texts, size=labels.size)
    axes.tick_params(axis="y", length=2, width=0.6, pad=2, color=MUTED)
    for tick, color in zip(axes.get_yticklabels(), labels.colors, strict=True):
        tick.set_color(color)


def label_columns(axes: Axes, labels: TokenLabels) -> None:
    """Write what columns stand for below, slanted or upright."""
    axes.set_xticks(labels.places, labels.texts, size=labels.size)
    pad = 4 if labels.slanted else 2
    axes.tick_params(axis="x", length=2, width=0.6, pad=pad, color=MUTED)
    for tick, color in zip(axes.get_xticklabels(), labels.colors, strict=True):
        tick.set_color(color)
        if labels.slanted:
            tick.set(rotation=45, ha="right", rotation_mode="anchor", va="center")
        else:
            tick.set(rotation=90)


def color_bar(
    figure: Figure,
    image: AxesImage,
    name: str,
    place: tuple[float, float, float],
    ends: tuple[float, float],
) -> None:
    """The image's scale, at `place`: left, top, and the height of what it stands beside.

    `ends`: the smallest and the largest number shown; where one lies beyond the scale, an arrow.
    """
    left, top, side = place
    axes = axes_at(figure, left, top, _BAR_WIDTH, min(side, _BAR_HEIGHT))
    lowest, highest = image.get_clim()
    steps = MaxNLocator(5).tick_values(lowest, highest)
    room = max(0.06, _NUMBERS_APART / min(side, _BAR_HEIGHT)) * (highest - lowest)
    values = [lowest, *(n for n in steps if lowest + room < n < highest - room), highest]
    beyond = {(True, True): "both", (True, False): "min", (False, True): "max"}
    extend = beyond.get((ends[0] < lowest, ends[1] > highest), "neither")
    bar = figure.colorbar(image, cax=axes, extend=extend)
    bar.set_ticks(values, labels=[_bar_number(value, lowest < 0) for value in values])
    bar.set_label(say(name), size=9)
    bar.ax.tick_params(length=2, width=0.6, labelsize=8, color=MUTED)


def ends_of(numbers: Iterable[np.ndarray]) -> tuple[float, float]:
    """The smallest and the largest number, NaN aside; 0 where there is none."""
    ends = [
        (float(np.nanmin(one)), float(np.nanmax(one))) for one in numbers if np.isfinite(one).any()
    ]
    return min((low for low, _ in ends), default=0.0), max((high for _, high in ends), default=0.0)


def _bar_number(value: float, signed: bool) -> str:
    sign = ("−" if value < 0 else "+") if signed and value else ""
    size = abs(value)
    return sign + (f"{size:.2g}" if size < 100 else f"{size:.0f}")


class DotImage(AxesImage):
    """An image whose cells become dots by repetition, for Agg: matplotlib would enlarge numbers and
    masks, and give each dot its colour, in five times the time and, for 512 tokens, some 200 MB.
    """

    def draw(self, renderer: Any) -> None:
        """Draw the image, as every artist does."""
        if not isinstance(renderer, RendererAgg):
            super().draw(renderer)
            return
        numbers: Any = self.get_array()
        colors = self.to_rgba(numbers, bytes=True)[::-1]  # Agg counts dots from below
        left, low, right, high = self.get_window_extent(renderer).extents
        down, across = _cells(low, high, colors.shape[0]), _cells(left, right, colors.shape[1])
        context: Any = renderer.new_gc()
        context.set_clip_rectangle(self.axes.bbox)
        dots = np.take(np.take(colors, down, axis=0), across, axis=1)
        renderer.draw_image(context, round(left), round(low), dots)
        context.restore()


def _cells(start: float, end: float, count: int) -> np.ndarray:
    """The cell, of so many, in which the middle of each dot between two edges lies."""
    dots = np.arange(round(start), round(end)) + 0.5
    places = (dots - start) * (count / (end - start))
    cells: np.ndarray = np.clip(places.astype(int), 0, count - 1)
    return cells
