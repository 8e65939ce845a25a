"""What stands above every look: model, sentence with its word underlined, and measure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from attnviz.attention.measures import Measure
from attnviz.inspection import Context, HeadId
from attnviz.inspection.context import Role
from attnviz.show.labels import visible
from attnviz.show.terminal.cells import cut, label
from attnviz.show.terminal.palette import SHARES, Scale
from attnviz.show.wording import texts, whose, window_told
from attnviz.text.tokens import Token

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
    context: Context,
    scale: Scale = SHARES,
    queries: Sequence[Token] = (),
    keys: Sequence[Token] = (),
    inside: float | None = None,
    layers: Sequence[int] = (),
) -> Iterator[RenderableType]:
    """The model, whose attention it is, the sentence (or pair, or both texts), and the measure.

    `queries` and `keys` are asked about, and underlined. `inside`: how much of the attention shown
    stays in the view's window. `layers`: those that are shown, where not all are.
    """
    yield model_line(context)
    yield from quiet_line(whose(context, layers))
    yield from marked(context, dict.fromkeys(queries, ASKED), dict.fromkeys(keys, ASKED))
    whose_part = f'"{label(queries[0])}"\'s' if queries else "their"
    yield from quiet_line(window_told(context, inside, whose_part))
    yield measure_line(context.measured, scale)


def word_heading(
    context: Context, token: Token, role: Role, weights: np.ndarray, scale: Scale
) -> Iterator[RenderableType]:
    """The heading of a look at one word, as query or as key: weights, (..., other token)."""
    if role == "key":
        return heading(context, scale, keys=[token])
    inside = None if context.window is None else float(weights.sum(axis=-1).mean())
    return heading(context, scale, [token], inside=inside)


def quiet_line(text: str) -> Iterator[Text]:
    """A line of its own for what there is to say; none for nothing."""
    if text:
        yield Text(text, style="dim")


def marked(
    context: Context, queries: Mapping[Token, str], keys: Mapping[Token, str] | None = None
) -> Iterator[RenderableType]:
    """The sentence, both of a pair, or source and target, some tokens in a style of their own."""
    shown = list(texts(context))
    margin = max(len(said.name) for said in shown)
    looked_at = keys or {}
    for said in shown:
        styles = looked_at if said.role == "key" else queries
        if not context.is_cross_attention:
            styles = {**looked_at, **queries}
        marks = [
            Mark(token.start, token.end or token.start, style)
            for token, style in styles.items()
            if token.segment == said.segment and token.start is not None
        ]
        line = sentence(said.text, sorted(marks, key=lambda mark: mark.start), said.span)
        yield behind(Text(f"{said.name:<{margin}}", style="dim"), line) if margin else line


def behind(name: Text, text: Text) -> RenderableType:
    """A text with a name before it, its further lines as far in as the first."""
    row = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    row.add_row(name, text)
    return row


def measure_line(measured: Measure, scale: Scale = SHARES) -> Text:
    """The measure and its formula, and what must be known to read the numbers."""
    return Text("; ".join(filter(None, (measured.line, scale.note))), style="dim")


def model_line(context: Context) -> Text:
    """`str(model)`, its name bold; UNTRAINED stands out with and without colour."""
    text = Text(visible(str(context.model)), style="dim", overflow="fold")
    text.stylize("not dim bold", 0, len(visible(context.model.name)))
    if not context.model.trained:
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


def sentence(text: str, marks: Sequence[Mark] = (), span: tuple[int, int] | None = None) -> Text:
    """A sentence with marks in it, in their order; of a long one the parts around them.

    Without marks its beginning, or that of `span`.
    """
    line, at = Text(overflow="fold"), 0
    for first, last in _excerpts(marks, len(text), span):
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


def _excerpts(
    marks: Sequence[Mark], length: int, span: tuple[int, int] | None
) -> list[tuple[int, int]]:
    """The parts of a text of this length that are shown, each mark with what stands around it."""
    if span is not None and not marks:
        return [(span[0], min(span[1], span[0] + EXCERPT))]
    room = EXCERPT // max(1, len(marks))
    parts: list[tuple[int, int]] = []
    for start, end in [(mark.start, mark.end) for mark in marks] or [(0, 0)]:
        first = max(0, min(start - room // 2, length - room))
        last = min(max(end, first + room), length)
        if parts and first <= parts[-1][1]:
            first, last = parts[-1][0], max(last, parts.pop()[1])
        parts.append((first, last))
    return parts
