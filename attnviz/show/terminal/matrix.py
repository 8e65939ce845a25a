"""Whole heads: as a matrix, queries down and keys across, or each query with its strongest keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.text import Text

from attnviz.answers.matrices import Matrices
from attnviz.answers.overview import Link
from attnviz.answers.word import by_weight
from attnviz.attention.order import descending, largest
from attnviz.inspection import Block, Context, HeadId
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    MARKER,
    PLAIN,
    Line,
    Scale,
    cut,
    fit,
    label,
    percent,
    render_lines,
    tone_of,
    width_of,
)
from attnviz.show.terminal.heading import (
    Names,
    head_title,
    heading,
    is_long,
    purpose_note,
    quiet_line,
    sink_note,
)
from attnviz.show.terminal.word import KEYS_NAMED, named_weight
from attnviz.show.wording import MAY_NOT, role_name
from attnviz.text.tokens import Token

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

ROWS_SHOWN = 40
"""How many queries of a long text are listed."""


def table(matrices: Matrices, top: int | None = None) -> RenderableType:
    """Each head's whole matrix, or the `top` strongest keys of each query.

    Of a long text the first queries, with as many of their strongest keys as there is room for.
    """
    parts: list[RenderableType] = []
    for head in matrices.heads:
        parts += [Text()] if parts else []
        parts.append(_head_table(matrices, head, top))
    return Group(*parts)


def _head_table(matrices: Matrices, head: HeadId, top: int | None) -> RenderableType:
    context = matrices.context
    if top is None and not is_long(context):
        return _Matrix(context, matrices.block(head), matrices.allowed(head.layer))
    block = matrices.first_rows(head, ROWS_SHOWN if is_long(context) else len(context.tokens))
    return _TopKeys(context, block, matrices.allowed(head.layer, block.rows), top)


@dataclass(frozen=True)
class _Layout:
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


@dataclass(frozen=True, eq=False)
class _Head:
    """The rows of one head, and the attention mask for them, (query, key), if there is one."""

    context: Context
    block: Block
    allowed: np.ndarray | None

    @property
    def _head(self) -> HeadId:
        return self.block.heads[0]

    @property
    def _weights(self) -> np.ndarray:
        """(query, key)."""
        weights: np.ndarray = self.block.weights[0]
        return weights

    @property
    def _sink(self) -> np.ndarray | None:
        """(query,)."""
        return None if self.block.sink is None else self.block.sink[0]

    @property
    def _complete(self) -> bool:
        return len(self._weights) == len(self.context.tokens)

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.context.measured, float(self._weights.max()))

    def _heading(self) -> Iterator[RenderableType]:
        inside = None
        if self.context.window is not None and self._complete:
            inside = float(self._weights.sum(axis=-1).mean())
        yield from heading(self.context, self._scale, inside=inside, layers=[self._head.layer])
        yield Text()

    def _margin(self, width: int) -> int:
        """The cells that the queries' names take in a line of `width`."""
        return min(width_of(self.context.tokens, LONGEST_WORD) + 2, max(3, width // 4))

    def _dropped(self, query: int) -> str:
        """What of a query's row went to the special tokens left out; nothing where none are."""
        return "" if self.block.dropped is None else percent(float(self.block.dropped[0, query]))


class _Matrix(_Head):
    """One head as a matrix. Keys that do not fit are hidden: those with the smallest weights."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        layout, queries = self._layout(width), range(len(self._weights))
        yield from self._heading()
        yield head_title(self._head, self._axes)
        yield from render_lines(self._header(layout), width)
        yield from render_lines((self._row(query, layout) for query in queries), width)
        yield from self._closing(layout)

    @property
    def _axes(self) -> str:
        """What rows and columns are, and what a cell without a number says."""
        if not self.context.is_cross_attention and self.allowed is None:
            return "queries (who looks) down, keys (looked at) across"
        blank = "" if self.allowed is None else f"; blank: {MAY_NOT}"
        down, across = (role_name(self.context, role) for role in ("query", "key"))
        return f"{down} down, {across} across{blank}"

    def _layout(self, width: int) -> _Layout:
        margin = self._margin(width)
        room = width - margin - (0 if self.block.dropped is None else SHARE_WIDTH)
        columns, side = self._columns(room)
        longest = width_of((self.context.keys[i] for i in columns), LONGEST_WORD)
        cell = NARROWEST_CELL
        if len(columns) == len(self.context.keys):
            cell = max(cell, min(longest + 2, WIDEST_CELL, room // len(columns)))
        header = min(HEADER_LINES, -(-(longest + 1) // cell), len(columns))
        return _Layout(margin, cell, columns, header, side)

    def _columns(self, room: int) -> tuple[tuple[int, ...], bool]:
        """The keys shown: all, or those with the largest weights, in the sentence's order.

        Where a query's strongest key is still hidden, a side column has to tell it.
        """
        count = len(self.context.keys)
        if count * NARROWEST_CELL <= room:
            return tuple(range(count)), False
        order = descending(self._weights.max(axis=0)).tolist()
        shown = order[: max(1, room // NARROWEST_CELL)]
        side = not set(largest(self._weights).tolist()) <= set(shown)
        if side:
            shown = order[: max(1, (room - SIDE_WIDTH) // NARROWEST_CELL)]
        return tuple(sorted(shown)), side

    def _header(self, layout: _Layout) -> Iterator[Line]:
        """The keys' names, each ending above its column's end, staggered where cells are narrow."""
        names = [label(self.context.keys[i]) for i in layout.columns]
        for part in reversed(range(layout.header)):
            text = ""
            for place in range(part, len(names), layout.header):
                end = layout.margin + (place + 1) * layout.cell - layout.padding
                room = end - cell_len(text)
                text += fit(cut(names[place], room - 1), room, right=True)
            if part == 0:
                text = fit(text, layout.margin + len(names) * layout.cell)
                text += "" if self.block.dropped is None else fit("special", SHARE_WIDTH, True)
                text += "  strongest" if layout.side else ""
            yield [Segment(text, BOLD)]

    def _row(self, query: int, layout: _Layout) -> Line:
        row, token, keys = self._weights[query], self.context.tokens[query], self.context.keys
        best = int(largest(row))
        line = [_query_name(token, layout.margin, label(token))]
        for key in layout.columns:
            if self.allowed is not None and not self.allowed[query, key]:
                line.append(Segment(" " * layout.cell))
                continue
            weight = float(row[key])
            strongest = key == best and weight > 0
            mark = MARKER if strongest else " "
            text = mark + self._scale.text(weight) + " " * layout.padding
            line.append(Segment(" " * (layout.cell - cell_len(text))))
            tone = tone_of(self.context, token, keys[key])
            line.append(Segment(text, self._scale.style(weight, tone, strongest)))
        if self.block.dropped is not None:
            line.append(Segment(fit(self._dropped(query), SHARE_WIDTH, right=True), DIM))
        if layout.side:
            weight, tone = float(row[best]), tone_of(self.context, token, keys[best])
            line.append(Segment("  " + fit(label(keys[best]), SIDE_WORD) + " ", PLAIN))
            style = self._scale.style(weight, tone, bold=True)
            line.append(Segment(f" {self._scale.text(weight)} ", style))
        return line

    def _closing(self, layout: _Layout) -> Iterator[Text]:
        count = len(self.context.keys)
        hidden = count - len(layout.columns)
        if hidden:
            yield from quiet_line(
                f"{hidden} of {count} columns are hidden, those with the smallest weights. To see "
                "more: a wider terminal, --top 5 for each query's strongest keys, -f csv, "
                "or attnviz heatmap."
            )
        if self.block.dropped is not None:
            rest = "the other numbers are unchanged"
            if self.context.measured.shares:
                part = "" if self._sink is None else " with the sink's part"
                rest = f"the rest sums to 1{part}"
            yield from quiet_line(
                "Special tokens are left out: the column special shows their share of each row, "
                f"and {rest}."
            )
        yield from quiet_line(sink_note(self.context, self._sink))
        if self.context.is_cross_attention:
            yield from quiet_line(purpose_note())


@dataclass(frozen=True, eq=False)
class _TopKeys(_Head):
    """One head as a list: each query with its `top` strongest keys, or as many as fit on a line."""

    top: int | None

    @cached_property
    def _names(self) -> Names:
        return Names(self.context)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield from self._heading()
        margin, share = self._margin(width), 0 if self.block.dropped is None else 14
        if is_long(self.context):
            margin = min(self._names.width("query") + 2, max(3, width // 3))
        word = max(1, min(self._names.width("key"), width - margin - share - 7))
        across = max(1, (width - margin - share) // (word + 7))
        count = self.top or min(KEYS_NAMED, across)
        shown = min(count, len(self.context.keys))
        what = "the strongest key" if shown == 1 else f"the {shown} strongest keys"
        yield head_title(self._head, f"{what} of each query")
        for query in range(len(self._weights)):
            line = self._start(query, margin, share)
            links = self._links(query, count, word)
            for first in range(0, max(1, len(links)), across):
                if first:
                    line = [Segment(" " * (margin + share))]
                own = [segment for link in links[first : first + across] for segment in link]
                yield from render_lines([line + own], width)
        yield from self._closing()

    def _start(self, query: int, margin: int, share: int) -> Line:
        """A query's name, and what special tokens have of its row where they are left out."""
        token = self.context.tokens[query]
        line = [_query_name(token, margin, self._names.of(token, "query", margin - 1))]
        if share:
            line.append(Segment(fit(f"special {self._dropped(query)}", share), DIM))
        return line

    def _links(self, query: int, count: int, word: int) -> list[Line]:
        row, token, keys = self._weights[query], self.context.tokens[query], self.context.keys
        order = by_weight(row, None if self.allowed is None else self.allowed[query], count)
        return [
            named_weight(
                self.context,
                Link(token, keys[key], float(row[key])),
                self._names.of(keys[key], "key", word),
                word,
                place == 0,
                self._scale,
            )
            for place, key in enumerate(order)
        ]

    def _closing(self) -> Iterator[Text]:
        rows, count = len(self._weights), len(self.context.tokens)
        hidden = count - rows
        if hidden:
            after = self.context.first_index + rows
            yield from quiet_line(
                f"The first {rows} of {count} queries are shown, {hidden} are not. To see them: "
                f"--window {after}:{after + min(rows, hidden)} looks at a part, --query @{after} "
                "at one word; attnviz heatmap draws all, and -f csv has every number."
            )
        yield from quiet_line(
            sink_note(self.context, self._sink, "the queries shown" if hidden else "")
        )


def _query_name(token: Token, margin: int, name: str) -> Segment:
    """A query's name in the margin."""
    return Segment(fit(name, margin - 1) + " ", DIM if token.special else BOLD)
