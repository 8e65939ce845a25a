"""Words in cells of a fixed width: cut with an ellipsis, padded, counted as the terminal counts."""

from collections.abc import Iterable, Iterator

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment

from attnviz.answers.summary import is_near
from attnviz.inspection import Context
from attnviz.show.labels import visible
from attnviz.show.terminal.palette import DIM, Tone
from attnviz.text.tokens import Token

Line = list[Segment]

EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")
"""The ends of a bar, by how many eighths of a cell they fill."""

BLANK = "␣"
"""How a token of nothing but white space is shown."""


def label(token: Token) -> str:
    """What a table prints for a token: its label with control characters escaped."""
    return visible(token.label) if token.label.strip() else BLANK


def width_of(tokens: Iterable[Token], most: int) -> int:
    """The cells that the longest label takes, `most` at most."""
    return min(most, max((cell_len(label(token)) for token in tokens), default=1))


def cut(text: str, width: int) -> str:
    """The text as it is, or cut with an ellipsis to `width` cells."""
    return fit(text, min(width, cell_len(text)))


def bar(part: float, width: int) -> str:
    """A bar that is a part of `width` cells long, in eighths of a cell."""
    whole, rest = divmod(round(part * width * 8), 8)
    return "█" * whole + EIGHTHS[rest]


def fit(text: str, width: int, right: bool = False) -> str:
    """The text in exactly `width` cells: cut with an ellipsis or padded (left, if `right`)."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    padding = " " * (width - length)
    return padding + text if right else text + padding


def tone_of(context: Context, query: Token, key: Token) -> Tone:
    """The colour of a link: cool to special tokens, itself and neighbours, warm to all others.

    Between two texts, no word is the neighbour of another.
    """
    near = not context.is_cross_attention and is_near(query, key)
    return "cool" if key.special or near else "warm"


def render_lines(lines: Iterable[Line], width: int) -> Iterator[Segment]:
    """The lines as segments, each with its end, cut where a console is too narrow for anything."""
    for line in lines:
        yield from Segment.adjust_line_length(line, width, pad=False)
        yield Segment.line()


def remarks(text: str, width: int) -> Iterator[Line]:
    """The same, and no line where there is nothing to say."""
    if text:
        yield from sentences(text, width)


def sentences(text: str, width: int) -> Iterator[Line]:
    """Quiet remarks below a table, broken between words."""
    line = ""
    for word in text.split():
        if line and cell_len(line) + 1 + cell_len(word) > width:
            yield [Segment(line, DIM)]
            line = ""
        line = f"{line} {word}" if line else cut(word, width)
    yield [Segment(line, DIM)]
