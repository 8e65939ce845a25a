"""A learner's page: how one query's attention in one head comes about, as one picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from attnviz.answers.explain import Explanation
from attnviz.attention.measures import SOFTMAX
from attnviz.show.explain_wording import (
    HeadVector,
    agreement,
    biased,
    head_vectors,
    missing_keys,
    rows_of,
    scaled_by_root,
    short_origin,
    shown_key,
    shown_keys,
    size_of,
)
from attnviz.show.figure.captions import Heading, fitted, label, steps_heading
from attnviz.show.figure.drawing import (
    DPI,
    FAINT,
    INK,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing_of,
    ground,
    signed_colors,
    weight_colors,
    widest,
    wrapped,
)
from attnviz.show.figure.language import say
from attnviz.show.labels import names

KEYS_SHOWN = 20  # unless somebody says how many

FORMULA = "Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V, step by step for one query"
_GAP, _ROW, _STRIP, _SIGN = 0.36, 0.25, 0.22, 0.3
_MATRIX_HEIGHT, _MATRIX_WIDTH = 1.7, 0.62
_VECTOR, _BARS, _NUMBERS = 1.9, 1.15, 0.55
_SHORTEST_LABELS = 0.95
_TITLE, _TEXT, _NOTE = 10.0, 9.0, 8.0
_LINE = 0.2  # of text
FULL_FROM = 99  # the percentile of sizes from which on numbers have the strongest colour


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
        """Half of the way down."""
        return self.top + self.height / 2


@dataclass(frozen=True)
class _Frame:
    """Where the bands begin from above, and the columns from the left; `rows` is how many."""

    labels: float
    vectors: float
    rows: int

    @property
    def columns(self) -> tuple[float, ...]:
        """The left edges of K, q k, score, weight, V, weight x V; then the right edge of all."""
        left, starts = MARGIN + self.labels, []
        for width in (_VECTOR, _BARS + _NUMBERS, _NUMBERS, _BARS + _NUMBERS, _VECTOR, _VECTOR):
            starts.append(left)
            left += width + _GAP
        return (*starts, left - _GAP)

    @property
    def right(self) -> float:
        return self.columns[-1]

    @property
    def keys(self) -> float:
        return self.vectors + 2 * _LINE + _MATRIX_HEIGHT + 0.3 + 2 * _LINE + _STRIP + 0.08

    @property
    def sum(self) -> float:
        return self.keys + self.rows * _ROW + 0.08

    @property
    def output(self) -> float:
        return self.sum + _STRIP + _LINE + 0.3

    @property
    def bottom(self) -> float:
        return self.output + _LINE + 0.25 + _MATRIX_WIDTH + 4 * _LINE


def figure(answer: Explanation, top: int | None = None) -> Figure:
    """All steps of an explanation on a page, with the `top` keys in the sentence's order."""
    e = answer
    with drawing_of(e.context):
        shown, hidden = shown_keys(e, top or KEYS_SHOWN)
        title = _heading(e)
        called = names(e.context, "key")
        labels = [label(called[key]) for key in shown]
        margin = max(widest(labels, _TEXT, bold=True) + 0.1, _SHORTEST_LABELS)
        frame = _Frame(margin, MARGIN + title.height + 0.15, len(shown))
        picture = blank(frame.right + MARGIN, frame.bottom + MARGIN)
        title.draw(picture)
        _vectors(picture, e, frame)
        _keys(picture, e, frame, shown)
        _values(picture, e, frame, shown)
        at = MARGIN, frame.sum + _STRIP / 2
        write(picture, at, missing_keys(e, hidden), _NOTE, MUTED, va="center")
        image = _output(picture, e, frame)
        _closing(picture, e, image, frame)
    return picture


def _heading(e: Explanation) -> Heading:
    """Model, head and texts, whose attention it is, the formula, and where Q, K and V come from."""
    formula = e.context.measured.formula
    own = FORMULA if formula == SOFTMAX else f"weights: {formula}, step by step for one query"
    return steps_heading(e.context, [e.head], own, e.query.index, short_origin(e))


