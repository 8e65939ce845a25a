"""How an inspection is looked at, and which words, layers and heads names mean."""

from typing import TypedDict

from attnviz.answers.select import HeadName, find_in, select_heads, select_in
from attnviz.attention.measures import MeasureName
from attnviz.inspection import HeadId, Inspection, View, Window
from attnviz.inspection.context import Role
from attnviz.text.tokens import Unit


class Look(TypedDict, total=False):
    """How an inspection is looked at; every function that shows one takes these by name.

    `unit`: "word", or "piece" for what the tokenizer cut. `special=False` leaves special tokens
    out, and divides what remains by its sum where rows are shares. `measure`: "weights"; "norm",
    the sizes of what they bring (Kobayashi et al. 2020); or "rollout" or "flow", down through the
    layers (Abnar & Zuidema 2020), where a layer has no heads to choose. `window`: a part of a long
    text to look at closely, the index of its first token and the end. A name that is none of these,
    or a window without a token, is a RequestError.
    """

    unit: Unit
    special: bool
    measure: MeasureName
    window: Window | None


def heads_of(view: View, layer: int | None, head: HeadName | None) -> list[HeadId]:
    """The heads that a layer and a head mean; none where neither is given."""
    layers = [] if layer is None else [layer]
    return select_in(view.context, layers, [] if head is None else [head])


def heads_named(inspection: Inspection, name: HeadName) -> list[HeadId]:
    """The head, or with `"L3"` the layer's heads, that one name means."""
    if isinstance(name, tuple) and name[1] is None:
        return select_heads(inspection.model, [name[0]])
    if not isinstance(name, str):
        return select_heads(inspection.model, [], [name])
    layer = name.strip().lower().removeprefix("l")
    if name.strip().lower().startswith("l") and "h" not in layer:
        return select_heads(inspection.model, [layer])
    return select_heads(inspection.model, [], [name])


def index_of(view: View, role: Role, word: str | None) -> int | None:
    """The row of a word that looks, or the column of one that is looked at; None for none."""
    return None if word is None else find_in(view.context, role, word).token.index
