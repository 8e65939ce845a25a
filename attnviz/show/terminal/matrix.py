"""Whole heads: as a matrix, queries down and keys across, or each query with its strongest keys."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.console import Group, RenderableType
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
    Hues,
    Page,
    Scale,
    cut,
    fit,
    line,
    tone_of,
    width_of,
)
from attnviz.show.terminal.heading import (
    PURPOSE_NOTE,
    head_title,
    heading,
    is_long,
    listed_names,
    quiet_line,
    sink_note,
    tones_legend,
)
from attnviz.show.terminal.word import KEYS_NAMED, named_weight
from attnviz.show.wording import MAY_NOT, role_name
from attnviz.text.tokens import Token

SHORT_WORD = 10  # How much of a word a list of a long text shows beside its position
WIDEST_CELL = 10
NARROWEST_CELL = 4  # Marker and weight: `▸.68`
HEADER_LINES = 3  # Lines that the keys' names are staggered over at most
SHARE_WIDTH = 9  # The column that tells what went to special tokens
SIDE_WORD = 8
SIDE_WIDTH = SIDE_WORD + 8
"""The column that tells each query's strongest key, beside a table that cannot show all keys."""

ROWS_SHOWN = 40  # How many queries of a long text are listed


def table(matrices: Matrices, top: int | None = None) -> RenderableType:
    """Each head's whole matrix, or its strongest keys: `top` of each query, or those that fit."""
    parts: list[RenderableType] = []
    for head in matrices.heads:
        parts += [Text()] if parts else []
        parts.append(_head_table(matrices, head, top))
    return Group(*parts)


def _head_table(matrices: Matrices, head: HeadId, top: int | None) -> RenderableType:
    context = matrices.context
    if top is None and not is_long(context):
        matrix = _Matrix(context, matrices.block(head), matrices.allowed(head.layer))
        return Page(matrix.lines)
    block = matrices.first_rows(head, ROWS_SHOWN if is_long(context) else len(context.tokens))
    keys = _TopKeys(context, block, matrices.allowed(head.layer, block.rows))
    return Page(lambda width, hues: keys.lines(width, hues, top))


class _Layout(NamedTuple):
    """Which keys are shown, in cells how wide; `side`: a column tells each query's strongest."""

    margin: int
    cell: int
    columns: tuple[int, ...]
    header: int
    side: bool

    @property
    def padding(self) -> int:
        """The space after a weight, where there is room for one."""
        return 1 if self.cell > NARROWEST_CELL else 0


