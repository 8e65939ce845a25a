"""A score, split: the query's parts down and the key's across, by layer; and the sums of layers."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnviz.answers.why import Why
from attnviz.show.figure.captions import Heading, TokenLabels, heading, label, labels_for
from attnviz.show.figure.drawing import INK, MARGIN, MUTED, axes_at, blank, drawing_of
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
from attnviz.show.why_wording import ends, groups, part_name, signed, summed

_CELL, _SMALLEST_SIDE, _LARGEST_SIDE = 0.12, 1.8, 8.0  # inches: a term, and the matrix of all
_SUM = 0.46  # a cell of the sums by layer, with its number
_AXIS_TITLE, _GAP, _BAR_ROOM = 0.3, 0.55, 1.05
NUMBERED_FROM = 0.02  # of the largest sum: those with their number written


def figure(answer: Why, top: int | None = None, scale: Limits | None = None) -> Figure:
    """All terms, and beside them their sums by layer; each with colours of its own, but for a
    `scale`, which is the terms'.
    """
    with drawing_of(answer.context):
        return _drawn(answer, scale)


def _drawn(e: Why, scale: Limits | None) -> Figure:
    sides = groups(e.query_parts), groups(e.key_parts)
    order = [[place for places in side.values() for place in places] for side in sides]
    terms, sums = e.ranked[np.ix_(*order)], summed(e, e.ranked)
    tall, wide = (_side(count) for count in terms.shape)
    rows, columns = (
        _labels([part_name(parts[place]) for place in places], side / len(places))
        for parts, places, side in zip(
            (e.query_parts, e.key_parts), order, (tall, wide), strict=True
        )
    )
    of_rows, of_columns = (_labels(list(side), _SUM) for side in sides)
    title = _heading(e, rows.step)
    left, top = MARGIN + _AXIS_TITLE + rows.width + 0.1, MARGIN + title.height
    beside = left + wide + _BAR_ROOM + _GAP + _AXIS_TITLE + of_rows.width
    small = (
        whole_dots(sums.shape[0] * _SUM, len(sums)),
        whole_dots(sums.shape[1] * _SUM, sums.shape[1]),
    )
    width = max(beside + small[1] + _BAR_ROOM, title.width + MARGIN) + MARGIN
    below = max(columns.height + tall, of_columns.height + small[0]) + _AXIS_TITLE + 0.1
    picture = blank(width, top + below + MARGIN)
    title.draw(picture)
    axes = axes_at(picture, left, top, wide, tall)
    limits = scale or _limits(terms)
    image = draw_matrix(axes, terms, limits, signed=True)
    _label(axes, rows, columns, e, tall)
    _between(axes, [list(map(len, side.values())) for side in sides])
    color_bar(picture, image, _what(e), (left + wide + 0.12, top, tall), ends_of([terms]))
    axes = axes_at(picture, beside, top, small[1], small[0])
    image = draw_matrix(axes, sums, _limits(sums), signed=True)
    _label(axes, of_rows, of_columns, e, small[0])
    least = NUMBERED_FROM * float(np.abs(sums).max())
    write_numbers(axes, sums, _limits(sums), least, signed, 8, signed=True)
    place = beside + small[1] + 0.12, top, small[0]
    color_bar(picture, image, "summed by layer", place, ends_of([sums]))
    return picture


def _side(count: int) -> float:
    """How long the matrix of all terms is, a whole number of dots a cell."""
    return whole_dots(min(max(count * _CELL, _SMALLEST_SIDE), _LARGEST_SIDE), count)


def _limits(numbers: np.ndarray) -> Limits:
    largest = float(np.abs(numbers).max()) or 1.0
    return -largest, largest


def _labels(parts: Sequence[str], room: float) -> TokenLabels:
    return labels_for([say(part) for part in parts], [INK] * len(parts), room)


def _label(axes: Axes, rows: TokenLabels, columns: TokenLabels, e: Why, tall: float) -> None:
    """The parts along the edges, and whose they are."""
    query, key = map(label, ends(e))
    label_rows(axes, rows)
    label_columns(axes, columns)
    axes.set_ylabel(say(f"parts of the query: {query}"), labelpad=6)
    axes.set_xlabel(say(f"parts of the key: {key}"))
    axes.xaxis.set_label_coords(0.5, -(columns.height + 0.15) / tall)


def _between(axes: Axes, counts: Sequence[Sequence[int]]) -> None:
    """Lines between the layers."""
    for sizes, draw in zip(counts, (axes.axhline, axes.axvline), strict=True):
        for end in np.cumsum(sizes)[:-1]:
            draw(float(end) - 0.5, color=MUTED, linewidth=0.5, zorder=3)


def _what(e: Why) -> str:
    return "excess over the other keys" if e.by_excess else "term"


def _heading(e: Why, step: int) -> Heading:
    """The head and both words, their score and weight, and what the cells are; one part of `step`
    is labelled.
    """
    notes = [f"score: {signed(e.score)}; weight: {e.weight:.3f}"]
    if e.others_score is not None:
        notes.append(f"score of the other keys on average: {signed(e.others_score)}")
    notes += [
        "each cell: a part of the query times a part of the key, scaled; they sum to the score",
        "norms held at their values; the sum is exact, and no experiment",
    ]
    if _what(e) != "term":
        notes[-2] = "each cell: a part of the query times a part of the key, less the other keys'"
    if step > 1:
        notes.append(f"one part of {step} is labelled")
    if e.position_bias is not None:
        notes.append(f"position bias, beside the cells: {signed(e.position_bias[0])}")
    return heading(e.context, [e.head], notes=notes, query=e.query.index, key=e.key.index)
