"""Two sentences, or two models, beside each other: which heads change, and what gained and lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from attnviz.analysis.align import SIDES, Aligned, Column, Side
from attnviz.analysis.compare import Comparison, HeadChange
from attnviz.analysis.special import special_share
from attnviz.render.terminal.cells import Line, fit, label, render_lines, sentences, tone_of
from attnviz.render.terminal.heading import Mark, measure_line, model_line, sentence
from attnviz.render.terminal.palette import (
    BOLD,
    DIM,
    MARKER,
    PLAIN,
    TINTS,
    percent,
    weight_style,
    weight_text,
)
from attnviz.tokens import Token

HEADS_SHOWN = 10
"""Heads that the table shows, unless somebody chose heads or said how many."""

LONGEST_WORD = 16
ONE_SIDED = "*"
"""Stands behind a word that one sentence alone has."""

SMALLEST_CHANGE = 0.005
"""What changes less is not named: it would read as 0."""

BAR = 14
"""Cells that the largest change of a link takes."""

MOST_NAMED = 4
"""Words that gained, and that lost, which a line names at most."""

SHORT_WORD = 7
"""A word is not cut shorter for the sake of another column."""

SHORTEST_WORD = 6
"""Where words are shorter, so that there is room for the columns' titles."""

ENTRY = 7
"""What stands beside a word: its change, and space."""

DISTANCE = 10

_CHANGED: dict[Side, str] = {"a": f"bold {TINTS['cool']}", "b": f"bold {TINTS['warm']}"}
"""What only A has is lost in B, and what only B has is gained; in the colours of changes."""


@dataclass(frozen=True)
class _Layout:
    """What fits: words of this width, so many that gained and that lost, and the strongest keys."""

    margin: int
    word: int
    named: int
    strongest: bool


@dataclass(frozen=True, eq=False)
class ComparisonTable:
    """The heads that change most: their distance, what gained, what lost; or one link's change.

    `count` says how many heads are shown, None for all.
    """

    comparison: Comparison
    count: int | None = HEADS_SHOWN

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        yield from _heading(self.comparison.aligned, self.comparison.query)
        yield Text()
        shown = self.comparison.heads[: self.count]
        table = _links if self.comparison.key is not None else _distances
        yield from render_lines(table(self.comparison, shown, width), width)
        for number, note in enumerate(self._notes(shown)):
            if number == 0:
                yield Text()
            yield from render_lines(sentences(note, width), width)

    def _notes(self, shown: Sequence[HeadChange]) -> Iterator[str]:
        comparison, aligned = self.comparison, self.comparison.aligned
        hidden = len(comparison.heads) - len(shown)
        if hidden:
            yield (
                f"{hidden} {aligned.a.places if hidden > 1 else aligned.a.places[:-1]} that "
                f"{'change less are' if hidden > 1 else 'changes less is'} not shown; --top "
                f"{len(comparison.heads)} shows all."
            )
        if comparison.key is None and any(len(c.tokens) < 2 for c in comparison.columns):
            yield (
                f"{ONE_SIDED} a word that only one of the two has; all that it takes counts as "
                "change."
            )
        if not aligned.a.measured.shares:
            yield (
                f"Rows of {aligned.a.measure} are no shares: here each is divided by its sum, so "
                "that the two can be compared."
            )
        yield from _special_notes(comparison)
        if aligned.a.model != aligned.b.model:
            yield (
                "Heads of two models are the same head only where one model came from the other, "
                "as by fine-tuning; otherwise their numbers mean nothing."
            )


def _heading(aligned: Aligned, query: int | None) -> Iterator[Text]:
    """Both models, or the one; both sentences, the query underlined, what differs in brackets."""
    one_model = aligned.a.model == aligned.b.model
    for side in SIDES[: 1 if one_model else 2]:
        line = model_line(aligned.view(side))
        yield line if one_model else Text.assemble((f"{side.upper()}  ", "bold"), line)
    one_text = aligned.a.inspection.tokens.text == aligned.b.inspection.tokens.text
    for side in SIDES[: 1 if one_text and not one_model else 2]:
        tokens = aligned.view(side).inspection.tokens
        name = "" if one_text and not one_model else f"{side.upper()}  "
        for segment, text in enumerate((tokens.text, tokens.pair)):
            if text is not None:
                marks = _marks(aligned, side, segment, query)
                yield Text.assemble((name, "bold"), sentence(text, marks))
                name = " " * len(name)
    yield measure_line(aligned.a.measured)