class _Head:
    """The rows of one head, and the attention mask for them, (query, key), if there is one."""

    def __init__(self, context: Context, block: Block, allowed: np.ndarray | None) -> None:
        self.context, self.block, self.allowed = context, block, allowed
        self._weights = block.weights[0]  # (query, key)
        self._sink = None if block.sink is None else block.sink[0]  # (query,)
        self._scale = Scale.of(context.measured, float(self._weights.max()))
        self._queries, self._keys = listed_names(context, "query"), listed_names(context, "key")

    def _heading(self, width: int, hues: Hues | None) -> Iterator[RenderableType]:
        inside = None
        if self.context.window is not None and len(self._weights) == len(self.context.tokens):
            inside = float(self._weights.sum(axis=-1).mean())
        layers = [self.block.heads[0].layer]
        yield from heading(self.context, self._scale, inside=inside, layers=layers)
        yield from tones_legend(self.context, hues, width)
        yield Text()

    def _margin(self, width: int) -> int:
        """The cells that the queries' names take in a line of `width`."""
        return min(width_of(self._queries, LONGEST_WORD) + 2, max(3, width // 4))


class _Matrix(_Head):
    """One head as a matrix. Keys that do not fit are hidden: those with the smallest weights."""

    def lines(self, width: int, hues: Hues | None) -> Iterator[RenderableType]:
        """The heading, the matrix, and what it does not show."""
        layout = self._layout(width)
        yield from self._heading(width, hues)
        yield head_title(self.block.heads[0], self._axes())
        yield from self._header(layout)
        for query in range(len(self._weights)):
            yield self._row(query, layout)
        yield from self._closing(layout)

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
        longest = width_of((self._keys[i] for i in columns), LONGEST_WORD)
        cell = NARROWEST_CELL
        if len(columns) == len(self.context.keys):
            cell = max(cell, min(longest + 2, WIDEST_CELL, room // len(columns)))
        header = min(HEADER_LINES, -(-(longest + 1) // cell), len(columns))
        return _Layout(margin, cell, columns, header, side)

    def _columns(self, room: int) -> tuple[tuple[int, ...], bool]:
        """The keys shown: all, or those of most weight; a side column tells keys still hidden."""
        count = len(self.context.keys)
        if count * NARROWEST_CELL <= room:
            return tuple(range(count)), False
        order = descending(self._weights.max(axis=0)).tolist()
        shown = order[: max(1, room // NARROWEST_CELL)]
        side = not set(largest(self._weights).tolist()) <= set(shown)
        if side:
            shown = order[: max(1, (room - SIDE_WIDTH) // NARROWEST_CELL)]
        return tuple(sorted(shown)), side

    def _header(self, layout: _Layout) -> Iterator[Text]:
        """The keys' names, each ending above its column's end, staggered where cells are narrow."""
        names = [self._keys[i] for i in layout.columns]
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
            yield line((text, BOLD))

    def _row(self, query: int, layout: _Layout) -> Text:
        weights, token, keys = self._weights[query], self.context.tokens[query], self.context.keys
        best = int(largest(weights))
        row = _start(token, layout.margin, self._queries[query])
        for key in layout.columns:
            if self.allowed is not None and not self.allowed[query, key]:
                row.append(" " * layout.cell)
                continue
            weight = float(weights[key])
            strongest = key == best and weight > 0
            mark = MARKER if strongest else " "
            text = mark + self._scale.text(weight) + " " * layout.padding
            tone = tone_of(self.context, token, keys[key])
            row.append(" " * (layout.cell - cell_len(text)))
            row.append(text, self._scale.style(weight, tone, strongest))
        if self.block.dropped is not None:
            row.append(f"{self.block.dropped[0, query]:>{SHARE_WIDTH}.0%}", DIM)
        if layout.side:
            weight, tone = float(weights[best]), tone_of(self.context, token, keys[best])
            row.append(f"  {fit(self._keys[best], SIDE_WORD)} ")
            row.append(f" {self._scale.text(weight)} ", self._scale.style(weight, tone, bold=True))
        return row

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
        yield from quiet_line(PURPOSE_NOTE if self.context.is_cross_attention else "")


class _TopKeys(_Head):
    """One head as a list: each query with its `top` strongest keys, or as many as fit on a line."""

    def lines(self, width: int, hues: Hues | None, top: int | None) -> Iterator[RenderableType]:
        yield from self._heading(width, hues)
        context, dropped = self.context, self.block.dropped
        margin, share = self._margin(width), 0 if dropped is None else 14
        if is_long(context):
            margin = min(width_of(self._queries, SHORT_WORD) + 2, max(3, width // 3))
        longest = width_of(self._keys, SHORT_WORD if is_long(context) else LONGEST_WORD)
        word = max(1, min(longest, width - margin - share - 7))
        across = max(1, (width - margin - share) // (word + 7))
        count = top or min(KEYS_NAMED, across)
        shown = min(count, len(context.keys))
        what = "the strongest key" if shown == 1 else f"the {shown} strongest keys"
        yield head_title(self.block.heads[0], f"{what} of each query")
        for query, token in enumerate(context.tokens[: len(self._weights)]):
            row = _start(token, margin, self._queries[query])
            if dropped is not None:
                row.append(fit(f"special {dropped[0, query]:.0%}", share), DIM)
            weights, allowed = self._weights[query], self.allowed
            keys = by_weight(weights, None if allowed is None else allowed[query], count)
            for place, key in enumerate(keys):
                if place and place % across == 0:
                    yield row
                    row = line(" " * (margin + share))
                link = Link(token, context.keys[key], float(weights[key]))
                name = fit(self._keys[key], word)
                row.append_text(named_weight(context, link, name, place == 0, self._scale))
            yield row
        yield from self._closing()

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


def _start(token: Token, margin: int, name: str) -> Text:
    return line((fit(name, margin - 1) + " ", DIM if token.special else BOLD))
