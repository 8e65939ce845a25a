"""What is remembered, as a table: a line for each inspection."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.memory import Kind, Memory, Remembered
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import Page, Ranking, column
from attnviz.show.terminal.models import sized

NARROWEST = 16  # cells that a sentence has at least
STYLES: dict[Kind, str] = {"last": "bold", "B": "bold", "kept": "", "elsewhere": "dim"}
NOTHING = "Nothing is remembered."


def table(answer: Memory, top: int | None = None) -> RenderableType:
    """The name of each inspection, its sentence, its model, when it was kept and its size."""
    shown = answer.inspections[:top]
    return Page(lambda width, _: _lines(shown, width)) if shown else Text(NOTHING, style="dim")


def _lines(shown: Sequence[Remembered], width: int) -> Iterator[RenderableType]:
    rows = [_row(one) for one in shown]
    others = sum(max(map(cell_len, cells)) + 2 for cells in zip(*rows, strict=True))
    others -= max(cell_len(row[1]) for row in rows)
    cells = [
        [Text(cell, STYLES[one.kind]) for cell in row] for one, row in zip(shown, rows, strict=True)
    ]
    for row in cells:
        row[1].truncate(max(NARROWEST, width - others), overflow="ellipsis")
    titles = [*map(column, ("name", "sentence", "model", "when")), column("size", "right")]
    yield Ranking(titles, cells)
    yield from _others(shown)


def _row(one: Remembered) -> tuple[str, ...]:
    when = one.saved.astimezone().strftime("%Y-%m-%d %H:%M")
    return visible(one.name), _sentence(one), visible(one.model or ""), when, sized(one.size)


def _sentence(one: Remembered) -> str:
    if one.text is None:
        return "cannot be read"
    return visible(one.text if one.pair is None else f"{one.text} | {one.pair}")


def _others(shown: Sequence[Remembered]) -> list[Text]:
    """What the dim lines are."""
    if not any(one.kind == "elsewhere" for one in shown):
        return []
    what = "Dim: of other terminals; last-scripts is of commands without a terminal."
    return [Text(what, style="dim")]
