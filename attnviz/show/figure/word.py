"""One word in all heads: a block a layer, in it a row a head, and a column for each other word."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnviz.answers.matrices import RowShares
from attnviz.answers.word import Word
from attnviz.inspection import HeadId
from attnviz.show.figure.captions import (
    SMALLEST_FONT,
    Heading,
    TokenLabels,
    axis_name,
    ground_note,
    heading,
    token_labels,
)
from attnviz.show.figure.drawing import (
    DPI,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing_of,
    text_width,
    widest,
)
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import (
    color_bar,
    draw_matrix,
    ends_of,
    label_columns,
    whole_dots,
    write_numbers,
)
from attnviz.show.forms import Limits

NUMBERED_FROM = 0.2  # shares from here on are written into cells; else, parts of the largest number

_ROW, _BLOCK_TITLE, _GAP, _BAR_ROOM, _AXIS_TITLE = 0.125, 0.24, 0.35, 1.05, 0.3
_LARGEST_CELL, _SMALLEST_CELL, _USUAL, _WIDEST, _NARROWEST = 0.32, 0.12, 6.0, 8.0, 1.0
_SHORTEST_BAR = 1.2
_NUMBERED_CELL = 0.25  # inches that a cell needs for a number
_SHAPE, _SLANT = 4 / 3, math.sqrt(0.5)


@dataclass(frozen=True, eq=False)
class _Sheet:
    """The numbers, a block a layer (or one of all layers), and how large they are drawn."""

    word: Word
    scale: Limits | None

    @cached_property
    def blocks(self) -> list[list[int]]:
        """The places of each block's heads."""
        layers: dict[int, list[int]] = {}
        per_head = self.word.context.measured.per_head
        for place, head in enumerate(self.word.heads):
            layers.setdefault(head.layer if per_head else 0, []).append(place)
        return list(layers.values())

    @cached_property
    def step(self) -> int:
        """How many words a column stands for."""
        return math.ceil(len(self.word.others) / (_WIDEST * DPI / 2))

    @cached_property
    def numbers(self) -> np.ndarray:
        """The numbers, (head, column), NaN where a mask keeps the two apart."""
        masked = np.where(self.word.allowed, self.word.weights, np.float32(np.nan))
        if self.step == 1:
            return masked
        return np.fmax.reduceat(masked, range(0, masked.shape[1], self.step), axis=1)

    @cached_property
    def limits(self) -> Limits:
        return self.scale or (0.0, float(np.nanmax(self.numbers, initial=0.0)) or 1.0)

    @cached_property
    def width(self) -> float:
        """Of a block, in inches."""
        count = len(self.word.others)
        usual = max(min(_LARGEST_CELL * count, _USUAL), _SMALLEST_CELL * count)
        columns = self.numbers.shape[1]
        return whole_dots(min(max(usual, _NARROWEST), _WIDEST), columns)

    @cached_property
    def labels(self) -> TokenLabels:
        return token_labels(
            self.word.context, self.width / len(self.word.others), self.word.other_role
        )

    def heading(self) -> Heading:
        """The model, the heads and the word; the sentence; what must be known."""
        word, context = self.word, self.word.context
        dropped = None if word.dropped is None else float(word.dropped.mean())
        notes = [f"each column: the largest of {self.step}"] if self.step > 1 else []
        masked = ground_note(bool(np.isnan(self.numbers).any()))
        query, key = (word.token.index if word.role == role else None for role in ("query", "key"))
        shares = RowShares(dropped, word.sink)
        return heading(context, word.heads, shares, notes, query, masked, key)


