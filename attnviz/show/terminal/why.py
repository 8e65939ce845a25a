"""Why a head looks there: the largest terms of a score, and its sums by part and by layer."""

from collections.abc import Iterator

import numpy as np
from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.origins import PartName
from attnviz.answers.why import TOP, Why
from attnviz.attention.order import descending
from attnviz.show.terminal.cells import (
    BOLD,
    DIM,
    PLAIN,
    Hues,
    Page,
    Ranking,
    column,
    cut,
    fit,
    line,
    title,
)
from attnviz.show.terminal.explain import broken
from attnviz.show.terminal.heading import head_title, heading, legend
from attnviz.show.terminal.similar import Signed
from attnviz.show.why_wording import (
    COMPARED,
    HELD,
    checked,
    covered,
    ends,
    groups,
    part_name,
    scored,
    signed,
    summed,
)

PARTS_SHOWN = 6  # of the query, and of the key
NAME = 22  # cells of a part's name at most
MORE_OR_LESS = "{warm}: adds to the score · {cool}: takes from it"


def table(answer: Why, top: int | None = None) -> RenderableType:
    """The score, its `top` largest terms, 10 unless told, and its sums."""
    return Page(lambda width, hues: _lines(answer, top or TOP, width, hues))


def _lines(e: Why, top: int, width: int, hues: Hues | None) -> Iterator[RenderableType]:
    query, key = ends(e)
    yield from heading(e.context, queries=[e.query], keys=[e.key], layers=[e.head.layer])
    yield Text()
    yield head_title(e.head, f'why "{query}" looks at "{key}": their score, split')
    yield Text()
    for told in scored(e):
        yield from broken(told, width, "", PLAIN)
    yield Text()
    shown = min(top, e.count)
    order = "excess over the other keys" if e.by_excess else "size"
    yield title(f"the first {shown} of {e.count} terms, by {order}" if e.count > 1 else "the term")
    yield _terms(e, shown)
    yield Text()
    yield title("all terms, summed by part of either word")
    yield _by_part(e)
    yield Text()
    what = "excesses" if e.by_excess else "terms"
    yield title(f'all {what}, summed by layer: "{query}" down, "{key}" across')
    yield from legend(hues, width, MORE_OR_LESS)
    yield from _grid(e, width)
    if e.position_bias is not None:
        told = f"The position bias, {signed(e.position_bias[0])}, stands beside these sums."
        yield from broken(told, width, "", DIM)
    yield Text()
    remarks = [covered(e, shown)]
    if e.others is not None:
        ranks = "" if e.by_excess else "; --by excess ranks by it"
        remarks.append(f"{COMPARED}{ranks}.")
    for told in (*remarks, HELD, checked(e)):
        yield from broken(told, width, "", DIM)


def _terms(e: Why, shown: int) -> Ranking:
    query, key = (cut(word, NAME - 8) for word in ends(e))
    rows = []
    for term in e.strongest(shown):
        strong = (PLAIN, BOLD) if e.by_excess else (BOLD, PLAIN)
        cells = [_name(term.query), _name(term.key)]
        cells.append(Text(signed(term.term), style=strong[0]))
        if e.others is not None:
            cells.append(Text("" if term.others is None else signed(term.others), style=DIM))
            cells.append(Text("" if term.excess is None else signed(term.excess), style=strong[1]))
        rows.append([*cells, Text(f"{term.covered:.0%}", style=DIM)])
    columns = [column(f'of "{query}"'), column(f'of "{key}"')]
    columns.append(column("term", "right"))
    if e.others is not None:
        columns += [column("others", "right"), column("excess", "right")]
    return Ranking([*columns, column("covered", "right")], rows, least=3)


def _by_part(e: Why) -> Ranking:
    """The sums of the parts of the query beside those of the key, the largest first."""
    sides = []
    for parts, axis in ((e.query_parts, 1), (e.key_parts, 0)):
        sums = e.terms.sum(axis=axis, dtype=np.float64)
        ranked = e.ranked.sum(axis=axis, dtype=np.float64)
        others = None if e.others is None else e.others.sum(axis=axis, dtype=np.float64)
        best = [int(place) for place in descending(np.abs(ranked), PARTS_SHOWN)]
        cells = [
            [_name(parts[place]), Text(signed(float(sums[place])), style=BOLD)]
            + ([] if others is None else [Text(signed(float(others[place])), style=DIM)])
            for place in best
        ]
        sides.append(cells + [[Text()] * (2 + (others is not None))] * (PARTS_SHOWN - len(cells)))
    rows = [a + b for a, b in zip(*sides, strict=True)]
    columns = []
    for word in ends(e):
        columns += [column(f'part of "{cut(word, NAME - 10)}"'), column("sum", "right")]
        columns += [column("others", "right")] if e.others is not None else []
    return Ranking(columns, [row for row in rows if any(row)], least=len(columns) // 2)


def _name(part: PartName) -> Text:
    return Text(cut(part_name(part), NAME))


def _grid(e: Why, width: int) -> Iterator[Text]:
    """What each layer's parts of the query and of the key give together; sums at the edges."""
    numbers, rows, columns = summed(e, e.ranked), [*groups(e.query_parts)], [*groups(e.key_parts)]
    scale, margin = Signed.to(numbers), max(map(cell_len, rows)) + 2
    cell = 7
    room = max(1, (width - margin - cell) // cell)
    kept = list(range(len(columns)))
    if len(kept) > room:
        kept = sorted(descending(np.abs(numbers).sum(axis=0), room).tolist())
    header = "".join(fit(_short(columns[place]), cell, right=True) for place in kept)
    yield line((" " * margin + header + fit("sum", cell, right=True), DIM))
    for row, name in enumerate(rows):
        text = line((fit(name, margin), BOLD))
        for place in kept:
            number = float(numbers[row, place])
            text.append("  ").append(fit(signed(number), cell - 2, right=True), scale.style(number))
        yield text.append(fit(signed(float(numbers[row].sum())), cell, right=True), DIM)
    sums = "".join(fit(signed(float(numbers[:, place].sum())), cell, right=True) for place in kept)
    yield line(
        (fit("sum", margin) + sums + fit(signed(float(numbers.sum())), cell, right=True), DIM)
    )
    if len(kept) < len(columns):
        yield line((f"{len(columns) - len(kept)} columns are hidden; sums count them.", DIM))


def _short(group: str) -> str:
    return {"embeddings": "embed.", "constants": "const."}.get(group, group)
