"""The article's last figure as a table: one head's matrices, from X to Z, a row a token."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.head import HeadSteps
from attnviz.attention.order import largest
from attnviz.inspection.context import Role
from attnviz.show.explain_wording import below, by, short_origin, sizes
from attnviz.show.labels import names
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    LONGEST_WORD,
    MARKER,
    SHARES,
    Hues,
    Page,
    fit,
    line,
    tone_of,
    weight_text,
    width_of,
)
from attnviz.show.terminal.explain import broken, checked, scaling
from attnviz.show.terminal.heading import head_title, heading, tones_legend
from attnviz.show.wording import MAY_NOT

ROWS_SHOWN = 12  # Tokens that each matrix has rows for, unless the user says how many
INDENT = "   "
WEIGHT = 5  # Cells of a weight, with its marker and the space after it
ENDS = 2  # Numbers of a wide row that its end shows, after an ellipsis


def table(answer: HeadSteps, top: int | None = None) -> RenderableType:
    """Each matrix with its shape; the first `top` tokens, 12 unless told."""
    return Page(lambda width, hues: _Head(answer, width, hues, top or ROWS_SHOWN).lines())


@dataclass(frozen=True)
class _Head:
    steps: HeadSteps
    width: int
    hues: Hues | None
    top: int

    def lines(self) -> Iterator[RenderableType]:
        e = self.steps
        yield from heading(e.context, layers=[e.head.layer])
        yield from tones_legend(e.context, self.hues, self.width)
        yield Text()
        yield head_title(e.head, "all words at once, step by step")
        yield Text()
        yield from self._vectors()
        yield from self._products()
        yield Text()
        yield from self._wide(f"6  weights times V: Z, {by(e.Z.shape)}", e.Z, "query")
        yield Text()
        yield from self._not_shown()
        yield from broken(checked(e).replace("z ", "Z ", 1), self.width, "", DIM)

    def _vectors(self) -> Iterator[RenderableType]:
        """Steps 1 and 2: X, and in cross-attention Y; Q, K and V."""
        e, m = self.steps, self.steps.matrices
        source = "X" if e.Y is None else "Y"
        told = f"1  X, a row a token, {below(e)}: {by(e.X.shape)}"
        yield from self._wide(told, e.X, "query")
        if e.Y is not None:
            yield from self._wide(f"   Y, of the encoder's tokens: {by(e.Y.shape)}", e.Y, "key")
        yield Text()
        matrices: list[tuple[str, str, np.ndarray, Role]] = [
            ("Q", "X", m.W_Q, "query"),
            ("K", source, m.W_K, "key"),
            ("V", source, m.W_V, "key"),
        ]
        for name, of, matrix, role in matrices:
            bias = "" if getattr(m, f"b_{name}") is None else f" + b_{name}"
            more = getattr(m.between, name.lower())
            array = getattr(e, name)
            mark = "2" if name == "Q" else " "
            told = f"{mark}  {name} = {of} W_{name}{bias}{f', {more}' if more else ''}: "
            told += f"{by((len(array), len(matrix)))} times {by(matrix.shape)} is {by(array.shape)}"
            yield from self._wide(told, array, role)
        yield from broken(f"{sizes(e)} {short_origin(e)}", self.width, INDENT, DIM)
        yield Text()

    def _products(self) -> Iterator[RenderableType]:
        """Steps 3 to 5: a query down, a key across."""
        e, shape = self.steps, by(self.steps.dots.shape)
        told = f"Q Kᵀ, each query (down) with each key (across): {shape}"
        yield from broken(told, self.width, "3  ", BOLD)
        yield from self._square(e.dots)
        yield from broken(scaling(e), self.width, "4  ", BOLD)
        yield from self._square(np.where(e.seen, e.scores, np.nan))
        sink = "" if e.sink is None else " together with the sink's part"
        blank = "" if e.seen.all() else f"; blank: {MAY_NOT}"
        told = f"softmax of each row: the weights, which sum to 1{sink}{blank}"
        yield from broken(told, self.width, "5  ", BOLD)
        yield from self._weights()

    def _names(self, role: Role) -> list[str]:
        return list(names(self.steps.context, role)[: self.top])

    def _margin(self) -> int:
        """The cells of a row's name, and of the space around it, the same in all matrices."""
        every = [*self._names("query"), *self._names("key")]
        return len(INDENT) + min(width_of(every, LONGEST_WORD) + 1, max(3, self.width // 4))

    def _named(self, name: str) -> Text:
        return line((fit(INDENT + name, self._margin() - 1) + " ", DIM))

    def _wide(self, told: str, array: np.ndarray, role: Role) -> Iterator[Text]:
        """A row a token: as many of its first numbers as fit, and its last ones."""
        yield from broken(told[3:], self.width, told[:3], BOLD)
        shown = array[: self.top]
        cells = [[f"{number:z.2f}" for number in row] for row in shown]
        wide = 1 + max(len(text) for row in cells for text in row)
        room = max(1, (self.width - self._margin()) // wide)
        count = array.shape[1]
        first = count if count <= room else max(1, room - 1 - ENDS)
        ends = min(ENDS, max(0, room - 1 - first))
        for name, row in zip(self._names(role), cells, strict=True):
            parts = row[:first]
            if first < count:
                parts = [*parts, "…", *row[count - ends :]]
            text = self._named(name)
            yield text.append("".join(f"{part:>{wide}}" for part in parts))

    def _square(self, array: np.ndarray) -> Iterator[Text]:
        """Numbers of queries and keys; none for NaN."""
        count = len(self._names("key"))
        cells = [
            ["" if np.isnan(number) else f"{number:z.2f}" for number in row[:count]]
            for row in array[: self.top]
        ]
        wide = 1 + max(len(text) for row in cells for text in row)
        wide, shown = self._fitting(wide)
        yield self._header(wide, shown)
        for name, row in zip(self._names("query"), cells, strict=True):
            text = self._named(name)
            yield text.append("".join(f"{part:>{wide}}" for part in row[:shown]))
        yield from self._hidden(shown)

    def _weights(self) -> Iterator[Text]:
        e, context = self.steps, self.steps.context
        wide, shown = self._fitting(WEIGHT)
        yield self._header(wide, shown, 1)
        for query, name in enumerate(self._names("query")):
            text, weights = self._named(name), e.weights[query]
            best = int(largest(weights))
            for key in range(shown):
                if not e.seen[query, key]:
                    text.append(" " * wide)
                    continue
                weight, strongest = float(weights[key]), key == best
                mark = MARKER if strongest else " "
                tone = tone_of(context, context.tokens[query], context.keys[key])
                style = SHARES.style(weight, tone, strongest)
                text.append(" " * (wide - WEIGHT))
                text.append(f"{mark}{weight_text(weight)} ", style)
            yield text
        yield from self._hidden(shown)

    def _fitting(self, wide: int) -> tuple[int, int]:
        """How wide cells of at least so many are, for the keys' names, and how many keys fit."""
        keys, room = self._names("key"), self.width - self._margin()
        if len(keys) * wide > room:
            return wide, max(1, room // wide)
        return max(wide, min(width_of(keys, LONGEST_WORD) + 2, room // len(keys))), len(keys)

    def _header(self, wide: int, shown: int, after: int = 0) -> Text:
        """The keys' names, each ending above its column's end, `after` cells of it left free."""
        keys: Sequence[str] = self._names("key")[:shown]
        cells = (" " + fit(key, wide - 1 - after, right=True) + " " * after for key in keys)
        return line((" " * self._margin() + "".join(cells), DIM))

    def _hidden(self, shown: int) -> Iterator[Text]:
        count = len(self._names("key"))
        if shown < count:
            told = f"{count - shown} of {count} keys do not fit: a wider terminal shows more."
            yield from broken(told, self.width, INDENT, DIM)

    def _not_shown(self) -> Iterator[Text]:
        """How many tokens have no row."""
        e = self.steps
        count = max(e.weights.shape)
        if count > self.top:
            told = (
                f"The first {self.top} of {count} tokens are shown: --top {count} shows all, and "
                "--json and -f npz have every number."
            )
            yield from broken(told, self.width, "", DIM)
