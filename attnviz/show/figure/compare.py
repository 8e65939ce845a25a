"""Two sentences or models as heatmaps side by side, and B − A; absent words are hatched."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from attnviz.answers.align import SIDES, Alignment, Column, Side
from attnviz.answers.compare import Both, Comparison
from attnviz.errors import RequestError
from attnviz.inspection import Context, HeadId
from attnviz.inspection.context import Role
from attnviz.show.figure.captions import (
    Heading,
    TokenLabels,
    axis_name,
    ground_note,
    heading,
    label,
    labels_for,
    measure_notes,
    quoted,
)
from attnviz.show.figure.drawing import (
    DPI,
    INK,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing,
)
from attnviz.show.figure.fonts import font_families, texts_of
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import (
    color_bar,
    draw_matrix,
    ends_of,
    label_columns,
    label_rows,
    short_share,
    whole_dots,
    write_numbers,
)
from attnviz.show.forms import Limits
from attnviz.show.labels import aligned_names, names, visible
from attnviz.show.wording import PURPOSE, alike_told, texts, unknown_legend, whose

NUMBERED_UP_TO = 20  # words up to which numbers are written into cells
NUMBERED_FROM = 0.1  # shares and changes from here on are written; in the query's row from half
_USUAL_CELL, _SMALLEST_CELL, _SMALLEST_SIDE, _LARGEST_SIDE = 0.31, 0.115, 2.2, 9.0
_AXIS_TITLE, _TITLE, _GAP, _BAR_ROOM = 0.3, 0.28, 0.2, 1.0
_HATCHED: dict[str, Any] = {"facecolor": "#f3f3f5", "edgecolor": "#b9b9c0", "hatch": "////"}


@dataclass(frozen=True, eq=False)
class _Panel:
    """Numbers, (row, column), NaN where masked, and in rows and columns of `absent` words."""

    numbers: np.ndarray
    absent: tuple[set[int], set[int]]

    @property
    def masked(self) -> bool:
        """Whether a query may not look at some word that is there."""
        rows, columns = self.absent
        there = np.delete(np.delete(self.numbers, sorted(rows), 0), sorted(columns), 1)
        return bool(np.isnan(there).any())


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What is drawn of A and of B. `marked`: the query's row, where rows are words."""

    rows: tuple[str, ...]
    row_colors: tuple[str, ...]
    row_axis: str
    a: _Panel
    b: _Panel
    marked: int | None

    @classmethod
    def of(cls, comparison: Comparison, heads: Sequence[HeadId]) -> "_Sheet":
        """One head's matrices, or the query's rows in several heads, most changed first."""
        words = comparison.alignment
        if len(heads) == 1:
            a, b = (
                _Panel(matrix, (_absent(words.columns, side), _absent(words.keys, side)))
                for side, matrix in zip(SIDES, comparison.matrices[heads[0]], strict=True)
            )
            rows = aligned_names(words, "query")
            colors = tuple(MUTED if column.special else INK for column in words.columns)
            return cls(rows, colors, axis_name(words.a, "query"), a, b, comparison.query)
        shown = [change for change in comparison.heads if change.head in set(heads)]
        panels = []
        for side in SIDES:
            sees = {layer: getattr(both, side) for layer, both in comparison.sees.items()}
            numbers = [
                np.where(sees[change.head.layer], getattr(change, side), np.float32(np.nan))
                for change in shown
            ]
            panels.append(_Panel(np.stack(numbers), (set(), _absent(words.keys, side))))
        rows = tuple(str(change.head) for change in shown)
        axis = f"{words.a.places}, the most changed first"
        a, b = panels
        return cls(rows, (INK,) * len(rows), axis, a, b, None)

    @property
    def change(self) -> _Panel:
        """B minus A; what is masked in only one of the two counts as 0 there."""
        rows, columns = (a | b for a, b in zip(self.a.absent, self.b.absent, strict=True))
        a, b = self.a.numbers, self.b.numbers
        change = np.nan_to_num(b) - np.nan_to_num(a)
        change[np.isnan(a) & np.isnan(b)] = np.nan
        change[sorted(rows)] = np.nan
        change[:, sorted(columns)] = np.nan
        return _Panel(change, (rows, columns))


def _absent(columns: Sequence[Column], side: Side) -> set[int]:
    """The places of words that one side lacks."""
    return {place for place, column in enumerate(columns) if column.token(side) is None}


