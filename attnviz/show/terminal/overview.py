"""What every head does, a line each: its kind, its entropy, its strongest links."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from attnviz.answers.overview import HeadSummary, Kind, Link, Overview
from attnviz.inspection import Context
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    PLAIN,
    TINTED_FROM,
    TINTS,
    Line,
    Scale,
    cut,
    fit,
    label,
    percent,
    render_lines,
    tone_of,
)
from attnviz.show.terminal.heading import heading

KIND_WIDTH = 14
LONGEST_WORD = 14
GUTTER = 4
"""Between two layers that stand side by side."""

PLACE = Style(color=TINTS["cool"])
KINDS: dict[Kind, Style] = {
    "to itself": PLACE,
    "previous": PLACE,
    "next": PLACE,
    "other": PLAIN,
    "broad": DIM,
    "first/special": DIM,
}


def table(overview: Overview, top: int | None = None) -> RenderableType:
    """The overview's table, with at most `top` links a head."""
    if top is not None:
        heads = tuple(replace(head, links=head.links[:top]) for head in overview.heads)
        overview = replace(overview, heads=heads)
    return _Table(overview)


@dataclass(frozen=True, eq=False)
class _Table:
    """A table for each layer, a line for each head; two layers side by side where they fit.

    A measure without heads has one table, a line for each layer.
    """

    overview: Overview

    @property
    def context(self) -> Context:
        return self.overview.context

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from heading(self.context, self._scale)
        yield self._counts()
        yield Text()
        width = options.max_width
        most = max(len(head.links) for head in self.overview.heads)
        wanted = self._prefix + max(self._slot * most, len("strongest links") if most else 0)
        across = 2 if width >= 2 * wanted + GUTTER else 1
        width = min(wanted, (width - GUTTER * (across - 1)) // across)
        tables = self._tables
        for first in range(0, len(tables), across):
            blocks = [
                list(self._table(name, heads, width))
                for name, heads in tables[first : first + across]
            ]
            yield from render_lines(_side_by_side(blocks, width), options.max_width)
            yield Text()

    def _counts(self) -> Text:
        counts = Counter(head.kind for head in self.overview.heads)
        kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
        line = f"{len(self.overview.heads)} {self.context.places}: {kinds}"
        if not self.context.measured.shares:
            line += "; kind and bits: of rows divided by their sum"
        return Text(line, style="dim")

    @cached_property
    def _tables(self) -> list[tuple[str, Sequence[HeadSummary]]]:
        """The name and the lines of each table."""
        if not self.context.measured.per_head:
            return [("", self.overview.heads)]
        layers = dict.fromkeys(head.head.layer for head in self.overview.heads)
        return [(f"L{number}", self.overview.layer(number)) for number in layers]

    @cached_property
    def _scale(self) -> Scale:
        weights = [link.weight for head in self.overview.heads for link in head.links]
        return Scale.of(self.context.measured, max(weights, default=0))

    @cached_property
    def _name_width(self) -> int:
        return max(len(str(head.head)) for head in self.overview.heads) + 2

    @cached_property
    def _prefix(self) -> int:
        """The cells before the links: name, kind, entropy, and what went elsewhere."""
        special, sink = 0 if self.context.special else 9, 6 if self._has_sink else 0
        return self._name_width + KIND_WIDTH + 6 + special + sink

    @cached_property
    def _slot(self) -> int:
        """The cells that the longest link takes, with the space after it."""
        links = [link for head in self.overview.heads for link in head.links]
        return max((cell_len(_words(link)) for link in links), default=7) + 7

    @cached_property
    def _has_sink(self) -> bool:
        return any(head.sink is not None for head in self.overview.heads)

    @cached_property
    def _has_links(self) -> bool:
        return any(head.links for head in self.overview.heads)

    def _table(self, name: str, heads: Sequence[HeadSummary], width: int) -> Iterator[Line]:
        columns = fit("kind", KIND_WIDTH) + "bits  " + ("" if self.context.special else "special  ")
        columns += "sink  " if self._has_sink else ""
        titles = columns + ("strongest links" if self._has_links else "")
        titles = fit(titles, width - self._name_width).rstrip()
        yield [Segment(fit(name, self._name_width), BOLD), Segment(titles, DIM)]
        for head in heads:
            yield self._head(head, width)

    def _head(self, head: HeadSummary, width: int) -> Line:
        calm = DIM if KINDS[head.kind] is DIM else PLAIN
        line = [
            Segment(fit(str(head.head), self._name_width), calm),
            Segment(fit(head.kind, KIND_WIDTH), KINDS[head.kind]),
            Segment(f"{head.entropy:4.1f}  ", DIM),
        ]
        if not self.context.special:
            line.append(Segment(f"{percent(head.dropped):>7}  ", DIM))
        if head.sink is not None:
            line.append(Segment(f"{percent(head.sink):>4}  ", DIM))
        used, slot = self._prefix, min(self._slot, max(10, width - self._prefix))
        for link in head.links:
            if used + slot > width:
                break
            line += _link(self.context, link, slot, self._scale)
            used += slot
        return line


def _words(link: Link) -> str:
    query, key = (cut(text, LONGEST_WORD) for text in _labels(link))
    return f"{query} → {key}"


def _labels(link: Link) -> tuple[str, str]:
    return label(link.query), label(link.key)


def _link(context: Context, link: Link, slot: int, scale: Scale) -> Line:
    strong, tone = scale.strong(link.weight), tone_of(context, link.query, link.key)
    words = BOLD if strong else DIM if link.weight < TINTED_FROM * scale.largest else PLAIN
    return [
        Segment(f" {scale.text(link.weight)} ", scale.style(link.weight, tone, strong)),
        Segment(" " + fit(_words(link), slot - 6), words),
    ]


def _side_by_side(blocks: Sequence[list[Line]], width: int) -> Iterator[Line]:
    for row in zip(*blocks, strict=True):
        line: Line = []
        for place, part in enumerate(row):
            if place:
                used = sum(segment.cell_length for segment in line)
                line.append(Segment(" " * (place * (width + GUTTER) - used)))
            line += part
        yield line
