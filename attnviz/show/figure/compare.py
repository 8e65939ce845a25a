"""Two sentences, or two models, as heatmaps side by side, and their difference.

One head: queries down, keys across. Several heads, of one query: a row for each head. Words that
one of the two lacks are hatched there, and so is their change: 0 would say that they were looked at
by nobody. What a query may not look at is grey.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from attnviz.answers.align import SIDES, Alignment, Side
from attnviz.answers.compare import Both, Comparison
from attnviz.errors import RequestError
from attnviz.inspection import Context, HeadId
from attnviz.show.figure.captions import (
    Heading,
    TokenLabels,
    axis_name,
    heading,
    label,
    labels_for,
    measure_notes,
    quoted,
)
from attnviz.show.figure.drawing import (
    BLANK,
    DPI,
    INK,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing,
    signed_colors,
    weight_colors,
)
from attnviz.show.figure.fonts import font_families, texts_of
from attnviz.show.figure.matrix import (
    color_bar,
    draw_matrix,
    label_columns,
    label_rows,
    whole_dots,
)
from attnviz.show.figure.sheets import Panel, Sheet, of_head, of_query
from attnviz.show.labels import visible
from attnviz.show.wording import MAY_NOT, PURPOSE, texts, whose

NUMBERED_UP_TO = 20
"""Words up to which numbers are written into cells."""

NUMBERED_FROM = 0.1
"""Shares and changes from here on are written; in the query's row those from half of it."""

_USUAL_CELL, _SMALLEST_CELL, _SMALLEST_SIDE, _LARGEST_SIDE = 0.31, 0.115, 2.2, 9.0
_AXIS_TITLE, _TITLE, _GAP, _BAR_ROOM = 0.3, 0.28, 0.2, 1.0
_ABSENT: dict[str, Any] = {
    "facecolor": "#f3f3f5",
    "edgecolor": "#b9b9c0",
    "hatch": "////",
    "linewidth": 0,
}


def compare_heatmaps(comparison: Comparison, heads: Sequence[HeadId]) -> Figure:
    """A, B and their difference, of one head or, for one query, of several heads.

    Raises RequestError without a head, for one that was not compared, for several heads without a
    query, and for long texts without a window.
    """
    if not heads:
        raise RequestError("there is no head to draw", "give one, as L3H1")
    missing = set(heads) - {change.head for change in comparison.heads}
    if missing:
        raise RequestError(
            f"{min(missing)} was not compared",
            f"compare it too, or draw {comparison.heads[0].head}",
        )
    if len(heads) > 1 and comparison.query is None:
        raise RequestError(
            f"{len(heads)} heads are to be compared in one picture, which has room for one",
            "choose one head, or a word with --query: then each head has a row",
        )
    _check_room(comparison.alignment)
    if len(heads) == 1 and heads[0] not in comparison.matrices:
        raise RequestError(
            f"the whole matrices of {heads[0]} were not kept",
            f"compare again, with matrices_of=[HeadId{tuple(heads[0])}]",
        )
    with _drawing(comparison.alignment):
        if len(heads) == 1 or comparison.query is None:
            sheet = of_head(comparison, heads[0])
        else:
            sheet = of_query(comparison, heads)
        return _drawn(comparison, heads, sheet)


def _check_room(aligned: Alignment) -> None:
    """RequestError where there are so many words that even two dots each would not fit."""
    count, most = max(len(aligned.columns), len(aligned.keys)), int(_LARGEST_SIDE * DPI / 2)
    if count > most:
        raise RequestError(
            f"the two texts have {count} different places for words, and a picture of both has "
            f"room for {most}",
            "choose a part of them, as in --window 0:400",
        )


@contextmanager
def _drawing(aligned: Alignment) -> Iterator[None]:
    """`drawing` with the fonts that both sides need."""
    shown = [text for side in SIDES for text in texts_of(aligned.context(side))]
    with drawing(font_families([*shown, "→−"]).families):
        yield


