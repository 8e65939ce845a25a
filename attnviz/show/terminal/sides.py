"""What stands above and below two sentences, or models, that are compared."""

from collections.abc import Callable, Iterator
from itertools import groupby

from rich.console import RenderableType
from rich.text import Text

from attnviz.answers.align import SIDES, Alignment, Side
from attnviz.answers.compare import Comparison
from attnviz.inspection import Context
from attnviz.show.terminal.cells import TINTS, label, percent
from attnviz.show.terminal.heading import (
    SINK,
    Mark,
    after_name,
    hidden_note,
    model_line,
    quiet_line,
    sentence,
)
from attnviz.show.wording import Said, texts, tokens_of, whose, window_told
from attnviz.text.tokens import Token

ONE_SIDED = "*"
"""Stands behind a word that one sentence alone has."""

_CHANGED: dict[Side, str] = {"a": f"bold {TINTS['cool']}", "b": f"bold {TINTS['warm']}"}
"""What only A has is lost in B, and what only B has is gained; in the colours of changes."""


def sides(aligned: Alignment, query: int | None) -> Iterator[RenderableType]:
    """Both models, or the one; both sentences, the query underlined, what differs in brackets."""
    one_model = aligned.a.model == aligned.b.model
    for side in SIDES[: 1 if one_model else 2]:
        line = model_line(aligned.context(side))
        yield line if one_model else Text.assemble((f"{side.upper()}  ", "bold"), line)
    yield from _of_both(aligned, whose)
    one_text = _texts(aligned.a) == _texts(aligned.b)
    for side in SIDES[: 1 if one_text and not one_model else 2]:
        yield from _sentences(aligned, side, query, named=not one_text or one_model)
    yield from _of_both(aligned, window_told)
    yield from _of_both(aligned, lambda context: context.measured.line)


def _of_both(aligned: Alignment, told: Callable[[Context], str]) -> Iterator[Text]:
    """What is said of A and of B, once where it is the same."""
    said = {side: told(aligned.context(side)) for side in SIDES}
    if said["a"] == said["b"]:
        yield from quiet_line(said["a"])
        return
    for side, line in said.items():
        yield from quiet_line(f"{side.upper()}  {line}" if line else "")


def _texts(context: Context) -> list[str]:
    return [said.text for said in texts(context)]


def _sentences(
    aligned: Alignment, side: Side, query: int | None, named: bool
) -> Iterator[RenderableType]:
    """One side's texts, behind its name if they are `named`, and what each is called."""
    shown = list(texts(aligned.context(side)))
    name, margin = f"{side.upper()}  " if named else "", max(len(said.name) for said in shown)
    for said in shown:
        text = sentence(said.text, _marks(aligned, side, said, query), said.span)
        if margin:
            yield after_name(Text.assemble((name, "bold"), (f"{said.name:<{margin}}", "dim")), text)
        else:
            yield Text.assemble((name, "bold"), text)
        name = " " * len(name)


def _marks(aligned: Alignment, side: Side, said: Said, query: int | None) -> list[Mark]:
    """The words that only this side has, and the query."""
    asked = None
    if query is not None and said.role == "query":
        asked = aligned.pair(query)[SIDES.index(side)].index
    own = [column.token(side) for column in aligned.of(said.role) if column.same]
    kept = {token.index for token in own if token is not None}

    def kind(token: Token) -> tuple[bool, bool]:
        return token.index in kept, token.index == asked

    marks = []
    every = tokens_of(aligned.context(side), said.role)
    tokens = [t for t in every if t.segment == said.segment and not t.special]
    for (is_kept, is_asked), run in groupby(tokens, kind):
        words = list(run)
        start, end = words[0].start, words[-1].end
        if start is None or end is None or (is_kept and not is_asked):
            continue
        underline = " underline" if is_asked else ""
        if is_kept:
            marks.append(Mark(start, end))
        else:
            marks.append(Mark(start, end, f"{_CHANGED[side]}{underline}", "‹", "›"))
    return marks


def remarks(comparison: Comparison, shown: int) -> Iterator[str]:
    """What must be known to read a table of the first `shown` heads."""
    aligned = comparison.alignment
    if len(comparison.heads) > shown:
        yield hidden_note(aligned.a, len(comparison.heads), shown)
    named = (*comparison.keys, *aligned.columns)
    if comparison.key is None and any(len(column.tokens) < 2 for column in named):
        yield (
            f"{ONE_SIDED} a word that only one of the two has; all that it takes counts as change."
        )
    if not aligned.a.measured.shares:
        yield (
            f"Rows of {aligned.a.measure} are no shares: here each is divided by its sum, so "
            "that the two can be compared."
        )
    yield from _special_notes(comparison)
    yield from _rest_notes(comparison)
    if aligned.a.model != aligned.b.model:
        yield (
            "Heads of two models are the same head only where one model came from the other, "
            "as by fine-tuning; otherwise one number names two unrelated heads."
        )


def _over(comparison: Comparison) -> str:
    """Which heads a share is the mean of."""
    context, heads = comparison.alignment.a, comparison.heads
    if len(heads) == 1:
        return f"in {heads[0].head}"
    these = "these" if len(heads) < len(context.all_heads()) else "all"
    return f"mean over {these} {context.places}"


def _rest_notes(comparison: Comparison) -> Iterator[str]:
    """What goes to no word that is shown, in A and in B, in the heads compared."""
    found = [change.rest for change in comparison.heads if change.rest is not None]
    if found:
        view = comparison.alignment.a
        in_a, in_b = (sum(getattr(both, side) for both in found) / len(found) for side in SIDES)
        where = [SINK] if view.measured.sinks else []
        where += (
            [] if view.window is None or view.is_cross_attention else ["words outside the window"]
        )
        yield (
            f"{percent(in_a)} in A and {percent(in_b)} in B ({_over(comparison)}) goes to "
            f"{' or '.join(where)}; distances count it as one more word."
        )


def _special_notes(comparison: Comparison) -> Iterator[str]:
    """What special tokens take in A and in B, in the heads compared."""
    over, special = _over(comparison), comparison.special
    dropped = [change.dropped for change in comparison.heads if change.dropped is not None]
    if dropped:
        rest = comparison.heads[0].rest
        in_a, in_b = (sum(getattr(both, side) for both in dropped) / len(dropped) for side in SIDES)
        yield (
            f"Special tokens are left out: they had {percent(in_a)} of what is compared in A and "
            f"{percent(in_b)} in B ({over}), and what remains of each row "
            f"{'sums to 1' if rest is None else 'is shared with the sink'}."
        )
    elif comparison.query is not None and special is not None:
        word, _ = comparison.alignment.pair(comparison.query)
        yield (
            f'"{label(word)}" gives {percent(special.a)} of its '
            f"{comparison.alignment.a.measured.noun} to special tokens in A and "
            f"{percent(special.b)} in B ({over}); --no-special leaves them out."
        )
