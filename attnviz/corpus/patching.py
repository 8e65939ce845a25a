"""Ask a model about twins: what B gives with heads of A in it, for two sentences or for many."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attnviz.answers.align import Aligned
from attnviz.answers.patch import (
    EachPatched,
    Patched,
    Rows,
    Twins,
    patched_at_each,
    patched_each,
    rows_of,
)
from attnviz.attention.edits import What
from attnviz.errors import RequestError
from attnviz.inspection import HeadId
from attnviz.inspection.outcomes import USUAL, Asked
from attnviz.model import Model
from attnviz.model.patching import Pieces, patches_of
from attnviz.text.tokens import Token


@dataclass(frozen=True)
class Patching:
    """What is patched, and what is measured.

    heads: together; none: each of the model's alone. at_each: the heads at each token alone, too.
    named: which words go where, see `rows_of`.
    """

    heads: tuple[HeadId, ...] = ()
    at_each: bool = False
    what: What = "z"
    named: tuple[str, ...] = ()
    asked: Asked = USUAL


def patched(
    model: Model, words: Aligned, patching: Patching, column: int | None = None
) -> Patched | EachPatched:
    """What B gives with heads of A in it; `column`: of the word that is asked about, if one is.

    RequestError as in `rows_of`, `outcome_of` and `EditableText.edited`, and for two models.
    """
    if words.a.model != words.b.model:
        raise RequestError(
            f"A was read by {words.a.model.title}, and B by {words.b.model.title}",
            "read both in one model: a head of one means nothing in another",
        )
    heads, facts, what = patching.heads, model.facts, patching.what
    rows = rows_of(words, what, patching.named)
    asked = patching.asked
    if column is not None and not (asked.name or _is_mask(model, words, column)):
        asked = replace(asked, name="states")  # a word that was named is one whose state moves
    runs: list[tuple[Sequence[HeadId], Pieces]]
    if heads:
        runs = [(heads, _pieces(rows))]
        places = range(len(rows.tokens) if patching.at_each else 0)
        runs += [(heads, rows.only(place).pieces) for place in places]
    else:
        every = [HeadId(n, h) for n in range(facts.num_layers) for h in range(facts.num_heads)]
        runs = [([head], _pieces(rows)) for head in every]
    patches = patches_of(
        model,
        (words.views[0].inspection, words.views[1].inspection),
        words.a.unit,
        asked,
        [(a.index, b.index) for a, b in _shared(words)],
        token=None if column is None else _places(words, column),
        runs=1 + len(runs) / 2,  # each begins at its first layer
    )
    twins = Twins(words.alignment, patches.facts, what, rows, patches.a, patches.b)
    measured = patches.measured(what, runs)
    if heads:
        return patched_at_each(twins, heads, measured)
    return patched_each(twins, every, measured)


def _pieces(rows: Rows) -> Pieces:
    """None for all rows, each of which goes to its own place."""
    return rows.pieces if rows.named else None


def _places(words: Aligned, column: int) -> tuple[int, int]:
    a, b = words.pair(column)
    return a.index, b.index


def _is_mask(model: Model, words: Aligned, column: int) -> bool:
    """Whether the word in a column is a mask."""
    _, token = words.pair(column)
    number = model.tokenizer.mask_id
    return number is not None and model.tokenizer.entry(number) in token.pieces


def _shared(words: Aligned) -> list[tuple[Token, Token]]:
    """The words that both have."""
    return [words.pair(column) for column in words.words if words.columns[column].same]
