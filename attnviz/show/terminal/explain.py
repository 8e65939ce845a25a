"""A learner's page: how one query's attention in one head comes about, step by step."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from attnviz.answers.explain import Explanation
from attnviz.show.explain_wording import (
    Steps,
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
from attnviz.show.labels import names, visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    MANY,
    MARKER,
    PLAIN,
    Page,
    cut,
    fit,
    line,
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
EIGHTHS = ("", *"▏▎▍▌▋▊▉")

FULL_FROM = 95
"""The percentile of the sizes from which on numbers have the strongest colour: few are far out."""

KEYS_SHOWN = 20  # Keys that the table has lines for, unless the user says how many
NUMBER = 9  # Cells of a product, a score, with the space before it
WEIGHT = 6  # Marker, weight, and space around it
NAMED = 19  # Cells of a vector's name, where the vector stands beside it
NOTHING = 0.5 / len(ABOVE)
"""Where no number is larger, as a part of the most that a key brings, nothing is drawn."""

SHORTEST_BAR, LONGEST_BAR = 6, 20

SINK = "the sink"


class _Columns(NamedTuple):
    """How many cells the table's columns take; `strip` is 0 where there is no room for one."""

    name: int
    bar: int
    strip: int

    @property
    def before_strip(self) -> int:
        return self.name + 2 * NUMBER + WEIGHT + self.bar + 2

    @classmethod
    def of(cls, explanation: Explanation, width: int, colored: bool) -> "_Columns":
        least = len("key") if explanation.sink is None else len(SINK)
        longest = max(least, width_of(names(explanation.context, "key"), LONGEST_WORD))
        name = min(longest + 3, max(4, width - 2 * NUMBER - WEIGHT))
        room = width - name - 2 * NUMBER - WEIGHT
        count = len(explanation.z)
        wide = count if not colored or count + SHORTEST_BAR + 2 <= room else -(-count // 2)
        if wide + SHORTEST_BAR + 2 > room:
            return cls(name, max(0, min(room, LONGEST_BAR)), 0)
        return cls(name, min(room - wide - 2, LONGEST_BAR), wide)


def table(answer: Explanation, top: int | None = None) -> RenderableType:
    """The steps, each with its numbers; the `top` keys, 20 unless told, in the text's order."""
    # 16 colours are too few
    return Page(lambda width, hues: _Steps(answer, width, hues == MANY).lines(top or KEYS_SHOWN))


class _Steps:
    def __init__(self, explanation: Explanation, width: int, colored: bool) -> None:
        self._e, self._width, self._colored = explanation, width, colored
        self._columns = _Columns.of(explanation, width, colored)
        self._keys = names(explanation.context, "key")
        self._query = names(explanation.context, "query")[explanation.query.index]

    def lines(self, top: int) -> Iterator[RenderableType]:
        e, query = self._e, self._query
        yield from heading(e.context, queries=[e.query], layers=[e.head.layer])
        yield Text()
        yield head_title(e.head, f"how {_named(e)} looks, step by step")
        yield Text()
        yield from self._step(1, f'x, the vector of "{query}", {below(e)}: {numbers(e.x)}, d_model')
        yield from self._cells(e.x)
        key = "orange above 0, blue below" if self._colored else "a bar each, 0 in the middle"
        yield line((f"   {_told(e.x)}; {key}", DIM))
        yield Text()
        yield from self._step(2, times(e))
        vectors = [step for one in head_vectors(e) for step in one.steps]
        longest = max(cell_len(told) for told, _ in vectors)
        for told, vector in vectors:
            yield from self._named_vector(f"{told:<{longest}}", vector)
        yield from self._remark(f"{sizes(e)} {origin(e, self._keys[shown_key(e).index])}")
        yield Text()
        yield from self._step(3, f'q · k: the query of "{query}" with the key of each token')
        yield from self._step(4, scaling(e))
        sink = "" if e.sink is None else " together with the sink's"
        yield from self._step(5, f"softmax: they become weights, which sum to 1{sink}")
        yield from self._step(6, "each token's v times its weight; the sum of these is z")
        yield Text()
        yield from self._table(top)
        yield Text()
        shape = by(e.shapes["W_O"])
        yield from self._step(
            7, f"z W_O: what the head gives back, through its part of W_O, {shape}"
        )
        yield from self._cells(e.output)
        yield line(("   " + _told(e.output), DIM))
        if e.context.model.num_heads > 1:
            yield from self._remark(
                f"The outputs of the layer's {e.context.model.num_heads} heads are added up. "
                f"{e.head}'s share of the sum is {e.share:.0%}: how far its own reaches in the "
                "sum's direction; the shares of all heads make 100%."
            )
        yield Text()
        yield from broken(checked(e), self._width, "", DIM)

    def _table(self, top: int) -> Iterator[Text]:
        """A line for each key, then the sum."""
        e, columns = self._e, self._columns
        yield self._header()
        shown, hidden = shown_keys(e, top)
        # a key of a small value, such as [CLS], may have the most weight and bring hardly anything
        full = max(full_size(e.brought[key]) for key in shown)
        for key in shown:
            yield self._row(key, full)
        if e.sink is not None:
            row = line((fit(f"   {SINK}", columns.name), DIM))
            row.append(f"{_number(e.sink.score):>{2 * NUMBER}}", DIM)
            row.append(f"  {weight_text(e.sink.weight)} ", DIM)
            yield row.append(self._bar(e.sink.weight).rstrip(), DIM)
        if columns.strip:
            [cells] = strip(e.z, full_size(e.z), columns.strip, self._colored)
            yield line((fit("   z, the sum of all", columns.before_strip), BOLD), cells)
            yield line(("   " + _told(e.z), DIM))
        else:
            yield from self._named_vector("z, the sum of all", e.z)
        if hidden:
            together = float(e.weights[hidden].sum())
            told = f"{together:.0%}" if together >= 0.005 else "less than 1%"
            yield from self._remark(
                f"{len(hidden)} of {len(e.keys)} keys are hidden, those with the smallest weights: "
                f"together they hold {told}. --top {min(len(e.keys), 2 * len(shown))} shows more."
            )
        if out_of_sight(e):
            yield from self._remark(f"{out_of_sight(e)}: their weight is 0, whatever q · k.")
        if e.sink is not None:
            yield from self._remark(
                "The sink is a place that is no token: it has a score, and no k and v of its own."
            )

    def _header(self) -> Text:
        e, columns = self._e, self._columns
        score = "4 ÷√d_k" if scaled_by_root(e) and not after_scale(e) else "4 score"
        head = f"{fit('   key', columns.name)}{'3 q·k':>{NUMBER}}{score:>{NUMBER}}  5 weight"
        if columns.strip:
            head = fit(head, columns.before_strip) + "6 weight × v"
            folded = ", two rows each"
            if columns.strip < len(e.z) and len(head + folded) <= self._width:
                head += folded
        return line((cut(head, self._width), DIM))

    def _row(self, key: int, full: float) -> Text:
        e, token, columns = self._e, self._e.keys[key], self._columns
        weight, strongest = float(e.weights[key]), key == e.order[0]
        mark = f" {MARKER} " if strongest else "   "
        name_style = BOLD if strongest else DIM if token.special else PLAIN
        row = line((fit(mark + self._keys[key], columns.name), name_style))
        row.append(f"{_number(e.dots[key]):>{NUMBER}}{_number(e.scores[key]):>{NUMBER}} ")
        row.append(f" {weight_text(weight)} ", BOLD if strongest else PLAIN)
        row.append(self._bar(weight), PLAIN if strongest else DIM)
        if columns.strip:
            brought = e.brought[key]
            [cells] = strip(brought, full, columns.strip, self._colored)
            arrives = np.abs(brought).max() > NOTHING * full
            row.append("  ").append_text(cells if arrives else Text("·", DIM))
        return row

    def _bar(self, weight: float) -> str:
        """A bar as long as the weight is beside the largest, in eighths of a cell."""
        part, cells = weight / float(self._e.weights[self._e.order[0]]), self._columns.bar
        whole, rest = divmod(round(part * cells * 8), 8)
        return fit("█" * whole + EIGHTHS[rest], cells)

    def _step(self, number: int, text: str) -> Iterator[Text]:
        return broken(text, self._width, f"{number}  ", PLAIN)

    def _remark(self, text: str) -> Iterator[Text]:
        """Quiet sentences, as far in as what belongs to a step."""
        return broken(text, self._width, "   ", DIM)

    def _named_vector(self, name: str, values: np.ndarray) -> Iterator[Text]:
        told, named = _told(values), fit(f"   {name}", max(NAMED, cell_len(name) + 4))
        if len(named) + len(values) + 2 + len(told) <= self._width:
            [cells] = strip(values, full_size(values), len(values), self._colored)
            yield line(named, cells, (f"  {told}", DIM))
            return
        yield line(named, (told, DIM))
        yield from self._cells(values)

    def _cells(self, values: np.ndarray) -> Iterator[Text]:
        for cells in strip(values, full_size(values), max(1, self._width - 3), self._colored):
            yield line("   ", cells)


def broken(text: str, width: int, mark: str, style: Style) -> Iterator[Text]:
    """Sentences broken between words, after a mark as wide as further lines are indented."""
    start, said = Text(mark, style=BOLD if mark.strip() else PLAIN), ""
    room = max(1, width - len(mark))
    for word in text.split():
        if said and cell_len(said) + 1 + cell_len(word) > room:
            yield line(start, (said, style))
            start, said = Text(" " * len(mark)), ""
        said = f"{said} {word}" if said else cut(word, room)
    yield line(start, (said, style))


def scaling(e: Steps) -> str:
    """What becomes of the products before the softmax."""
    d_k = e.context.model.d_k
    scaling = f"× {e.scale:.4g}, the model's own scale in place of 1 / √d_k"
    if scaled_by_root(e):
        scaling = f"÷ √d_k = √{d_k} = {d_k**0.5:.3g}, or wide vectors would favour one key"
    return "; ".join([scaling, *after_scale(e)])


def checked(e: Steps) -> str:
    """How far the z of these steps is from the model's own."""
    difference, whose = e.check.z, f"{e.stack}'s"
    if difference is None:
        return (
            f"Check: this inspection does not have the {whose} z, so there is nothing to hold "
            "these steps to."
        )
    return f"Check: z from these steps agrees with the {whose} own {agreement(difference)}."


def _told(values: np.ndarray) -> str:
    length = float(np.linalg.norm(values))
    return f"{values.min():.3g} to {values.max():.3g}, length {length:.3g}"


def _number(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 1e5 else f"{value:.2g}"


def _named(explanation: Explanation) -> str:
    """The query, and which piece of its word it is, where that has several."""
    query, tokens = explanation.query, explanation.context.text
    name = names(explanation.context, "query")[query.index]
    word = tokens.words[query.word]
    if len(word.pieces) == 1:
        return f'"{name}"'
    place = query.index - tokens.word_starts[query.word] + 1
    return f'"{name}", piece {place} of {len(word.pieces)} of "{visible(word.label)}",'


def full_size(values: np.ndarray) -> float:
    """The size from which on numbers of this vector, or of these, have the strongest colour."""
    return float(np.percentile(np.abs(values), FULL_FROM)) or 1.0


def strip(values: np.ndarray, full: float, width: int, colored: bool) -> Iterator[Text]:
    """The numbers, (n,), in lines of `width` cells at most; with colour a cell shows two numbers.

    `full`: the size that has the strongest colour, and the highest and lowest bars.
    """
    parts = values / full
    rows = [parts[first : first + width] for first in range(0, len(parts), width)]
    if not colored:
        steps = [
            np.rint((row.clip(-1, 1) + 1) / 2 * (len(HEIGHTS) - 1)).astype(int) for row in rows
        ]
        yield from (Text("".join(HEIGHTS[step] for step in row)) for row in steps)
    elif len(rows) == 1:
        yield Text.assemble(*((FULL, Style(color=_color(part))) for part in rows[0]))
    else:
        for upper, lower in zip_longest(rows[::2], rows[1::2], fillvalue=parts[:0]):
            pairs = zip_longest(map(_color, upper), map(_color, lower))
            styles = (Style(color=above, bgcolor=below) for above, below in pairs)
            yield Text.assemble(*((UPPER_HALF, style) for style in styles))


def _color(part: float) -> str:
    ramp = ABOVE if part > 0 else BELOW
    step = min(round(abs(part) * len(ramp)), len(ramp))
    return ramp[step - 1] if step else ZERO
