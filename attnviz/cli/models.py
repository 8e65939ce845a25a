"""`attnviz models`: what can be looked at?"""

from dataclasses import dataclass
from typing import Annotated

from attnviz.cli.options import ModelChoice, Results, TrustRemoteCode, argument


@dataclass(frozen=True)
class WhichModel:
    """Which model to describe, if not all."""

    name: Annotated[
        str | None,
        argument(
            "NAME",
            "minilm, e5, paper, a folder, or org/name[@revision] on the hub. Without: all "
            "models at hand.",
        ),
    ] = None
    trust_remote_code: TrustRemoteCode = False


def models(which: WhichModel, output: Results) -> None:
    """Show which models can be looked at, or what one of them is made of.

    Without NAME: the models that come with attnviz, those in the hub's cache, and the architectures
    that are supported. With NAME: layers, heads and widths, what each layer's tokens may look at,
    parameters, tokenizer, positions, and where it comes from; a model on the hub is downloaded
    first.

    Example: attnviz models minilm
    """
    from attnviz.cli.output import Notes, check_output, writing
    from attnviz.model.describe import describe
    from attnviz.models.describe import catalog

    check_output(output, "Catalog" if which.name is None else "Described")
    with writing(output, Notes(output.quiet)) as write:
        if which.name is None:
            write(catalog(ModelChoice().name), 0)
        else:
            write(describe(which.name, which.trust_remote_code), 0)
