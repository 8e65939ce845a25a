"""A layer as one picture: a word's vector from step to step, and what the result is made of."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from attnviz.answers.head import stack_of
from attnviz.answers.layer import Layer, Part
from attnviz.answers.layer_steps import Step
from attnviz.show.figure.captions import Heading, label, steps_heading
from attnviz.show.figure.drawing import (
    INK,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing_of,
    signed_colors,
    widest,
    wrapped,
)
from attnviz.show.figure.explain import Place, cells, full_size, write
from attnviz.show.figure.language import say
from attnviz.show.labels import names
from attnviz.show.layer_wording import SHARES, checked, equation, length_text, part_name, said, size

HEADS_SHOWN = 16  # unless somebody says how many
_ROW, _STRIP = 0.46, 0.2  # in inches: a step, and its numbers
_NARROW, _WIDE = 2.4, 3.4  # d_model numbers, and d_ff
_TURN = 0.3  # room for the residual connections
_BARS, _BAR, _GAP = 1.6, 0.19, 0.45
_SHARE, _LENGTH = 0.55, 1.05  # where the numbers beside bars end
_TITLE, _TEXT, _NOTE = 10.0, 9.0, 7.5
_LINE = 0.17
PARTS = "what y is the sum of"
COLOURS = "Colours: orange above 0, blue below, in each row by itself."
_POSITIVE, _NEGATIVE = 0.82, 0.18  # where a bar's colour is on the scale of signed numbers


def figure(answer: Layer, top: int | None = None) -> Figure:
    """The steps from x to y, one below the other, with their numbers; beside them, the parts of y:
    its `top` heads, 16 unless told.
    """
    e, count = answer, top or HEADS_SHOWN
    with drawing_of(e.context):
        title, query = _heading(e), label(names(e.context, "query")[e.query.index])
        told = [
            (say(equation(step)), say(f"{size(e, step)}, {said(e, step, query)}"))
            for step in e.steps
        ]
        left = max(widest([a for a, _ in told], _TEXT), widest([b for _, b in told], _NOTE))
        left += MARGIN + 0.3
        places = _places(e, left, MARGIN + title.height + 0.4)
        turn = left + _WIDE + _TURN + 0.4
        rows = _rows(e, count)
        bars = turn + _GAP + widest([name for name, _, _ in rows], _TEXT)
        width = max(bars + _BARS + _LENGTH, title.width + MARGIN) + MARGIN
        below = filter(None, (SHARES, COLOURS, _hidden(e, count), checked(e)))
        notes = wrapped(" ".join(map(say, below)), width - 2 * MARGIN, _NOTE)
        shares = Place(bars, places[0].top, _BARS, len(rows) * _BAR)
        bottom = max(places[-1].bottom, shares.bottom) + 0.3
        picture = blank(width, bottom + len(notes) * _LINE + MARGIN)
        title.draw(picture)
        above = places[0].top - 0.36
        write(picture, (MARGIN, above), "from x to y, step by step", _TITLE, weight="bold")
        write(picture, (places[0].left, above), "the numbers, and their length", _NOTE, MUTED)
        write(picture, (turn + _GAP / 2, above), PARTS, _TITLE, weight="bold")
        for step, place, (how, what) in zip(e.steps, places, told, strict=True):
            write(picture, (MARGIN, place.middle), how, _TEXT, va="bottom")
            write(picture, (MARGIN, place.middle + 0.03), what, _NOTE, MUTED)
            _step(picture, e, step, place)
        _residuals(picture, e.steps, places, turn)
        _shares(picture, rows, shares)
        for number, text in enumerate(notes):
            write(picture, (MARGIN, bottom + number * _LINE), text, _NOTE, MUTED)
    return picture


def _heading(e: Layer) -> Heading:
    """Model, layer and texts, whose attention it is, and what is counted."""
    heads = [head for part in e.heads if (head := part.head)]
    what = f"one layer of the {stack_of(e.context.attention)}, for one token"
    return steps_heading(e.context, heads, what, e.query.index)


def _places(e: Layer, left: float, top: float) -> list[Place]:
    """Where each step's numbers are, as wide as their number says: d_model, or d_ff."""
    wide = {step.name: len(step.vector) > len(e.output) for step in e.steps}
    return [
        Place(left, top + number * _ROW, _WIDE if wide[step.name] else _NARROW, _STRIP)
        for number, step in enumerate(e.steps)
    ]


