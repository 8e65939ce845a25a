"""What stands below a table: how much attention special tokens take, and what is not shown."""

from collections.abc import Sequence

import numpy as np

from attnviz.inspection import Context, HeadId
from attnviz.show.terminal.cells import label
from attnviz.show.terminal.palette import percent
from attnviz.show.wording import PURPOSE, are_all

SINK = "the model's sink, a place that is none of the keys"
"""What takes weight beside all keys."""


def query_note(
    context: Context, query: int, heads: Sequence[HeadId], special: float, sink: float | None
) -> str:
    """How much of a query's attention special tokens, and the sink, take in the heads shown."""
    name, notes = label(context.tokens[query]), []
    if context.is_cross_attention:
        notes.append(purpose_note())
    takers, hint = [], ""
    if any(token.special for token in context.key_text.pieces):
        if context.special:
            takers.append((special, "special tokens"))
            them = "them" if sink is None else "special tokens"
            hint = f"; --no-special leaves {them} out"
        else:
            notes.append(left_out_note(context, name, special, heads))
    if sink is not None:
        takers.append((sink, SINK))
    if takers:
        of = (f" of its {context.measured.noun}", "")
        given = " and ".join(
            f"{percent(share)}{of[bool(number)]} to {taker}"
            for number, (share, taker) in enumerate(takers)
        )
        notes.append(f'"{name}" gives {given} {_over(context, heads)}{hint}.')
    return " ".join(notes)


def purpose_note() -> str:
    """What cross-attention is for."""
    return f"{PURPOSE[0].upper()}{PURPOSE[1:]}."


def sink_note(context: Context, sink: np.ndarray | None, of: str = "") -> str:
    """How much of what is shown the sink takes; sink: (query,), `of` which queries, if not all."""
    if sink is None:
        return ""
    whole = f"the {context.measured.noun}" if context.special else "what is shown"
    average = f"On average of {of}" if of else "On average"
    return f"{average}, {percent(float(sink.mean()))} of {whole} goes to {SINK}."


def left_out_note(context: Context, name: str, share: float, heads: Sequence[HeadId]) -> str:
    """How much of a query's attention went to special tokens that are left out."""
    told = f"{percent(share)} of its {context.measured.noun}"
    return (
        f'Special tokens are left out: "{name}" gave them {told} {_over(context, heads)}, '
        f"and what remains is shown {_rest(context)}."
    )


def dropped_note(context: Context, dropped: float | None, heads: Sequence[HeadId]) -> str:
    """How much of all words' attention went to special tokens, where they are left out."""
    if dropped is None:
        return ""
    return (
        f"Special tokens are left out: they took {percent(dropped)} of the words' "
        f"{context.measured.noun} {_over(context, heads)}, and what remains of each is shown "
        f"{_rest(context)}."
    )


def hidden_note(context: Context, count: int, shown: int) -> str:
    """How many of `count` heads, or layers, are not shown, and how to see them."""
    hidden = count - shown
    places = context.places if hidden > 1 else context.places.removesuffix("s")
    return f"{hidden} more {places}: --top {count} shows all."


def _rest(context: Context) -> str:
    return "as 100%" if context.measured.shares else "as it was"


def _over(context: Context, heads: Sequence[HeadId]) -> str:
    if are_all(context, heads):
        return f"(mean over all {context.places})"
    return f"(in {heads[0]})" if len(heads) == 1 else f"(mean over these {context.places})"
