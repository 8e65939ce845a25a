"""What every head does, a line each: its kind, its entropy, its strongest links."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.cells import cell_len
from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from attnviz.answers.overview import HeadSummary, Kind, Link, Overview
from attnviz.show.labels import names
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    PLAIN,
    Hues,
    Page,
    Scale,
    cut,
    fit,
    line,
    tone_of,
)
from attnviz.show.terminal.heading import heading, tones_legend

KIND_WIDTH = 14
GUTTER = 4  # Between two layers that stand side by side
QUIET_BELOW = 0.15  # Weaker links are dim
KINDS: dict[Kind, Style] = {
    "to itself": PLAIN,
    "previous": PLAIN,
    "next": PLAIN,
    "other": PLAIN,
    "broad": DIM,
    "first/special": DIM,
}


def table(overview: Overview, top: int | None = None) -> RenderableType:
    """A line for each head, with at most `top` links; two layers side by side where they fit."""
    if top is not None:
        heads = tuple(replace(head, links=head.links[:top]) for head in overview.heads)
        overview = replace(overview, heads=heads)
    return Page(_Layers(overview).lines)


class _Layers:
    def __init__(self, overview: Overview) -> None:
        self._overview, self._context, heads = overview, overview.context, overview.heads
        links = [link for head in heads for link in head.links]
        self._queries, self._keys = names(self._context, "query"), names(self._context, "key")
        weights = [link.weight for link in links]
        self._scale = Scale.of(self._context.measured, max(weights, default=0))
        self._name_width = max(len(str(head.head)) for head in heads) + 2
        # the titles of the columns before the links, as wide as they are
        titles = [fit("kind", KIND_WIDTH), "bits  ", "" if self._context.special else "special  "]
        titles.append("sink  " if any(head.sink is not None for head in heads) else "")
        self._titles = "".join(titles)
        self._prefix = self._name_width + len(self._titles)
        self._titles += "strongest links" if links else ""
        # the cells that the longest link takes, with the space after it
        self._slot = max((cell_len(self._words(link)) for link in links), default=7) + 7

    def lines(self, console_width: int, hues: Hues | None) -> Iterator[RenderableType]:
        """The heading, how many heads of each kind there are, and a line a head."""
        yield from heading(self._context, self._scale)
        yield self._counts()
        yield from tones_legend(self._context, hues, console_width)
        yield Text()
        most = max(len(head.links) for head in self._overview.heads)
        wanted = self._prefix + max(self._slot * most, len("strongest links") if most else 0)
        across = 2 if console_width >= 2 * wanted + GUTTER else 1
        width = min(wanted, (console_width - GUTTER * (across - 1)) // across)
        heads = self._overview.heads
        tables: list[tuple[str, Sequence[HeadSummary]]] = [("", heads)]
        if self._context.measured.per_head:
            layers = dict.fromkeys(head.head.layer for head in heads)
            tables = [(f"L{number}", self._overview.layer(number)) for number in layers]
        for first in range(0, len(tables), across):
            blocks = [self._lines(*one, width) for one in tables[first : first + across]]
            for left, *right in zip(*blocks, strict=True):
                for part in right:
                    left.truncate(width + GUTTER, pad=True)
                    left.append_text(part)
                yield left
            yield Text()

    def _counts(self) -> Text:
        counts = Counter(head.kind for head in self._overview.heads)
        kinds = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
        told = f"kinds on this sentence: {kinds}"
        if not self._context.measured.shares:
            told += "; kind and bits: of rows divided by their sum"
        return Text(told, style="dim")

    def _lines(self, name: str, heads: Sequence[HeadSummary], width: int) -> Iterator[Text]:
        titles = fit(self._titles, width - self._name_width).rstrip()
        yield line((fit(name, self._name_width), BOLD), (titles, DIM))
        for head in heads:
            yield self._head(head, width)

    def _head(self, head: HeadSummary, width: int) -> Text:
        row = line(
            (fit(str(head.head), self._name_width), DIM if KINDS[head.kind] is DIM else PLAIN),
            (fit(head.kind, KIND_WIDTH), KINDS[head.kind]),
            (f"{head.entropy:4.1f}  ", DIM),
        )
        if not self._context.special:
            row.append(f"{head.dropped:>7.0%}  ", DIM)
        if head.sink is not None:
            row.append(f"{head.sink:>4.0%}  ", DIM)
        slot = min(self._slot, max(10, width - self._prefix))
        for link in head.links[: max(0, (width - self._prefix) // slot)]:
            scale, weight = self._scale, link.weight
            tone, strong = tone_of(self._context, link.query, link.key), scale.strong(weight)
            words = BOLD if strong else DIM if weight < QUIET_BELOW * scale.largest else PLAIN
            row.append(f" {scale.text(weight)} ", scale.style(weight, tone, strong))
            row.append(" " + fit(self._words(link), slot - 6), words)
        return row

    def _words(self, link: Link) -> str:
        query, key = self._queries[link.query.index], self._keys[link.key.index]
        return f"{cut(query, LONGEST_WORD)} → {cut(key, LONGEST_WORD)}"
