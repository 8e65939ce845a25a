"""The article's last figure: one head's matrices as boxes of cells, all words at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from attnviz.answers.head import HeadSteps
from attnviz.attention.measures import SOFTMAX
from attnviz.show.explain_wording import agreement, biased, by, scaled_by_root, short_origin
from attnviz.show.figure.captions import Heading, ground_note, label, steps_heading
from attnviz.show.figure.drawing import (
    INK,
    MARGIN,
    MUTED,
    blank,
    drawing_of,
    text_width,
    widest,
)
from attnviz.show.figure.explain import Place, cells, full_size, sign, write
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import write_numbers
from attnviz.show.labels import names

ROWS_SHOWN = 20  # Tokens, unless somebody says how many
NUMBERED = 8  # Up to so many tokens, the cells of square matrices hold their numbers
FORMULA = "Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V, for all words at once"

_TALL, _THIN, _WIDE, _VECTOR = 1.6, 0.55, 2.6, 1.3  # A matrix W, X's width, and Q's, in inches
_SQUARE, _LARGEST_CELL, _SMALLEST_CELL = 2.4, 0.42, 0.13
_GAP, _LINE = 0.35, 0.2
_TITLE, _TEXT, _NOTE = 10.0, 9.0, 7.5
_SLANT = 0.75  # The height of slanted names, as a part of their width

Names = Sequence[str]


@dataclass
class _Band:
    """Boxes from left to right around one middle, drawn once the picture's size is known.

    `cell`: how far rows of tokens are apart. `above`: the room above for the keys' slanted names.
    """

    top: float
    height: float
    cell: float
    above: float = 0.0
    right: float = MARGIN
    told: float = 0.0  # the right edge of the last step's name
    parts: list[Callable[[Figure], object]] = field(default_factory=list)

    @property
    def size(self) -> float:
        """The letters of names, in points."""
        return min(_TEXT, self.cell * 72 / 1.35)

    def titled(self, text: str) -> None:
        """A step's name above what comes next, which keeps clear of the name before."""
        self.right = max(self.right, self.told + _GAP / 2)
        self.told = self.right + text_width(say(text), _TITLE, bold=True)
        self._write((self.right, self.top - self.above - 0.45), text, _TITLE, weight="bold")

    def box(
        self, name: str, array: np.ndarray, size: tuple[float, float], rows: Names = ()
    ) -> Place:
        """A matrix of this width and height, its name above, its shape below."""
        place = self._next(size, rows, by(array.shape))
        self._write((place.left, place.top - 0.05), name, _TEXT, va="bottom")
        return place

    def vectors(self, name: str, array: np.ndarray, width: float, rows: Names, named: bool) -> None:
        """A matrix of which the first rows are drawn, and named if that is asked for."""
        size = width, len(rows) * self.cell
        place = self.box(name, array, size, rows if named else ())
        shown, full = array[: len(rows)], full_size(array)
        self.parts.append(lambda figure: cells(figure, place, shown, full))

    def whole(self, name: str, array: np.ndarray, size: tuple[float, float]) -> None:
        """A matrix without tokens."""
        place = self.box(name, array, size)
        self.parts.append(lambda figure: cells(figure, place, array, full_size(array)))

    def square(self, name: str, array: np.ndarray, rows: Names, columns: Names) -> None:
        """A matrix of queries and keys below the keys' names; NaN is blank."""
        size = len(columns) * self.cell, len(rows) * self.cell
        place = self._next(size, rows, f"{say(name)}, {by(array.shape)}")
        shown = array[: len(rows), : len(columns)]
        self.parts.append(lambda figure: _square(figure, place, shown, name == "weights"))
        style: dict[str, Any] = {"rotation": 45, "va": "bottom", "rotation_mode": "anchor"}
        for number, column in enumerate(columns):
            at = place.left + (number + 0.45) * self.cell, place.top - 0.04
            self._write(at, column, self.size, **style)
        reach = _SLANT * text_width(columns[-1], self.size) - self.cell / 2
        self.right = max(self.right, place.right + max(0.0, reach))

    def sign(self, text: str, notes: Names = ()) -> None:
        """A sign between two boxes, with notes below it."""
        notes = [say(note) for note in notes]
        wide = max(text_width(text, 12), widest(notes, _NOTE)) + 0.16
        place = Place(self.right, self.top, wide, self.height)
        middle = place.left + wide / 2
        self.parts.append(lambda figure: sign(figure, text, middle, place))
        for number, told in enumerate(notes):
            at = middle, place.middle + 0.14 + number * 0.15
            self._write(at, told, _NOTE, MUTED, ha="center")
        self.right = place.right

    def _next(self, size: tuple[float, float], rows: Names, told: str) -> Place:
        """Where a box goes, right of its rows' names, and what is told below it."""
        (width, height), left = size, self.right
        left += widest(rows, self.size) + 0.1 if rows else 0
        place = Place(left, self.top + (self.height - height) / 2, width, height)
        for number, row in enumerate(rows):
            at = place.left - 0.06, place.top + (number + 0.5) * height / len(rows)
            self._write(at, row, self.size, ha="right", va="center")
        self._write((place.left, place.bottom + 0.05), told, _NOTE, MUTED)
        self.right = max(place.right, place.left + text_width(told, _NOTE))
        return place

    def _write(
        self, at: tuple[float, float], text: str, size: float, color: str = INK, **style: Any
    ) -> None:
        self.parts.append(lambda figure: write(figure, at, text, size, color, **style))


