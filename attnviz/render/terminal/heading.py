"""What stands above every look: model, sentence with its word underlined, and measure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.text import Text

from attnviz.inspection import HeadId, View
from attnviz.measures import Measure
from attnviz.render.labels import visible
from attnviz.render.terminal.cells import cut, label
from attnviz.render.terminal.palette import SHARES, Scale
from attnviz.tokens import Token

Role = Literal["query", "key"]
"""Whether a look at one word tells what it looks at, or who looks at it."""

ASKED = "bold underline"
"""The style of a word that is asked about."""

EXCERPT = 240
"""Characters of a sentence that a heading shows; the rest is an ellipsis."""


@dataclass(frozen=True)
class Mark:
    """Characters of a sentence that stand out, `before` and `after` them also without colour."""

    start: int
    end: int
    style: str = ASKED
    before: str = ""
    after: str = ""


def heading(
    view: View, token: Token | None = None, scale: Scale = SHARES, others: Sequence[Token] = ()
) -> Iterator[Text]:
    """The model, the sentence (or pair), and what the numbers are.

    `token`, and `others` beside it, are underlined where they are asked about.
    """
    yield model_line(view)
    yield from marked(view, {one: ASKED for one in (token, *others) if one is not None})
    yield measure_line(view.measured, scale)


def marked(view: View, styles: Mapping[Token, str]) -> Iterator[Text]:
    """The sentence, or both of a pair, with some tokens in a style of their own."""
    tokens = view.inspection.tokens
    for segment, text in enumerate((tokens.text, tokens.pair)):
        if text is None:
            continue
        marks = [
            Mark(token.start, token.end or token.start, style)
            for token, style in styles.items()
            if token.segment == segment and token.start is not None
        ]
        yield sentence(text, sorted(marks, key=lambda mark: mark.start))


def measure_line(measured: Measure, scale: Scale = SHARES) -> Text:
    """The measure and its formula, and what must be known to read the numbers."""
    return Text("; ".join(filter(None, (measured.line, scale.note))), style="dim")


def model_line(view: View) -> Text:
    """`str(model)`, its name bold; UNTRAINED stands out with and without colour."""
    text = Text(visible(str(view.model)), style="dim", overflow="fold")
    text.stylize("not dim bold", 0, len(visible(view.model.name)))
    if not view.model.trained:
        text.stylize("not dim bold black on yellow", text.plain.rindex("UNTRAINED"))
    return text


def head_title(head: HeadId, what: str) -> Text:
    """The name of a head, and what is shown of it."""
    return Text(str(head), style="bold").append(f"  {what}", style="not bold dim")


def question(token: Token, role: Role, width: int) -> str:
    """What a look at one word answers, in `width` cells at most."""
    name = label(token)
    asked = f"{name} looks at" if role == "query" else f"who looks at {name}"
    return cut(asked, width)


def sentence(text: str, marks: Sequence[Mark] = ()) -> Text:
    """A sentence with marks in it, in their order; of a long one the parts around them."""
    line, at = Text(overflow="fold"), 0
    for first, last in _excerpts(marks, len(text)):
        line.append("…" if first > at else "")
        at = first
        for mark in marks:
            if first <= mark.start < last:
                line.append(visible(text[at : mark.start]))
                shown = visible(text[max(at, mark.start) : mark.end])
                line.append(mark.before + shown + mark.after, style=mark.style)
                at = mark.end
        line.append(visible(text[at:last]))
        at = last
    return line.append("…" if at < len(text) else "")


def _excerpts(marks: Sequence[Mark], length: int) -> list[tuple[int, int]]:
    """The parts of a text of this length that are shown, each mark with what stands around it."""
    room = EXCERPT // max(1, len(marks))
    parts: list[tuple[int, int]] = []
    for start, end in [(mark.start, mark.end) for mark in marks] or [(0, 0)]:
        first = max(0, min(start - room // 2, length - room))
        last = min(max(end, first + room), length)
        if parts and first <= parts[-1][1]:
            first, last = parts[-1][0], max(last, parts.pop()[1])
        parts.append((first, last))
    return parts
