"""Which head finds each relation: the best head beside baselines, and a map of all heads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attnviz.answers.probe import Probe, Relation
from attnviz.errors import RequestError
from attnviz.inspection.context import counted
from attnviz.show.figure.captions import Heading, label
from attnviz.show.figure.drawing import (
    FAINT,
    INK,
    MARGIN,
    MUTED,
    axes_at,
    blank,
    drawing,
    widest,
)
from attnviz.show.figure.fonts import font_families
from attnviz.show.figure.language import say
from attnviz.show.figure.matrix import color_bar, draw_matrix, ends_of
from attnviz.show.labels import visible

ROWS_SHOWN = 30  # relations, unless the user says how many
MOST_HEADS = 200  # up to which each has a column; of more, each layer has one

MARKS: dict[str, tuple[str, str, bool]] = {
    "offset": ("D", "#2f6fb8", True),
    "same_key": ("X", "#d97f16", True),
    "nearest": ("^", "#2f8a68", True),
    "head_match": ("s", "#a559b0", False),
    "diagonal": ("s", "#a559b0", False),
    "nearest_pos": ("s", "#8f8f98", False),
    "random": ("|", "#77777f", True),
}
"""Each baseline's mark, its colour, and whether it is filled."""

NAMES = {
    "offset": "best fixed offset",
    "same_key": "same key",
    "nearest": "nearest word",
    "head_match": "same head word",
    "diagonal": "diagonal",
    "nearest_pos": "nearest of the right part of speech",
    "random": "random",
}
_FOUND, _TEXT, _SMALL = "#c0392b", 8.5, 7.0
_ROW, _PANEL, _TITLE, _GAP, _CELL, _NARROWEST = 0.23, 3.6, 0.25, 0.35, 0.085, 2.2


def figure(answer: Probe, top: int | None = None) -> Figure:
    """The `top` (30) most frequent relations, one a row; RequestError if there is no link."""
    if not answer.relations:
        raise RequestError("there is no link in what was read, and so nothing to draw")
    shown = answer.relations[: top or ROWS_SHOWN]
    texts = [answer.model.title, *answer.corpus.files, *(one.name for one in shown)]
    with drawing(font_families(map(visible, texts)).families):
        heading = Heading(*_heading(answer, len(shown)))
        names = [label(one.name) for one in shown]
        room = widest(names, _TEXT) + 0.15
        beside = widest([_best(answer, one) for one in shown], _SMALL) + 0.2
        columns, numbers = _columns(answer, shown)
        wide = max(_NARROWEST, len(columns) * _CELL)
        tall, above = len(shown) * _ROW, MARGIN + heading.height + _TITLE + 0.2
        left = MARGIN + room
        map_left = left + _PANEL + beside + _GAP
        width = max(map_left + wide + 0.75 + MARGIN, heading.width + 2 * MARGIN)
        picture = blank(width, above + tall + 0.95 + MARGIN)
        heading.draw(picture)
        axes = axes_at(picture, left, above, _PANEL, tall)
        _draw_found(axes, answer, shown, names)
        axes = axes_at(picture, map_left, above, wide, tall)
        _draw_map(axes, columns, numbers)
        bar = map_left + wide + 0.12, above, min(tall, 2.5)
        color_bar(picture, axes.images[0], "share found", bar, ends_of([numbers]))
        return picture


def _heading(answer: Probe, shown: int) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The title, no sentences, and the notes."""
    corpus = answer.corpus
    files = [visible(file) for file in corpus.files]
    named = files[0] if len(files) == 1 else say(f"{len(files)} files")
    heads = counted(len(answer.heads), "head")
    title = f"{visible(answer.model.title)} · {heads}"
    read = f"{counted(corpus.documents, 'text')}, {counted(corpus.words, 'word')}: {named}"
    hidden = len(answer.relations) - shown
    rest = f"the {shown} most frequent of {shown + hidden} relations" if hidden else ""
    intervals = "no intervals: they need at least 6 texts"
    if answer.intervals is not None:
        intervals = f"lines: 95% intervals, bootstrap over texts ({answer.intervals.resamples})"
    return title, (), tuple(filter(None, (read, rest, intervals)))


def _best(answer: Probe, relation: Relation) -> str:
    """The best head, to which word it looks, and how many links it was asked."""
    to = visible(relation.best.direction.rpartition("->")[2])
    several = len(answer.directions) > 1
    looks = f" {say(f'→ {to}')}" if several else ""
    return f"{relation.best.head}{looks}  {relation.asked.count:,}"


def _columns(answer: Probe, shown: Sequence[Relation]) -> tuple[list[tuple[int, bool]], np.ndarray]:
    """Each column's layer, and whether that begins; what heads find, or the best of a layer."""
    found = np.stack(
        [np.stack([one.accuracy for one in relation.directions]).max(axis=0) for relation in shown]
    )
    layers = np.array([head.layer for head in answer.heads])
    if len(layers) > MOST_HEADS:
        every = sorted(set(layers.tolist()))
        found = np.stack([found[:, layers == layer].max(axis=1) for layer in every], axis=1)
        layers = np.array(every)
    begins = np.diff(layers, prepend=-1) != 0
    return list(zip(layers.tolist(), begins.tolist(), strict=True)), found