def _drawn(comparison: Comparison, heads: Sequence[HeadId], sheet: Sheet) -> Figure:
    aligned = comparison.alignment
    down, across = sheet.a.numbers.shape
    side = whole_dots(_length(across), across)
    tall = side if down == across else whole_dots(_length(down, smallest=0.4), down)
    rows = labels_for(sheet.rows, sheet.row_colors, tall / down)
    columns = [_column_labels(aligned, which, side / across) for which in (*SIDES, None)]
    title = _heading(comparison, heads, sheet, (rows, columns[0]))
    left = MARGIN + _AXIS_TITLE + rows.width + 0.1
    top = MARGIN + title.height + _TITLE
    lefts = [left, left + side + _GAP]
    lefts.append(lefts[1] + side + _BAR_ROOM + _GAP)
    below = max(names.height for names in columns) + _AXIS_TITLE + 0.1 + MARGIN
    width = max(lefts[2] + side + _BAR_ROOM + MARGIN, title.width + 2 * MARGIN)
    figure = blank(width, top + tall + below)
    title.draw(figure)
    change = sheet.change
    largest = float(np.nanmax([sheet.a.numbers, sheet.b.numbers])) or 1.0
    most = float(np.nanmax(np.abs(change.numbers), initial=0.0)) or 1.0
    panels = [(sheet.a, (0.0, largest)), (sheet.b, (0.0, largest)), (change, (-most, most))]
    names = [*(_panel_name(aligned, which) for which in SIDES), "change: B − A"]
    for place, (panel, limits) in enumerate(panels):
        axes = axes_at(figure, lefts[place], top, side, tall)
        axes.set_title(names[place], size=11, pad=6)
        image = _draw(axes, panel, limits)
        label_columns(axes, columns[place])
        axes.set_xlabel(axis_name(aligned.a, "key"))
        axes.xaxis.set_label_coords(0.5, -(below - _AXIS_TITLE - MARGIN) / tall)
        if place == 0:
            label_rows(axes, rows)
            axes.set_ylabel(sheet.row_axis, labelpad=6)
        _mark(axes, sheet, comparison.key)
        if across <= NUMBERED_UP_TO:
            _write_numbers(axes, panel.numbers, limits, sheet.marked)
        if place:
            shares, quantity = aligned.a.measured.shares, aligned.a.measured.quantity
            name = "change" if place == 2 else quantity if shares else "share of the row"
            color_bar(figure, image, name, (lefts[place] + side + 0.12, top, tall))
    return figure


def _length(cells: int, smallest: float = _SMALLEST_SIDE) -> float:
    """How long the side of a panel is: a few cells large, many as small as can be labelled."""
    usual = min(cells * _USUAL_CELL, NUMBERED_UP_TO * _USUAL_CELL * 0.75)
    return min(max(usual, cells * _SMALLEST_CELL, smallest), _LARGEST_SIDE)


def _draw(axes: Axes, panel: Panel, limits: tuple[float, float]) -> AxesImage:
    """The matrix, hatched where a word is absent, grey where a query may not look."""
    numbers = panel.numbers
    down, across = numbers.shape
    colors = signed_colors() if limits[0] < 0 else weight_colors()
    style: dict[str, Any] = {**_ABSENT, "zorder": 2.5}
    rows, columns = panel.absent
    for column in sorted(columns):
        axes.add_patch(Rectangle((column - 0.5, -0.5), 1, down, **style))
    for row in sorted(rows):
        axes.add_patch(Rectangle((-0.5, row - 0.5), across, 1, **style))
    if panel.masked:
        axes.set_facecolor(BLANK)
    clear = colors.with_extremes(bad=(0, 0, 0, 0))
    image = draw_matrix(axes, numbers, clear, limits, (across - 0.5, down - 0.5))
    axes.set(xlim=(-0.5, across - 0.5), ylim=(down - 0.5, -0.5), xticks=[], yticks=[])
    return image


def _mark(axes: Axes, sheet: Sheet, key: int | None) -> None:
    """A frame around the query's row, and around the key's column, or around their link."""
    down, across = sheet.a.numbers.shape
    frames = []
    if sheet.marked is not None:
        frames.append(((-0.5, sheet.marked - 0.5), across, 1, 1.2))
    if key is not None and sheet.marked is not None:
        frames.append(((key - 0.5, sheet.marked - 0.5), 1, 1, 2.4))
    elif key is not None:
        frames.append(((key - 0.5, -0.5), 1, down, 1.2))
    for corner, wide, high, line in frames:
        frame = Rectangle(corner, wide, high, fill=False, edgecolor=INK, linewidth=line, zorder=3)
        frame.set_clip_on(False)
        axes.add_patch(frame)


def _write_numbers(
    axes: Axes, numbers: np.ndarray, limits: tuple[float, float], marked: int | None
) -> None:
    """The larger numbers, in the query's row if there is one."""
    least = NUMBERED_FROM if marked is None else NUMBERED_FROM / 2
    for row, column in np.argwhere(np.abs(np.nan_to_num(numbers)) >= least):
        if marked is not None and row != marked:
            continue
        number = float(numbers[row, column])
        sign = "" if limits[0] == 0 else "+" if number > 0 else "−"
        size = abs(number)
        shown = "1.0" if size >= 0.995 else f"{size:.2f}"[1:]
        dark = size > (0.45 if limits[0] == 0 else 0.6) * limits[1]
        style: dict[str, Any] = {"color": "white" if dark else INK, "ha": "center", "va": "center"}
        axes.text(column, row, sign + shown, size=8, zorder=3.1, **style)


