"""The article's picture: two columns of tokens, and lines from who looks to what is looked at."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attnviz.answers.links import Strongest
from attnviz.answers.strongest import strongest_link
from attnviz.attention.measures import Measure, number
from attnviz.attention.order import descending
from attnviz.errors import RequestError
from attnviz.inspection import Block, HeadId, View
from attnviz.inspection.context import Role
from attnviz.show.figure.captions import (
    Heading,
    TokenLabels,
    axis_name,
    heading,
    labels_for,
    token_labels,
)
from attnviz.show.figure.colors import head_colors
from attnviz.show.figure.columns import (
    ROLES,
    Columns,
    Emphasis,
    with_positions,
    write_column,
)
from attnviz.show.figure.drawing import (
    INK,
    MARGIN,
    axes_at,
    blank,
    drawing_of,
    text_width,
)
from attnviz.show.figure.shares import Shares, ShareTally
from attnviz.show.wording import tokens_of

Labels = dict[Role, TokenLabels]
"""The labels of both columns."""

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares under the first are never drawn; the later ones keep long texts' pictures readable.

Where rows are not distributions, they are parts of the largest number.
"""

MOST_LINES = 1500
"""More lines than this raise the threshold, so that pictures stay small and readable."""

STRONGEST, PALEST = 30, 0.05
"""Links that are drawn of a text that has too many tokens to show all of them, at most; and what
part of the largest weight they have at least, since paler lines could not be seen."""

STANDS_OUT = 0.5
"""Keys with at least this part of the largest weight of a query stand out."""

_LEGEND_ROW, _LEGEND_COLUMN = 0.19, 0.85


@dataclass(frozen=True, eq=False)
class _Links:
    """The links to draw, an entry each in the four arrays; `heads` are places in the request.

    `shares` are told of the queries drawn. `strongest`: whether these are the strongest links of a
    text that has too many tokens to show all; else, all links from the threshold on.
    """

    heads: np.ndarray
    queries: np.ndarray
    keys: np.ndarray
    weights: np.ndarray
    threshold: float
    shares: Shares
    measured: Measure
    strongest: bool

    @property
    def largest(self) -> float:
        """The weight of the darkest line."""
        return float(self.weights.max(initial=0.0)) or 1.0

    @property
    def note(self) -> str:
        """How weights became lines."""
        if self.strongest and len(self.weights):
            which = (
                f"the {len(self.weights)} strongest links" if len(self.weights) > 1 else "1 link"
            )
            darkest = number(self.largest)
            return f"{which} · darkest line: {darkest} · @: position · ⋮: how many are left out"
        if not len(self.weights):
            return f"no link of {self.threshold:.2g} or more"
        darkest = self.measured.number(self.largest)
        return f"darkest line: {darkest} · links under {self.threshold:.2g} not drawn"


@dataclass(frozen=True)
class _Frame:
    """Where the parts stand, in inches from the upper left corner."""

    left: float
    top: float
    gap: float
    side: float
    legend: float
    legend_columns: int
    width: float

    @classmethod
    def of(cls, view: View, title: Heading, labels: Labels, side: float, heads: int) -> "_Frame":
        """The frame for columns `side` inches high, and some heads."""
        gap = min(max(2.4, 0.6 * side), 5.0)
        # words that stand out are bold, thus wider, and have their weight beside them
        left, right = (
            max(one.width * 1.2 + 0.45, text_width(axis_name(view.context, role), 9))
            + 0.03 * gap
            + 0.05
            for role, one in labels.items()
        )
        legend = MARGIN + left + gap + right
        columns = 0 if heads == 1 else math.ceil(heads / max(6, int(side / _LEGEND_ROW)))
        width = max(legend + columns * _LEGEND_COLUMN, title.width + MARGIN) + MARGIN
        return cls(MARGIN + left, MARGIN + title.height + 0.35, gap, side, legend, columns, width)


def heads_or_strongest(
    view: View, heads: list[HeadId], query: int | None
) -> tuple[list[HeadId], str]:
    """The heads chosen; without any, the one of the query's strongest link, and a note on it.

    It is a layer, where the measure has no heads. Raises RequestError where there is neither.
    """
    if heads:
        return heads, ""
    if query is None:
        raise RequestError(
            "lines of all words in all heads would be a tangle", "choose a query, or heads"
        )
    found = strongest_link(view, query)
    return [found.head], found.why


def lines(view: View, heads: Sequence[HeadId], query: int | None) -> Figure:
    """Lines from the query at index `query`, or from all, darker and thicker with the weight.

    Several heads have a colour each, and a legend. Raises RequestError without a head.
    """
    if not heads:
        raise RequestError("there is no head to draw", "give one, as L3H1")
    columns = Columns.of(view.context)
    with drawing_of(view.context):
        links = _links(view, heads, query, columns.crowded)
        if columns.crowded:
            columns = Columns.some(view.context, _taking_part(links, query))
        labels = {role: _labels(view, role, columns) for role in ROLES}
        title = heading(view.context, heads, links.shares, [links.note], query)
        frame = _Frame.of(view, title, labels, columns.side, len(heads))
        figure = blank(frame.width, frame.top + frame.side + MARGIN)
        title.draw(figure)
        axes = axes_at(figure, frame.left, frame.top, frame.gap, frame.side)
        axes.set(xlim=(0, 1), ylim=(columns.rows - 0.5, -0.5))
        axes.set_axis_off()
        _draw_links(axes, links, heads, columns)
        for role in ROLES:
            emphasis = _emphasis(view, role, links, query)
            if links.strongest:
                emphasis = with_positions(view.context, role, emphasis)
            write_column(axes, view.context, role, columns, labels[role], emphasis)
        if len(heads) > 1:
            _legend(figure, heads, frame)
    return figure