def figure(answer: Word, top: int | None = None, scale: Limits | None = None) -> Figure:
    """What one word looks at, or who looks at it, in some heads or in all; `top` is ignored."""
    context = answer.context
    with drawing_of(context):
        sheet = _Sheet(answer, scale)
        title = sheet.heading()
        names_of = [_row_name(answer, head) for head in answer.heads]
        margin = widest(names_of, SMALLEST_FONT) + 0.1
        rows = [max(map(len, row)) * _ROW for row in _grid(sheet, margin)]
        grid = _grid(sheet, margin)
        left, top_of = MARGIN + max(margin, _overhang(sheet)), MARGIN + title.height
        across = margin + sheet.width + _GAP
        right = left + len(grid[0]) * across - margin - _GAP
        below = sum(rows) + len(rows) * _BLOCK_TITLE
        bar_height = max(below - _BLOCK_TITLE, _SHORTEST_BAR)
        foot = max(below + sheet.labels.height + _AXIS_TITLE, _BLOCK_TITLE + bar_height)
        tall = top_of + foot + 0.1 + MARGIN
        picture = blank(max(right + _BAR_ROOM + MARGIN, title.width + 2 * MARGIN + 0.01), tall)
        title.draw(picture)
        upper = top_of
        for row, blocks in enumerate(grid):
            for column, places in enumerate(blocks):
                at = left + column * across, upper + _BLOCK_TITLE
                last = row + 1 == len(grid) or column >= len(grid[row + 1])
                _draw_block(picture, sheet, places, at, last)
            upper += rows[row] + _BLOCK_TITLE
        image = picture.axes[0].images[0]
        bar = right + 0.12, top_of + _BLOCK_TITLE, bar_height
        color_bar(picture, image, context.measured.quantity, bar, ends_of([sheet.numbers]))
    return picture


def _overhang(sheet: _Sheet) -> float:
    """How far slanted names of words reach to the left of a block."""
    labels, apart = sheet.labels, sheet.width / len(sheet.word.others)
    places = zip(labels.places, labels.texts, strict=True)
    ends = [(at + 0.5) * apart - text_width(text, labels.size) * _SLANT for at, text in places]
    return 0.1 - min(ends) if labels.slanted else 0.0


def _grid(sheet: _Sheet, margin: float) -> list[list[list[int]]]:
    """The blocks in rows, so many in each that the picture is about 4 : 3."""
    blocks = sheet.blocks
    tall = max(map(len, blocks)) * _ROW + _BLOCK_TITLE

    def cost(columns: int) -> float:
        rows = math.ceil(len(blocks) / columns)
        wide = columns * (sheet.width + margin + _GAP)
        return abs(math.log(wide / (rows * tall + 1) / _SHAPE)) + 0.2 * (
            rows * columns - len(blocks)
        )

    columns = min(range(1, len(blocks) + 1), key=cost)
    return [blocks[start : start + columns] for start in range(0, len(blocks), columns)]


def _row_name(word: Word, head: HeadId) -> str:
    return str(head) if head.head is None else f"H{head.head}"


def _draw_block(
    picture: Figure, sheet: _Sheet, places: Sequence[int], at: tuple[float, float], last: bool
) -> None:
    """A layer's heads; below the last of a column the words' names."""
    word, numbers = sheet.word, sheet.numbers[list(places)]
    axes = axes_at(picture, *at, sheet.width, len(places) * _ROW)
    draw_matrix(axes, numbers, sheet.limits, edges=(len(word.others) - 0.5, len(places) - 0.5))
    heads = [word.heads[place] for place in places]
    axes.set_yticks(range(len(heads)), [_row_name(word, head) for head in heads])
    axes.tick_params(axis="y", length=0, pad=2, labelsize=SMALLEST_FONT, labelcolor=MUTED)
    if word.context.measured.per_head:
        axes.set_title(say(f"layer {heads[0].layer}"), size=8, pad=3, loc="left")
    if sheet.width / len(word.others) >= _NUMBERED_CELL:
        _write_numbers(axes, sheet, numbers)
    if last:
        label_columns(axes, sheet.labels)
        note = f" ({sheet.labels.note})" if sheet.labels.note else ""
        axes.set_xlabel(axis_name(word.context, word.other_role) + note, size=9, labelpad=5)


def _write_numbers(axes: Axes, sheet: _Sheet, numbers: np.ndarray) -> None:
    measured, limits = sheet.word.context.measured, sheet.limits
    least = NUMBERED_FROM if measured.shares else NUMBERED_FROM * limits[1]

    def told(number: float) -> str:
        return measured.number(number).removeprefix("0")

    write_numbers(axes, numbers, limits, least, told, SMALLEST_FONT - 0.5, middle="center_baseline")