def _step(figure: Figure, e: Layer, step: Step, place: Place) -> None:
    """A step's numbers; z in a box for each head."""
    if step.name == "z":
        width = place.width / len(e.z)
        for number, z in enumerate(e.z):
            own = replace(place, left=place.left + number * width, width=0.86 * width)
            cells(figure, own, z, full_size(e.z))
    else:
        cells(figure, place, step.vector, full_size(step.vector))
    told = length_text(step.length)
    write(figure, (place.right + 0.06, place.middle), told, _NOTE, MUTED, va="center")


def _residuals(
    figure: Figure, steps: Sequence[Step], places: Sequence[Place], right: float
) -> None:
    """Lines from each vector that is kept to the sum that it is kept in."""
    letters = {step.letter: place for step, place in zip(steps, places, strict=True)}
    width, height = figure.get_size_inches()
    for step, end in zip(steps, places, strict=True):
        if step.kept is None:
            continue
        start = letters[step.kept]
        turn, gap, first, last = 0.1, 0.45, start.middle + 0.04, end.middle - 0.04
        corners = [
            (start.right + gap, first), (right - turn, first), (right, first),
            (right, first + turn), (right, last - turn), (right, last),
            (right - turn, last), (end.right + gap, last),
        ]  # fmt: skip
        codes = [1, 2, 3, 3, 2, 3, 3, 2]
        path = Path([(x / width, 1 - y / height) for x, y in corners], codes)
        arrow = FancyArrowPatch(
            path=path, transform=figure.transFigure, arrowstyle="-|>", mutation_scale=8,
            color=MUTED, linewidth=0.9, shrinkA=0, shrinkB=0,
        )  # fmt: skip
        figure.add_artist(arrow)


def _rows(e: Layer, top: int) -> list[tuple[str, Part, bool]]:
    """The bars: a name, the part, and whether it is a head's, a part of attention's."""
    rows = []
    for part in e.summed:
        rows.append((say(part_name(e, part)), part, False))
        if part is e.attention:
            rows += [(str(head.head), head, True) for head in e.shown(top)]
    return rows


def _shares(figure: Figure, rows: Sequence[tuple[str, Part, bool]], place: Place) -> None:
    """A bar for each part, from 0 to the right or, against the others, to the left."""
    axes = axes_at(figure, place.left, place.top, place.width, place.height)
    shares = np.array([part.share for _, part, _ in rows])
    scale = signed_colors()
    colors = [scale(_POSITIVE if share >= 0 else _NEGATIVE) for share in shares]
    drawn = axes.barh(range(len(rows)), shares, height=0.7, color=colors, linewidth=0)
    for bar, (_, _, of_head) in zip(drawn, rows, strict=True):
        bar.set_alpha(0.6 if of_head else 1)
    low, high = min(0.0, float(shares.min())), max(0.0, float(shares.max()))
    axes.set(xlim=(low, high or 1), ylim=(len(rows) - 0.5, -0.5), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    for told, right in (("share", _SHARE), ("length", _LENGTH)):
        at = (place.right + right, place.top - 0.02)
        write(figure, at, told, _NOTE, MUTED, ha="right", va="bottom")
    for number, (name, part, of_head) in enumerate(rows):
        middle, color = place.top + (number + 0.5) * _BAR, MUTED if of_head else INK
        at = (place.left - 0.06, middle)
        write(figure, at, name, _TEXT if not of_head else _NOTE, color, ha="right", va="center")
        for told, right in ((f"{part.share:z.1%}", _SHARE), (length_text(part.length), _LENGTH)):
            at = (place.right + right, middle)
            write(figure, at, told, _NOTE, color, ha="right", va="center")


def _hidden(e: Layer, top: int) -> str:
    hidden = len(e.heads) - top
    return (
        f"{hidden} of {len(e.heads)} heads, those with the smallest shares, are not drawn."
        if hidden > 0
        else ""
    )
