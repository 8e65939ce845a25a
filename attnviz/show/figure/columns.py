"""Two columns of tokens, those that look and those that are looked at: where they stand, and how.

Lengths are inches and font sizes points; heights are rows of the longer column, from 0 on top.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from attnviz.inspection import Context
from attnviz.inspection.context import Role
from attnviz.show.figure.captions import (
    LINE_SPACING,
    SMALLEST_FONT,
    TokenLabels,
    axis_name,
    label,
)
from attnviz.show.figure.drawing import INK, MUTED, text_width
from attnviz.show.wording import tokens_of


class Gap(NamedTuple):
    """A place in a column where tokens are left out, and how many."""

    y: float
    left_out: int


ROLES: tuple[Role, Role] = ("query", "key")
"""The left column and the right."""

_ROW, _CLOSE, _LOWEST, _USUAL, _TALLEST = 0.28, 0.16, 1.2, 12.0, 16.0
_SOME_USUAL = 7.0
_DRAWN_OUT = 3.0
"""How many rows a token of the shorter column takes at most."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The heights at which the tokens stand: (query,) and (key,); NaN for those that do not.

    `row` is how many inches a row is high, and `rows` are as many as the longer column has. The
    shorter one is drawn out, so that lines between two texts run level, and stands in the middle.
    `gaps`: where tokens are left out of a column.
    """

    query: np.ndarray
    key: np.ndarray
    row: float
    rows: int
    gaps: Mapping[Role, Sequence[Gap]] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Context) -> "Columns":
        """The columns of a view, as high as is readable."""
        counts = len(context.tokens), len(context.keys)
        rows = max(counts)
        row = min(_ROW, max(_CLOSE, _USUAL / rows), _TALLEST / rows)
        queries, keys = (_spread(count, rows) for count in counts)
        return cls(queries, keys, max(row, _LOWEST / rows), rows)

    @classmethod
    def some(cls, context: Context, shown: Mapping[Role, Sequence[int]]) -> "Columns":
        """The columns of some tokens, by their indices, with a mark where others are left out."""
        laid = {role: _laid(shown[role], len(tokens_of(context, role))) for role in ROLES}
        rows = max(count for _, _, count in laid.values())
        heights, gaps = {}, {}
        for role, (places, marks, count) in laid.items():
            spread = _spread(count, rows)
            heights[role] = np.where(places < 0, np.nan, spread[places])
            gaps[role] = [Gap(float(spread[place]), left_out) for place, left_out in marks]
        row = min(_ROW, max(_CLOSE, _SOME_USUAL / rows))
        return cls(heights["query"], heights["key"], max(row, _LOWEST / rows), rows, gaps)

    @property
    def crowded(self) -> bool:
        """Whether tokens stand too close to be labelled, each of them."""
        least = SMALLEST_FONT * LINE_SPACING / 72
        return any(self.room(role) < (1 - 1e-6) * least for role in ROLES)

    def shown(self, role: Role) -> list[int]:
        """The tokens that a column has, by their indices."""
        return np.flatnonzero(~np.isnan(self.places(role))).tolist()

    @property
    def side(self) -> float:
        """How high both are, in inches."""
        return self.row * self.rows

    def places(self, role: Role) -> np.ndarray:
        """The heights of one column's tokens."""
        return self.query if role == "query" else self.key

    def room(self, role: Role) -> float:
        """How far apart a column's tokens stand, in inches."""
        count = len(self.shown(role)) + len(self.gaps.get(role, ()))
        return self.row * min(self.rows / count, _DRAWN_OUT)


def _laid(shown: Sequence[int], count: int) -> tuple[np.ndarray, list[tuple[int, int]], int]:
    """The row of each token, -1 where it is not shown; each gap's, and what it leaves out; rows."""
    places, marks, row, before = np.full(count, -1), [], 0, -1
    for index in [*shown, count]:
        if index - before > 1:
            marks.append((row, index - before - 1))
            row += 1
        if index < count:
            places[index] = row
            row += 1
        before = index
    return places, marks, row


def _spread(count: int, rows: int) -> np.ndarray:
    """Where each of `count` tokens stands in so many rows."""
    step = min(rows / count, _DRAWN_OUT)
    places: np.ndarray = (rows - 1) / 2 + (np.arange(count) - (count - 1) / 2) * step
    return places


@dataclass(frozen=True)
class Emphasis:
    """What stands out in a column, by the tokens' indices.

    `bold` ones do, and all others are quiet, if so. `beside`: what is written beside a token.
    """

    bold: Sequence[int] = ()
    others_quiet: bool = False
    beside: Mapping[int, str] | None = None


def with_positions(context: Context, role: Role, emphasis: Emphasis) -> Emphasis:
    """The same, each token's position beside it, as `@12` names it."""
    first = 0 if role == "key" and context.is_cross_attention else context.first_index
    beside = {index: f"@{first + index}" for index in range(len(tokens_of(context, role)))}
    for index, text in (emphasis.beside or {}).items():
        beside[index] = f"{text}  {beside[index]}"
    return replace(emphasis, beside=beside, others_quiet=False)


def write_column(
    axes: Axes,
    context: Context,
    role: Role,
    columns: Columns,
    labels: TokenLabels,
    emphasis: Emphasis,
) -> None:
    """Write one column's tokens, and its name above them."""
    x, align = (-0.03, "right") if role == "query" else (1.03, "left")
    tokens, places, beside = tokens_of(context, role), columns.places(role), emphasis.beside or {}
    for index in columns.shown(role):
        token, bold = tokens[index], index in emphasis.bold
        quiet = token.special or (emphasis.others_quiet and not bold)
        shown, y = label(token.label), float(places[index])
        style: dict[str, Any] = {
            "size": labels.size,
            "va": "center",
            "ha": align,
            "weight": "bold" if bold else "normal",
            "color": MUTED if quiet else INK,
        }
        axes.text(x, y, shown, **style)
        if index in beside:
            room = text_width(shown, labels.size, bold)
            _write_beside(axes, (x, y), align, room, beside[index], labels)
    for y, left_out in columns.gaps.get(role, ()):
        axes.text(x, y, f"⋮ {left_out}", size=SMALLEST_FONT, color=MUTED, va="center", ha=align)
    _write_name(axes, x, align, axis_name(context, role))


def _write_beside(
    axes: Axes,
    place: tuple[float, float],
    align: str,
    room: float,
    text: str,
    labels: TokenLabels,
) -> None:
    """A key's weight, or a position, beside a label that takes `room` inches."""
    away = room * 72 + 6
    axes.annotate(
        text,
        place,
        (away if align == "left" else -away, 0),
        textcoords="offset points",
        size=max(labels.size - 2, SMALLEST_FONT),
        color=MUTED,
        ha=align,
        va="center",
        annotation_clip=False,
    )


def _write_name(axes: Axes, x: float, align: str, name: str) -> None:
    axes.annotate(
        name,
        (x, 1),
        (0, 8),
        xycoords="axes fraction",
        textcoords="offset points",
        size=9,
        color=MUTED,
        ha=align,
        va="bottom",
    )
