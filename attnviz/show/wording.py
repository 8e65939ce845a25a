"""Whose attention it is, who may look where, and at what part of a text one looks.

Tables, pictures and notebooks say it in the same words, which are made here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from attnviz.answers.places import ROWS_AT_ONCE
from attnviz.answers.pooling import Pool
from attnviz.attention.layer import LayerRecord
from attnviz.inspection import HeadId, View
from attnviz.text.tokens import Token, Tokens, Unit

Role = Literal["query", "key"]
"""Whether a token looks, or is looked at."""

MAY_NOT = "may not look there"
"""What a table's blank cells mean, and a picture's grey ones."""

PURPOSE = "what a word of the target looks at serves to choose the word behind it"
"""What must be known of cross-attention, or rows seem to be one word late."""

LAYERS_NAMED = 6
"""How many layers a line names; more are counted."""


@dataclass(frozen=True)
class Said:
    """A text that is shown, one of a pair (`segment`) or alone.

    `name` is what it is to be called, nothing where there is but one kind. `span` is the part of it
    that the view's window holds, in characters; None without a window.
    """

    name: str
    role: Role
    segment: int
    text: str
    span: tuple[int, int] | None


class Reach(NamedTuple):
    """How many pieces before itself, and after, each may look at; None: all there are."""

    before: int | None
    after: int | None


ALL = Reach(None, None)


def role_name(view: View, role: Role) -> str:
    """`queries` or `keys`; where these are of two texts, `queries (target)`, `keys (source)`."""
    plural = "queries" if role == "query" else "keys"
    if not view.is_cross_attention:
        return plural
    return f"{plural} ({'target' if role == 'query' else 'source'})"


def tokens_of(view: View, role: Role) -> tuple[Token, ...]:
    """The tokens that look, or those that are looked at."""
    return view.tokens if role == "query" else view.keys


def are_all(view: View, heads: Sequence[HeadId]) -> bool:
    """Whether these are all heads of the model, or layers; a layer may not have been recorded."""
    return len(set(heads)) == view.model.num_layers * view.num_heads


def texts(view: View) -> Iterator[Said]:
    """Every text that tokens come from; the source first, where there is one."""
    inspection = view.inspection
    own: list[tuple[Role, Tokens]] = [("query", inspection.tokens)]
    if inspection.keys is not None:
        own.insert(0, ("key", inspection.keys))
    for role, tokens in own:
        for segment, text in enumerate((tokens.text, tokens.pair)):
            if text is not None:
                name = role_name(view, role) if view.is_cross_attention else ""
                span = _span(view, segment) if role == "query" else None
                yield Said(name, role, segment, text, span)


def _span(view: View, segment: int) -> tuple[int, int] | None:
    if view.window is None:
        return None
    own = [token for token in view.tokens if token.segment == segment]
    starts = [token.start for token in own if token.start is not None]
    ends = [token.end for token in own if token.end is not None]
    return (min(starts), max(ends)) if starts and ends else (0, 0)


def window_told(view: View, inside: float | None = None, whose: str = "their") -> str:
    """Which tokens the window holds; `inside`: the share of attention that stays in it, `whose`.

    Where the text is itself one of the windows that a longer one was cut into, also which.
    """
    return "; ".join(filter(None, (part_told(view), _window_told(view, inside, whose))))


def part_told(view: View) -> str:
    """Which window of a longer text was looked at, where one was cut into windows."""
    part = view.inspection.part
    if part is None:
        return ""
    return f"{part}: pieces {part.start} to {part.end - 1} of the text"


def _window_told(view: View, inside: float | None, whose: str) -> str:
    if view.window is None:
        return ""
    count = len(view.inspection.tokens.unit(view.unit))
    first, end = view.window
    last = min(end, count) - 1
    told = f"tokens {first} to {last} of {count}" if last > first else f"token {first} of {count}"
    if inside is None or view.is_cross_attention or not view.measured.shares:
        return told
    return f"{told}; {inside:.0%} of {whose} {view.measured.noun} lies in the window"


def may_look(view: View, index: int, role: Role, layers: Sequence[int]) -> np.ndarray:
    """Which tokens one may look at, or which may look at it, in each layer: (layer, other)."""
    sees = _row if role == "query" else _column
    found = {layer: sees(view, layer, index) for layer in dict.fromkeys(layers)}
    return np.stack([found[layer] for layer in layers])


def _row(view: View, layer: int, index: int) -> np.ndarray:
    """Which keys a query may look at: (key,)."""
    seen = view.visible(layer, slice(index, index + 1))
    return np.ones(len(view.keys), bool) if seen is None else seen[0]


def _column(view: View, layer: int, index: int) -> np.ndarray:
    """Which queries may look at a key: (query,). Of a long text, some rows at a time."""
    whole = np.ones(len(view.tokens), bool)
    for start in range(0, len(whole), ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        seen = view.visible(layer, rows)
        if seen is not None:
            whole[rows] = seen[:, index]
    return whole


def seen_blocks(view: View, layer: int, steps: tuple[int, int]) -> np.ndarray | None:
    """Whether any query of a block of `steps` queries and keys may look at any of its keys.

    (block of queries, block of keys); None where all may.
    """
    count = len(view.tokens)
    pool = Pool((count, len(view.keys)), steps)
    for start in range(0, count, ROWS_AT_ONCE):
        rows = slice(start, min(start + ROWS_AT_ONCE, count))
        seen = view.visible(layer, rows)
        every = np.ones((rows.stop - start, len(view.keys)), np.float32)
        pool.add(rows, every if seen is None else seen.astype(np.float32))
    found: np.ndarray = pool.numbers > 0
    return None if found.all() else found


def whose(view: View, layers: Sequence[int] = ()) -> str:
    """Whose attention it is, and who may look where in these layers (none: in all recorded).

    Nothing, where every token of an encoder may look at every other.
    """
    inspection, unit = view.inspection, view.unit
    if view.is_cross_attention:
        return f"cross-attention: the decoder's {unit}s look at the encoder's"
    reaches: dict[Reach | None, list[int]] = {}
    for number in sorted(set(layers)) or inspection.recorded:
        reaches.setdefault(_reach(inspection.layer(number)), []).append(number)
    if len(reaches) > 1:
        told = "; ".join(f"in {_named(n)} {_sees(reach, unit)}" for reach, n in reaches.items())
        return f"{inspection.attention}: {told}"
    [reach] = reaches
    if inspection.attention == "encoder" and reach in (None, ALL):
        return ""
    if reach is None:
        return f"the {inspection.attention}'s own attention"
    return f"{inspection.attention}: {_sees(reach, unit)}"


def _reach(record: LayerRecord) -> Reach | None:
    """How far queries may look; None where that is not known, or no question of distance."""
    if record.given is not None or (record.bias is not None and np.isneginf(record.bias).any()):
        return None
    if record.visible is None:
        return ALL
    own = np.arange(len(record.visible))
    back = own[::-1]
    before, after = own - record.visible[:, 0], record.visible[:, 1] - 1 - own
    most = int(before.max()), int(after.max())
    if (before != np.minimum(own, most[0])).any() or (after != np.minimum(back, most[1])).any():
        return None
    return Reach(*(None if reach >= back[0] > 0 else reach for reach in most))


def _sees(reach: Reach | None, unit: Unit) -> str:
    """What a token may look at, in words."""
    if reach is None:
        return f"each {unit} sees some"
    if reach == ALL:
        return f"each {unit} sees all"
    if reach == (0, 0):
        return f"each {unit} sees itself alone"
    if reach.before == reach.after:
        return f"each {unit} sees itself and {_counted(reach.before)} on each side"
    sides = (_beside(reach.before, "before"), _beside(reach.after, "behind"))
    return f"each {unit} sees {' and '.join(filter(None, ('itself', *sides)))}"


def _beside(number: int | None, where: str) -> str:
    if number is None:
        return f"those {where} it"
    return f"the {_counted(number)} {where} it".replace("the 1 ", "the ") if number else ""


def _counted(number: int | None) -> str:
    return f"{number} piece{'' if number == 1 else 's'}"


def _named(layers: Sequence[int]) -> str:
    if len(layers) > LAYERS_NAMED:
        return f"{len(layers)} layers"
    return ", ".join(f"L{number}" for number in layers)
