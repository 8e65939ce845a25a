"""The article's picture: two columns of tokens, and lines from who looks to what is looked at."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnviz.answers.links import Links
from attnviz.attention.measures import number
from attnviz.attention.order import descending
from attnviz.errors import RequestError
from attnviz.inspection import Context, HeadId
from attnviz.inspection.context import Role
from attnviz.show.figure.captions import (
    SMALLEST_FONT,
    Heading,
    TokenLabels,
    axis_name,
    heading,
    label,
    labels_for,
    token_labels,
)
from attnviz.show.figure.drawing import (
    HEADS_APART,
    INK,
    MARGIN,
    MOST_HEADS,
    MUTED,
    axes_at,
    blank,
    drawing_of,
    head_colors,
    text_width,
)
from attnviz.show.forms import Limits
from attnviz.show.labels import names
from attnviz.show.wording import tokens_of
from attnviz.text.tokens import Token

Labels = dict[Role, TokenLabels]  # of both columns

STANDS_OUT = 0.5  # the part of the largest weight from which on keys do

_LEGEND_ROW, _LEGEND_COLUMN = 0.19, 0.85


ROLES: tuple[Role, Role] = ("query", "key")

_ROW, _CLOSE, _LOWEST, _USUAL, _TALLEST = 0.28, 0.16, 1.2, 12.0, 16.0
_SOME_USUAL = 7.0
_DRAWN_OUT = 3.0  # rows that a token of the shorter column takes at most


@dataclass(frozen=True, eq=False)
class Columns:
    """Token heights in rows from the top, NaN for those left out, and the `gaps` there.

    `row`: a row's height in inches; `rows`: how many the longer column has; the shorter is spread.
    """

    heights: Mapping[Role, np.ndarray]
    row: float
    rows: int
    gaps: Mapping[Role, Sequence[tuple[float, int]]] = field(default_factory=dict)

    @classmethod
    def of(cls, context: Context) -> "Columns":
        """The columns of all tokens, as high as is readable."""
        rows = max(len(context.tokens), len(context.keys))
        row = min(_ROW, max(_CLOSE, _USUAL / rows), _TALLEST / rows)
        heights = {role: _spread(len(tokens_of(context, role)), rows) for role in ROLES}
        return cls(heights, max(row, _LOWEST / rows), rows)

    @classmethod
    def some(cls, context: Context, shown: Mapping[Role, Sequence[int]]) -> "Columns":
        """The columns of some tokens, by their indices, with a mark where others are left out."""
        laid = {role: _laid(shown[role], len(tokens_of(context, role))) for role in ROLES}
        rows = max(count for _, _, count in laid.values())
        heights, gaps = {}, {}
        for role, (places, marks, count) in laid.items():
            spread = _spread(count, rows)
            heights[role] = np.where(places < 0, np.nan, spread[places])
            gaps[role] = [(float(spread[place]), left_out) for place, left_out in marks]
        row = min(_ROW, max(_CLOSE, _SOME_USUAL / rows))
        return cls(heights, max(row, _LOWEST / rows), rows, gaps)

    def shown(self, role: Role) -> list[int]:
        """The tokens that a column shows, by their indices."""
        return np.flatnonzero(~np.isnan(self.heights[role])).tolist()

    @property
    def side(self) -> float:
        """The height of both, in inches."""
        return self.row * self.rows

    def room(self, role: Role) -> float:
        """How far apart a column's tokens stand, in inches."""
        count = len(self.shown(role)) + len(self.gaps.get(role, ()))
        return self.row * min(self.rows / count, _DRAWN_OUT)


def _laid(shown: Sequence[int], count: int) -> tuple[np.ndarray, list[tuple[int, int]], int]:
    """The row of each token, -1 if left out; each gap's row and size; how many rows there are."""
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
    """The heights of `count` tokens in so many rows."""
    step = min(rows / count, _DRAWN_OUT)
    places: np.ndarray = (rows - 1) / 2 + (np.arange(count) - (count - 1) / 2) * step
    return places


@dataclass(frozen=True)
class Emphasis:
    """What stands out in a column: `bold` tokens among quiet others, and texts `beside` tokens."""

    bold: Sequence[int] = ()
    others_quiet: bool = False
    beside: Mapping[int, str] | None = None


