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
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
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
    """A table for each layer, a line for each head, with at most `top` links.

    Two layers stand side by side where they fit. A measure without heads has one table, a line for
    each layer.
    """
    if top is not None:
        heads = tuple(replace(head, links=head.links[:top]) for head in overview.heads)
        overview = replace(overview, heads=heads)
    return _Overview(overview)


@dataclass(frozen=True, eq=False)
class _Overview:
    overview: Overview

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from heading(self.overview.context, self._scale)
        yield self._counts()
        yield Text()
        most = max(len(head.links) for head in self.overview.heads)
        wanted = self._prefix + max(self._slot * most, len("strongest links") if most else 0)
        across = 2 if options.max_width >= 2 * wanted + GUTTER else 1
        width = min(wanted, (options.max_width - GUTTER * (across - 1)) // across)
        tables = self._tables()
        for first in range(0, len(tables), across):
            blocks = [self._lines(*one, width) for one in tables[first : first + across]]
            lines = (_side_by_side(row, width + GUTTER) for row in zip(*blocks, strict=True))
            yield from render_lines(lines, options.max_width)
            yield Text()

    def _counts(self) -> Text:
        context, heads = self.overview.context, self.overview.heads
        counts = Counter(head.kind for head in heads)
        kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
        line = f"{len(heads)} {context.places}: {kinds}"
        if not context.measured.shares:
            line += "; kind and bits: of rows divided by their sum"
        return Text(line, style="dim")

    def _tables(self) -> list[tuple[str, Sequence[HeadSummary]]]:
        """The name and the heads of each table."""
        if not self.overview.context.measured.per_head:
            return [("", self.overview.heads)]
        layers = dict.fromkeys(head.head.layer for head in self.overview.heads)
        return [(f"L{number}", self.overview.layer(number)) for number in layers]

    @cached_property
    def _scale(self) -> Scale:
        weights = [link.weight for head in self.overview.heads for link in head.links]
        return Scale.of(self.overview.context.measured, max(weights, default=0))

    @cached_property
    def _prefix(self) -> int:
        """The cells before the links: name, kind, entropy, and what went elsewhere."""
        return self._name_width + KIND_WIDTH + sum(map(len, self._titles()[1:]))

    @cached_property
    def _name_width(self) -> int:
        return max(len(str(head.head)) for head in self.overview.heads) + 2

    @cached_property
    def _slot(self) -> int:
        """The cells that the longest link takes, with the space after it."""
        links = [link for head in self.overview.heads for link in head.links]
        return max((cell_len(_words(link)) for link in links), default=7) + 7

    def _titles(self) -> list[str]:
        """The titles of the columns before the links, as wide as they are."""
        titles = [fit("kind", KIND_WIDTH), "bits  "]
        titles += [] if self.overview.context.special else ["special  "]
        has_sink = any(head.sink is not None for head in self.overview.heads)
        return [*titles, "sink  "] if has_sink else titles

    def _lines(self, name: str, heads: Sequence[HeadSummary], width: int) -> Iterator[Line]:
        has_links = any(head.links for head in self.overview.heads)
        titles = "".join(self._titles()) + ("strongest links" if has_links else "")
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
        if not self.overview.context.special:
            line.append(Segment(f"{percent(head.dropped):>7}  ", DIM))
        if head.sink is not None:
            line.append(Segment(f"{percent(head.sink):>4}  ", DIM))
        slot = min(self._slot, max(10, width - self._prefix))
        for link in head.links[: max(0, (width - self._prefix) // slot)]:
            line += self._link(link, slot)
        return line

    def _link(self, link: Link, slot: int) -> Line:
        scale, weight = self._scale, link.weight
        tone = tone_of(self.overview.context, link.query, link.key)
        strong = scale.strong(weight)
        words = BOLD if strong else DIM if weight < TINTED_FROM * scale.largest else PLAIN
        number = Segment(f" {scale.text(weight)} ", scale.style(weight, tone, strong))
        return [number, Segment(" " + fit(_words(link), slot - 6), words)]


def _words(link: Link) -> str:
    query, key = (cut(label(token), LONGEST_WORD) for token in (link.query, link.key))
    return f"{query} → {key}"


def _side_by_side(parts: Sequence[Line], width: int) -> Line:
    """Parts of a line, `width` cells from the start of one to the start of the next."""
    *left, last = parts
    padded = [Segment.adjust_line_length(part, width) for part in left]
    return [segment for part in (*padded, last) for segment in part]
