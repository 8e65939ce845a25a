"""What stands above and below two sentences, or models, that are compared."""

from collections.abc import Iterator
from itertools import groupby

from rich.text import Text

from attnviz.analysis.align import SIDES, Aligned, Side
from attnviz.analysis.compare import Comparison
from attnviz.analysis.special import special_share
from attnviz.render.terminal.cells import label
from attnviz.render.terminal.heading import Mark, measure_line, model_line, sentence
from attnviz.render.terminal.notes import hidden_note
from attnviz.render.terminal.palette import TINTS, percent
from attnviz.tokens import Token

ONE_SIDED = "*"
"""Stands behind a word that one sentence alone has."""

_CHANGED: dict[Side, str] = {"a": f"bold {TINTS['cool']}", "b": f"bold {TINTS['warm']}"}
"""What only A has is lost in B, and what only B has is gained; in the colours of changes."""


def sides(aligned: Aligned, query: int | None) -> Iterator[Text]:
    """Both models, or the one; both sentences, the query underlined, what differs in brackets."""
    one_model = aligned.a.model == aligned.b.model
    for side in SIDES[: 1 if one_model else 2]:
        line = model_line(aligned.view(side))
        yield line if one_model else Text.assemble((f"{side.upper()}  ", "bold"), line)
    one_text = aligned.a.inspection.tokens.text == aligned.b.inspection.tokens.text
    for side in SIDES[: 1 if one_text and not one_model else 2]:
        tokens = aligned.view(side).inspection.tokens
        name = "" if one_text and not one_model else f"{side.upper()}  "
        for segment, text in enumerate((tokens.text, tokens.pair)):
            if text is not None:
                marks = _marks(aligned, side, segment, query)
                yield Text.assemble((name, "bold"), sentence(text, marks))
                name = " " * len(name)
    yield measure_line(aligned.a.measured)


def _marks(aligned: Aligned, side: Side, segment: int, query: int | None) -> list[Mark]:
    """The words that the other side does not have, neighbours together, and the query."""
    asked = None if query is None else aligned.pair(query)[SIDES.index(side)].index
    own = [column.token(side) for column in aligned.columns if column.same]
    kept = {token.index for token in own if token is not None}

    def kind(token: Token) -> tuple[bool, bool]:
        return token.index in kept, token.index == asked

    marks = []
    tokens = [t for t in aligned.view(side).tokens if t.segment == segment and not t.special]
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
    aligned = comparison.aligned
    if len(comparison.heads) > shown:
        yield hidden_note(aligned.a, len(comparison.heads), shown)
    if comparison.key is None and any(len(c.tokens) < 2 for c in comparison.columns):
        yield (
            f"{ONE_SIDED} a word that only one of the two has; all that it takes counts as change."
        )
    if not aligned.a.measured.shares:
        yield (
            f"Rows of {aligned.a.measure} are no shares: here each is divided by its sum, so "
            "that the two can be compared."
        )
    yield from _special_notes(comparison)
    if aligned.a.model != aligned.b.model:
        yield (
            "Heads of two models are the same head only where one model came from the other, "
            "as by fine-tuning; otherwise one number names two unrelated heads."
        )


def _special_notes(comparison: Comparison) -> Iterator[str]:
    """What special tokens take in A and in B, in the heads compared."""
    aligned, heads = comparison.aligned, [change.head for change in comparison.heads]
    over = f"mean over {'these' if len(heads) < len(aligned.a.all_heads()) else 'all'} "
    over = f"in {heads[0]}" if len(heads) == 1 else over + aligned.a.places
    dropped = [change.dropped for change in comparison.heads if change.dropped is not None]
    if dropped:
        in_a, in_b = (sum(getattr(both, side) for both in dropped) / len(dropped) for side in SIDES)
        yield (
            f"Special tokens are left out: they had {percent(in_a)} of what is compared in A and "
            f"{percent(in_b)} in B ({over}), and what remains of each row sums to 1."
        )
    elif comparison.query is not None:
        words = aligned.pair(comparison.query)
        in_a, in_b = (
            special_share(aligned.view(side), word.index, heads)
            for side, word in zip(SIDES, words, strict=True)
        )
        if in_a is not None and in_b is not None:
            yield (
                f'"{label(words[0])}" gives {percent(in_a)} of its {aligned.a.measured.noun} to '
                f"special tokens in A and {percent(in_b)} in B ({over}); --no-special leaves them "
                "out."
            )
