"""What stands below a table: how much attention special tokens take, and what is not shown."""

from collections.abc import Sequence

import numpy as np

from attnviz.analysis.special import special_share
from attnviz.inspection import HeadId, View
from attnviz.render.terminal.cells import label
from attnviz.render.terminal.palette import percent

SINK = "the model's sink, a place that is none of the keys"
"""What takes weight beside all keys."""


def query_note(view: View, query: int, heads: Sequence[HeadId]) -> str:
    """How much of a query's attention special tokens, and the sink, take in the heads shown."""
    sink = view.aside(query).sink
    return " ".join(
        filter(
            None,
            (
                _special_note(view, query, heads),
                "" if sink is None else _query_sink_note(view, query, sink, heads),
            ),
        )
    )


def _query_sink_note(view: View, query: int, sink: np.ndarray, heads: Sequence[HeadId]) -> str:
    """sink: (layer, head)."""
    share = float(np.mean([sink[head.layer, head.place] for head in heads]))
    name, noun = label(view.tokens[query]), view.measured.noun
    return f'"{name}" gives {percent(share)} of its {noun} to {SINK} {_over(view, heads)}.'


def sink_note(view: View, sink: np.ndarray | None) -> str:
    """How much of what is shown the sink takes; sink: (query,)."""
    if sink is None:
        return ""
    whole = f"the {view.measured.noun}" if view.special else "what is shown"
    rest = "" if view.window else ": rows sum to less than 1"
    return f"On average, {percent(float(sink.mean()))} of {whole} goes to {SINK}{rest}."


def _special_note(view: View, query: int, heads: Sequence[HeadId]) -> str:
    """How much of a query's attention special tokens take in the heads shown."""
    share = special_share(view, query, heads)
    if share is None:
        return ""
    name = label(view.tokens[query])
    if not view.special:
        return left_out_note(view, name, share, heads)
    return (
        f'"{name}" gives {percent(share)} of its {view.measured.noun} to special tokens '
        f"{_over(view, heads)}; --no-special leaves them out."
    )


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
    if len(heads) == len(view.all_heads()):
        return f"(mean over all {view.places})"
    return f"(in {heads[0]})" if len(heads) == 1 else f"(mean over these {view.places})"