def figure(
    answer: Comparison,
    top: int | None = None,
    scale: Limits | None = None,
    heads: Sequence[HeadId] | None = None,
) -> Figure:
    """A, B and B − A: of one head, or for one query of several heads, a row each.

    Without `heads`: the most changed head whose matrices were kept; else, for a query, the `top`
    heads. A `scale` is that of A and B; the change has its range, below 0 and above. Raises
    RequestError, which says which heads can be drawn.
    """
    if heads is None:
        compared = [change.head for change in answer.heads]
        heads = compared[:1] if compared[0] in answer.matrices else compared[:top]
    if not heads:
        raise RequestError("there is no head to draw", "give one, as L3H1")
    missing = set(heads) - {change.head for change in answer.heads}
    if missing:
        raise RequestError(
            f"{min(missing)} was not compared", f"compare it too, or draw {answer.heads[0].head}"
        )
    if len(heads) > 1 and answer.query is None:
        raise RequestError(
            f"{len(heads)} heads are to be compared in one picture, which has room for one",
            "choose one head, or a word with --query: then each head has a row",
        )
    words = answer.alignment
    count, most = max(len(words.columns), len(words.keys)), int(_LARGEST_SIDE * DPI / 2)
    if count > most:  # even two dots for each word would not fit
        raise RequestError(
            f"the two texts have {count} different places for words, and a picture of both has "
            f"room for {most}",
            "choose a part of them, as in --window 0:400",
        )
    if len(heads) == 1 and heads[0] not in answer.matrices:
        raise RequestError(
            f"the whole matrices of {heads[0]} were not kept",
            f"compare with matrices_of=[{heads[0]!r}]",
        )
    shown = [text for side in SIDES for text in texts_of(words.context(side))]
    with drawing(font_families([*shown, "→−"]).families):
        return _drawn(answer, heads, _Sheet.of(answer, heads), scale)


def _drawn(
    comparison: Comparison, heads: Sequence[HeadId], sheet: _Sheet, scale: Limits | None
) -> Figure:
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
    picture = blank(width, top + tall + below)
    title.draw(picture)
    change = sheet.change
    largest = float(np.nanmax([sheet.a.numbers, sheet.b.numbers])) or 1.0
    most = float(np.nanmax(np.abs(change.numbers), initial=0.0)) or 1.0
    limits = scale or (0.0, largest)
    most = most if scale is None else scale[1] - scale[0]
    panels = [(sheet.a, limits), (sheet.b, limits), (change, (-most, most))]
    numbers = [panel.numbers for panel, _ in panels]
    names = [*(_panel_name(aligned, which) for which in SIDES), "change: B − A"]
    for place, (panel, limits) in enumerate(panels):
        axes = axes_at(picture, lefts[place], top, side, tall)
        axes.set_title(say(names[place]), size=11, pad=6)
        image = _draw(axes, panel, limits, signed=place == 2)
        label_columns(axes, columns[place])
        axes.set_xlabel(axis_name(aligned.a, "key"))
        axes.xaxis.set_label_coords(0.5, -(below - _AXIS_TITLE - MARGIN) / tall)
        if place == 0:
            label_rows(axes, rows)
            axes.set_ylabel(say(sheet.row_axis), labelpad=6)
        _mark(axes, sheet, comparison.key)
        if across <= NUMBERED_UP_TO:
            _write_numbers(axes, panel.numbers, limits, sheet.marked, signed=place == 2)
        if place:
            shares, quantity = aligned.a.measured.shares, aligned.a.measured.quantity
            name = "change" if place == 2 else quantity if shares else "share of the row"
            at = lefts[place] + side + 0.12, top, tall
            shown = numbers[:2] if place == 1 else numbers[2:]
            color_bar(picture, image, name, at, ends_of(shown))
    return picture


def _length(cells: int, smallest: float = _SMALLEST_SIDE) -> float:
    """How long the side of a panel is: a few cells large, many as small as can be labelled."""
    usual = min(cells * _USUAL_CELL, NUMBERED_UP_TO * _USUAL_CELL * 0.75)
    return min(max(usual, cells * _SMALLEST_CELL, smallest), _LARGEST_SIDE)


def _draw(axes: Axes, panel: _Panel, limits: Limits, signed: bool) -> AxesImage:
    """The matrix, hatched where a word is absent, grey where a query may not look."""
    numbers = panel.numbers
    down, across = numbers.shape
    style: dict[str, Any] = {**_HATCHED, "linewidth": 0, "zorder": 2.5}
    rows, columns = panel.absent
    for column in sorted(columns):
        axes.add_patch(Rectangle((column - 0.5, -0.5), 1, down, **style))
    for row in sorted(rows):
        axes.add_patch(Rectangle((-0.5, row - 0.5), across, 1, **style))
    return draw_matrix(axes, numbers, limits, signed)


def _mark(axes: Axes, sheet: _Sheet, key: int | None) -> None:
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
    axes: Axes, numbers: np.ndarray, limits: Limits, marked: int | None, signed: bool
) -> None:
    """The larger numbers, in the query's row if there is one."""
    least = NUMBERED_FROM if marked is None else NUMBERED_FROM / 2
    if marked is not None:
        rows = np.arange(len(numbers))[:, None]
        numbers = np.where(rows == marked, numbers, np.nan)

    def told(number: float) -> str:
        sign = "" if not signed else "+" if number > 0 else "−"
        return sign + short_share(number)

    write_numbers(axes, numbers, limits, least, told, 8, signed)


