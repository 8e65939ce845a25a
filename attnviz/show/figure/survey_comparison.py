"""The picture of two models over a corpus: how far apart all their heads are, and their roles."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnviz.answers.survey_comparison import BetweenHeads, RoleCount, SurveyComparison
from attnviz.errors import RequestError
from attnviz.inspection.context import HeadId
from attnviz.show.figure.captions import Heading
from attnviz.show.figure.drawing import (
    FAINT,
    INK,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing,
    ink_on,
    widest,
)
from attnviz.show.figure.fonts import font_families
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import color_bar, draw_matrix, ends_of
from attnviz.show.forms import Limits
from attnviz.show.labels import visible
from attnviz.show.wording import attention_of_both, read_in_both

CELL, SMALLEST_MAP, LARGEST_MAP = 0.07, 2.4, 7.0  # inches
ROW, BARS = 0.34, 1.8
COLORS = "#6a8fc7", "#d2495d"  # of A, and of B
_TEXT, _NUMBER = 9.0, 7.5
_AXIS, _BAR_ROOM, _GAP = 0.55, 0.95, 0.5


def figure(answer: SurveyComparison, top: int | None = None, scale: Limits | None = None) -> Figure:
    """All heads of A beside all of B, and how many heads have each role; `top` changes nothing.

    RequestError where no distance could be measured.
    """
    between = answer.between
    if between is None:
        raise RequestError(
            "there is no distance between heads to draw: no text is short enough in both models",
            "give a corpus of shorter texts",
        )
    shown = [answer.a.title, answer.b.title, *answer.corpus.files]
    with drawing(font_families(map(visible, shown)).families):
        heading = Heading(
            title=f"A {visible(answer.a.title)} · B {visible(answer.b.title)}",
            sentences=(),
            notes=(
                *attention_of_both(answer),
                read_in_both(answer),
                "○ assigned: each head once, all distances smallest",
            ),
        )
        longest = max(between.matrix.shape)
        cell = min(max(CELL, SMALLEST_MAP / longest), LARGEST_MAP / longest)
        tall, wide = (count * cell for count in between.matrix.shape)
        counts = [count for count in answer.counts if count.a or count.b]
        titles = [role.title for role in answer.roles if role.name in {one.name for one in counts}]
        names = widest(titles, _TEXT) + 0.15
        beside = MARGIN + _AXIS + wide + _BAR_ROOM + _GAP
        width = max(beside + names + BARS + 0.4, heading.width + 2 * MARGIN)
        under = max(tall, len(titles) * ROW) + 0.35
        picture = blank(width, MARGIN + heading.height + _AXIS + under + MARGIN)
        heading.draw(picture)
        upper = MARGIN + heading.height + _AXIS
        _map(picture, answer, between, (MARGIN + _AXIS, upper, wide, tall), scale)
        if counts:
            bars = axes_at(picture, beside + names, upper, BARS, len(titles) * ROW)
            _roles(bars, counts, titles)
        return picture


def _map(
    picture: Figure,
    answer: SurveyComparison,
    between: BetweenHeads,
    box: tuple[float, float, float, float],
    scale: Limits | None,
) -> None:
    """The distances, a line between layers, and a ring around heads that are assigned."""
    matrix = between.matrix
    axes = axes_at(picture, *box)
    ends = ends_of([matrix])
    image = draw_matrix(axes, matrix, scale or (0.0, max(ends[1], 1e-6)))
    size = 72 * box[2] / matrix.shape[1]
    rows, columns = between.assigned
    inks = [ink_on(number / image.get_clim()[1]) for number in matrix[rows, columns].tolist()]
    axes.scatter(columns, rows, s=(0.75 * size) ** 2, facecolors="none", edgecolors=inks,
                 linewidths=0.7, zorder=3)  # fmt: skip
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    for axis, heads, side in (("x", answer.heads_b, "B"), ("y", answer.heads_a, "A")):
        places, layers = _layers(heads)
        getattr(axes, f"set_{axis}ticks")(places, layers, size=_NUMBER)
        getattr(axes, f"set_{axis}label")(f"{side}: {say('layer')}", size=_TEXT, labelpad=3)
    for heads, line in ((answer.heads_b, axes.axvline), (answer.heads_a, axes.axhline)):
        for place in _borders(heads):
            line(place - 0.5, color=FAINT, linewidth=0.6, zorder=2.8)
    axes.tick_params(length=0, pad=2)
    left, top, wide, tall = box
    color_bar(picture, image, say("distance in bits"), (left + wide + 0.12, top, tall), ends)


def _borders(heads: tuple[HeadId, ...]) -> list[int]:
    """Where a layer begins, but for the first."""
    return [at for at in range(1, len(heads)) if heads[at].layer != heads[at - 1].layer]


def _layers(heads: tuple[HeadId, ...]) -> tuple[list[float], list[str]]:
    """The middle of each layer's places, and its name."""
    starts = [0, *_borders(heads), len(heads)]
    middles = [(first + end - 1) / 2 for first, end in pairwise(starts)]
    return middles, [str(heads[first].layer) for first in starts[:-1]]


def _roles(axes: Axes, counts: Sequence[RoleCount], titles: list[str]) -> None:
    """For each role a bar of A's heads, and one of B's."""
    places = np.arange(len(titles))
    for side, color, shift, name in zip((0, 1), COLORS, (-0.19, 0.19), "AB", strict=True):
        numbers = [(count.a, count.b)[side] for count in counts]
        axes.barh(places + shift, numbers, height=0.34, color=color, label=name)
        for place, number in zip(places + shift, numbers, strict=True):
            axes.annotate(str(number), (number, place), (3, 0), textcoords="offset points",
                          va="center", size=_NUMBER, color=INK if number else MUTED)  # fmt: skip
    axes.set_yticks(places, list(map(say, titles)), size=_TEXT)
    axes.set(ylim=(len(titles) - 0.5, -0.5), xticks=[])
    axes.set_title(say("heads that pass a test"), size=_TEXT, loc="left", weight="bold", pad=8)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0, pad=4)
    axes.legend(frameon=False, fontsize=_TEXT, loc="upper left", handlelength=1, ncols=2,
                bbox_to_anchor=(0.0, 0.0))  # fmt: skip
