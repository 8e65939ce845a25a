"""One word in some heads or in all, and how much one word looks at another."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from attnviz.answers.links import Links
from attnviz.answers.overview import Link
from attnviz.answers.word import Pair, Word
from attnviz.inspection import Context, HeadId
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    SHARES,
    Line,
    Scale,
    cut,
    fit,
    label,
    render_lines,
    tone_of,
)
from attnviz.show.terminal.grid import Grid, HeadGrid
from attnviz.show.terminal.heading import (
    Names,
    dropped_note,
    heading,
    query_note,
    question,
    quiet_line,
    word_heading,
)
from attnviz.show.wording import MAY_NOT

LINKS_NAMED = 20
"""How many links a table of them names, unless the user says how many."""

KEYS_NAMED = 5
"""How many words a line names at most, unless the user says how many."""


def table(word: Word, top: int | None = None) -> RenderableType:
    """A grid of all heads; or a line for each head chosen, or for each layer of a mixed measure.

    `top` limits the words that the grid's lines, or each head's line, name.
    """
    if word.chosen or not word.context.measured.per_head:
        return _Rows(word, top)
    return Grid(word, _note(word), top)


def pair_table(pair: Pair, top: int | None = None) -> RenderableType:
    """A grid of the one weight in each head; `top` changes nothing."""
    return _PairGrid(pair)


def links_table(links: Links, top: int | None = None) -> RenderableType:
    """The links, strongest first: the `top` strongest, or LINKS_NAMED."""
    heads = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    for name in ("head", "query", "key", "weight"):
        heads.add_column(name, justify="right" if name == "weight" else "left", overflow="fold")
    for row in links.rows(top or LINKS_NAMED):
        layer, head, _, query, _, key, weight = row[:7]
        number = links.context.measured.number(weight)
        heads.add_row(str(HeadId(layer, head)), visible(query), visible(key), number)
    return Group(*heading(links.context), "", heads)


def _note(word: Word) -> str:
    context, heads = word.context, word.heads
    if word.role == "key":
        return dropped_note(context, word.special, heads)
    return query_note(context, word.token.index, heads, word.special, word.sink)


@dataclass(frozen=True, eq=False)
class _Rows:
    """What one token looks at, or who looks at it: a line for each head, strongest first."""

    word: Word
    top: int | None

    @cached_property
    def _scale(self) -> Scale:
        return Scale.of(self.word.context.measured, float(self.word.weights.max()))

    @cached_property
    def _names(self) -> Names:
        return Names(self.word.context)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        word, width = self.word, options.max_width
        yield from word_heading(word.context, word.token, word.role, word.weights, self._scale)
        yield Text()
        yield Text(question(word.token, word.role, width), style=BOLD)
        yield from render_lines(self._lines(width), width)
        note = _note(word)
        if note:
            yield Text()
            yield from quiet_line(note)

    def _lines(self, width: int) -> Iterator[Line]:
        """A head's line; and more below it, where the user asked for more than fits."""
        word, role = self.word, self.word.other_role
        margin = max(len(str(head)) for head in word.heads) + 2
        room = max(1, min(self._names.width(role), width - margin - 7))
        across = max(1, (width - margin) // (room + 7))
        count = self.top or min(KEYS_NAMED, across)
        for place, head in enumerate(word.heads):
            line = [Segment(fit(str(head), margin), BOLD)]
            for at, other in enumerate(word.strongest(place, count)):
                if at and at % across == 0:
                    yield line
                    line = [Segment(" " * margin)]
                # what is named and coloured is the other word, whichever of the two looks
                link = Link(word.token, word.others[other], float(word.weights[place, other]))
                name = self._names.of(link.key, role, room)
                line += named_weight(word.context, link, name, room, at == 0, self._scale)
            yield line


def named_weight(
    context: Context, link: Link, name: str, word: int, first: bool, scale: Scale = SHARES
) -> Line:
    """A weight with the name of what it goes to, in `word` + 7 cells; a row's first stands out."""
    mark = MARKER if first and link.weight > 0 else " "
    style = scale.style(link.weight, tone_of(context, link.query, link.key), bold=first)
    name_style = BOLD if first else DIM if link.key.special else PLAIN
    return [
        Segment(f"{mark}{scale.text(link.weight)} ", style),
        Segment(" " + fit(name, word) + " ", name_style),
    ]


@dataclass(frozen=True, eq=False)
class _PairGrid:
    """How much one token looks at another: layers down, heads across, then the strongest heads.

    Where the mask does not let the one look at the other, a head is blank.
    """

    pair: Pair

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        pair, context, width = self.pair, self.pair.context, options.max_width
        places = np.flatnonzero(pair.allowed)
        weights = {pair.heads[place]: float(pair.weights[place]) for place in places}
        blank = [head for head in pair.heads if head not in weights]
        scale = Scale.of(context.measured, max(weights.values(), default=0))
        grid = HeadGrid(weights, scale, tone_of(context, pair.query, pair.key), blank)
        yield from heading(context, scale, [pair.query], [pair.key])
        yield Text()
        query, key = label(pair.query), label(pair.key)
        yield Text(cut(f"how much {query} looks at {key}", width), style="bold")
        if weights:
            yield from render_lines(grid.blocks(width), width)
            yield from render_lines(grid.strongest(width), width)
            if blank:
                yield from quiet_line(f"blank: {MAY_NOT}")
        else:
            yield from quiet_line(f'"{query}" may not look at "{key}".')
        yield from quiet_line(_note(pair.word))