def figure(answer: HeadSteps, top: int | None = None) -> Figure:
    """All matrices of a head, the first `top` tokens of them, 20 unless told."""
    e, count = answer, top or ROWS_SHOWN
    with drawing_of(e.context):
        queries = [label(name) for name in names(e.context, "query")[:count]]
        keys = [label(name) for name in names(e.context, "key")[:count]]
        title = _heading(e)
        longest = max(len(queries), len(keys))
        cell = min(max(_SQUARE / longest, _SMALLEST_CELL), _LARGEST_CELL)
        first = _Band(MARGIN + title.height + 0.6, max(_TALL, longest * cell), cell)
        _vectors(first, e, queries, keys)
        height = max(_VECTOR, longest * cell)
        second = _Band(first.top + first.height + 0.9, height, cell, _SLANT * widest(keys, 9))
        second.top += second.above
        _products(second, e, queries, keys)
        bottom = second.top + height + 0.4
        picture = blank(max(first.right, second.right, second.told) + MARGIN, bottom + 3.2 * _LINE)
        title.draw(picture)
        for draw in (*first.parts, *second.parts):
            draw(picture)
        for number, told in enumerate(_closing(e, count)):
            write(picture, (MARGIN, bottom + number * 0.9 * _LINE), told, _NOTE, MUTED)
    return picture


def _heading(e: HeadSteps) -> Heading:
    """Model, head and texts, whose attention it is, the formula, and where Q, K and V come from."""
    formula = e.context.measured.formula
    own = FORMULA if formula == SOFTMAX else f"weights: {formula}, for all words at once"
    return steps_heading(e.context, [e.head], own, origin=short_origin(e))


def _vectors(band: _Band, e: HeadSteps, queries: Names, keys: Names) -> None:
    """Steps 1 and 2: X, and each W with what it makes of X; K and V of Y in cross-attention."""
    m, source, rows = e.matrices, "X", queries
    band.titled("1  the words' vectors")
    band.vectors("X", e.X, _WIDE, queries, named=True)
    for name in "QKV":
        beside = name == "Q"  # its X, or Y, stands right before
        band.right += 0 if beside else _GAP
        if name == "K" and e.Y is not None:
            source, rows, beside = "Y", keys, True
            band.vectors("Y", e.Y, _WIDE, keys, named=True)
        if name == "Q":
            band.titled("2  times W_Q, W_K and W_V: Q, K and V")
        band.sign("×" if beside else f"{source} ×")
        band.whole(f"W_{name}", getattr(m, f"W_{name}"), (_THIN, _TALL))
        bias = "" if getattr(m, f"b_{name}") is None else f"+ b_{name}"
        more = getattr(m.between, name.lower()) or ""
        band.sign("=", list(filter(None, (bias, *say(more).split()))))
        band.vectors(name, getattr(e, name), _VECTOR, rows, named=False)


def _products(band: _Band, e: HeadSteps, queries: Names, keys: Names) -> None:
    """Steps 3 to 6: Q times K turned, scaled, through softmax, times V: Z."""
    band.titled("3  Q Kᵀ: each query times each key")
    band.vectors("Q", e.Q, _VECTOR, queries, named=True)
    band.sign("×")
    turned, full = e.K.T, full_size(e.K)
    place = band.box("Kᵀ", turned, (len(keys) * band.cell, _VECTOR))
    band.parts.append(lambda figure: cells(figure, place, turned[:, : len(keys)], full))
    band.sign("=")
    band.square("Q Kᵀ", e.dots, queries, keys)
    scaled = f"÷ √{e.context.model.d_k}" if scaled_by_root(e) else f"× {e.scale:.3g}"
    after = [scaled, *(["soft cap"] if e.softcap else []), *(["+ bias"] if biased(e) else [])]
    band.right += _GAP / 2
    band.titled("4, 5  scaled, through softmax")
    band.sign("→", [*after, "softmax", *([] if e.sink is None else ["with the sink"])])
    band.square("weights", np.where(e.seen, e.weights, np.nan), queries, keys)
    band.right += _GAP / 2
    band.titled("6  weights times V: Z")
    band.sign("×")
    band.vectors("V", e.V, _VECTOR, keys, named=False)
    band.sign("=")
    band.vectors("Z", e.Z, _VECTOR, queries, named=False)


def _closing(e: HeadSteps, count: int) -> Iterator[str]:
    """What is not drawn, what colours mean, and the check."""
    tokens = max(e.weights.shape)
    if tokens > count:
        yield f"the first {count} of {tokens} tokens are drawn; shapes are those of all"
    colours = (
        "colours, in each matrix by itself: orange above 0, blue below, stronger further from it",
        "weights: darker is more, and each row sums to 1",
        ground_note(not e.seen.all()),
    )
    yield "; ".join(filter(None, colours))
    if e.check.z is not None:
        yield f"check: Z as drawn agrees with the {e.stack}'s own {agreement(e.check.z)}"


def _square(figure: Figure, place: Place, shown: np.ndarray, shares: bool) -> None:
    """Cells of queries and keys, with their numbers if they are few."""
    image = cells(figure, place, shown, 1.0 if shares else full_size(shown), shares)
    if max(shown.shape) <= NUMBERED:
        told = "{:.2f}".format if shares else "{:z.1f}".format
        write_numbers(image.axes, shown, image.get_clim(), 0, told, _NOTE, not shares)
