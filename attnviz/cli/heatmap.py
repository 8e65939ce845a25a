"""`attnviz heatmap`: show me the weights."""

from typing import TYPE_CHECKING

from attnviz.cli.options import HeadChoice, Look, ModelChoice, PictureOutput, Source

if TYPE_CHECKING:
    from attnviz.answers.answer import Answer
    from attnviz.cli.inputs import Item


def heatmap(
    source: Source, heads: HeadChoice, look: Look, choice: ModelChoice, output: PictureOutput
) -> None:
    """Draw attention weights of a head, a layer, or all heads: queries down, keys across.

    Without TEXT it draws the last sentence, at once.

    Example: attnviz heatmap --layer 3 --head 1 -o animal.png
    """
    from attnviz.answers.matrices import matrices
    from attnviz.cli.inputs import Inputs, answer_each
    from attnviz.cli.output import check_output
    from attnviz.cli.session import Selection, Session

    check_output(output, "Matrices")
    session = Session(choice, output)
    selection = Selection(session, look, heads)
    inputs = Inputs(source, session, output, selection.request)

    def ask(item: "Item") -> "Answer":
        view = selection.view(item.inspection)
        return matrices(view, selection.heads(view.context) or None)

    answer_each(inputs, ask, doing="drawing")