@dataclass(frozen=True)
class _Frame:
    """Where the parts of the picture stand, in inches from the upper left corner."""

    left: float
    top: float
    gap: float
    side: float
    legend: float
    legend_columns: int
    width: float

    @classmethod
    def of(
        cls, context: Context, title: Heading, labels: Labels, side: float, heads: int
    ) -> "_Frame":
        """The frame for columns `side` inches high, and some heads."""
        gap = min(max(2.4, 0.6 * side), 5.0)
        # words that stand out are bold, thus wider, and have their weight beside them
        left, right = (
            max(one.width * 1.2 + 0.45, text_width(axis_name(context, role), 9)) + 0.03 * gap + 0.05
            for role, one in labels.items()
        )
        legend = MARGIN + left + gap + right
        columns = 0 if heads == 1 else math.ceil(heads / max(6, int(side / _LEGEND_ROW)))
        width = max(legend + columns * _LEGEND_COLUMN, title.width + MARGIN) + MARGIN
        return cls(MARGIN + left, MARGIN + title.height + 0.35, gap, side, legend, columns, width)


def figure(links: Links, top: int | None = None, scale: Limits | None = None) -> Figure:
    """Lines from who looks to what is looked at, darker and thicker with the weight."""
    limits = scale or (0.0, links.largest)
    if len(links.heads) > MOST_HEADS:
        raise RequestError(
            f"lines of {len(links.heads)} heads need as many colours, and eyes tell at most "
            f"{MOST_HEADS} apart",
            "choose fewer heads with --layer and --head, or draw all of them as heatmaps",
        )
    context, heads = links.context, links.heads
    query, key = (None if one is None else one.index for one in (links.query, links.key))
    columns = Columns.some(context, _ends(links)) if links.strongest else Columns.of(context)
    with drawing_of(context):
        labels = {role: _labels(context, role, columns) for role in ROLES}
        notes = [_note(links, limits)]
        if len(heads) > HEADS_APART:
            notes.append(f"{len(heads)} colours: the closest are hard to tell apart")
        title = heading(context, heads, links.shares, notes, query, key=key)
        frame = _Frame.of(context, title, labels, columns.side, len(heads))
        picture = blank(frame.width, frame.top + frame.side + MARGIN)
        title.draw(picture)
        axes = axes_at(picture, frame.left, frame.top, frame.gap, frame.side)
        axes.set(xlim=(0, 1), ylim=(columns.rows - 0.5, -0.5))
        axes.set_axis_off()
        _draw_links(axes, links, columns, limits)
        for role in ROLES:
            emphasis = _emphasis(links, role)
            if links.strongest:
                emphasis = replace(emphasis, others_quiet=False)
            _write_column(axes, context, role, columns, labels[role], emphasis)
        if len(heads) > 1:
            _legend(picture, heads, frame)
    return picture


def _note(links: Links, limits: Limits) -> str:
    """How weights became lines."""
    count, measured = len(links.weights), links.context.measured
    if links.strongest and count:
        which = f"the {count} strongest links" if count > 1 else "1 link"
        return (
            f"{which} · {_ends_of(links, limits, number)} · @: position · ⋮: how many are left out"
        )
    if not count:
        return f"no link of {links.threshold:.2g} or more"
    ends = _ends_of(links, limits, measured.number)
    return f"{ends} · links under {links.threshold:.2g} not drawn"


def _ends_of(links: Links, limits: Limits, told: Callable[[float], str]) -> str:
    """What the darkest and the palest line stand for."""
    low, high = limits
    darkest = f"darkest line: {told(high)}{' or more' if links.largest > high else ''}"
    beyond = " or less" if float(links.weights.min()) < low else ""
    return darkest if low <= 0 else f"{darkest} · palest: {told(low)}{beyond}"


def _ends(links: Links) -> dict[Role, list[int]]:
    """The tokens that links begin and end at, ascending; those named also without a link."""
    named = {role: [] if one is None else [one.index] for role, one in _named(links).items()}
    ends = {"query": links.queries.tolist(), "key": links.keys.tolist()}
    return {role: sorted({*ends[role], *named[role]}) for role in ROLES}


def _named(links: Links) -> dict[Role, Token | None]:
    """The query and the key that were named."""
    return {"query": links.query, "key": links.key}


def _labels(context: Context, role: Role, columns: Columns) -> TokenLabels:
    """Labels of a column's tokens."""
    if not columns.gaps:
        return token_labels(context, columns.room(role), role)
    called = names(context, role, every=True)
    own = [called[index] for index in columns.shown(role)]
    return labels_for(own, [INK] * len(own), columns.room(role))


