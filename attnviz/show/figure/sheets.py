"""What pictures of comparisons are drawn from: matrices of A and of B over the aligned words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.answers.align import SIDES, Column, Side
from attnviz.answers.compare import Comparison
from attnviz.inspection import HeadId
from attnviz.show.figure.captions import axis_name
from attnviz.show.figure.drawing import INK, MUTED


@dataclass(frozen=True, eq=False)
class Panel:
    """Numbers, (row, column), NaN where a query may not look and where a word is `absent`.

    `absent`: the rows, and the columns, of words that are not there.
    """

    numbers: np.ndarray
    absent: tuple[set[int], set[int]]

    @property
    def masked(self) -> bool:
        """Whether there are words that may not be looked at."""
        rows, columns = (
            [place for place in range(count) if place not in absent]
            for count, absent in zip(self.numbers.shape, self.absent, strict=True)
        )
        return bool(np.isnan(self.numbers[np.ix_(rows, columns)]).any())


@dataclass(frozen=True, eq=False)
class Sheet:
    """What is drawn: A and B. `marked`: the query's row; None without, or where every row is its.

    `rows` are what rows stand for, and their colours; `row_axis` is what the axis is called.
    """

    rows: tuple[str, ...]
    row_colors: tuple[str, ...]
    row_axis: str
    a: Panel
    b: Panel
    marked: int | None

    @property
    def change(self) -> Panel:
        """B minus A; what may be looked at in one of the two alone has 0 in the other."""
        rows, columns = (a | b for a, b in zip(self.a.absent, self.b.absent, strict=True))
        a, b = self.a.numbers, self.b.numbers
        change = np.nan_to_num(b) - np.nan_to_num(a)
        change[np.isnan(a) & np.isnan(b)] = np.nan
        change[sorted(rows)] = np.nan
        change[:, sorted(columns)] = np.nan
        return Panel(change, (rows, columns))


def of_head(comparison: Comparison, head: HeadId) -> Sheet:
    """One head's matrices over the aligned words."""
    aligned = comparison.alignment
    panels = []
    for side, matrix in zip(SIDES, comparison.matrices[head], strict=True):
        absent = _absent(aligned.columns, side), _absent(aligned.keys, side)
        panels.append(Panel(matrix, absent))
    rows = tuple(column.label for column in aligned.columns)
    colors = tuple(MUTED if column.special else INK for column in aligned.columns)
    a, b = panels
    return Sheet(rows, colors, axis_name(aligned.a, "query"), a, b, comparison.query)


def of_query(comparison: Comparison, heads: Sequence[HeadId]) -> Sheet:
    """The query's rows in several heads, those that change most first."""
    aligned, chosen = comparison.alignment, set(heads)
    shown = [change for change in comparison.heads if change.head in chosen]
    panels = []
    for side in SIDES:
        rows = [
            np.where(
                getattr(comparison.sees[change.head.layer], side), getattr(change, side), np.nan
            )
            for change in shown
        ]
        panels.append(Panel(np.stack(rows), (set(), _absent(aligned.keys, side))))
    names = tuple(str(change.head) for change in shown)
    what = f"{aligned.a.places}, the most changed first"
    a, b = panels
    return Sheet(names, (INK,) * len(names), what, a, b, None)


def _absent(columns: Sequence[Column], side: Side) -> set[int]:
    """The columns of words that one side lacks."""
    return {place for place, column in enumerate(columns) if column.token(side) is None}