def _draw_found(axes: Axes, answer: Probe, shown: Sequence[Relation], names: Sequence[str]) -> None:
    """A row a relation: found, its interval, held out, and the baselines."""
    axes.set(xlim=(-0.01, 1.01), ylim=(len(shown) - 0.5, -0.5))
    axes.set_yticks(range(len(shown)), names, size=_TEXT)
    axes.set_xticks(np.linspace(0, 1, 6), [f"{tick:.0%}" for tick in np.linspace(0, 1, 6)])
    axes.tick_params(axis="x", length=2, width=0.6, labelsize=_SMALL, color=MUTED, pad=2)
    axes.tick_params(axis="y", length=0, pad=4)
    axes.grid(axis="both", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    for row, (relation, name) in enumerate(zip(shown, axes.get_yticklabels(), strict=True)):
        name.set(fontweight="bold" if relation.beats else "normal")
        axes.text(1.04, row, _best(answer, relation), size=_SMALL, va="center_baseline",
                  color=INK if relation.beats else MUTED)  # fmt: skip
    for what, rows in _marks(shown).items():
        shape, color, filled = MARKS[what]
        style: dict[str, Any] = {"marker": shape, "linewidth": 0.9, "zorder": 2.5}
        style |= {"color": color} if filled else {"facecolor": "none", "edgecolor": color}
        _dots(axes, rows, NAMES[what], 22, style)
    found, held = [], []
    for row, one in enumerate(shown):
        low, high = one.accuracy.low, one.accuracy.high
        if low is not None and high is not None:
            axes.plot((low, high), (row, row), color=_FOUND, linewidth=1.3, zorder=2.8)
        found.append((one.accuracy.mean or 0.0, row))
        if one.held_out is not None and one.held_out.accuracy.mean is not None:
            held.append((one.held_out.accuracy.mean, row))
    _dots(axes, found, "best head", 30, {"color": _FOUND, "zorder": 3})
    ring = {"facecolor": "none", "edgecolor": INK, "linewidth": 0.9, "zorder": 3.2}
    _dots(axes, held, "heads chosen on the other half", 36, ring)
    below = -0.32 / (len(shown) * _ROW)
    legend: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (-0.02, below), "ncols": 3}
    legend |= {"handletextpad": 0.3, "columnspacing": 1.2, "frameon": False}
    axes.legend(fontsize=_SMALL, **legend)
    _title(axes, "a", "what the best head finds of each relation; bold: surely more than baselines")


def _dots(
    axes: Axes, rows: Sequence[tuple[float, int]], name: str, size: float, style: dict[str, Any]
) -> None:
    """A mark at each share and row."""
    if rows:
        x, y = zip(*rows, strict=True)
        axes.scatter(x, y, size, label=say(name), clip_on=False, **style)


def _marks(shown: Sequence[Relation]) -> dict[str, list[tuple[float, int]]]:
    """What each baseline finds, with its row."""
    rows: dict[str, list[tuple[float, int]]] = {}
    for row, relation in enumerate(shown):
        for what, one in relation.asked.baselines.items():
            if what in MARKS and one.accuracy.mean is not None:
                rows.setdefault(what, []).append((one.accuracy.mean, row))
    return rows


def _draw_map(axes: Axes, columns: Sequence[tuple[int, bool]], numbers: np.ndarray) -> None:
    """What each head finds, in the direction that suits it; a line before each layer."""
    draw_matrix(axes, numbers, (0.0, 1.0))
    starts = [place for place, (_, begins) in enumerate(columns) if begins]
    for start in starts[1:]:
        axes.axvline(start - 0.5, color=MUTED, linewidth=0.5, zorder=3)
    ends = [*starts[1:], len(columns)]
    middles = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    step = -(-len(starts) // 24)
    axes.set_xticks(middles[::step], [str(columns[start][0]) for start in starts[::step]])
    axes.tick_params(axis="x", length=0, labelsize=_SMALL, pad=2)
    axes.set_xlabel(say("layer"), size=_TEXT, labelpad=3)
    _title(axes, "b", "each head, in the direction that suits it" if len(columns) > len(starts)
           else "the best head of each layer")  # fmt: skip


def _title(axes: Axes, letter: str, text: str) -> None:
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(letter, (0, 1), (0, 8), size=_TEXT + 1.5, weight="bold", **place)
    axes.annotate(say(text), (0, 1), (14, 8), size=_TEXT + 0.5, **place)
