"""Two sentences, or two models, beside each other: which heads change, and what gained and lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from attnviz.answers.align import SIDES, Column
from attnviz.answers.compare import Comparison, HeadChange
from attnviz.attention.order import NEAR_ZERO, largest
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    TINTS,
    Line,
    cut,
    fit,
    label,
    render_lines,
    sentences,
    tone_of,
    weight_style,
    weight_text,
)
from attnviz.show.terminal.sides import ONE_SIDED, remarks, sides

HEADS_SHOWN = 10
"""Heads that the table shows, unless somebody chose heads or said how many."""

LONGEST_WORD = 16
SMALLEST_CHANGE = 0.005
"""What changes less is not named: it would read as 0."""

BAR = 14
"""Cells that the largest change of a link takes."""

FULL_FROM = 0.1
"""A change from here on may have a whole bar: one that rounds to nothing has none."""

MOST_NAMED = 4
"""Words that gained, and that lost, which a line names at most."""

SHORT_WORD = 7
"""A word is not cut shorter for the sake of another column."""

SHORTEST_WORD = 6
"""Where words are shorter, so that there is room for the columns' titles."""

ENTRY = 8
"""What stands beside a word: its change, and space."""

DISTANCE = 10


@dataclass(frozen=True)
class _Layout:
    """What fits: words of this width, so many that gained and that lost, and the strongest keys."""

    margin: int
    word: int
    named: int
    strongest: bool


def table(answer: Comparison, top: int | None = None) -> RenderableType:
    """The `top` heads that change most; without `top`, 10 of all, or all that were chosen."""
    chosen = len(answer.heads) < len(answer.alignment.a.all_heads())
    return ComparisonTable(answer, top or (None if chosen else HEADS_SHOWN))


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """The heads that change most: their distance, what gained, what lost; or one link's change.

    `count` says how many heads are shown, None for all.
    """

    comparison: Comparison
    count: int | None = HEADS_SHOWN

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield from sides(self.comparison.alignment, self.comparison.query)
        yield Text()
        shown = self.comparison.heads[: self.count]
        lines = _links if self.comparison.key is not None else _distances
        yield from render_lines(lines(self.comparison, shown, width), width)
        for number, note in enumerate(remarks(self.comparison, len(shown))):
            if number == 0:
                yield Text()
            yield from render_lines(sentences(note, width), width)


def _distances(comparison: Comparison, shown: Sequence[HeadChange], width: int) -> Iterator[Line]:
    """A line for each head: its distance, and the words that gained and lost most."""
    layout = _layout(comparison, shown, width)
    asked = comparison.query is not None
    yield _title(comparison, width)
    entry = layout.word + ENTRY
    titles = [("gained in B", entry * layout.named), ("lost in B", entry * layout.named)]
    if layout.strongest:
        titles += [("most in A", entry), ("most in B", entry)] if asked else [("most changed", 2)]
    text = fit("", layout.margin) + fit("distance" if asked else "mean", DISTANCE)
    yield [
        Segment(text + "".join(fit(title, max(len(title), room)) for title, room in titles), DIM)
    ]
    for place, change in enumerate(shown):
        line = [Segment(fit(str(change.head), layout.margin), BOLD)]
        mark = MARKER if place == 0 and change.distance > 0 else " "
        told = fit(f"{mark}{weight_text(change.distance)}", DISTANCE)
        line.append(Segment(told, BOLD if place == 0 else PLAIN))
        line += _named(comparison, change, change.gained(layout.named), layout)
        line += _named(comparison, change, change.lost(layout.named), layout)
        if layout.strongest:
            line += (
                _strongest(comparison, change, layout)
                if asked
                else _mover(comparison, change, layout)
            )
        yield line