def _vectors(figure: Figure, e: Explanation, frame: _Frame) -> None:
    """Steps 1 and 2: x, and each matrix with what it makes of x."""
    top = frame.vectors
    group = _MATRIX_WIDTH + _SIGN + _VECTOR
    first = frame.right - 3 * group - 2 * _GAP
    matrices = top + 2 * _LINE
    middle = matrices + (_MATRIX_HEIGHT - _STRIP) / 2
    write(figure, (MARGIN, top), "1  the word's vector x", _TITLE, weight="bold")
    x = Place(MARGIN, middle, first - _SIGN - MARGIN, _STRIP)
    cells(figure, x, e.x, full_size(e.x))
    query = label(names(e.context, "query")[e.query.index])
    name = fitted(say(f"“{query}”{_origin(e)}"), x.width, _TEXT)
    write(figure, (x.left, x.top - 0.05), name, _TEXT, va="bottom")
    write(figure, (x.left, x.bottom + 0.05), f"d_model = {len(e.x)}", _NOTE, MUTED)
    write(figure, (first - _SIGN, top), "2  times W_Q, W_K and W_V", _TITLE, weight="bold")
    for number, one in enumerate(head_vectors(e)):
        left, big = first + number * (group + _GAP), one.name.upper()
        matrix = getattr(e.matrices, f"W_{big}")
        place = Place(left, matrices, _MATRIX_WIDTH, _MATRIX_HEIGHT)
        cells(figure, place, matrix, full_size(matrix))
        shape = f"{matrix.shape[0]} × {matrix.shape[1]}"
        write(figure, (left, matrices - 0.05), f"W_{big}", _TEXT, va="bottom")
        write(figure, (left, place.bottom + 0.05), shape, _NOTE, MUTED)
        sign(figure, f"{one.source} ·" if number else "·", left - _SIGN / 2, place)
        last = _steps(figure, one, Place(place.right + _SIGN, middle, _VECTOR, _STRIP))
        size = size_of(e, one, label(names(e.context, "key")[shown_key(e).index]))
        write(figure, (last.left, last.bottom + 0.05), size, _NOTE, MUTED)


def _steps(figure: Figure, one: HeadVector, middle: Place) -> Place:
    """What a matrix makes, and below it the vector made of that; the place of the last."""
    named = [(wrapped(say(told), middle.width, _TEXT), vector) for told, vector in one.steps]
    between = sum(len(lines) * _LINE + _SIGN / 2 + _STRIP for lines, _ in named[1:])
    strip = replace(middle, top=middle.top - between / 2)
    sign(figure, "=", strip.left - _SIGN / 2, strip)
    for number, (lines, vector) in enumerate(named):
        if number:
            strip = replace(strip, top=strip.bottom + _SIGN / 2 + len(lines) * _LINE)
        cells(figure, strip, vector, full_size(vector))
        for line, text in enumerate(reversed(lines)):
            at = (strip.left, strip.top - 0.05 - line * (_LINE - 0.03))
            write(figure, at, text, _TEXT, va="bottom")
    return strip


def _origin(e: Explanation) -> str:
    """Where the query's vector comes from."""
    if not e.matrices.direct:
        return " as it enters attention"
    return f", out of layer {e.head.layer - 1}" if e.head.layer else ": its word and place"


