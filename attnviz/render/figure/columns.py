"""Two columns of tokens, those that look and those that are looked at: where they stand, and how.

Lengths are inches and font sizes points; heights are rows of the longer column, from 0 on top.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from attnviz.inspection import View
from attnviz.render.figure.captions import SMALLEST_FONT, TokenLabels, axis_name, label
from attnviz.render.figure.drawing import INK, MUTED, text_width
from attnviz.render.sight import Role, tokens_of

ROLES: tuple[Role, Role] = ("query", "key")
"""The left column and the right."""

_ROW, _CLOSE, _LOWEST, _USUAL, _TALLEST = 0.28, 0.16, 1.2, 12.0, 16.0
_DRAWN_OUT = 3.0
"""How many rows a token of the shorter column takes at most."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The heights at which the tokens stand: (query,) and (key,).

    `row` is how many inches a row is high, and `rows` are as many as the longer column has tokens.
    The shorter one is drawn out, so that lines between two texts run level, and stands in the
    middle.
    """

    query: np.ndarray
    key: np.ndarray
    row: float
    rows: int

    @classmethod
    def of(cls, view: View) -> "Columns":
        """The columns of a view, as high as is readable."""
        counts = len(view.tokens), len(view.keys)
        rows = max(counts)
        row = min(_ROW, max(_CLOSE, _USUAL / rows), _TALLEST / rows)
        queries, keys = (_spread(count, rows) for count in counts)
        return cls(queries, keys, max(row, _LOWEST / rows), rows)

    @property
    def side(self) -> float:
        """How high both are, in inches."""
        return self.row * self.rows

    def places(self, role: Role) -> np.ndarray:
        """The heights of one column's tokens."""
        return self.query if role == "query" else self.key

    def room(self, role: Role) -> float:
        """How far apart a column's tokens stand, in inches."""
        return self.row * min(self.rows / len(self.places(role)), _DRAWN_OUT)


def _spread(count: int, rows: int) -> np.ndarray:
    """Where each of `count` tokens stands in so many rows."""
    step = min(rows / count, _DRAWN_OUT)
    places: np.ndarray = (rows - 1) / 2 + (np.arange(count) - (count - 1) / 2) * step
    return places


@dataclass(frozen=True)
class Emphasis:
    """What stands out in a column, by the tokens' indices.

    `first` are labelled where there is no room for all, `bold` stand out, and all others are quiet,
    if so. `beside`: what is written beside a token.
    """

    first: Sequence[int] = ()
    bold: Sequence[int] = ()
    others_quiet: bool = False
    beside: Mapping[int, str] | None = None


def write_column(
    axes: Axes, view: View, role: Role, columns: Columns, labels: TokenLabels, emphasis: Emphasis
) -> None:
    """Write one column's tokens, and its name above them."""
    x, align = (-0.03, "right") if role == "query" else (1.03, "left")
    tokens, places, beside = tokens_of(view, role), columns.places(role), emphasis.beside or {}
    for index in _labelled(emphasis.first, labels, len(tokens)):
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
            _write_beside(axes, (x, y), room, beside[index], labels)
    _write_name(axes, x, align, axis_name(view, role))


def _labelled(first: Sequence[int], labels: TokenLabels, count: int) -> list[int]:
    """The tokens to label: those of `first` as far as there is room, then each `step`-th."""
    taken: dict[int, None] = {}
    for index in (*first, *range(0, count, labels.step)):
        if not any(near in taken for near in range(index - labels.step + 1, index + labels.step)):
            taken[index] = None
    return sorted(taken)


def _write_beside(
    axes: Axes, place: tuple[float, float], room: float, text: str, labels: TokenLabels
) -> None:
    """A key's weight, beside its label that takes `room` inches."""
    axes.annotate(
        text,
        place,
        (room * 72 + 6, 0),
        textcoords="offset points",
        size=max(labels.size - 2, SMALLEST_FONT),
        color=MUTED,
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
