"""What makes two texts alike: pairs of words as a grid and ranked; and every head's own effect."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.style import Style
from rich.text import Text

from attnviz.answers.similar import PAIRS, EachSimilarity, PairPart, Parts, Similarity
from attnviz.attention.order import NEAR_ZERO, descending
from attnviz.show.edit_wording import NEAR_THE_END, REPLACED
from attnviz.show.labels import names, visible
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    MARKER,
    PLAIN,
    RAMPS,
    Hues,
    Page,
    Ranking,
    Scale,
    Tone,
    column,
    cut,
    fit,
    line,
    step_of,
    title,
    weight_text,
    width_of,
)
from attnviz.show.terminal.grid import HeadGrid
from attnviz.show.terminal.heading import (
    after_name,
    legend,
    model_line,
    quiet_line,
    sentence,
)
from attnviz.show.wording import change_told, unknown_legend

ROWS_SHOWN = 30  # the most words of A in the grid; of more, those that give most
CELL = 6  # marker, sign, number, space
NARROWEST_CELL = 4  # one more where numbers have signs
WIDEST_CELL = 10
MORE_OR_LESS = "{warm}: adds to the cosine · {cool}: takes from it"


class Signed(Scale):
    """Numbers of both signs, beside the largest of them; digits count `unit`s."""

    @classmethod
    def to(cls, numbers: np.ndarray) -> "Signed":
        """The scale of these numbers."""
        largest = float(np.abs(numbers).max(initial=0.0))
        if not largest > NEAR_ZERO:  # rounding
            return cls()
        return cls(largest, 1.0 if largest >= 0.1 else 10.0 ** np.floor(np.log10(largest)))

    def text(self, weight: float) -> str:
        """A number in four cells, its sign before it if it is below 0."""
        size = weight_text(abs(weight) / self.unit)
        return f"−{size.strip()}".rjust(4) if weight < 0 and "·" not in size else f" {size}"

    def style(self, weight: float, tone: Tone = "warm", bold: bool = False) -> Style:
        """The style of a cell that holds this number, whose sign says the tone."""
        return super().style(abs(weight), tone if weight >= 0 else "cool", bold)


def _tone(number: float) -> Tone:
    return "warm" if number >= 0 else "cool"


def table(answer: Similarity, top: int | None = None) -> RenderableType:
    """The cosine, the grid of words of A and B, and the `top` pairs that give most."""
    return Page(lambda width, hues: _alike(answer, top or PAIRS, width, hues))


def each_table(answer: EachSimilarity, top: int | None = None) -> RenderableType:
    """How the cosine changes without each head: a grid, and the `top` heads that change it most."""
    return Page(lambda width, hues: _each(answer, top or PAIRS, width, hues))


def _alike(answer: Similarity, top: int, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    yield from _heading(answer)
    yield Text()
    yield _cosine_line(answer)
    pairs = answer.pairs
    if pairs is None:
        yield from quiet_line(
            f"No sum over pairs of words: {answer.pooling.whole}. similar --each shows how the "
            "cosine changes without each head."
        )
        return
    scale = Signed.to(pairs.parts)
    a, b = answer.contexts
    yield from quiet_line(
        f"It is the sum over {len(a.tokens)} × {len(b.tokens)} pairs of {a.unit}s. On average, a "
        f"pair of pieces gives {_plain(pairs.even)}."
    )
    yield from legend(hues if (pairs.parts < 0).any() else None, width, MORE_OR_LESS)
    yield Text()
    yield from _Grid(answer, pairs, scale).lines(width)
    yield Text()
    shown = list(answer.strongest(top))
    yield title(f"the {len(shown)} pairs that give most" if shown[1:] else "the pair")
    yield _ranking(answer, shown)
    yield from _closing(answer, pairs, len(shown))


def _closing(answer: Similarity, pairs: Parts, shown: int) -> Iterator[Text]:
    yield Text()
    if pairs.hidden is not None:
        given = float(pairs.parts.sum())
        yield from quiet_line(
            f"Special tokens are left out: pairs with one of them give {_plain(pairs.hidden)}, the "
            f"pairs shown {_plain(given)}."
        )
    count = pairs.parts.size
    if shown < count:
        yield from quiet_line(f"{count - shown} more pairs: --top {count} ranks all, -f csv too.")
    if answer.several_pieces:
        yield from quiet_line(
            "A word gives what its pieces give together: --pieces takes them apart, and × average "
            "counts them."
        )
    yield from quiet_line(
        "A pair gives much where its two final states point the same way, or are long. Final "
        "states have seen their whole text: a word stands for its place in it, too."
    )


def _heading(answer: Similarity | EachSimilarity) -> Iterator[RenderableType]:
    """The model, both texts, and the pooling."""
    yield model_line(answer.contexts[0])
    for name, context in zip("AB", answer.contexts, strict=True):
        yield after_name(Text(name, style="dim"), sentence(context.text.text))
        yield from quiet_line(unknown_legend(context))
    yield Text(f"pooling: {visible(str(answer.pooling))}", style="dim", overflow="fold")


def _cosine_line(answer: Similarity | EachSimilarity) -> Text:
    return Text(f"cosine {_plain(answer.cosine)}", style=BOLD)


def _plain(number: float) -> str:
    """A number with three decimals, or of a small one two digits that are not 0."""
    shown = f"{number:.3f}" if abs(number) >= 0.1 or number == 0 else f"{number:.2g}"
    return shown.replace("-", "−")


def _ranking(answer: Similarity, shown: Sequence[PairPart]) -> Ranking:
    called = [names(context, "query") for context in answer.contexts]
    largest = abs(shown[0].part) or 1.0
    digits = max(2 - math.floor(math.log10(largest)), 3)
    rows = []
    for pair in shown:
        words = zip(called, (pair.a, pair.b), strict=True)
        cells = [
            Text(cut(own[token.index], LONGEST_WORD), style=DIM if token.special else PLAIN)
            for own, token in words
        ]
        times = pair.part / pair.even if pair.even > 0 else 0.0
        own_cosine = "" if pair.cosine is None else f"{pair.cosine:z.2f}".replace("-", "−")
        cells += [Text(f"{pair.part:.{digits}f}".replace("-", "−"), style=BOLD)]
        cells += [Text(f"×{times:.1f}" if times > 0 else ""), Text(own_cosine)]
        rows.append(cells)
    columns = [column("A"), column("B"), column("part", "right"), column("× average", "right")]
    columns += [column("own cosine", "right")]
    bars = [
        (abs(pair.part) / largest, step_of(RAMPS[_tone(pair.part)], abs(pair.part) / largest))
        for pair in shown
    ]
    return Ranking(columns, rows, least=3, bars=bars)


class _Grid:
    """Words of A down, words of B across, and what each gives in all; what does not fit is told."""

    def __init__(self, answer: Similarity, pairs: Parts, scale: Signed) -> None:
        self._a, self._b = answer.contexts
        self._parts, self._scale = pairs.parts, scale
        self._sums = pairs.parts.sum(axis=1), pairs.parts.sum(axis=0)

    def lines(self, width: int) -> Iterator[Text]:
        """The names of B, a row a word of A, the sums, and what is hidden."""
        a_names, b_names = names(self._a, "query"), names(self._b, "query")
        rows = self._most(self._sums[0], ROWS_SHOWN)
        margin = min(width_of((a_names[i] for i in rows), LONGEST_WORD) + 2, max(4, width // 4))
        room = width - margin - CELL - 1
        narrow = NARROWEST_CELL + bool((self._parts < 0).any())
        columns = self._most(self._sums[1], max(1, room // narrow))
        longest = width_of((b_names[i] for i in columns), WIDEST_CELL)
        cell = max(narrow, min(longest + 1, WIDEST_CELL, room // len(columns)))
        header = min(3, -(-(longest + 1) // cell), len(columns))
        yield from _header([b_names[i] for i in columns], margin, cell, header)
        strongest = float(self._parts.max())
        for row in rows:
            token = self._a.tokens[row]
            text = line((fit(a_names[row], margin - 1) + " ", DIM if token.special else BOLD))
            for place in columns:
                part = float(self._parts[row, place])
                best = part == strongest
                shown = (MARKER if best else "") + self._scale.text(part).strip()
                text.append(" " * (cell - cell_len(shown)))
                text.append(shown, self._scale.style(part, bold=best))
            yield text.append("  ").append(self._sum(float(self._sums[0][row])))
        text = line((fit("sum", margin), DIM))
        for place in columns:
            text.append(fit(self._scale.text(float(self._sums[1][place])), cell, right=True))
        yield text
        yield from self._notes(len(rows), len(columns))

    def _sum(self, number: float) -> Text:
        return Text(fit(self._scale.text(number), CELL - 1, right=True), style=DIM)

    def _most(self, sums: np.ndarray, count: int) -> list[int]:
        """The places of those that give most, in the order of the text."""
        return sorted(descending(np.abs(sums), count).tolist())

    def _notes(self, rows: int, columns: int) -> Iterator[Text]:
        yield from quiet_line(self._scale.note)
        hidden = [
            f"{count - shown} of {count} words of {name}"
            for name, count, shown in (
                ("A", len(self._a.tokens), rows), ("B", len(self._b.tokens), columns),
            )
            if shown < count
        ]  # fmt: skip
        if hidden:
            yield from quiet_line(
                f"{' and '.join(hidden)} are hidden, those that give least; sums count them. To "
                "see more: a wider terminal, -f csv, or a picture with -o FILE.png."
            )


def _header(shown: Sequence[str], margin: int, cell: int, lines: int) -> Iterator[Text]:
    """The words of B, each ending above its column's end, staggered where cells are narrow."""
    for part in reversed(range(lines)):
        text = ""
        for place in range(part, len(shown), lines):
            room = margin + (place + 1) * cell - cell_len(text)
            text += fit(cut(shown[place], room - 1), room, right=True)
        if part == 0:
            text = fit(text, margin + len(shown) * cell) + "    sum"
        yield line((text, BOLD))