def _draw_links(axes: Axes, links: Links, columns: Columns, limits: Limits) -> None:
    """All lines, the darkest on top; those of heads that join the same tokens run side by side."""
    order = np.argsort(links.weights, kind="stable")
    low, high = limits
    place = links.places[order]
    share = np.clip((links.weights[order] - low) / (high - low), 0, 1)
    shift = 0.6 * ((place + 0.5) / len(links.heads) - 0.5)
    ends = np.zeros((len(order), 2, 2))
    ends[:, 1, 0] = 1
    ends[:, 0, 1] = columns.heights["query"][links.queries[order]] + shift
    ends[:, 1, 1] = columns.heights["key"][links.keys[order]] + shift
    shades = np.empty((len(order), 4))
    shades[:, :3] = head_colors(len(links.heads))[place]
    shades[:, 3] = 0.05 + 0.95 * share
    thickest = min(4.0 if len(links.heads) == 1 else 2.5, max(1.0, columns.row * 72 * 0.7))
    widths = 0.4 + thickest * share
    axes.add_collection(LineCollection(list(ends), colors=shades, linewidths=widths), autolim=False)


def _emphasis(links: Links, role: Role) -> Emphasis:
    """A word named and its strongest others stand out, which in a single head have their weights
    beside them.
    """
    other: Role = "key" if role == "query" else "query"
    own, its = _named(links)[role], _named(links)[other]
    if its is None:
        return Emphasis() if own is None else Emphasis([own.index], others_quiet=True)
    strengths = np.zeros(len(tokens_of(links.context, role)))
    np.maximum.at(strengths, links.keys if role == "key" else links.queries, links.weights)
    strong = np.flatnonzero(strengths >= STANDS_OUT * links.largest).tolist()
    strong = strong if own is None else [own.index]
    by_strength = descending(strengths, int(np.count_nonzero(strengths))).tolist()
    told = number if links.strongest else links.context.measured.number
    beside = {place: told(float(strengths[place])) for place in by_strength}
    return Emphasis(strong, True, None if links.places.any() else beside)


def _legend(picture: Figure, heads: Sequence[HeadId], frame: _Frame) -> None:
    width, height = picture.get_size_inches()
    handles = [Line2D([], [], color=color, linewidth=2.5) for color in head_colors(len(heads))]
    picture.legend(
        handles,
        [str(head) for head in heads],
        loc="upper left",
        bbox_to_anchor=(frame.legend / width, 1 - (frame.top - 0.05) / height),
        ncols=frame.legend_columns,
        fontsize=8.5,
        handlelength=1.4,
        labelspacing=0.35,
        borderpad=0,
        frameon=False,
    )


def _write_column(
    axes: Axes,
    context: Context,
    role: Role,
    columns: Columns,
    labels: TokenLabels,
    emphasis: Emphasis,
) -> None:
    """Write one column's tokens, and its name above them."""
    x, align = (-0.03, "right") if role == "query" else (1.03, "left")
    tokens, places, beside = tokens_of(context, role), columns.heights[role], emphasis.beside or {}
    called = names(context, role, every=bool(columns.gaps))
    for index in columns.shown(role):
        token, bold = tokens[index], index in emphasis.bold
        if role == "key" and token.special and not context.special:  # it is a query alone
            continue
        quiet = token.special or (emphasis.others_quiet and not bold)
        shown, y = label(called[index]), float(places[index])
        weight, color = "bold" if bold else "normal", MUTED if quiet else INK
        style: dict[str, Any] = {"va": "center", "ha": align}
        axes.text(x, y, shown, size=labels.size, weight=weight, color=color, **style)
        if index in beside:
            away = text_width(shown, labels.size, bold) * 72 + 6
            size = max(labels.size - 2, SMALLEST_FONT)
            style |= {"textcoords": "offset points", "annotation_clip": False, "color": MUTED}
            at = (away if align == "left" else -away, 0)
            axes.annotate(beside[index], (x, y), at, size=size, **style)
    for y, left_out in columns.gaps.get(role, ()):
        axes.text(x, y, f"⋮ {left_out}", size=SMALLEST_FONT, color=MUTED, va="center", ha=align)
    style = {"xycoords": "axes fraction", "textcoords": "offset points", "color": MUTED}
    axes.annotate(axis_name(context, role), (x, 1), (0, 8), size=9, ha=align, va="bottom", **style)
