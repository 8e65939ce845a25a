"""`attnviz check`: can the numbers be trusted?"""

from dataclasses import dataclass, replace
from typing import Annotated

from attnviz.cli.options import ModelChoice, Results, argument
from attnviz.errors import AttnvizError


@dataclass(frozen=True)
class Checked(ModelChoice):
    """Which model to check, and how it is run."""

    model: Annotated[
        str | None,
        argument(
            "MODEL",
            "minilm, e5, paper, a folder, or org/name[@revision] on the hub. Without: "
            "ATTNVIZ_MODEL, or minilm.",
        ),
    ] = None


def check(choice: Checked, output: Results) -> None:
    """Check that the numbers which attnviz gives for a model are the model's own.

    The model reads a few built-in sentences, alone and in batches, and transformers reads them too,
    from the same files and by itself. Each line compares two of these: tokens, rows, masks,
    windows, batches, every step from q · k to the next layer's x, the weights of eager attention,
    ablated heads, and measures. The exit code is 1 if one fails. The model is in memory twice.

    Example: attnviz check minilm
    """
    from attnviz.answers.check import check
    from attnviz.cli.output import check_output, writing
    from attnviz.cli.session import Session
    from attnviz.model.check import gather, run_to_check

    check_output(output, "Check")
    session = Session(choice, output)
    with session:
        run = run_to_check(choice.name, choice.options | {"device": choice.place})
        target = run.target if isinstance(run.target, str) else None
        model = session.load(replace(choice, target=target))
        answer = check(gather(model, run, session.spinner.update))
    with writing(output, session.notes) as write:
        write(answer, 0)
    if answer.failed:
        raise AttnvizError(
            f"{len(answer.failed)} of {len(answer.lines)} checks failed for {model.facts.name}: "
            + ", ".join(answer.failed),
            "do not trust these numbers; a report of it is welcome",
        )
