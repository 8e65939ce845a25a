"""One head's whole table: queries down, keys across, cells coloured by weight."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from attnviz.analysis.summary import Link
from attnviz.inspection import HeadId, View
from attnviz.render.sight import MAY_NOT, role_name
from attnviz.render.terminal.cells import (
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
from attnviz.render.terminal.heading import head_title, heading
from attnviz.render.terminal.notes import purpose_note, sink_note
from attnviz.render.terminal.palette import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    SHARES,
    Scale,
    percent,
)
from attnviz.tokens import Token

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
        if not self.view.crossed and self._seen is None:
            return "queries (who looks) down, keys (looked at) across"
        blank = "" if self._seen is None else f"; blank: {MAY_NOT}"
        return f"{role_name(self.view, 'query')} down, {role_name(self.view, 'key')} across{blank}"

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
        order = [int(key) for key in np.argsort(-self.weights.max(axis=0), kind="stable")]
        shown = order[: max(1, room // NARROWEST_CELL)]
        side = not set(self.weights.argmax(axis=1).tolist()) <= set(shown)
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
        best = int(row.argmax())
        line = [_name(token, layout.margin)]
        for key in layout.columns:
            if self._seen is not None and not self._seen[query, key]:
                line.append(Segment(" " * layout.cell))
                continue
            weight = float(row[key])
            strongest = key == best and weight > 0
            mark = MARKER if strongest else " "
            text = mark + self._scale.text(weight) + " " * layout.padding
            line.append(Segment(" " * (layout.cell - cell_len(text))))
            tone = tone_of(self.view, token, keys[key])
            line.append(Segment(text, self._scale.style(weight, tone, strongest)))
        if self.dropped is not None:
            share = percent(float(self.dropped[query]))
            line.append(Segment(fit(share, SHARE_WIDTH, right=True), DIM))
        if layout.side:
            weight = float(row[best])
            line.append(Segment("  " + fit(label(keys[best]), SIDE_WORD) + " ", PLAIN))
            style = self._scale.style(weight, tone_of(self.view, token, keys[best]), bold=True)
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
        yield from remarks(sink_note(self.view, self.sink), width)
        if self.view.crossed:
            yield from sentences(purpose_note(), width)


@dataclass(frozen=True, eq=False)
class TopKeys:
    """One head as a list: each query with its `top` strongest keys; arrays as in HeadTable."""

    view: View
    head: HeadId
    weights: np.ndarray
    dropped: np.ndarray | None
    sink: np.ndarray | None
    top: int

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.view.measured, float(self.weights.max()))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from head_heading(self.view, self.head, self.weights, self._scale)
        count, width = min(self.top, len(self.view.keys)), options.max_width
        what = "the strongest key" if count == 1 else f"the {count} strongest keys"
        yield head_title(self.head, f"{what} of each query")
        for query in range(len(self.weights)):
            yield from render_lines(self._lines(query, width), width)
        yield from render_lines(remarks(sink_note(self.view, self.sink), width), width)

    def _lines(self, query: int, width: int) -> Iterator[Line]:
        """A query's line, and as many more below it as its keys need."""
        row, token, keys = self.weights[query], self.view.tokens[query], self.view.keys
        margin = margin_for(self.view, width)
        share = 0 if self.dropped is None else len("special 100%  ")
        word = max(1, min(width_of(keys, LONGEST_WORD), width - margin - share - 7))
        across = max(1, (width - margin - share) // (word + 7))
        seen = self.view.visible(self.head.layer, slice(query, query + 1))
        order = strongest(row, None if seen is None else seen[0])[: self.top]
        line = [_name(token, margin)]
        if self.dropped is not None:
            part = f"special {percent(float(self.dropped[query]))}"
            line.append(Segment(fit(part, share), DIM))
        for place, key in enumerate(order):
            if place and place % across == 0:
                yield line
                line = [Segment(" " * (margin + share))]
            link = Link(token, keys[key], float(row[key]))
            line += named_weight(self.view, link, word, place == 0, self._scale)
        yield line


def head_heading(
    view: View, head: HeadId, weights: np.ndarray, scale: Scale
) -> Iterator[RenderableType]:
    """What stands above one head: weights, (query, key)."""
    inside = None if view.window is None else float(weights.sum(axis=-1).mean())
    yield from heading(view, scale, inside=inside, layers=[head.layer])
    yield Text()


def strongest(row: np.ndarray, seen: np.ndarray | None) -> list[int]:
    """The places of a row's numbers, the largest first; only those that may be looked at."""
    order = np.argsort(-row, kind="stable")
    return [int(place) for place in order if seen is None or seen[place]]


def _name(token: Token, margin: int) -> Segment:
    """A query's name in the margin."""
    return Segment(fit(label(token), margin - 1) + " ", DIM if token.special else BOLD)


def named_weight(view: View, link: Link, word: int, first: bool, scale: Scale = SHARES) -> Line:
    """A weight with the key that it goes to, in `word` + 7 cells; the first of a row stands out."""
    mark = MARKER if first and link.weight > 0 else " "
    style = scale.style(link.weight, tone_of(view, link.query, link.key), bold=first)
    name_style = BOLD if first else DIM if link.key.special else PLAIN
    return [
        Segment(f"{mark}{scale.text(link.weight)} ", style),
        Segment(" " + fit(label(link.key), word) + " ", name_style),
    ]
