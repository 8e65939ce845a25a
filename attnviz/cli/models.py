"""`attnviz models`: what can be looked at?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from attnviz.cli.options import FORMAT, DataOutput, TrustRemoteCode


@dataclass(frozen=True)
class WhichModel:
    """Which model to tell of, if not of all."""

    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="minilm, paper, a folder, or org/name\\[@revision] on the hub. Without: all "
            "models at hand.",
            show_default=False,
        ),
    ] = None
    trust_remote_code: TrustRemoteCode = False


@dataclass(frozen=True)
class ModelsOutput(DataOutput):
    """Where facts go; there is no inspection to save."""

    save: Annotated[Path | None, typer.Option(metavar="FILE", hidden=True)] = None
    format: Annotated[Literal["table", "json"] | None, FORMAT] = None


def models(which: WhichModel, output: ModelsOutput) -> None:
    """Show which models can be looked at, or what one of them is made of.

    Without NAME: the models that come with attnviz, those that the hub's cache holds, and the
    architectures that can be looked into. With NAME: its layers, heads and widths, what each
    layer's tokens may look at, its parameters, its tokenizer, how it knows order, and where it
    comes from; a model of the hub is fetched first.

    Example: attnviz models minilm
    """
    from attnviz.cli.showing_models import check_form, give_catalog, give_model

    check_form(output)
    if which.name is None:
        give_catalog(output)
    else:
        give_model(which.name, which.trust_remote_code, output)
