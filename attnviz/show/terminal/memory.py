"""What is remembered, as a table: a line for each inspection."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.answers.memory import Kind, Memory, Remembered
from attnviz.show.labels import visible
from attnviz.show.terminal.models import sized

NARROWEST = 16  # cells that a sentence has at least
STYLES: dict[Kind, str] = {"last": "bold", "B": "bold", "kept": "", "elsewhere": "dim"}
NOTHING = "Nothing is remembered."


def table(answer: Memory, top: int | None = None) -> RenderableType:
    """The name of each inspection, its sentence, its model, when it was kept and its size."""
    shown = answer.inspections[:top]
    if not shown:
        return Text(NOTHING, style="dim")
    lines = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    lines.add_column("name", overflow="fold")
    lines.add_column("sentence", min_width=NARROWEST)
    lines.add_column("model", overflow="fold")
    lines.add_column("when", no_wrap=True)
    lines.add_column("size", justify="right", no_wrap=True)
    for one in shown:
        when = one.saved.astimezone().strftime("%Y-%m-%d %H:%M")
        style, sentence = STYLES[one.kind], _sentence(one)
        lines.add_row(
            Text(visible(one.name), style),
            Text(sentence, style, no_wrap=True, overflow="ellipsis"),
            Text(visible(one.model or ""), style),
            Text(when, style),
            Text(sized(one.size), style),
        )
    return Group(lines, *_others(shown))


def _sentence(one: Remembered) -> str:
    if one.text is None:
        return "cannot be read"
    return visible(one.text if one.pair is None else f"{one.text} | {one.pair}")


def _others(shown: tuple[Remembered, ...]) -> list[Text]:
    """What the dim lines are."""
    if not any(one.kind == "elsewhere" for one in shown):
        return []
    what = "Dim: of other terminals; last-scripts is of commands without a terminal."
    return [Text(what, style="dim")]