def _heading(
    comparison: Comparison,
    heads: Sequence[HeadId],
    sheet: Sheet,
    labels: tuple[TokenLabels, TokenLabels],
) -> Heading:
    """Model and head, both sentences, the distance, and what must be known."""
    a, b = comparison.alignment.a, comparison.alignment.b
    query = None
    if comparison.query is not None:
        query = comparison.alignment.pair(comparison.query)[0].index
    notes = [_distance_note(comparison, heads), *_share_notes(comparison, heads)]
    if any(any(panel.absent) for panel in (sheet.a, sheet.b)):
        notes.append("hatched: a word that is not in the sentence")
    rows, columns = labels
    notes += [columns.note, rows.note][: 1 if rows.step == columns.step else 2]
    grey = f"grey: {MAY_NOT}" if sheet.a.masked or sheet.b.masked else ""
    whole = heading(a, heads, None, notes, query, grey)
    title, said = whole.title, whole.notes
    if a.model != b.model:
        named = f"A: {visible(a.model.title)} · B: {visible(b.model.title)}"
        title = named + title.removeprefix(visible(a.model.title))
        said = (*_of_two_models(a, b, heads, grey), *notes)
    sentences = tuple(
        f"{side.upper()}  {quoted(text)}"
        for side in SIDES
        for text in texts(comparison.alignment.context(side))
    )
    return replace(whole, title=title, sentences=sentences, notes=tuple(filter(None, said)))


def _of_two_models(a: Context, b: Context, heads: Sequence[HeadId], legend: str) -> Iterator[str]:
    """What stands in the notes of A and of B, once where it is the same."""
    layers = [head.layer for head in heads]
    sides = [(whose(side, layers), *measure_notes(side)) for side in (a, b)]
    for one, other in zip(*sides, strict=True):
        if one == other:
            yield one
        else:
            yield from (f"{name}: {told}" for name, told in (("A", one), ("B", other)) if told)
    yield PURPOSE if a.is_cross_attention else ""
    yield legend


def _share_notes(comparison: Comparison, heads: Sequence[HeadId]) -> Iterator[str]:
    """What is not in the cells: sums of rows, special tokens left out, the sink."""
    view = comparison.alignment.a
    if not view.measured.shares:
        yield "each row is divided by its sum, so that the two can be compared"
    shown = [change for change in comparison.heads if change.head in set(heads)]
    dropped = _means([change.dropped for change in shown])
    if dropped:
        yield (
            f"special tokens left out: they held {dropped[0]:.0%} of what is compared in A, "
            f"{dropped[1]:.0%} in B"
        )
    rest = _means([change.rest for change in shown])
    if rest:
        where = ["the model's sink"] if view.measured.sinks else []
        where += (
            [] if view.window is None or view.is_cross_attention else ["words outside the window"]
        )
        yield f"{rest[0]:.0%} in A and {rest[1]:.0%} in B goes to {' or '.join(where)}"


def _means(found: Sequence[Both | None]) -> tuple[float, float] | None:
    """The means of A's numbers and of B's, if there are any."""
    both = [one for one in found if one is not None]
    if not both:
        return None
    return sum(one.a for one in both) / len(both), sum(one.b for one in both) / len(both)


def _distance_note(comparison: Comparison, heads: Sequence[HeadId]) -> str:
    """How far apart the two are in the one head that is drawn."""
    if len(heads) > 1:
        return ""
    [change] = [change for change in comparison.heads if change.head == heads[0]]
    if comparison.query is None:
        who, how = "words look at", "mean Jensen-Shannon distance"
    else:
        word = label(comparison.alignment.columns[comparison.query].label)
        who, how = f"{word} looks at", "Jensen-Shannon distance"
    return f"{how} between what {who} in A and B: {change.distance:.2f}"


def _column_labels(aligned: Alignment, side: Side | None, room: float) -> TokenLabels:
    """What columns stand for in A, in B, or in both; absent words are muted."""
    shown, colors = [], []
    for column in aligned.keys:
        token = None if side is None else column.token(side)
        own = column.label if token is None else token.label
        absent = (side is not None and token is None) or column.special
        shown.append(own)
        colors.append(MUTED if absent else INK)
    return labels_for(shown, colors, room)


def _panel_name(aligned: Alignment, side: Side) -> str:
    """`A`, and the words that only this side has, or its model."""
    every = (*aligned.keys, *aligned.columns) if aligned.a.is_cross_attention else aligned.columns
    own = [column.token(side) for column in every if not column.same]
    words = " ".join(token.label for token in own if token is not None)
    if aligned.a.model != aligned.b.model:
        words = aligned.context(side).model.title
    return f"{side.upper()}: {label(words)}" if words else side.upper()
