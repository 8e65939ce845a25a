"""One head's whole table: queries down, keys across, cells coloured by weight."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from attnviz.attention.order import descending, largest
from attnviz.inspection import HeadId, View
from attnviz.show.terminal.cells import (
    Line,
    cut,
    fit,
    label,
    remarks,
    render_lines,
    sentences,
    tone_of,
    width_of,
)
from attnviz.show.terminal.heading import head_title, heading
from attnviz.show.terminal.notes import purpose_note, sink_note
from attnviz.show.terminal.palette import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    Scale,
    percent,
)
from attnviz.show.wording import MAY_NOT, role_name
from attnviz.text.tokens import Token

LONGEST_WORD = 14
WIDEST_CELL = 10
NARROWEST_CELL = 4
"""Marker and weight: `▸.68`."""

HEADER_LINES = 3
"""Lines that the keys' names are staggered over at most."""

SHARE_WIDTH = 9
"""The column that tells what went to special tokens."""

SIDE_WORD = 8
SIDE_WIDTH = SIDE_WORD + 8
"""The column that tells each query's strongest key, beside a table that cannot show all keys."""


@dataclass(frozen=True)
class Layout:
    """Which keys are shown, in cells how wide; `margin` is the width of the queries' names.

    `side`: whether a column beside the table tells each query's strongest key.
    """

    margin: int
    cell: int
    columns: tuple[int, ...]
    header: int
    side: bool

    @property
    def padding(self) -> int:
        """The space after a weight, where there is room for one."""
        return 1 if self.cell > NARROWEST_CELL else 0


