"""A learner's page: how one query's attention in one head comes about, step by step."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from attnviz.answers.explain import Explanation, Sink
from attnviz.show.explain_wording import (
    after_scale,
    agreement,
    below,
    by,
    head_vectors,
    numbers,
    origin,
    out_of_sight,
    scaled_by_root,
    shown_key,
    shown_keys,
    sizes,
    times,
)
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    MARKER,
    PLAIN,
    Line,
    bar,
    cut,
    fit,
    label,
    percent,
    render_lines,
    sentences,
    tone_of,
    weight_style,
    weight_text,
    width_of,
)
from attnviz.show.terminal.heading import head_title, heading

ZERO = "#8f8b87"
ABOVE = ("#a09080", "#b09477", "#c1996e", "#d19c62", "#e1a055", "#f2a344", "#ffa629")
BELOW = ("#778496", "#667b9a", "#54719d", "#4168a0", "#2e5da3", "#1652a5", "#0046a7")
"""Steps in OKLCH from a middle grey: lighter above 0, to (0.80, 0.165, 68), darker below."""

HEIGHTS = "▁▂▃▄▅▆▇"
UPPER_HALF, FULL = "▀", "█"

FULL_FROM = 95
"""The percentile of the sizes from which on numbers have the strongest colour: few are far out."""

KEYS_SHOWN = 20
"""Keys that the table has lines for, unless the user says how many."""

NUMBER = 9
"""Cells of a product, a score, with the space before it."""

WEIGHT = 6
"""Marker, weight, and space around it."""

NAMED = 19
"""Cells of a vector's name, where the vector stands beside it."""

NOTHING = 0.5 / len(ABOVE)
"""Where no number is larger, as a part of the most that a key brings, nothing is drawn."""

SHORTEST_BAR, LONGEST_BAR = 6, 20

SINK = "the sink"


