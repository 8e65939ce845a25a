"""What pictures of comparisons are drawn from: matrices of A and of B over the aligned words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.answers.align import SIDES, Column, Side
from attnviz.answers.compare import Comparison
from attnviz.answers.masks import allowed
from attnviz.inspection import HeadId, row_shares
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
    aligned = comparison.aligned
    panels = []
    for side in SIDES:
        view = aligned.view(side)
        weights = view.block(head).weights[0]
        shares = weights if view.measured.shares else row_shares(weights)
        seen = view.visible(head.layer)
        shown = shares if seen is None else np.where(seen, shares, np.nan)
        spread = np.full((len(aligned.columns), len(aligned.keys)), np.nan, shares.dtype)
        spread[np.ix_(aligned.places(side, "query"), aligned.places(side))] = shown
        absent = _absent(aligned.columns, side), _absent(aligned.keys, side)
        panels.append(Panel(spread, absent))
    rows = tuple(column.label for column in aligned.columns)
    colors = tuple(MUTED if column.special else INK for column in aligned.columns)
    a, b = panels
    return Sheet(rows, colors, axis_name(aligned.a.context, "query"), a, b, comparison.query)


def of_query(comparison: Comparison, query: int, heads: Sequence[HeadId]) -> Sheet:
    """The rows of the query in that column in several heads, those that change most first."""
    aligned, chosen = comparison.aligned, set(heads)
    shown = [change for change in comparison.heads if change.head in chosen]
    layers = [change.head.layer for change in shown]
    panels = []
    for side, token in zip(SIDES, aligned.pair(query), strict=True):
        places = aligned.places(side)
        seen = allowed(aligned.view(side), token.index, "query", layers)
        spread = np.full((len(shown), len(aligned.keys)), np.nan, np.float32)
        for row, change in enumerate(shown):
            spread[row, places] = np.where(seen[row], getattr(change, side)[places], np.nan)
        panels.append(Panel(spread, (set(), _absent(aligned.keys, side))))
    rows = tuple(str(change.head) for change in shown)
    what = f"{aligned.a.context.places}, the most changed first"
    a, b = panels
    return Sheet(rows, (INK,) * len(rows), what, a, b, None)


def _absent(columns: Sequence[Column], side: Side) -> set[int]:
    """The columns of words that one side lacks."""
    return {place for place, column in enumerate(columns) if column.token(side) is None}
