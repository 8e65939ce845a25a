"""What `--help` shows: options under their headings, in plain text.

Rich and what Typer shows with it would take longer to import than all the rest of `--help`; so a
terminal gets bold type, and everything else the words alone.
"""

import os
import sys
from collections.abc import Iterable
from typing import Any

import typer

from attnviz.cli.output import on_terminal

ARGUMENTS, OPTIONS = "Arguments", "Options"


def write_options(parameters: Iterable[Any], context: Any, formatter: Any) -> None:
    """Write parameters under their headings, those without one first."""
    panels: dict[str, list[tuple[str, str]]] = {ARGUMENTS: [], OPTIONS: []}
    for one in parameters:
        is_argument = one.param_type_name == "argument"
        title = getattr(one, "rich_help_panel", None) or (ARGUMENTS if is_argument else OPTIONS)
        row = (one.metavar, one.help) if is_argument else one.get_help_record(context)
        if row is not None:
            panels.setdefault(title, []).append(row)
    for title, rows in panels.items():
        write_rows(title, rows, formatter)


def write_rows(title: str, rows: list[tuple[str, str]], formatter: Any) -> None:
    """Write names and what they mean under a heading; in bold type on a terminal."""
    if rows:
        with formatter.section(_bold(title)):
            formatter.write_dl([(_bold(name), text) for name, text in rows])


def _bold(text: str) -> str:
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain or not on_terminal(sys.stdout) else typer.style(text, bold=True)