@dataclass(frozen=True)
class _Columns:
    """How many cells the table's columns take; `strip` is 0 where there is no room for one."""

    name: int
    bar: int
    strip: int

    @property
    def before_strip(self) -> int:
        """The cells of all columns before it."""
        return self.name + 2 * NUMBER + WEIGHT + self.bar + 2

    @classmethod
    def of(cls, explanation: Explanation, width: int, colored: bool) -> "_Columns":
        least = len("key") if explanation.sink is None else len(SINK)
        longest = max(least, width_of(explanation.keys, LONGEST_WORD))
        name = min(longest + 3, max(4, width - 2 * NUMBER - WEIGHT))
        room = width - name - 2 * NUMBER - WEIGHT
        count = len(explanation.z)
        wide = count if not colored or count + SHORTEST_BAR + 2 <= room else -(-count // 2)
        if wide + SHORTEST_BAR + 2 > room:
            return cls(name, max(0, min(room, LONGEST_BAR)), 0)
        return cls(name, min(room - wide - 2, LONGEST_BAR), wide)


def table(answer: Explanation, top: int | None = None) -> RenderableType:
    """The steps, each with its numbers; the `top` keys, 20 unless told, in the text's order."""
    return _Page(answer, top or KEYS_SHOWN)


@dataclass(frozen=True, eq=False)
class _Page:
    explanation: Explanation
    top: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        colored = console.color_system is not None and not console.no_color
        e = self.explanation
        yield from heading(e.context, queries=[e.query], layers=[e.head.layer])
        yield Text()
        yield head_title(e.head, f"how {_named(e)} looks, step by step")
        yield from render_lines(self._lines(width, colored), width)

    def _lines(self, width: int, colored: bool) -> Iterator[Line]:
        yield from self._vectors(width, colored)
        yield from self._table(width, colored)
        yield from self._output(width, colored)
        yield []
        yield from sentences(self._check(), width)

    def _vectors(self, width: int, colored: bool) -> Iterator[Line]:
        """Steps 1 and 2."""
        e = self.explanation
        yield []
        yield from _step(
            width, 1, f'x, the vector of "{label(e.query)}", {below(e)}: {numbers(e.x)}, d_model'
        )
        yield from _cells(e.x, width, colored)
        key = "orange above 0, blue below" if colored else "a bar each, 0 in the middle"
        yield [Segment(f"   {_told(e.x)}; {key}", DIM)]
        yield []
        yield from _step(width, 2, times(e))
        vectors = [step for one in head_vectors(e) for step in one.steps]
        longest = max(cell_len(told) for told, _ in vectors)
        for told, vector in vectors:
            yield from _named_vector(f"{told:<{longest}}", vector, width, colored)
        yield from _remark(f"{sizes(e)} {origin(e, label(shown_key(e)))}", width)

    def _table(self, width: int, colored: bool) -> Iterator[Line]:
        """Steps 3 to 6, a line for each key."""
        e = self.explanation
        columns = _Columns.of(e, width, colored)
        yield []
        yield from _step(
            width, 3, f'q · k: the query of "{label(e.query)}" with the key of each token'
        )
        yield from _step(width, 4, self._scaling())
        sink = "" if e.sink is None else " together with the sink's"
        yield from _step(width, 5, f"softmax: they become weights, which sum to 1{sink}")
        yield from _step(width, 6, "each token's v times its weight; the sum of these is z")
        yield []
        yield from self._header(columns, width)
        shown, hidden = shown_keys(e, self.top)
        # a key of a small value, such as [CLS], may have the most weight and bring hardly anything
        full = max(full_size(e.brought[key]) for key in shown)
        for key in shown:
            yield self._row(key, columns, full, colored)
        if e.sink is not None:
            yield self._sink_row(e.sink, columns)
        if columns.strip:
            [cells] = strip(e.z, full_size(e.z), columns.strip, colored)
            yield [Segment(fit("   z, the sum of all", columns.before_strip), BOLD), *cells]
            yield [Segment("   " + _told(e.z), DIM)]
        else:
            yield from _named_vector("z, the sum of all", e.z, width, colored)
        yield from self._hidden(shown, hidden, width)

    def _header(self, columns: _Columns, width: int) -> Iterator[Line]:
        e = self.explanation
        score = "4 ÷√d_k" if scaled_by_root(e) and not after_scale(e) else "4 score"
        head = fit("   key", columns.name) + fit("3 q·k", NUMBER, right=True)
        head += fit(score, NUMBER, right=True) + "  5 weight"
        if columns.strip:
            head = fit(head, columns.before_strip) + "6 weight × v"
            folded = ", two rows each"
            if columns.strip < len(e.z) and len(head + folded) <= width:
                head += folded
        yield [Segment(cut(head, width), DIM)]

    def _hidden(self, shown: list[int], hidden: list[int], width: int) -> Iterator[Line]:
        e = self.explanation
        if hidden:
            together = float(e.weights[hidden].sum())
            told = percent(together) if together >= 0.005 else "less than 1%"
            yield from _remark(
                f"{len(hidden)} of {len(e.keys)} keys are hidden, those with the smallest weights: "
                f"together they hold {told}. --top {min(len(e.keys), 2 * len(shown))} shows more.",
                width,
            )
        if out_of_sight(e):
            yield from _remark(f"{out_of_sight(e)}: their weight is 0, whatever q · k.", width)
        if e.sink is not None:
            yield from _remark(
                "The sink is a place that is no token: it has a score, and no k and v of its own.",
                width,
            )

    def _scaling(self) -> str:
        e, d_k = self.explanation, self.explanation.context.model.d_k
        if scaled_by_root(e):
            scaling = f"÷ √d_k = √{d_k} = {d_k**0.5:.3g}, or wide vectors would favour one key"
        else:
            scaling = f"× {e.scale:.4g}, the model's own scale in place of 1 / √d_k"
        return "; ".join([scaling, *after_scale(e)])

    def _row(self, key: int, columns: _Columns, full: float, colored: bool) -> Line:
        e, token = self.explanation, self.explanation.keys[key]
        weight, strongest = float(e.weights[key]), key == e.order[0]
        mark = f" {MARKER} " if strongest else "   "
        style = weight_style(weight, tone_of(e.context, e.query, token), strongest)
        name_style = BOLD if strongest else DIM if token.special else PLAIN
        line = [Segment(fit(mark + label(token), columns.name), name_style)]
        for number in (e.dots[key], e.scores[key]):
            line.append(Segment(fit(_number(number), NUMBER, right=True), PLAIN))
        line += [Segment(" "), Segment(f" {weight_text(weight)} ", style)]
        beside = fit(bar(weight / float(e.weights[e.order[0]]), columns.bar), columns.bar)
        line.append(Segment(beside, PLAIN if strongest else DIM))
        if columns.strip:
            brought = e.brought[key]
            [cells] = strip(brought, full, columns.strip, colored)
            arrives = np.abs(brought).max() > NOTHING * full
            line += [Segment("  "), *(cells if arrives else [Segment("·", DIM)])]
        return line

    def _sink_row(self, sink: Sink, columns: _Columns) -> Line:
        """The place that takes a part of the weight, and brings nothing."""
        e = self.explanation
        part = bar(sink.weight / float(e.weights[e.order[0]]), columns.bar)
        return [
            Segment(fit(f"   {SINK}", columns.name), DIM),
            Segment(fit("", NUMBER), DIM),
            Segment(fit(_number(sink.score), NUMBER, right=True), DIM),
            Segment(f"  {weight_text(sink.weight)} ", DIM),
            Segment(cut(part, columns.bar), DIM),
        ]

    def _output(self, width: int, colored: bool) -> Iterator[Line]:
        """Step 7."""
        e, heads = self.explanation, self.explanation.context.model.num_heads
        yield []
        shape = by(e.shapes["W_O"])
        yield from _step(
            width, 7, f"z W_O: what the head gives back, through its part of W_O, {shape}"
        )
        yield from _vector(e.output, width, colored)
        if heads > 1:
            yield from _remark(
                f"The outputs of the layer's {heads} heads are added up. {e.head}'s share of the "
                f"sum is {percent(e.share)}: how far its own reaches in the sum's direction; the "
                "shares of all heads make 100%.",
                width,
            )

    def _check(self) -> str:
        e = self.explanation
        difference, whose = e.check.z, f"{e.stack}'s"
        if difference is None:
            return (
                f"Check: this inspection does not have the {whose} z, so there is nothing to hold "
                "these steps to."
            )
        return f"Check: z from these steps agrees with the {whose} own {agreement(difference)}."


def _step(width: int, number: int, text: str) -> Iterator[Line]:
    """A step's number, and what is done in it."""
    mark = Segment(f"{number}  ", BOLD)
    for [said] in sentences(text, max(1, width - 3)):
        yield [mark, Segment(said.text, PLAIN)]
        mark = Segment("   ")


def _remark(text: str, width: int) -> Iterator[Line]:
    """Quiet sentences, as far in as what belongs to a step."""
    for line in sentences(text, max(1, width - 3)):
        yield [Segment("   "), *line]


def _named_vector(name: str, values: np.ndarray, width: int, colored: bool) -> Iterator[Line]:
    """A vector with its name before it, on one line if there is room."""
    told, named = _told(values), fit(f"   {name}", max(NAMED, cell_len(name) + 4))
    if len(named) + len(values) + 2 + len(told) <= width:
        [cells] = strip(values, full_size(values), len(values), colored)
        yield [Segment(named), *cells, Segment(f"  {told}", DIM)]
        return
    yield [Segment(named), Segment(told, DIM)]
    yield from _cells(values, width, colored)


def _vector(values: np.ndarray, width: int, colored: bool) -> Iterator[Line]:
    """A vector as a strip, and below what can be said of it in a line."""
    yield from _cells(values, width, colored)
    yield [Segment("   " + _told(values), DIM)]


def _cells(values: np.ndarray, width: int, colored: bool) -> Iterator[Line]:
    for line in strip(values, full_size(values), max(1, width - 3), colored):
        yield [Segment("   "), *line]


def _told(values: np.ndarray) -> str:
    length = float(np.linalg.norm(values))
    return f"{values.min():.3g} to {values.max():.3g}, length {length:.3g}"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1e5 else f"{value:.2g}"


def _named(explanation: Explanation) -> str:
    """The query, and which piece of its word it is, where that has several."""
    query, tokens = explanation.query, explanation.context.text
    word = tokens.words[query.word]
    if len(word.pieces) == 1:
        return f'"{label(query)}"'
    place = query.index - tokens.word_starts[query.word] + 1
    return f'"{label(query)}", piece {place} of {len(word.pieces)} of "{label(word)}",'


def full_size(values: np.ndarray) -> float:
    """The size from which on numbers of this vector, or of these, have the strongest colour."""
    return float(np.percentile(np.abs(values), FULL_FROM)) or 1.0


def strip(values: np.ndarray, full: float, width: int, colored: bool) -> Iterator[Line]:
    """The numbers, (n,), in lines of at most `width` cells.

    `full`: the size that has the strongest colour, and the highest and lowest bars. Numbers that do
    not fit into one line are folded; with colour, two of the rows then share a line.
    """
    rows = [values[first : first + width] for first in range(0, len(values), width)]
    if not colored:
        yield from ([Segment("".join(_bar(value / full) for value in row))] for row in rows)
    elif len(rows) == 1:
        yield [Segment(FULL, Style(color=_color(value / full))) for value in rows[0]]
    else:
        rows += [rows[0][:0]] * (len(rows) % 2)
        for upper, lower in zip(rows[::2], rows[1::2], strict=True):
            yield [_pair(upper, lower, place, full) for place in range(len(upper))]


def _pair(upper: np.ndarray, lower: np.ndarray, place: int, full: float) -> Segment:
    """Two numbers in one cell, one above the other."""
    below = _color(lower[place] / full) if place < len(lower) else None
    return Segment(UPPER_HALF, Style(color=_color(upper[place] / full), bgcolor=below))


def _color(part: float) -> str:
    """The colour of a number, as a part of the full size."""
    ramp = ABOVE if part > 0 else BELOW
    step = min(round(abs(part) * len(ramp)), len(ramp))
    return ramp[step - 1] if step else ZERO


def _bar(part: float) -> str:
    step = round((min(max(part, -1.0), 1.0) + 1) / 2 * (len(HEIGHTS) - 1))
    return HEIGHTS[step]