def _links(comparison: Comparison, shown: Sequence[HeadChange], width: int) -> Iterator[Line]:
    """A line for each head: the link's number in A and in B, and its change as a bar."""
    key = comparison.key or 0
    margin = _margin(shown)
    changes = (abs(float(change.change[key])) for change in comparison.heads)
    largest = max(FULL_FROM, *changes)
    room = max(0, min(BAR, (width - margin - 22) // 2))
    yield _title(comparison, width)
    yield [Segment(fit("", margin) + "   A      B    change", DIM)]
    for change in shown:
        line = [Segment(fit(str(change.head), margin), BOLD)]
        for weight in (float(change.a[key]), float(change.b[key])):
            line += [Segment(f" {weight_text(weight)} ", weight_style(weight)), Segment("  ")]
        difference = float(change.change[key])
        line += [Segment(f" {_change_text(difference)} ", _change_style(difference)), Segment("  ")]
        size = round(abs(difference) / largest * room)
        bar = Segment("━" * size, Style(color=TINTS["warm" if difference > 0 else "cool"]))
        if difference > 0:
            line += [Segment(" " * room + "│", DIM), bar]
        else:
            line += [Segment(" " * (room - size)), bar, Segment("│", DIM)]
        yield line


def _title(comparison: Comparison, width: int) -> Line:
    """What is compared, in words, and what heads are ranked by."""
    aligned = comparison.alignment
    if comparison.query is None:
        who = "all words look"
    else:
        who = f'"{_name(aligned.columns[comparison.query])}" looks'
    if comparison.key is None:
        title = f"what {who} at, by Jensen-Shannon distance"
    else:
        title = f'how much {who} at "{_name(aligned.keys[comparison.key])}", by change'
    return [Segment(cut(title, width), BOLD)]


def _margin(shown: Sequence[HeadChange]) -> int:
    return max(len(str(change.head)) for change in shown) + 2


def _layout(comparison: Comparison, shown: Sequence[HeadChange], width: int) -> _Layout:
    """As many words as fit in full; in narrow terminals one of each, cut."""
    margin = _margin(shown)
    named = [
        column
        for change in shown
        for column in (*change.gained(MOST_NAMED), *change.lost(MOST_NAMED))
    ]
    longest = max((cell_len(_name(comparison.keys[column])) for column in named), default=4)
    word = max(SHORTEST_WORD, min(longest, LONGEST_WORD))
    room = width - margin - DISTANCE
    for count in range(MOST_NAMED, 0, -1):
        if room >= (2 * count + 2) * (word + ENTRY):
            return _Layout(margin, word, count, strongest=True)
    if room >= 4 * (SHORT_WORD + ENTRY):
        return _Layout(margin, room // 4 - ENTRY, 1, strongest=True)
    return _Layout(margin, max(1, min(word, room // 2 - ENTRY)), 1, strongest=False)


def _named(
    comparison: Comparison, change: HeadChange, columns: Sequence[int], layout: _Layout
) -> Line:
    """Words with their changes, and blanks for those that are missing."""
    line: Line = []
    told = [i for i in columns if abs(float(change.change[i])) >= SMALLEST_CHANGE]
    for column in told:
        difference = float(change.change[column])
        line += [
            Segment(f" {_change_text(difference)} ", _change_style(difference)),
            Segment(" " + fit(_name(comparison.keys[column]), layout.word + 1)),
        ]
    blank = (layout.named - len(told)) * (layout.word + ENTRY)
    return [*line, Segment(" " * blank)]


def _strongest(comparison: Comparison, change: HeadChange, layout: _Layout) -> Line:
    """The word that the query looks at most, in A and in B."""
    line: Line = []
    query = comparison.alignment.pair(comparison.query or 0)
    for side, looks, shares in zip(SIDES, query, (change.a, change.b), strict=True):
        best = int(largest(shares))
        token = comparison.keys[best].token(side)
        if token is None:
            continue
        tone = tone_of(comparison.alignment.context(side), looks, token)
        style = weight_style(float(shares[best]), tone)
        line += [
            Segment(f" {weight_text(float(shares[best]))} ", style),
            Segment(" " + fit(label(token), layout.word) + "  "),
        ]
    return line


def _mover(comparison: Comparison, change: HeadChange, layout: _Layout) -> Line:
    """The word that as a query changes most, and how far."""
    if change.distances is None:
        return []
    most = int(largest(change.distances, floor=NEAR_ZERO))
    word = fit(_name(comparison.alignment.columns[most]), layout.word)
    return [Segment(f" {weight_text(float(change.distances[most]))}  {word}", PLAIN)]


def _name(column: Column) -> str:
    """A word, or the word and the one in its place."""
    names = [label(token) for token in column.tokens]
    if len(names) == 1:
        return names[0] + ONE_SIDED
    return names[0] if column.same else "→".join(names)


def _change_text(change: float) -> str:
    """A change in four cells: `+.08`, `−.40`, and a dot for what rounds to zero."""
    text = weight_text(abs(change))
    if abs(change) < SMALLEST_CHANGE:
        return " " + text
    return ("+" if change > 0 else "−") + text


def _change_style(change: float) -> Style:
    """Warm for more, cool for less, as in the pictures; a change of half is as strong as can be."""
    return weight_style(min(1.0, 2 * abs(change)), "warm" if change > 0 else "cool")