def margin_for(view: View, width: int) -> int:
    """The cells that the queries' names take in a line of `width`."""
    return min(width_of(view.tokens, LONGEST_WORD) + 2, max(3, width // 4))


@dataclass(frozen=True, eq=False)
class HeadTable:
    """One head as a matrix. Keys that do not fit are hidden: those with the smallest weights.

    weights: (query, key); dropped: (query,), the share that went to special tokens, where the view
    leaves them out; sink: (query,), the share that went to the model's sink, if it has one.
    """

    view: View
    head: HeadId
    weights: np.ndarray
    dropped: np.ndarray | None
    sink: np.ndarray | None

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.view.measured, float(self.weights.max()))

    @cached_property
    def _seen(self) -> np.ndarray | None:
        """Which keys each query may look at, (query, key), where not at all of them."""
        return self.view.visible(self.head.layer)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        layout, queries = self._layout(width), range(len(self.weights))
        yield from head_heading(self.view, self.head, self.weights, self._scale)
        yield head_title(self.head, self._axes)
        yield from render_lines(self._header(layout), width)
        yield from render_lines((self._row(query, layout) for query in queries), width)
        yield from render_lines(self._closing(layout, width), width)

    @property
    def _axes(self) -> str:
        """What rows and columns are, and what a cell without a number says."""
        if not self.view.is_cross_attention and self._seen is None:
            return "queries (who looks) down, keys (looked at) across"
        blank = "" if self._seen is None else f"; blank: {MAY_NOT}"
        down, across = (role_name(self.view.context, role) for role in ("query", "key"))
        return f"{down} down, {across} across{blank}"

    @property
    def _remains(self) -> str:
        """What becomes of rows whose special tokens are left out."""
        if not self.view.measured.shares:
            return "is as it was"
        return "sums to 1" if self.sink is None else "sums to 1 with the sink's part"

    def _layout(self, width: int) -> Layout:
        margin = margin_for(self.view, width)
        room = width - margin - (0 if self.dropped is None else SHARE_WIDTH)
        columns, side = self._columns(room)
        longest = width_of((self.view.keys[i] for i in columns), LONGEST_WORD)
        cell = NARROWEST_CELL
        if not self._hidden(columns):
            cell = max(cell, min(longest + 2, WIDEST_CELL, room // len(columns)))
        header = min(HEADER_LINES, -(-(longest + 1) // cell), len(columns))
        return Layout(margin, cell, columns, header, side)

    def _columns(self, room: int) -> tuple[tuple[int, ...], bool]:
        """The keys shown: all, or those with the largest weights, in the sentence's order.

        Where a query's strongest key is hidden all the same, a side column has to tell it.
        """
        count = len(self.view.keys)
        if count * NARROWEST_CELL <= room:
            return tuple(range(count)), False
        order = descending(self.weights.max(axis=0)).tolist()
        shown = order[: max(1, room // NARROWEST_CELL)]
        side = not set(largest(self.weights).tolist()) <= set(shown)
        if side:
            shown = order[: max(1, (room - SIDE_WIDTH) // NARROWEST_CELL)]
        return tuple(sorted(shown)), side

    def _hidden(self, columns: tuple[int, ...]) -> int:
        return len(self.view.keys) - len(columns)

    def _header(self, layout: Layout) -> Iterator[Line]:
        """The keys' names, each ending above its column's end, staggered where cells are narrow."""
        names = [label(self.view.keys[i]) for i in layout.columns]
        for part in reversed(range(layout.header)):
            text = ""
            for place in range(part, len(names), layout.header):
                end = layout.margin + (place + 1) * layout.cell - layout.padding
                room = end - cell_len(text)
                name = cut(names[place], room - 1)
                text += fit(name, room, right=True)
            if part == 0:
                text = fit(text, layout.margin + len(names) * layout.cell)
                text += "" if self.dropped is None else fit("special", SHARE_WIDTH, right=True)
                text += "  strongest" if layout.side else ""
            yield [Segment(text, BOLD)]

    def _row(self, query: int, layout: Layout) -> Line:
        row, token, keys = self.weights[query], self.view.tokens[query], self.view.keys
        best = int(largest(row))
        line = [query_name(token, layout.margin)]
        for key in layout.columns:
            if self._seen is not None and not self._seen[query, key]:
                line.append(Segment(" " * layout.cell))
                continue
            weight = float(row[key])
            strongest = key == best and weight > 0
            mark = MARKER if strongest else " "
            text = mark + self._scale.text(weight) + " " * layout.padding
            line.append(Segment(" " * (layout.cell - cell_len(text))))
            tone = tone_of(self.view.context, token, keys[key])
            line.append(Segment(text, self._scale.style(weight, tone, strongest)))
        if self.dropped is not None:
            share = percent(float(self.dropped[query]))
            line.append(Segment(fit(share, SHARE_WIDTH, right=True), DIM))
        if layout.side:
            weight = float(row[best])
            line.append(Segment("  " + fit(label(keys[best]), SIDE_WORD) + " ", PLAIN))
            style = self._scale.style(
                weight, tone_of(self.view.context, token, keys[best]), bold=True
            )
            line.append(Segment(f" {self._scale.text(weight)} ", style))
        return line

    def _closing(self, layout: Layout, width: int) -> Iterator[Line]:
        hidden, count = self._hidden(layout.columns), len(self.view.keys)
        if hidden:
            yield from sentences(
                f"{hidden} of {count} columns are hidden, those with the smallest weights. To see "
                "more: a wider terminal, --top 5 for each query's strongest keys, -f csv, "
                "or attnviz heatmap.",
                width,
            )
        if self.dropped is not None:
            yield from sentences(
                "Special tokens are left out: their share of each row stands under special, and "
                f"what remains {self._remains}.",
                width,
            )
        yield from remarks(sink_note(self.view.context, self.sink), width)
        if self.view.is_cross_attention:
            yield from sentences(purpose_note(), width)


def head_heading(
    view: View, head: HeadId, weights: np.ndarray | None, scale: Scale
) -> Iterator[RenderableType]:
    """What stands above one head: weights, (query, key), or None where not all are there."""
    inside = None
    if view.window is not None and weights is not None:
        inside = float(weights.sum(axis=-1).mean())
    yield from heading(view.context, scale, inside=inside, layers=[head.layer])
    yield Text()


def query_name(token: Token, margin: int, name: str | None = None) -> Segment:
    """A query's name in the margin: its label, unless it is called otherwise."""
    shown = label(token) if name is None else name
    return Segment(fit(shown, margin - 1) + " ", DIM if token.special else BOLD)
