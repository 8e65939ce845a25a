"""A layer, step by step: what each makes of a word's vector, and what the result is made of."""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.layer import Layer, Part
from attnviz.show.labels import names
from attnviz.show.layer_wording import SHARES, checked, equation, length_text, part_name, said, size
from attnviz.show.terminal.cells import BOLD, DIM, PLAIN, Page, Ranking, column, fit, line
from attnviz.show.terminal.explain import EIGHTHS, broken
from attnviz.show.terminal.heading import heading

HEADS_SHOWN = 16  # unless the user says how many
BAR = 24  # cells of the longest bar
LEAST = 14  # cells of what a step is, and the gap before it
TITLES = ("", "step", "numbers", "length", "which is")
AGAINST = "░"  # for parts that work against the others


def table(answer: Layer, top: int | None = None) -> RenderableType:
    """The steps with their lengths, then the parts of the output with their shares."""
    return Page(lambda width, _: _lines(answer, width, top or HEADS_SHOWN))


def _lines(e: Layer, width: int, top: int) -> Iterator[RenderableType]:
    query = names(e.context, "query")[e.query.index]
    yield from heading(e.context, queries=[e.query], layers=[e.layer])
    yield Text()
    yield line((f"layer {e.layer}", BOLD), (f'  what it makes of "{query}", step by step', DIM))
    yield Text()
    yield from _steps(e, width, query)
    yield Text()
    yield from _parts(e, width, top)
    yield Text()
    yield from broken(SHARES, width, "", DIM)
    yield Text()
    yield from broken(checked(e), width, "", DIM)


def _steps(e: Layer, width: int, query: str) -> Iterator[Text]:
    """A line for each step, its title above; what it is comes last, if there is room."""
    rows = [TITLES] + [
        (str(number), equation(step), size(e, step), length_text(step.length), said(e, step, query))
        for number, step in enumerate(e.steps, 1)
    ]
    widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)][:-1]
    shown = (1, 2, 3) if sum(widths) + 6 <= width else (1, 3)
    room = width - widths[0] - sum(widths[column] + 2 for column in shown)
    for place, row in enumerate(rows):
        cells = (fit(row[column], widths[column], column > 1) for column in shown)
        number, numbers = fit(row[0], widths[0] + 2), "  ".join(cells)
        told = broken(row[-1], room, "  ", DIM) if room >= LEAST else iter([Text()])
        yield line((number, BOLD), (numbers, PLAIN if place else DIM), next(told))
        for rest in told:
            yield line(" " * (len(number) + cell_len(numbers)), rest)


def _parts(e: Layer, width: int, top: int) -> Iterator[RenderableType]:
    """A line for each part: its share, and its length."""
    shown = e.shown(top)
    hidden = len(e.heads) - len(shown)
    rows, largest = [], max(abs(part.share) for part in e.summed)
    for part in e.summed:
        rows.append(_part(e, part, largest, 0))
        if part is e.attention:
            rows += [_part(e, head, largest, 2) for head in shown]
    together = [Text("y"), Text("100%"), Text(), Text(length_text(e.steps[-1].length))]
    titles = column("part of y"), column("share", "right"), column(""), column("length", "right")
    yield Ranking(titles, [*rows, together], least=2)
    if hidden:
        yield from broken(
            f"{hidden} of {len(e.heads)} heads are hidden, those with the smallest shares. "
            f"--top {len(e.heads)} shows all.", width, "", DIM,
        )  # fmt: skip


def _part(e: Layer, part: Part, largest: float, indent: int) -> list[Text]:
    style = DIM if indent else PLAIN
    name = Text(" " * indent + part_name(e, part), style=style)
    whole, rest = divmod(round(abs(part.share) / largest * BAR * 8), 8) if largest else (0, 0)
    bar = "█" * whole + EIGHTHS[rest] if part.share > 0 else AGAINST * (whole + (rest >= 4))
    return [name, Text(f"{part.share:z.1%}", style=style), Text(bar, style=style),
            Text(length_text(part.length), style=style)]  # fmt: skip
