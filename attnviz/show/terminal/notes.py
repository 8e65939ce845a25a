"""What stands below a table: how much attention special tokens take, and what is not shown."""

from collections.abc import Sequence

import numpy as np

from attnviz.inspection import HeadId, View
from attnviz.show.terminal.cells import label
from attnviz.show.terminal.palette import percent
from attnviz.show.wording import PURPOSE, are_all

SINK = "the model's sink, a place that is none of the keys"
"""What takes weight beside all keys."""


def query_note(view: View, query: int, heads: Sequence[HeadId]) -> str:
    """How much of a query's attention special tokens, and the sink, take in the heads shown."""
    aside, name, notes = view.aside(query), label(view.tokens[query]), []
    if view.is_cross_attention:
        notes.append(purpose_note())
    takers, hint = [], ""
    if any(token.special for token in view.inspection.key_tokens.pieces):
        if view.special:
            takers.append((aside.special, "special tokens"))
            them = "them" if aside.sink is None else "special tokens"
            hint = f"; --no-special leaves {them} out"
        else:
            notes.append(left_out_note(view, name, _mean(aside.special, heads), heads))
    if aside.sink is not None:
        takers.append((aside.sink, SINK))
    if takers:
        of = (f" of its {view.measured.noun}", "")
        given = " and ".join(
            f"{percent(_mean(shares, heads))}{of[bool(number)]} to {taker}"
            for number, (shares, taker) in enumerate(takers)
        )
        notes.append(f'"{name}" gives {given} {_over(view, heads)}{hint}.')
    return " ".join(notes)


def _mean(shares: np.ndarray, heads: Sequence[HeadId]) -> float:
    """The mean of some heads' shares: (layer, head)."""
    return float(np.mean([shares[head.layer, head.place] for head in heads]))


def purpose_note() -> str:
    """What cross-attention is for."""
    return f"{PURPOSE[0].upper()}{PURPOSE[1:]}."


def sink_note(view: View, sink: np.ndarray | None, of: str = "") -> str:
    """How much of what is shown the sink takes; sink: (query,), `of` which queries, if not all."""
    if sink is None:
        return ""
    whole = f"the {view.measured.noun}" if view.special else "what is shown"
    average = f"On average of {of}" if of else "On average"
    return f"{average}, {percent(float(sink.mean()))} of {whole} goes to {SINK}."


def left_out_note(view: View, name: str, share: float, heads: Sequence[HeadId]) -> str:
    """How much of a query's attention went to special tokens that are left out."""
    told = f"{percent(share)} of its {view.measured.noun}"
    return (
        f'Special tokens are left out: "{name}" gave them {told} {_over(view, heads)}, '
        f"and what remains is shown {_rest(view)}."
    )


def dropped_note(view: View, dropped: float | None, heads: Sequence[HeadId]) -> str:
    """How much of all words' attention went to special tokens, where they are left out."""
    if dropped is None:
        return ""
    return (
        f"Special tokens are left out: they took {percent(dropped)} of the words' "
        f"{view.measured.noun} {_over(view, heads)}, and what remains of each is shown "
        f"{_rest(view)}."
    )


def hidden_note(view: View, count: int, shown: int) -> str:
    """How many of `count` heads, or layers, are not shown, and how to see them."""
    hidden = count - shown
    places = view.places if hidden > 1 else view.places.removesuffix("s")
    return f"{hidden} more {places}: --top {count} shows all."


def _rest(view: View) -> str:
    return "as 100%" if view.measured.shares else "as it was"


def _over(view: View, heads: Sequence[HeadId]) -> str:
    if are_all(view, heads):
        return f"(mean over all {view.places})"
    return f"(in {heads[0]})" if len(heads) == 1 else f"(mean over these {view.places})"