def _marks(aligned: Aligned, side: Side, segment: int, query: int | None) -> list[Mark]:
    """The words that the other side does not have, neighbours together, and the query."""
    asked = None if query is None else aligned.pair(query)[SIDES.index(side)].index
    own = [column.token(side) for column in aligned.columns if column.same]
    kept = {token.index for token in own if token is not None}

    def kind(token: Token) -> tuple[bool, bool]:
        return token.index in kept, token.index == asked

    marks = []
    tokens = [t for t in aligned.view(side).tokens if t.segment == segment and not t.special]
    for (is_kept, is_asked), run in groupby(tokens, kind):
        words = list(run)
        start, end = words[0].start, words[-1].end
        if start is None or end is None or (is_kept and not is_asked):
            continue
        underline = " underline" if is_asked else ""
        if is_kept:
            marks.append(Mark(start, end))
        else:
            marks.append(Mark(start, end, f"{_CHANGED[side]}{underline}", "‹", "›"))
    return marks


def _special_notes(comparison: Comparison) -> Iterator[str]:
    """What special tokens take in A and in B, in the heads compared."""
    aligned, heads = comparison.aligned, [change.head for change in comparison.heads]
    over = f"mean over {'these' if len(heads) < len(aligned.a.all_heads()) else 'all'} "
    over = f"in {heads[0]}" if len(heads) == 1 else over + aligned.a.places
    dropped = [change.dropped for change in comparison.heads if change.dropped is not None]
    if dropped:
        in_a, in_b = (sum(getattr(both, side) for both in dropped) / len(dropped) for side in SIDES)
        yield (
            f"Special tokens are left out: they had {percent(in_a)} of what is compared in A and "
            f"{percent(in_b)} in B ({over}), and what remains of each row sums to 1."
        )
    elif comparison.query is not None:
        words = aligned.pair(comparison.query)
        in_a, in_b = (
            special_share(aligned.view(side), word.index, heads)
            for side, word in zip(SIDES, words, strict=True)
        )
        if in_a is not None and in_b is not None:
            yield (
                f'"{label(words[0])}" gives {percent(in_a)} of its {aligned.a.measured.noun} to '
                f"special tokens in A and {percent(in_b)} in B ({over}); --no-special leaves them "
                "out."
            )


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
    largest = max(abs(float(change.change[key])) for change in comparison.heads) or 1.0
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
    aligned = comparison.aligned
    if comparison.query is None:
        who = "all words look"
    else:
        who = f'"{_name(aligned.columns[comparison.query])}" looks'
    if comparison.key is None:
        title = f"what {who} at, by Jensen-Shannon distance"
    else:
        title = f'how much {who} at "{_name(aligned.columns[comparison.key])}", by change'
    return [Segment(fit(title, min(cell_len(title), width)), BOLD)]


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
    longest = max((cell_len(_name(comparison.columns[column])) for column in named), default=4)
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
            Segment(" " + fit(_name(comparison.columns[column]), layout.word)),
        ]
    blank = (layout.named - len(told)) * (layout.word + ENTRY)
    return [*line, Segment(" " * blank)]


def _strongest(comparison: Comparison, change: HeadChange, layout: _Layout) -> Line:
    """The word that the query looks at most, in A and in B."""
    line: Line = []
    query = comparison.aligned.pair(comparison.query or 0)
    for side, looks, shares in zip(SIDES, query, (change.a, change.b), strict=True):
        best = int(shares.argmax())
        token = comparison.columns[best].token(side)
        if token is None:
            continue
        style = weight_style(float(shares[best]), tone_of(looks, token))
        line += [
            Segment(f" {weight_text(float(shares[best]))} ", style),
            Segment(" " + fit(label(token), layout.word + 1)),
        ]
    return line


def _mover(comparison: Comparison, change: HeadChange, layout: _Layout) -> Line:
    """The word that as a query changes most, and how far."""
    if change.distances is None:
        return []
    most = int(np.nanargmax(change.distances))
    word = fit(_name(comparison.columns[most]), layout.word)
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
    """The colour says which way it goes, as in the pictures."""
    return weight_style(abs(change), "warm" if change > 0 else "cool")