def _keys(figure: Figure, e: Explanation, frame: _Frame, shown: Sequence[int]) -> None:
    """Steps 3 to 5, a row a key: its k under the query's q, their product, score and weight."""
    left, products, scores, weights, *_ = frame.columns
    height = frame.rows * _ROW
    full = full_size(e.k)
    strip = Place(left, frame.keys - 0.08 - _STRIP, _VECTOR, _STRIP)
    _column(figure, strip.left, strip.top, "K: the keys", f"below q, {rows_of(e)}")
    write(figure, (left - 0.08, strip.middle), "q", _TEXT, ha="right", va="center", weight="bold")
    cells(figure, strip, e.q, full_size(e.q))
    cells(figure, Place(left, frame.keys, _VECTOR, height), e.k[shown], full)
    scaled = f"÷ √{e.context.model.d_k}" if scaled_by_root(e) else f"× {e.scale:.3g}"
    after = [*(["soft cap"] if e.softcap else []), *(["+ bias"] if biased(e) else [])]
    summed = "weights: sum 1" if e.sink is None else "with the sink's: 1"
    above = frame.keys - 0.08
    _column(figure, products, above, "3  q · k", "larger: more alike")
    _column(figure, scores, above, f"4  {scaled}", ", ".join(map(say, after)))
    _column(figure, weights, above, "5  softmax", summed)
    colors = [signed_colors()(0.8 if dot > 0 else 0.12) for dot in e.dots[shown]]
    bars(figure, Place(products, frame.keys, _BARS, height), e.dots[shown], colors)
    largest = float(e.weights.max())
    colors = [weight_colors()(0.2 + 0.5 * weight / largest) for weight in e.weights[shown]]
    bars(figure, Place(weights, frame.keys, _BARS, height), e.weights[shown], colors)
    for row, key in enumerate(shown):
        y, strongest = frame.keys + (row + 0.5) * _ROW, key == e.order[0]
        token = e.keys[key]
        style = {"va": "center", "ha": "right", "weight": "bold" if strongest else "normal"}
        color = MUTED if token.special else INK
        write(figure, (left - 0.08, y), label(names(e.context, "key")[key]), _TEXT, color, **style)
        for x, number in (
            (products + _BARS + _NUMBERS, f"{e.dots[key]:.2f}"),
            (scores + _NUMBERS, f"{e.scores[key]:.2f}"),
            (weights + _BARS + _NUMBERS, f"{e.weights[key]:.3f}"),
        ):
            write(figure, (x, y), number, _TEXT, **style)


def _values(figure: Figure, e: Explanation, frame: _Frame, shown: Sequence[int]) -> None:
    """Step 6: the values, the same times their weights, and the sum of these, z."""
    *_, values, weighted, _ = frame.columns
    height, full = frame.rows * _ROW, full_size(e.v)
    _column(figure, values, frame.keys - 0.08, "V: the values", rows_of(e))
    cells(figure, Place(values, frame.keys, _VECTOR, height), e.v[shown], full)
    _column(figure, weighted, frame.keys - 0.08, "6  weight × v", "same colours as V")
    cells(figure, Place(weighted, frame.keys, _VECTOR, height), e.brought[shown], full)
    z = Place(weighted, frame.sum, _VECTOR, _STRIP)
    cells(figure, z, e.z, full)
    at = z.left - 0.08, z.middle
    write(figure, at, "sum: z", _TEXT, ha="right", va="center", weight="bold")


def _output(figure: Figure, e: Explanation, frame: _Frame) -> AxesImage:
    """Step 7: z through the head's part of W_O, and what that is of all heads' output."""
    top, matrix = frame.output, e.matrices.W_O
    name = "7  z through W_O: what the head gives back"
    write(figure, (MARGIN, top), name, _TITLE, weight="bold")
    across = (frame.right - MARGIN - _VECTOR - 2 * _SIGN) / 2
    place = Place(MARGIN + _VECTOR + _SIGN, top + _LINE + 0.25, across, _MATRIX_WIDTH)
    strip = place.middle - _STRIP / 2
    z = Place(MARGIN, strip, _VECTOR, _STRIP)
    output = Place(place.right + _SIGN, strip, across, _STRIP)
    cells(figure, z, e.z, full_size(e.z))
    cells(figure, place, matrix, full_size(matrix))
    image = cells(figure, output, e.output, full_size(e.output))
    sign(figure, "·", place.left - _SIGN / 2, place)
    sign(figure, "=", output.left - _SIGN / 2, output)
    for part, name, told in (
        (z, "z", f"{'d_k' if len(e.z) == len(e.q) else 'd_v'} = {len(e.z)}"),
        (place, "W_O, the head's part", f"{matrix.shape[0]} × {matrix.shape[1]}"),
        (output, "z W_O", f"d_model = {len(e.output)}"),
    ):
        write(figure, (part.left, part.top - 0.05), name, _TEXT, va="bottom")
        write(figure, (part.left, part.bottom + 0.05), told, _NOTE, MUTED)
    return image