def _heading(
    comparison: Comparison,
    heads: Sequence[HeadId],
    sheet: _Sheet,
    labels: tuple[TokenLabels, TokenLabels],
) -> Heading:
    """Model and head, both sentences, the distance, and what must be known."""
    a, b = comparison.alignment.a, comparison.alignment.b
    query = None
    if comparison.query is not None:
        query = comparison.alignment.pair(comparison.query)[0].index
    notes = [alike_told(comparison.alignment), _distance_note(comparison, heads)]
    notes += _share_notes(comparison, heads)
    of_a, of_b = unknown_legend(a), unknown_legend(b)
    if of_a != of_b:  # else the heading of A has it
        notes += [f"{side}: {told}" for side, told in (("A", of_a), ("B", of_b)) if told]
    if any(any(panel.absent) for panel in (sheet.a, sheet.b)):
        notes.append("hatched: a word that is not in the sentence")
    rows, columns = labels
    notes += [columns.note, rows.note][: 1 if rows.step == columns.step else 2]
    grey = ground_note(sheet.a.masked or sheet.b.masked)
    whole = heading(a, heads, None, notes, query, grey)
    title, said = whole.title, whole.notes
    if of_a != of_b:
        said = tuple(note for note in said if note != of_a)
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
    """The notes on A and on B, once where they are the same."""
    layers = [head.layer for head in heads]
    sides = [(whose(side, layers), *measure_notes(side)) for side in (a, b)]
    for of_a, of_b in zip(*sides, strict=True):
        if of_a == of_b:
            yield of_a
        else:
            yield from (f"{name}: {said}" for name, said in (("A", of_a), ("B", of_b)) if said)
    yield PURPOSE if a.is_cross_attention else ""
    yield legend


def _share_notes(comparison: Comparison, heads: Sequence[HeadId]) -> Iterator[str]:
    """What is not in the cells: sums of rows, special tokens left out, the sink."""
    context = comparison.alignment.a
    if not context.measured.shares:
        yield "each row is divided by its sum, so that the two can be compared"
    shown = [change for change in comparison.heads if change.head in set(heads)]
    dropped = Both.mean([change.dropped for change in shown])
    if dropped is not None:
        yield (
            f"special tokens left out: they held {dropped.a:.0%} of what is compared in A, "
            f"{dropped.b:.0%} in B"
        )
    rest = Both.mean([change.rest for change in shown])
    if rest is not None:
        where = ["the model's sink"] if context.measured.sinks else []
        if context.window is not None and not context.is_cross_attention:
            where.append("words outside the window")
        yield f"{rest.a:.0%} in A and {rest.b:.0%} in B goes to {' or '.join(where)}"


def _distance_note(comparison: Comparison, heads: Sequence[HeadId]) -> str:
    """How far apart the two are in the one head that is drawn."""
    if len(heads) > 1:
        return ""
    [change] = [change for change in comparison.heads if change.head == heads[0]]
    if comparison.query is None:
        who, how = "words look at", "mean Jensen-Shannon distance"
    else:
        word = label(aligned_names(comparison.alignment, "query")[comparison.query])
        who, how = f"{word} looks at", "Jensen-Shannon distance"
    return f"{how} between what {who} in A and B: {change.distance:.2f}"


def _column_labels(aligned: Alignment, side: Side | None, room: float) -> TokenLabels:
    """What columns stand for in A, in B, or in both; absent words are muted."""
    tokens = [None if side is None else column.token(side) for column in aligned.keys]
    both = list(zip(aligned.keys, tokens, strict=True))
    shown = list(aligned_names(aligned, "key"))
    if side is not None:
        own = names(aligned.context(side), "key")
        shown = [shown[i] if t is None else own[t.index] for i, t in enumerate(tokens)]
    quiet = [column.special or (side is not None and token is None) for column, token in both]
    return labels_for(shown, [MUTED if one else INK for one in quiet], room)


def _panel_name(aligned: Alignment, side: Side) -> str:
    """`A`, and the words that only this side has, or its model."""
    roles: tuple[Role, ...] = ("key", "query") if aligned.a.is_cross_attention else ("query",)
    own = []
    for role in roles:
        called = names(aligned.context(side), role)
        tokens = (column.token(side) for column in aligned.of(role) if not column.same)
        own += [called[token.index] for token in tokens if token is not None]
    words = " ".join(own)
    if aligned.a.model != aligned.b.model:
        words = visible(aligned.context(side).model.title)
    return f"{side.upper()}: {label(words)}" if words else side.upper()
