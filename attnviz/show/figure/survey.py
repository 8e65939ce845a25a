"""The heads over a corpus in one figure: roles, entropy and shares by layer, and their tree."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from attnviz.answers.distances import Distances
from attnviz.answers.survey import UNKNOWN, Survey
from attnviz.errors import RequestError
from attnviz.inspection.context import counted
from attnviz.show.figure.captions import Heading
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
from attnviz.show.labels import percent, visible
from attnviz.show.roles import look_of
from attnviz.show.wording import attention_told

SHARES = {
    "itself": ("o", "#2f8a68"),
    "previous": ("s", "#2f6fb8"),
    "next": ("^", "#4aa8d8"),
    "first": ("v", "#8a6d1d"),
    "cls": ("P", "#77777f"),
    "separators": ("X", "#1b1b1f"),
    "sink": ("*", "#5a4bb0"),
    "punctuation": ("D", "#a559b0"),
    "same_word": ("h", "#d97f16"),
}
"""The shares that are drawn by layer: a mark and a colour each."""

LETTERS_FROM, MOST_NAMED = 24, 160
"""Heads of a layer from which on cells have no share; heads up to which leaves have names."""

_TEXT, _SMALL, _TINY = 8.5, 7.0, 6.0
_ROW, _PANEL, _TREE, _TITLE, _AXIS, _GAP = 0.24, 2.5, 1.9, 0.34, 0.55, 0.5
_LEGEND_ROW, _NARROWEST, _LEAF, _TICK = 0.2, 9.6, 0.105, 0.17


def figure(survey: Survey, top: int | None = None) -> Figure:
    """Four panels: the map of roles, entropy and shares by layer, the tree of heads.

    RequestError if there are no heads.
    """
    if not survey.heads:
        raise RequestError(f"{survey.nothing}: there is nothing to draw", "give other texts")
    shown = [survey.model.title, *survey.corpus.files]
    with drawing(font_families(map(visible, shown)).families):
        frame = _Frame.of(survey)
        picture = blank(frame.width, frame.height)
        frame.heading.draw(picture)
        _draw_map(picture, survey, frame)
        _draw_entropy(picture, survey, frame)
        _draw_shares(picture, survey, frame)
        if survey.distances is not None:
            _draw_tree(picture, survey, survey.distances, frame)
        return picture


@dataclass(frozen=True)
class _Frame:
    """Where the panels lie, in inches."""

    heading: Heading
    layers: tuple[int, ...]
    across: tuple[int, ...]
    cell: tuple[float, float]
    width: float
    tree: bool
    legend: tuple[int, int, float]  # rows, columns, the width of a column

    @classmethod
    def of(cls, survey: Survey) -> "_Frame":
        """The room that a survey needs."""
        layers, across = (
            tuple(sorted({one.head[axis] or 0 for one in survey.heads})) for axis in (0, 1)
        )
        cell = (0.45 if len(across) < LETTERS_FROM else 0.2, _ROW)
        counts, heading = survey.counts(), Heading(*_heading(survey))
        wide = widest([_legend(survey, one.name, 0.99) for one in counts], _TEXT) + 0.5
        columns = 2 if len(layers) * cell[1] < len(counts) * _LEGEND_ROW else 1
        legend = -(-len(counts) // columns), columns, wide
        count = len(survey.heads) if len(survey.heads) <= MOST_NAMED else 0
        width = max(
            MARGIN + _AXIS + len(across) * cell[0] + 0.3 + columns * wide + MARGIN,
            heading.width + 2 * MARGIN,
            MARGIN + _AXIS + count * _LEAF + MARGIN,
            _NARROWEST,
        )
        tree = survey.distances is not None
        return cls(heading, layers, across, cell, width, tree, legend)

    @property
    def map_top(self) -> float:
        return MARGIN + self.heading.height + _TITLE + 0.25

    @property
    def map_size(self) -> tuple[float, float]:
        return len(self.across) * self.cell[0], len(self.layers) * self.cell[1]

    @property
    def panels_top(self) -> float:
        return self.map_top + max(self.map_size[1], self.legend[0] * _LEGEND_ROW) + _GAP + _TITLE

    @property
    def tree_top(self) -> float:
        return self.panels_top + _PANEL + _GAP + _TITLE

    @property
    def height(self) -> float:
        below = self.tree_top + _TREE + 0.65 if self.tree else self.panels_top + _PANEL + 0.5
        return below + MARGIN


def _heading(survey: Survey) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The title, no sentences, and the notes."""
    corpus = survey.corpus
    files = [visible(file) for file in corpus.files]
    named = files[0] if len(files) == 1 else say(f"{len(files)} files")
    read = f"{counted(corpus.documents, 'text')}, {counted(corpus.words, 'word')}: {named}"
    left = f"{corpus.left_out:,} left out" if corpus.left_out else ""
    intervals = "no intervals and no tests: they need at least 6 texts"
    if survey.intervals is not None:
        intervals = f"lines: 95% intervals, bootstrap over texts ({survey.intervals.resamples})"
    heads = counted(len(survey.heads), "head")
    title = f"{visible(survey.model.title)} · {heads}"
    whose = attention_told(survey.attention)
    notes = (whose, read, left, f"{survey.measure}: {visible(survey.formula)}", intervals)
    return title, (), tuple(filter(None, notes))