def _closing(figure: Figure, e: Explanation, image: AxesImage, frame: _Frame) -> None:
    """The head's share, the check, and what colours mean in every panel."""
    top, heads = frame.bottom - 2 * _LINE + 0.06, e.context.model.num_heads
    if heads > 1:
        share = (
            f"{e.head}'s share of what the layer's {heads} heads give together: {e.share:.0%}, as "
            "far as it goes the same way (all shares make 100%)"
        )
        write(figure, (MARGIN, top), share, _NOTE, MUTED)
    if e.check.z is not None:
        own = f"{e.stack}'s own"
        check = f"check: z as drawn agrees with the {own} {agreement(e.check.z)}"
        write(figure, (MARGIN, top + _LINE), check, _NOTE, MUTED)
    axes = axes_at(figure, frame.right - _VECTOR - 0.3, top + 0.03, _VECTOR, 0.1)
    bar = figure.colorbar(image, cax=axes, orientation="horizontal")
    bar.set_ticks([*image.get_clim(), 0.0], labels=[*map(say, ("− largest", "+ largest")), "0"])
    bar.ax.tick_params(length=2, width=0.6, labelsize=_NOTE, color=MUTED, labelcolor=MUTED)
    bar.outline.set(color=FAINT, linewidth=0.6)
    said = "colours, in each panel by itself:"
    write(figure, (frame.right - _VECTOR - 0.65, top), said, _NOTE, MUTED, ha="right")


def _column(figure: Figure, left: float, bottom: float, name: str, told: str) -> None:
    """A column's name above it, and below the name what it shows."""
    write(figure, (left, bottom - _LINE + 0.02), name, _TITLE, va="bottom", weight="bold")
    write(figure, (left, bottom - 0.03), told, _NOTE, MUTED, va="bottom")


def sign(figure: Figure, text: str, x: float, place: Place) -> None:
    """A sign such as = beside a place, at its middle."""
    write(figure, (x, place.middle), text, 12, ha="center", va="center")


def full_size(values: np.ndarray) -> float:
    """The size from which on numbers have the strongest colour."""
    return float(np.percentile(np.abs(values), FULL_FROM)) or 1.0


def cells(
    figure: Figure, place: Place, values: np.ndarray, full: float, shares: bool = False
) -> AxesImage:
    """A matrix, or a vector as one row, blue below 0, or of `shares`; crowded cells are averaged.

    NaN shows the ground.
    """
    axes = axes_at(figure, place.left, place.top, place.width, place.height)
    rows = np.atleast_2d(values)
    crowded = rows.shape[0] > place.height * DPI or rows.shape[1] > place.width * DPI
    style: dict[str, Any] = {"interpolation": "antialiased" if crowded else "nearest"}
    colors, low = (weight_colors(), 0.0) if shares else (signed_colors(), -full)
    image = axes.imshow(rows, cmap=colors, vmin=low, vmax=full, aspect="auto", **style)
    if np.isnan(rows).any():
        axes.set_facecolor(ground()[0])
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
    figure: Figure, at: tuple[float, float], text: str, size: float, color: str = INK, **style: Any
) -> None:
    """Words at a place in inches from the upper left corner, on their upper left corner; a label
    in the language of the picture.
    """
    width, height = figure.get_size_inches()
    where = (at[0] / width, 1 - at[1] / height)
    figure.text(*where, say(text), size=size, color=color, **{"va": "top", **style})
