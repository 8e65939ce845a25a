"""What the tests of pictures share: inspections of any length, and the words in a figure."""

from handmade import random_inspection, tokens_of
from matplotlib.figure import Figure

from attnviz.inspection import Inspection


def numbered(words: int, num_layers: int = 2, num_heads: int = 3) -> Inspection:
    """Random weights for the sentence `w0 w1 w2 …` between two special tokens."""
    tokens = tokens_of([f"w{i}" for i in range(words)])
    return random_inspection(tokens, num_layers, num_heads, seed=words)


def texts(figure: Figure) -> list[str]:
    """The figure's own lines of text: title, sentence, notes, names of axes."""
    return [text.get_text() for text in figure.texts] + [figure.get_suptitle()]
