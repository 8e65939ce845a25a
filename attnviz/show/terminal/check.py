"""What was checked of a model's numbers, as a table: a line for each check."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.answers.check import Check, Line, Result
from attnviz.show.labels import visible

STYLES: dict[Result, str] = {"passed": "green", "failed": "bold red", "not applicable": "dim"}


def table(answer: Check, top: int | None = None) -> RenderableType:
    """The result of each check, the largest difference, where it was, and what was compared."""
    lines = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    lines.add_column("check", no_wrap=True)
    lines.add_column("result", no_wrap=True)
    lines.add_column("off by", justify="right", no_wrap=True)
    lines.add_column("", overflow="fold")
    for line in answer.lines[:top]:
        result = Text(line.result, style=STYLES[line.result])
        largest = "" if line.largest is None else f"{line.largest:.1g}"
        lines.add_row(line.check, result, largest, _told(line))
    model, count = answer.model, len(answer.lines)
    applied = [line for line in answer.lines if line.result != "not applicable"]
    sums = f"{len(applied) - len(answer.failed)} of {count} passed, {len(answer.failed)} failed"
    title = Text(visible(str(model)), overflow="fold")
    title.stylize("bold", 0, len(visible(model.name)))
    return Group(title, lines, Text(f"{sums}, {count - len(applied)} do not apply", style="dim"))


def _told(line: Line) -> Text:
    told = Text(line.what)
    where = f", at {line.where}" if line.where and line.result == "failed" else ""
    limit = f"; the limit is {line.limit:g}{where}" if line.result == "failed" else ""
    told.append(visible(f" ({line.told}{limit})"), style="" if limit else "dim")
    return told