def _title(axes: Axes, letter: str, text: str, above: float) -> None:
    """A panel's letter and title, `above` its upper edge in points."""
    place: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    axes.annotate(letter, (0, 1), (0, above), size=_TEXT + 1.5, weight="bold", **place)
    axes.annotate(say(text), (0, 1), (14, above), size=_TEXT + 0.5, **place)


def _legend(survey: Survey, name: str, share: float) -> str:
    titles = {role.name: role.title for role in survey.roles} | {UNKNOWN: "unknown"}
    return f"{say(titles.get(name, visible(name)))}  {percent(share)}"


def _draw_map(picture: Figure, survey: Survey, frame: _Frame) -> None:
    """Layers down, heads across: each cell has the colour and the letter of the largest role."""
    wide, tall = frame.map_size
    axes = axes_at(picture, MARGIN + _AXIS, frame.map_top, wide, tall)
    with_share = len(frame.across) < LETTERS_FROM
    for one in survey.heads:
        row, place = frame.layers.index(one.head.layer), frame.across.index(one.head.place)
        look = look_of(one.role)
        box: dict[str, Any] = {"facecolor": look.colour, "edgecolor": "white", "linewidth": 0.8}
        axes.add_patch(Rectangle((place - 0.5, row - 0.5), 1, 1, **box))
        told = f"{look.letter} {100 * (one.share.mean or 0):.0f}" if with_share else look.letter
        ink = MUTED if one.role == UNKNOWN else INK
        axes.text(place, row, told, size=_SMALL, ha="center", va="center_baseline", color=ink)
    axes.set(xlim=(-0.5, len(frame.across) - 0.5), ylim=(len(frame.layers) - 0.5, -0.5))
    axes.set_xticks(range(len(frame.across)), list(map(str, frame.across)), size=_SMALL)
    axes.set_yticks(range(len(frame.layers)), list(map(str, frame.layers)), size=_SMALL)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=2)
    axes.set_ylabel(say("layer"), size=_TEXT, labelpad=4)
    title = "the role with the largest share of each head's attention"
    _title(axes, "a", title + (", and its share in %" if with_share else ""), 18)
    _draw_legend(picture, survey, frame)


def _draw_legend(picture: Figure, survey: Survey, frame: _Frame) -> None:
    """The roles, each with its share of all attention."""
    left = MARGIN + _AXIS + frame.map_size[0] + 0.3
    rows, _, wide = frame.legend
    axes = axes_at(picture, left, frame.map_top, 1, rows * _LEGEND_ROW)
    axes.set(xlim=(0, 1), ylim=(rows - 0.5, -0.5))
    axes.set_axis_off()
    axes.annotate(say("share of all attention"), (0, -0.5), (0, 5), color=MUTED, size=_SMALL,
                  textcoords="offset points", annotation_clip=False)  # fmt: skip
    for place, one in enumerate(survey.counts()):
        look, x, row = look_of(one.name), place // rows * wide, place % rows
        box: dict[str, Any] = {"facecolor": look.colour, "edgecolor": FAINT, "linewidth": 0.6}
        axes.add_patch(Rectangle((x, row - 0.42), 0.24, 0.84, clip_on=False, **box))
        axes.text(x + 0.12, row, look.letter, size=_SMALL, ha="center", va="center_baseline")
        told = _legend(survey, one.name, one.share)
        axes.text(x + 0.32, row, told, size=_TEXT, va="center_baseline")


