"""The cosine of two texts: what each pair of words gives to it, and how heads change it."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnviz.answers.similar import EachSimilarity, Similarity
from attnviz.errors import RequestError
from attnviz.show.figure.captions import Heading, quoted, token_labels
from attnviz.show.figure.drawing import MARGIN, axes_at, blank, drawing
from attnviz.show.figure.fonts import font_families, texts_of
from attnviz.show.figure.heads import number_of
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
from attnviz.show.figure.ranking import HEADS_SHOWN, Bar, Ranked, draw_ranked
from attnviz.show.forms import Limits
from attnviz.show.labels import visible
from attnviz.show.wording import change_told, texts, unknown_legend

NUMBERED_UP_TO = 20  # words of either text up to which the larger numbers are written into cells
NUMBERED_FROM = 0.4  # parts of the largest number
RISES, FALLS = "#c9652a", "#2a70b6"  # as on the scale of signed numbers
MOST_WORDS = 900  # of a text: two dots for each
_CELL, _SMALLEST_CELL, _SMALLEST_SIDE, _LARGEST_SIDE = 0.42, 0.115, 1.2, 9.0
_AXIS_TITLE, _BAR_ROOM = 0.3, 1.05


def figure(answer: Similarity, top: int | None = None, scale: Limits | None = None) -> Figure:
    """A heatmap of the pairs; RequestError if there are none, or too many words."""
    if answer.pairs is None:
        raise RequestError(
            f"there is no sum over pairs of words to draw: {answer.pooling.whole}",
            "leave out -o: the cosine is told",
        )
    most = max(answer.pairs.parts.shape)
    if most > MOST_WORDS:
        raise RequestError(
            f"a text has {most} words, and the picture has room for {MOST_WORDS}",
            "take -f csv, which has every pair",
        )
    with drawing(_families(answer)):
        return _drawn(answer, answer.pairs.parts, scale)


def each_figure(
    answer: EachSimilarity, top: int | None = None, scale: Limits | None = None
) -> Figure:
    """How the cosine changes without each head alone: all on a map, the `top` (10) as bars."""
    by = "zero in both texts" if answer.replacement == "zero" else "its mean over each text"
    notes = [
        f"pooling: {answer.pooling}",
        f"output of each head alone set to {by}: how the cosine changes",
        "orange: rises without the head; blue: falls",
    ]
    for name, context in zip("AB", answer.contexts, strict=True):
        notes += [f"{name}: {say(said)}" for said in [unknown_legend(context)] if said]
    bars = [
        Bar(
            str(one.head),
            abs(one.change),
            (change_told(one.change), _plain(one.cosine)),
            color=FALLS if one.change < 0 else RISES,
        )
        for one in answer.heads[: top or HEADS_SHOWN]
    ]
    changes = {one.head: one.change for one in answer.heads}
    columns = "change", "cosine"
    with drawing(_families(answer)):
        ranked = Ranked("", "change", changes, True, _in_cell, "", columns, bars)
        return draw_ranked(_titled(answer, notes), [ranked], scale)


def _in_cell(change: float) -> str:
    told = number_of(abs(change))
    return f"−{told}" if change < 0 and told != "0" else told


def _families(answer: Similarity | EachSimilarity) -> Sequence[str]:
    """The fonts that both texts need."""
    shown = [text for context in answer.contexts for text in texts_of(context)]
    return font_families([*shown, "Σ·×"]).families


def _drawn(answer: Similarity, parts: np.ndarray, scale: Limits | None) -> Figure:
    down, across = parts.shape
    tall, wide = (whole_dots(_length(count), count) for count in (down, across))
    a, b = answer.contexts
    rows, columns = token_labels(a, tall / down), token_labels(b, wide / across)
    title = _heading(answer, (rows.note, columns.note))
    left, top = MARGIN + _AXIS_TITLE + rows.width + 0.1, MARGIN + title.height
    below = columns.height + _AXIS_TITLE + 0.1 + MARGIN
    width = max(left + wide + _BAR_ROOM + MARGIN, title.width + 2 * MARGIN)
    picture = blank(width, top + tall + below)
    title.draw(picture)
    axes = axes_at(picture, left, top, wide, tall)
    largest = float(np.abs(parts).max()) or 1.0
    signed = bool((parts < 0).any())
    limits = scale or (-largest if signed else 0.0, largest)
    image = draw_matrix(axes, parts, limits, signed)
    label_rows(axes, rows)
    label_columns(axes, columns)
    axes.set_ylabel(say("words of A"), labelpad=6)
    axes.set_xlabel(say("words of B"))
    axes.xaxis.set_label_coords(0.5, -(below - _AXIS_TITLE - MARGIN) / tall)
    if max(down, across) <= NUMBERED_UP_TO:
        _write_numbers(axes, parts, limits)
    color_bar(
        picture, image, "part of the cosine", (left + wide + 0.12, top, tall), ends_of([parts])
    )
    return picture


def _length(count: int) -> float:
    """How long a side is: cells with room for numbers, or as small as can be labelled."""
    usual = min(count, NUMBERED_UP_TO) * _CELL
    return min(max(usual, count * _SMALLEST_CELL, _SMALLEST_SIDE), _LARGEST_SIDE)


def _write_numbers(axes: Axes, parts: np.ndarray, limits: Limits) -> None:
    """The larger parts, in hundredths."""

    def told(number: float) -> str:
        return f"{100 * number:.1f}".replace("-", "−")

    least, signed = NUMBERED_FROM * float(np.abs(parts).max()), bool((parts < 0).any())
    write_numbers(axes, parts, limits, least, told, 8, signed)


def _heading(answer: Similarity, labelled: tuple[str, str]) -> Heading:
    """The model and the cosine, both texts, the pooling, and what the cells are."""
    a, b = answer.contexts
    pairs, notes = answer.pairs, [f"pooling: {answer.pooling}"]
    notes.append("each cell: a_i · b_j / (|a| |b|); all cells sum to the cosine")
    if pairs is not None and pairs.hidden is not None:
        rest = _plain(pairs.hidden)
        notes[-1] = f"each cell: a_i · b_j / (|a| |b|); special tokens left out: they give {rest}"
    if answer.several_pieces:
        notes.append("a word gives what its pieces give together; --pieces takes them apart")
    if max(len(a.tokens), len(b.tokens)) <= NUMBERED_UP_TO:
        notes.append("numbers in cells are hundredths")
    for name, context, note in zip("AB", answer.contexts, labelled, strict=True):
        notes += [f"{name}: {say(said)}" for said in (unknown_legend(context), note) if said]
    return _titled(answer, notes)


def _titled(answer: Similarity | EachSimilarity, notes: Sequence[str]) -> Heading:
    """The model and the cosine, both texts, and notes."""
    model = visible(answer.contexts[0].model.title)
    sentences = [
        f"{name}  {quoted(said)}"
        for name, context in zip("AB", answer.contexts, strict=True)
        for said in texts(context)
    ]
    title = f"{model} · cosine {_plain(answer.cosine)}"
    return Heading(title, tuple(sentences), tuple(visible(note) for note in notes))


def _plain(number: float) -> str:
    return f"{number:.3f}".replace("-", "−")
