"""What stands above and below every table, and what it calls tokens.

Above: model, sentence with the word asked about underlined, and measure. Below: how much attention
special tokens and the model's sink take, and what is not shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from attnviz.answers.answer import Answer
from attnviz.answers.word import Word
from attnviz.attention.measures import Measure
from attnviz.inspection import Context, HeadId, ModelFacts
from attnviz.inspection.context import Role
from attnviz.show.labels import names, visible
from attnviz.show.terminal.cells import SHARES, Hues, Scale, cut
from attnviz.show.wording import PURPOSE, are_all, texts, unknown_legend, whose, window_told
from attnviz.text.tokens import Token

ASKED = "bold underline"  # The style of a word that is asked about
EXCERPT = 240  # Characters of a sentence that a heading shows; the rest is an ellipsis
LONG_TEXT = 300  # Tokens from which on a head is a list, in which words have their positions
SINK = "the model's sink, a place that is none of the keys"  # What takes weight beside all keys


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
    """The model, whose attention it is, the texts with `queries` and `keys` marked, the measure.

    `inside`: how much of the attention shown stays in the window. `layers`: those shown.
    """
    yield model_line(context)
    yield from quiet_line(whose(context, layers))
    yield from marked(context, dict.fromkeys(queries, ASKED), dict.fromkeys(keys, ASKED))
    called = names(context, "query")
    yield from quiet_line(unknown_legend(context))
    whose_part = f'"{called[queries[0].index]}"\'s' if queries else "their"
    yield from quiet_line(window_told(context, inside, whose_part))
    yield measure_line(context.measured, scale)


def word_heading(word: Word, scale: Scale) -> Iterator[RenderableType]:
    """The heading above one word, as query or as key."""
    if word.role == "key":
        return heading(word.context, scale, keys=[word.token])
    inside = None if word.context.window is None else float(word.weights.sum(axis=-1).mean())
    return heading(word.context, scale, [word.token], inside=inside)


def rows_table(answer: Answer, top: int | None = None) -> RenderableType:
    """The rows of an answer that has no table of its own, below the heading of its context."""
    rows = list(answer.rows(top))
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for place, name in enumerate(answer.columns):
        numeric = all(isinstance(row[place], Real | None) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    context = getattr(answer, "context", None)
    return Group(*heading(context), Text(), table) if context else table


def _cell(value: Any) -> Text:
    """Text as typed, a number with three digits, nothing for None."""
    if isinstance(value, Real) and not isinstance(value, Integral):
        return Text(f"{float(value):.3g}")
    return Text("" if value is None else visible(str(value)))


def quiet_line(text: str) -> Iterator[Text]:
    """A dim line of its own; none for an empty text."""
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
        yield after_name(Text(f"{said.name:<{margin}}", style="dim"), line) if margin else line


def after_name(name: Text, text: Text) -> RenderableType:
    """A text after its name; further lines are indented as the first."""
    row = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    row.add_row(name, text)
    return row


def measure_line(measured: Measure, scale: Scale = SHARES) -> Text:
    """The measure and its formula, and what must be known to read the numbers."""
    return Text("; ".join(filter(None, (measured.line, scale.note))), style="dim")


FAR_OR_NEAR = (
    "{warm}: words further off · {cool}: itself, next to it, special",
    "{warm}: far · {cool}: near, special",
)
WORD_OR_SPECIAL = ("{warm}: words · {cool}: special tokens", "{warm}: words · {cool}: special")


def legend(hues: Hues | None, width: int, *said: str) -> Iterator[Text]:
    """What the colours mean, in the first words that fit; nothing where there are no colours."""
    if hues is not None:
        told = [one.format(**hues._asdict()) for one in said]
        yield from quiet_line(next((one for one in told if len(one) <= width), told[-1]))


def tones_legend(context: Context, hues: Hues | None, width: int) -> Iterator[Text]:
    """What the tones of links mean, see `tone_of`."""
    said = WORD_OR_SPECIAL if context.is_cross_attention else FAR_OR_NEAR
    yield from legend(hues, width, *said)


def model_line(about: Context | ModelFacts) -> Text:
    """`str(model)`, its name bold; UNTRAINED stands out with and without colour."""
    model = about if isinstance(about, ModelFacts) else about.model
    text = Text(visible(str(model)), style="dim", overflow="fold")
    text.stylize("not dim bold", 0, len(visible(model.name)))
    if not model.trained:
        text.stylize("not dim bold black on yellow", text.plain.rindex("UNTRAINED"))
    return text


def head_title(head: HeadId, what: str) -> Text:
    """The name of a head, and what is shown of it."""
    return Text(str(head), style="bold").append(f"  {what}", style="not bold dim")


def question(word: Word, width: int) -> str:
    """The question that a table of one word answers, in `width` cells at most."""
    name = names(word.context, word.role)[word.token.index]
    return cut(f"{name} looks at" if word.role == "query" else f"who looks at {name}", width)


def sentence(text: str, marks: Sequence[Mark] = (), span: tuple[int, int] | None = None) -> Text:
    """A sentence with marks in it; of a long one the parts around them, or the start of `span`."""
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
    """The parts of a text of this length that are shown: each mark and what stands around it."""
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


def is_long(context: Context) -> bool:
    """Whether there are too many tokens for a table of all of them to be read."""
    return max(len(context.tokens), len(context.keys)) >= LONG_TEXT


def listed_names(context: Context, role: Role) -> tuple[str, ...]:
    """What a list calls tokens: in a long text all with the index by which one can ask for them."""
    return names(context, role, every=is_long(context))


def query_note(
    context: Context,
    query: int,
    heads: Sequence[HeadId],
    special: float | None,
    sink: float | None,
) -> str:
    """How much of a query's attention goes to special tokens, and to the sink, if there are any."""
    name = names(context, "query")[query]
    notes = [PURPOSE_NOTE] if context.is_cross_attention else []
    takers, hint = [], ""
    if special is not None and context.special:
        takers.append(f"{special:.0%} of its {context.measured.noun} to special tokens")
        hint = f"; --no-special leaves {'them' if sink is None else 'special tokens'} out"
    elif special is not None:
        notes.append(left_out_note(context, name, special, heads))
    if sink is not None:
        of = "" if takers else f" of its {context.measured.noun}"
        takers.append(f"{sink:.0%}{of} to {SINK}")
    if takers:
        notes.append(f'"{name}" gives {" and ".join(takers)} {_over(context, heads)}{hint}.')
    return " ".join(notes)