def _plot(picture: Figure, frame: _Frame, left: float, wide: float) -> Axes:
    """An empty panel whose horizontal axis are the layers."""
    axes = axes_at(picture, left, frame.panels_top, wide, _PANEL)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    count = len(frame.layers)
    step = math.ceil(count * _TICK / wide)
    axes.set_xticks(range(0, count, step), [str(one) for one in frame.layers[::step]], size=_SMALL)
    axes.tick_params(length=2, width=0.6, pad=2, labelsize=_SMALL, color=MUTED)
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel(say("layer"), size=_TEXT, labelpad=3)
    axes.set_xlim(-0.6, count - 0.4)
    return axes


def _draw_entropy(picture: Figure, survey: Survey, frame: _Frame) -> None:
    """Each head's entropy, in the colour of its role, and the mean of each layer."""
    wide = frame.width / 2 - MARGIN - _AXIS - 0.25
    axes = _plot(picture, frame, MARGIN + _AXIS, wide)
    apart = 0.7 / max(len(frame.across), 1)
    roles = {one.head: one.role for one in survey.heads}
    dots, colors, lines = [], [], []
    for head, number in survey.strongest("entropy"):
        x = frame.layers.index(head.layer) - 0.35 + apart * (frame.across.index(head.place) + 0.5)
        dots.append((x, number.mean or 0))
        colors.append(look_of(roles[head]).colour)
        if number.low is not None and number.high is not None:
            lines.append([(x, number.low), (x, number.high)])
    axes.add_collection(LineCollection(lines, colors=INK, linewidths=0.7, zorder=2))
    places = np.array(dots).reshape(-1, 2)
    axes.scatter(
        places[:, 0], places[:, 1], s=15, color=colors, edgecolor=INK, linewidth=0.5, zorder=3
    )
    for layer, mean in survey.by_layer("entropy").items():
        place = frame.layers.index(layer)
        axes.plot((place - 0.4, place + 0.4), (mean, mean), color="#c0392b", linewidth=1.4)
    axes.set_ylim(bottom=0)
    axes.set_ylabel(say("entropy, bits"), size=_TEXT, labelpad=4)
    _title(axes, "b", "entropy of each head, and the mean of the layer (red)", 8)


def _draw_shares(picture: Figure, survey: Survey, frame: _Frame) -> None:
    """Where the attention of a layer goes, on average over its heads."""
    titles = {one.name: say(one.title) for one in survey.statistics}
    room = widest([titles[name] for name in SHARES if name in titles], _SMALL) + 0.35
    left = frame.width / 2 + _AXIS - 0.1
    axes = _plot(picture, frame, left, frame.width - left - room - MARGIN)
    ends = []
    for name, (mark, color) in SHARES.items():
        means = survey.by_layer(name)
        if not means:
            continue
        places = [frame.layers.index(layer) for layer in means]
        style: dict[str, Any] = {"marker": mark, "markersize": 4, "markeredgewidth": 0}
        axes.plot(places, list(means.values()), color=color, linewidth=1.2, **style)
        ends.append((list(means.values())[-1], titles[name], color))
    axes.set_ylim(bottom=0)
    axes.set_ylabel(say("mean share"), size=_TEXT, labelpad=4)
    _title(axes, "c", "shares by layer, means over its heads", 8)
    _label_ends(axes, ends)


