"""A layer, step by step: what each makes of a word's vector, and what the result is made of."""

from collections.abc import Iterator

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.layer import Layer, Part
from attnviz.show.labels import names
from attnviz.show.layer_wording import SHARES, checked, equation, part_name, said, size
from attnviz.show.terminal.cells import BOLD, DIM, PLAIN, Page, Ranking, column, cut, line
from attnviz.show.terminal.explain import EIGHTHS, broken
from attnviz.show.terminal.heading import heading

HEADS_SHOWN = 16  # unless the user says how many
BAR = 24  # cells of the longest bar
LEAST = 12  # cells of what a step is
HEADS, SAID = ("step", "numbers", "length"), "which is"
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
    told = [(equation(step), size(e, step), f"{step.length:.3g}") for step in e.steps]
    taken = sum(max(map(cell_len, texts)) for texts in zip(*told, HEADS, strict=True))
    room = max(LEAST, width - taken - len(str(len(told))) - 2 * len(HEADS) - 2)
    rows = [
        [Text(str(number), style=BOLD), *map(Text, texts), Text(cut(what, room), style=DIM)]
        for number, (texts, what) in enumerate(
            zip(told, (said(e, step, query) for step in e.steps), strict=True), 1
        )
    ]
    columns = [column(title, "right" if place else "left") for place, title in enumerate(HEADS)]
    yield Ranking([column(), *columns, column(SAID)], rows, least=4)
    yield Text()
    yield from _parts(e, width, top)
    yield Text()
    yield from broken(SHARES, width, "", DIM)
    yield Text()
    yield from broken(checked(e), width, "", DIM)


def _parts(e: Layer, width: int, top: int) -> Iterator[RenderableType]:
    """A line for each part: its share, and its length."""
    shown = sorted(e.strongest(top), key=lambda part: part.head or 0)
    hidden = len(e.heads) - len(shown)
    rows, largest = [], max(abs(part.share) for part in e.summed)
    for part in e.summed:
        rows.append(_part(e, part, largest, 0))
        if part is e.attention:
            rows += [_part(e, head, largest, 2) for head in shown]
    together = [Text("y"), Text("100%"), Text(), Text(f"{e.steps[-1].length:.3g}")]
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
    return [name, Text(f"{part.share:.1%}", style=style), Text(bar, style=style),
            Text(f"{part.length:.3g}", style=style)]  # fmt: skip