def _each(
    answer: EachSimilarity, top: int, width: int, hues: Hues | None
) -> Iterator[RenderableType]:
    yield from _heading(answer)
    yield Text()
    yield _cosine_line(answer)
    changes = {one.head: one.change for one in answer.heads}
    scale = Signed.to(np.array(list(changes.values())))
    yield from legend(hues, width, "{warm}: rises without the head · {cool}: falls")
    yield Text()
    yield title(
        f"how the cosine changes if one head is set to {REPLACED[answer.replacement][0]} in both "
        "texts"
    )
    yield from HeadGrid(changes, scale, "warm").blocks(width)
    yield from quiet_line(scale.note)
    shown = answer.heads[:top]
    rows = [
        [
            Text(str(one.rank), style=DIM),
            Text(str(one.head), style=BOLD),
            Text(change_told(one.change)),
            Text(_plain(one.cosine)),
        ]
        for one in shown
    ]
    columns = [column(justify="right"), column("head"), column("change", "right")]
    bars = [
        (abs(one.change) / scale.largest, step_of(RAMPS[_tone(one.change)], 1.0)) for one in shown
    ]
    yield Ranking([*columns, column("cosine", "right")], rows, least=3, bars=bars)
    yield Text()
    count = len(answer.heads)
    if top < count:
        yield from quiet_line(f"{count - top} more heads: --top {count} shows all.")
    half = abs(answer.heads[count // 2].change)
    yield from quiet_line(f"Half of the {count} heads change it by {_plain(half)} or less.")
    yield from quiet_line(NEAR_THE_END)
    yield from quiet_line(
        "A small change does not mean that a head does nothing: other heads may make up for it."
    )
