"""`attnviz heatmap`: show me the weights."""

from attnviz.cli.options import HeadChoice, Look, ModelChoice, Output, Source


def heatmap(
    source: Source, heads: HeadChoice, look: Look, choice: ModelChoice, output: Output
) -> None:
    """Draw attention weights: one head, a layer's heads, or all of them; queries down, keys across.

    Without TEXT it draws the sentence of the last run, at once.

    Example: attnviz heatmap --layer 3 --head 1 -o animal.png
    """
    from attnviz.cli.asked import Asked
    from attnviz.cli.need import Need
    from attnviz.cli.options import Words
    from attnviz.cli.output import Notes
    from attnviz.cli.picture import draw_all, draw_heatmap
    from attnviz.cli.sentences import Sentences

    notes = Notes(output.quiet)
    need = Need(heads, look.measure)
    sentences = Sentences(source, choice, output, notes, need, one_picture=True)
    draw_all(sentences, Asked(look, heads, Words(), notes), output, draw_heatmap)
    sentences.finish()