def _taking_part(links: _Links, query: int | None) -> dict[Role, list[int]]:
    """The tokens that links begin and end at, ascending."""
    begins = links.queries if query is None else [*links.queries, query]
    return {"query": sorted({*map(int, begins)}), "key": sorted({*map(int, links.keys)})}


def _labels(view: View, role: Role, columns: Columns) -> TokenLabels:
    """Labels of a column's tokens."""
    if not columns.gaps:
        return token_labels(view.context, columns.room(role), role)
    own = [tokens_of(view.context, role)[index] for index in columns.shown(role)]
    return labels_for([token.label for token in own], [INK] * len(own), columns.room(role))


def _links(view: View, heads: Sequence[HeadId], query: int | None, crowded: bool) -> _Links:
    """The links of a query, or of all, that are strong enough; of a crowded text the strongest."""
    least = 0.0 if crowded else THRESHOLDS[0]
    most = STRONGEST if crowded else MOST_LINES + 1

    def found(some: list[HeadId], blocks: Iterator[Block]) -> tuple[Strongest, ShareTally, int]:
        kept, tally = Strongest(most, least, view.measured.shares), ShareTally(view.context)
        for block in blocks:
            kept.add(block)
            tally.add(block)
        return kept, tally, len(some)

    rows = None if query is None else _row(view, heads, query)
    groups = view.over(heads, found) if rows is None else [found(list(heads), iter([rows]))]
    kept, tally, first = Strongest(most, least, view.measured.shares), ShareTally(view.context), 0
    for own, shares, count in groups:
        kept.join(own, first)
        tally.join(shares)
        first += count
    weights = kept.weights
    thresholds = [kept.scale * part for part in THRESHOLDS]
    fitting = (t for t in thresholds if (weights >= t).sum() <= MOST_LINES)
    palest = PALEST * float(weights.max(initial=0.0))
    threshold = palest if crowded else next(fitting, thresholds[-1])
    strong = weights >= threshold
    return _Links(
        heads=kept.heads[strong],
        queries=kept.queries[strong],
        keys=kept.keys[strong],
        weights=weights[strong],
        threshold=threshold,
        shares=tally.shares,
        measured=view.measured,
        strongest=crowded,
    )


def _row(view: View, heads: Sequence[HeadId], query: int) -> Block:
    """The row of one query, in the heads given."""
    block, every = view.row(query).block, view.all_heads()
    places = [every.index(head) for head in heads]
    dropped, sink = (None if one is None else one[places] for one in (block.dropped, block.sink))
    return Block(list(heads), block.rows, block.weights[places], dropped, sink)


def _draw_links(axes: Axes, links: _Links, heads: Sequence[HeadId], columns: Columns) -> None:
    """All lines, the darkest on top; those of heads that join the same tokens run side by side."""
    order = np.argsort(links.weights, kind="stable")
    place, share = links.heads[order], links.weights[order] / links.largest
    shift = 0.6 * ((place + 0.5) / len(heads) - 0.5)
    ends = np.zeros((len(order), 2, 2))
    ends[:, 1, 0] = 1
    ends[:, 0, 1] = columns.query[links.queries[order]] + shift
    ends[:, 1, 1] = columns.key[links.keys[order]] + shift
    shades = np.empty((len(order), 4))
    shades[:, :3] = np.array(head_colors(len(heads)))[place]
    shades[:, 3] = 0.05 + 0.95 * share
    thickest = min(4.0 if len(heads) == 1 else 2.5, max(1.0, columns.row * 72 * 0.7))
    widths = 0.4 + thickest * share
    axes.add_collection(LineCollection(list(ends), colors=shades, linewidths=widths), autolim=False)


def _emphasis(view: View, role: Role, links: _Links, query: int | None) -> Emphasis:
    """The query and its strongest keys stand out; a single head's weights stand beside the keys."""
    if query is None:
        return Emphasis()
    if role == "query":
        return Emphasis([query], others_quiet=True)
    strengths = np.zeros(len(view.keys))
    np.maximum.at(strengths, links.keys, links.weights)
    strong = np.flatnonzero(strengths >= STANDS_OUT * links.largest).tolist()
    by_strength = descending(strengths, int(np.count_nonzero(strengths))).tolist()
    told = number if links.strongest else view.measured.number
    beside = {key: told(float(strengths[key])) for key in by_strength}
    return Emphasis(strong, True, None if links.heads.any() else beside)


def _legend(figure: Figure, heads: Sequence[HeadId], frame: _Frame) -> None:
    width, height = figure.get_size_inches()
    handles = [Line2D([], [], color=color, linewidth=2.5) for color in head_colors(len(heads))]
    figure.legend(
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