def _label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names beside the ends of lines, moved apart where they would lie on each other."""
    if not ends:
        return
    top = axes.get_ylim()[1]
    apart = top * (_SMALL * 1.25 / 72) / _PANEL
    ordered = sorted(ends)
    places: list[float] = []
    for end, *_ in ordered:
        places.append(max(end, places[-1] + apart) if places else end)
    over = max(0.0, places[-1] - top)
    places = [place - over for place in places]
    for i in reversed(range(len(places) - 1)):
        places[i] = min(places[i], places[i + 1] - apart)
    x = axes.get_xlim()[1]
    for place, (end, text, color) in zip(places, ordered, strict=True):
        line: dict[str, Any] = {"arrowstyle": "-", "color": color, "linewidth": 0.6}
        line |= {"relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 4}
        axes.annotate(text, (x - 0.4, end), (x + 0.04 * x, place), color=color, size=_SMALL,
                      va="center", annotation_clip=False, arrowprops=line)  # fmt: skip


def _draw_tree(picture: Figure, survey: Survey, distances: Distances, frame: _Frame) -> None:
    """Which heads are alike: joins at their mean distance, clusters shaded, leaves in order."""
    wide = frame.width - 2 * MARGIN - _AXIS
    axes = axes_at(picture, MARGIN + _AXIS, frame.tree_top, wide, _TREE)
    count = len(survey.heads)
    order = list(_leaves(distances, 2 * count - 2, count))
    x = {leaf: float(place) for place, leaf in enumerate(order)}
    y = dict.fromkeys(range(count), 0.0)
    lines = []
    for step, (a, b, height, _) in enumerate(distances.tree):
        lines.append([(x[a], y[a]), (x[a], height), (x[b], height), (x[b], y[b])])
        x[count + step], y[count + step] = (x[a] + x[b]) / 2, height
    axes.add_collection(LineCollection(lines, colors=INK, linewidths=0.7))
    top = max((join[2] for join in distances.tree), default=1.0) or 1.0
    for number, cluster in enumerate(distances.clusters):
        places = [x[place] for place in cluster]
        if len(places) > 1 and number < count:
            axes.axvspan(min(places) - 0.4, max(places) + 0.4, 0, 1, color="#f0f0f3", zorder=0)
    axes.axhline(distances.cut, color="#c0392b", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set(xlim=(-0.8, count - 0.2), ylim=(0, 1.05 * max(top, distances.cut)))
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.tick_params(length=2, width=0.6, pad=2, labelsize=_SMALL, color=MUTED)
    axes.set_ylabel(say("distance, bits"), size=_TEXT, labelpad=4)
    axes.set_xticks([])
    _label_leaves(axes, survey, order)
    title = (
        f"the tree of heads: mean Jensen-Shannon distance, over {counted(distances.rows, 'row')}; "
        f"grey: clusters below {distances.cut:g} bits"
    )
    _title(axes, "d", title, 8)


def _label_leaves(axes: Axes, survey: Survey, order: Sequence[int]) -> None:
    """A square in the colour of its role below each leaf, and its name if they are not too many."""
    looks = [look_of(survey.heads[leaf].role) for leaf in order]
    at: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "annotation_clip": False}
    if len(order) > MOST_NAMED:
        strip = axes.get_xaxis_transform()
        boxes = [Rectangle((place - 0.5, -0.08), 1, 0.06) for place in range(len(order))]
        own = PatchCollection(boxes, facecolors=[look.colour for look in looks])
        own.set(linewidth=0, transform=strip, clip_on=False)
        axes.add_collection(own)
        return
    for place, (leaf, look) in enumerate(zip(order, looks, strict=True)):
        box: dict[str, Any] = {"boxstyle": "square,pad=0.15", "facecolor": look.colour}
        box |= {"edgecolor": FAINT, "linewidth": 0.4}
        letter: dict[str, Any] = {"ha": "center", "va": "top", "size": _TINY - 1}
        axes.annotate(look.letter, (place, -0.03), bbox=box, **letter, **at)
        axes.annotate(str(survey.heads[leaf].head), (place, -0.14), rotation=90, ha="center",
                      va="top", size=_TINY, **at)  # fmt: skip


def _leaves(distances: Distances, node: int, count: int) -> Iterator[int]:
    """The heads below a join, those of its first part before those of the other."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if one < count:
            yield one
        else:
            a, b = distances.tree[one - count][:2]
            waiting += [b, a]
