"""What was checked of a model's numbers, as a table: a line for each check."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from attnviz.answers.check import Check, Line, Result
from attnviz.show.labels import visible

STYLES: dict[Result, str] = {"passed": "green", "failed": "bold red", "not applicable": "dim"}


def table(answer: Check, top: int | None = None) -> RenderableType:
    """The result of each check, the largest difference, what must hold, and what was compared."""
    lines = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("check", "result"):
        lines.add_column(name, no_wrap=True)
    lines.add_column("off by", justify="right", no_wrap=True)
    lines.add_column("")
    for line in answer.lines[:top]:
        result = Text(line.result, style=STYLES[line.result])
        largest = "" if line.largest is None else f"{line.largest:.1g}"
        lines.add_row(Text(line.check), result, largest, _said(line))
    model, count, failed = answer.model, len(answer.lines), len(answer.failed)
    passed = sum(line.result == "passed" for line in answer.lines)
    title = Text(visible(str(model)), overflow="fold")
    title.stylize("bold", 0, len(visible(model.title)))
    counts = f"{passed} of {count} passed, {failed} failed, {count - passed - failed} do not apply"
    return Group(title, lines, Text(counts, style="dim"))


def _said(line: Line) -> Text:
    """What must hold, in which comparison; of a failure also the limit, and where it is broken."""
    said = Text(f"{line.what}: ", overflow="fold")
    if line.result != "failed":
        return said.append(visible(line.told), style="dim")
    limit = "" if line.largest is None else f"; the limit is {line.limit:.1g}"
    place = f", at {line.where}" if line.where else ""
    return said.append(visible(line.told + limit + place))
