"""The application: its commands, and nothing that costs start-up time."""

from typing import Annotated

import typer

from attnviz.cli import ablate, compare, explain, find, heatmap, lines, models, run
from attnviz.cli.command import add_command

app = typer.Typer(
    name="attnviz",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="See where a Transformer encoder looks: which word attends to which, in which head.",
    epilog=(
        "Attention weights show where a head looks, not why a model decides: "
        "they are a beginning, not an explanation."
    ),
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"attnviz {version('attnviz')}")
        raise typer.Exit


@app.callback()
def attnviz(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """See where a Transformer encoder looks: which word attends to which, in which head."""


add_command(app, run.run)
add_command(app, heatmap.heatmap)
add_command(app, lines.lines)
add_command(app, find.find)
add_command(app, compare.compare)
add_command(app, explain.explain)
add_command(app, ablate.ablate)
add_command(app, models.models)