PURPOSE_NOTE = f"{PURPOSE[0].upper()}{PURPOSE[1:]}."


def sink_note(context: Context, sink: np.ndarray | None, of: str = "") -> str:
    """How much of what is shown the sink takes; sink: (query,), `of` which queries, if not all."""
    if sink is None:
        return ""
    whole = f"the {context.measured.noun}" if context.special else "what is shown"
    average = f"On average of {of}" if of else "On average"
    return f"{average}, {float(sink.mean()):.0%} of {whole} goes to {SINK}."


def left_out_note(context: Context, name: str, share: float, heads: Sequence[HeadId]) -> str:
    """How much of a query's attention went to special tokens that are left out."""
    return _left_out(context, f'"{name}" gave them {share:.0%} of its', heads)


def dropped_note(context: Context, dropped: float | None, heads: Sequence[HeadId]) -> str:
    """How much of all words' attention went to special tokens, where they are left out."""
    if dropped is None:
        return ""
    return _left_out(context, f"they took {dropped:.0%} of the words'", heads)


def _left_out(context: Context, what: str, heads: Sequence[HeadId]) -> str:
    shares, over = context.measured.shares, _over(context, heads)
    rest = "the rest is shown as 100%" if shares else "the other numbers are unchanged"
    return f"Special tokens are left out: {what} {context.measured.noun} {over}, and {rest}."


def hidden_note(context: Context, count: int, shown: int) -> str:
    """How many of `count` heads, or layers, are not shown, and how to see them."""
    hidden = count - shown
    places = context.places if hidden > 1 else context.places.removesuffix("s")
    return f"{hidden} more {places}: --top {count} shows all."


def _over(context: Context, heads: Sequence[HeadId]) -> str:
    if are_all(context, heads):
        return f"(mean over all {context.places})"
    return f"(in {heads[0]})" if len(heads) == 1 else f"(mean over these {context.places})"
