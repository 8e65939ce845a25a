"""One head as a list: each query with its strongest keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from attnviz.answers.select import first_index
from attnviz.answers.summary import Link
from attnviz.attention.order import descending
from attnviz.inspection import Block, HeadId, View
from attnviz.show.terminal.cells import (
    Line,
    fit,
    remarks,
    render_lines,
    sentences,
    tone_of,
)
from attnviz.show.terminal.heading import head_title
from attnviz.show.terminal.matrix import head_heading, margin_for, query_name
from attnviz.show.terminal.naming import Names, is_long
from attnviz.show.terminal.notes import sink_note
from attnviz.show.terminal.palette import BOLD, DIM, MARKER, PLAIN, SHARES, Scale, percent

KEYS_TOLD = 5
"""How many words a line names at most, unless the user says how many."""

ROWS_SHOWN = 40
"""How many queries of a long text are listed."""


@dataclass(frozen=True, eq=False)
class TopKeys:
    """One head as a list: each query with its `top` strongest keys, or as many as a line has room.

    weights: (query, key), of all queries or of the text's first; dropped: (query,), the share that
    went to special tokens, where the view leaves them out; sink: (query,), the share that went to
    the model's sink, if it has one.
    """

    view: View
    head: HeadId
    weights: np.ndarray
    dropped: np.ndarray | None
    sink: np.ndarray | None
    top: int | None

    @classmethod
    def of(cls, view: View, head: HeadId, top: int | None = None) -> "TopKeys":
        """The list of a head; of a long text the first rows alone, and no more are computed."""
        most = ROWS_SHOWN if is_long(view.context) else len(view.tokens)
        rows = list(_first_rows(view, head, most))
        weights = np.concatenate([stack.weights[0] for stack in rows])[:most]
        dropped = _joined([stack.dropped for stack in rows], most)
        return cls(view, head, weights, dropped, _joined([stack.sink for stack in rows], most), top)

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.view.measured, float(self.weights.max()))

    @cached_property
    def _names(self) -> Names:
        return Names(self.view.context)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width, hidden = options.max_width, len(self.view.tokens) - len(self.weights)
        layout = self._layout(width)
        yield from head_heading(self.view, self.head, None if hidden else self.weights, self._scale)
        count = min(layout.count, len(self.view.keys))
        what = "the strongest key" if count == 1 else f"the {count} strongest keys"
        yield head_title(self.head, f"{what} of each query")
        for query in range(len(self.weights)):
            yield from render_lines(self._lines(query, layout), width)
        yield from render_lines(self._closing(hidden, width), width)

    def _closing(self, hidden: int, width: int) -> Iterator[Line]:
        if hidden:
            rows, count = len(self.weights), len(self.view.tokens)
            next_one = first_index(self.view) + rows
            yield from sentences(
                f"The first {rows} of {count} queries are shown, {hidden} are not. To see them: "
                f"--window {next_one}:{next_one + min(rows, hidden)} looks at a part, --query "
                f"@{next_one} at one word; attnviz heatmap draws all, and -f csv has every number.",
                width,
            )
        shown = "the queries shown" if hidden else ""
        yield from remarks(sink_note(self.view.context, self.sink, shown), width)

    def _layout(self, width: int) -> "_Layout":
        share = 0 if self.dropped is None else len("special 100%  ")
        wanted, margin = self._names.width("key"), margin_for(self.view, width)
        if is_long(self.view.context):
            margin = min(self._names.width("query") + 2, max(3, width // 3))
        word = max(1, min(wanted, width - margin - share - 7))
        across = max(1, (width - margin - share) // (word + 7))
        return _Layout(margin, share, word, across, self.top or min(KEYS_TOLD, across))

    def _lines(self, query: int, layout: "_Layout") -> Iterator[Line]:
        """A query's line, and as many more below it as its keys need."""
        row, token, keys = self.weights[query], self.view.tokens[query], self.view.keys
        seen = self.view.visible(self.head.layer, slice(query, query + 1))
        order = strongest(row, None if seen is None else seen[0], layout.count)
        name = self._names.of(token, "query", layout.margin - 1)
        line = [query_name(token, layout.margin, name)]
        if self.dropped is not None:
            part = f"special {percent(float(self.dropped[query]))}"
            line.append(Segment(fit(part, layout.share), DIM))
        for place, key in enumerate(order):
            if place and place % layout.across == 0:
                yield line
                line = [Segment(" " * (layout.margin + layout.share))]
            link = Link(token, keys[key], float(row[key]))
            name = self._names.of(keys[key], "key", layout.word)
            line += named_weight(self.view, link, name, layout.word, place == 0, self._scale)
        yield line


@dataclass(frozen=True)
class _Layout:
    """Widths of the queries' names, of special tokens' share, of a key's name; keys across a line,
    and in all.
    """

    margin: int
    share: int
    word: int
    across: int
    count: int


def strongest(row: np.ndarray, seen: np.ndarray | None, count: int) -> list[int]:
    """The places of a row's largest numbers, largest first; only those that may be looked at."""
    places = np.arange(len(row)) if seen is None else np.flatnonzero(seen)
    return [int(place) for place in places[descending(row[places], count)]]


def named_weight(
    view: View, link: Link, name: str, word: int, first: bool, scale: Scale = SHARES
) -> Line:
    """A weight with the name of what it goes to, in `word` + 7 cells; a row's first stands out."""
    mark = MARKER if first and link.weight > 0 else " "
    style = scale.style(link.weight, tone_of(view.context, link.query, link.key), bold=first)
    name_style = BOLD if first else DIM if link.key.special else PLAIN
    return [
        Segment(f"{mark}{scale.text(link.weight)} ", style),
        Segment(" " + fit(name, word) + " ", name_style),
    ]


def _first_rows(view: View, head: HeadId, most: int) -> Iterator[Block]:
    """A head's rows some at a time, until there are enough; others are not computed."""
    for stack in view.blocks([head]):
        yield stack
        if stack.rows.stop >= most:
            return


def _joined(parts: list[np.ndarray | None], most: int) -> np.ndarray | None:
    """The rows' shares, each (1, query), of one head together: (query,)."""
    found = [part[0] for part in parts if part is not None]
    return np.concatenate(found)[:most] if found else None
