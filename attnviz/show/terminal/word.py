"""One word in some heads or in all, and how much one word looks at another."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.answers.overview import Link
from attnviz.answers.word import Pair, Word
from attnviz.inspection import Context, HeadId
from attnviz.show.labels import names
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    MARKER,
    PLAIN,
    Hues,
    Page,
    Scale,
    cut,
    fit,
    line,
    tone_of,
    width_of,
)
from attnviz.show.terminal.grid import Grid, HeadGrid
from attnviz.show.terminal.heading import (
    dropped_note,
    heading,
    listed_names,
    query_note,
    question,
    quiet_line,
    tones_legend,
    word_heading,
)
from attnviz.show.wording import MAY_NOT

if TYPE_CHECKING:
    from attnviz.answers.links import Links

LINKS_NAMED = 20  # How many links a table of them names, unless the user says how many
KEYS_NAMED = 5  # How many words a line names at most, unless the user says how many


def table(word: Word, top: int | None = None) -> RenderableType:
    """A grid of all heads, or a line for each chosen; `top` limits the words that a line names."""
    if word.chosen or not word.context.measured.per_head:
        return Page(lambda width, hues: _rows(word, top, width, hues))
    return Page(lambda *console: chain(Grid(word, top).lines(*console), quiet_line(_note(word))))


def pair_table(pair: Pair, top: int | None = None) -> RenderableType:
    """A grid of the one weight in each head, blank where it may not look; `top` changes nothing."""
    return Page(lambda width, hues: _pair(pair, width, hues))


def links_table(links: "Links", top: int | None = None) -> RenderableType:
    """The links, strongest first: the `top` strongest, or LINKS_NAMED."""
    heads = Table(box=None, pad_edge=False, header_style="dim", show_edge=False)
    for name in ("head", "query", "key", "weight"):
        heads.add_column(name, justify="right" if name == "weight" else "left", overflow="fold")
    queries, keys = names(links.context, "query"), names(links.context, "key")
    for row in links.rows(top or LINKS_NAMED):
        layer, head, query, _, key, _, weight = row[:7]
        number = links.context.measured.number(weight)
        heads.add_row(str(HeadId(layer, head)), Text(queries[query]), Text(keys[key]), number)
    return Group(*heading(links.context), "", heads)


def _note(word: Word) -> str:
    context, heads = word.context, word.heads
    if word.role == "key":
        return dropped_note(context, word.special, heads)
    return query_note(context, word.token.index, heads, word.special, word.sink)


def _rows(word: Word, top: int | None, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    """A line for each head, strongest first; more lines where the user asked for more than fits."""
    scale = Scale.of(word.context.measured, float(word.weights.max()))
    yield from word_heading(word, scale)
    yield from tones_legend(word.context, hues, width)
    yield Text()
    yield Text(question(word, width), style=BOLD)
    called = listed_names(word.context, word.other_role)
    margin = max(len(str(head)) for head in word.heads) + 2
    room = max(1, min(width_of(called, LONGEST_WORD), width - margin - 7))
    across = max(1, (width - margin) // (room + 7))
    for place, head in enumerate(word.heads):
        row = line((fit(str(head), margin), BOLD))
        for at, other in enumerate(word.strongest(place, top or min(KEYS_NAMED, across))):
            if at and at % across == 0:
                yield row
                row = line(" " * margin)
            # what is named and coloured is the other word, whichever of the two looks
            link = Link(word.token, word.others[other], float(word.weights[place, other]))
            name = fit(called[other], room)
            row.append_text(named_weight(word.context, link, name, at == 0, scale))
        yield row
    if note := _note(word):
        yield Text()
        yield from quiet_line(note)


def named_weight(context: Context, link: Link, name: str, first: bool, scale: Scale) -> Text:
    """A weight and the name of what it goes to; a row's first stands out."""
    mark = MARKER if first and link.weight > 0 else " "
    style = scale.style(link.weight, tone_of(context, link.query, link.key), bold=first)
    name_style = BOLD if first else DIM if link.key.special else PLAIN
    return Text.assemble((f"{mark}{scale.text(link.weight)} ", style), (f" {name} ", name_style))


def _pair(pair: Pair, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    """Layers down, heads across, then the strongest heads."""
    context, places = pair.context, np.flatnonzero(pair.allowed)
    weights = {pair.heads[place]: float(pair.weights[place]) for place in places}
    blank = [head for head in pair.heads if head not in weights]
    scale = Scale.of(context.measured, max(weights.values(), default=0))
    grid = HeadGrid(weights, scale, tone_of(context, pair.query, pair.key), blank)
    yield from heading(context, scale, [pair.query], [pair.key])
    yield from tones_legend(context, hues, width)
    yield Text()
    query = names(context, "query")[pair.query.index]
    key = names(context, "key")[pair.key.index]
    yield Text(cut(f"how much {query} looks at {key}", width), style="bold")
    if weights:
        yield from grid.blocks(width)
        yield from grid.strongest(width)
        yield from quiet_line(f"blank: {MAY_NOT}" if blank else "")
    else:
        yield from quiet_line(f'"{query}" may not look at "{key}".')
    yield from quiet_line(_note(pair.word))
