"""The kinds of options, and the panels of the help that they stand in; rare ones come last."""

from typing import Any

import typer

INPUT, MODEL, SHOW, OUTPUT, RARE = "Input", "Model", "What to show", "Output", "Rare"


def valued(metavar: str, panel: str, help: str, *names: str) -> Any:
    """An option that takes a value."""
    return typer.Option(
        *names, metavar=metavar, rich_help_panel=panel, show_default=False, help=help
    )


def flag(names: str, panel: str, help: str) -> Any:
    """An option that is there or not."""
    return typer.Option(names, metavar="", rich_help_panel=panel, show_default=False, help=help)


def count(help: str) -> Any:
    """`--top`: how many to show, 1 or more."""
    return typer.Option(metavar="K", min=1, rich_help_panel=SHOW, show_default=False, help=help)
