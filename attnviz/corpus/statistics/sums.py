"""What is summed up of each text: of its rows, how much of each head's attention goes where.

All of it is linear in the weights, so that one product with the classes of the cells gives it, but
for the entropy and the maxima.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from attnviz.answers.masks import has_rest
from attnviz.attention.shapes import Float
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics.places import (
    BY_OFFSET,
    CLASSES,
    CLS,
    FIRST,
    ITSELF,
    OFFSETS,
    REST,
    SEPARATORS,
    SIEVES,
    SINK,
    WORDS,
    Places,
    Text,
    grouped,
)
from attnviz.inspection import Block, View, row_shares

TIE = 1e-3
"""A weight that is lower than its row's largest by less than this part of it counts in part as a
maximum, and equal ones share it: rounding changes no count."""

ENTROPY, DISTANCE, TO_FIRST, BROUGHT, CARRIED = range(5)
MAXIMA = slice(5, 5 + len(OFFSETS))
IN_CLASS = slice(MAXIMA.stop, MAXIMA.stop + CLASSES)
FEATURES = IN_CLASS.stop

COUNTED = (
    "largest", "previous", "next", "first", "cls", "separators", "sink", "same word", "punctuation",
    *(f"offset {offset}" for offset in OFFSETS),
)  # fmt: skip
"""What is counted of rows, beside the rows: the largest entropy possible, and those that have such
a key at all."""

_LEAST = np.float32(1e-30)


def _only(number: int) -> np.ndarray:
    found = np.zeros(CLASSES, bool)
    found[number] = True
    return found


_HAVING = np.stack(
    [
        *(SIEVES[name] for name in ("previous", "next")),
        *(_only(number) for number in (CLS, SEPARATORS, SINK)),
        *(SIEVES[name] for name in ("same word", "punctuation")),
        *BY_OFFSET,
    ]
).astype(np.float64)


@dataclass(eq=False)
class Sums:
    """One text's sums over its rows.

    `features`: (FEATURES, head). `rested`: each head's sum and sum of squares of what rows give to
    resting places. `places`: by layer. Heads are numbered layer by layer.
    """

    num_layers: int
    num_heads: int
    features: Float[np.ndarray, "feature head"] = field(init=False)
    rested: Float[np.ndarray, "2 head"] = field(init=False)
    places: dict[int, Places] = field(default_factory=dict)

    def __post_init__(self) -> None:
        heads = self.num_layers * self.num_heads
        self.features = np.zeros((FEATURES, heads))
        self.rested = np.zeros((2, heads))

    @classmethod
    def of(cls, seen: Seen, num_layers: int, num_heads: int) -> "Sums":
        """The sums of a text's heads."""
        sums, view = cls(num_layers, num_heads), seen.view
        text = Text.of(seen)
        groups = grouped(view, lambda layer: Places.of(view, text, layer))
        for block in seen.blocks():
            for places, some in groups(block.heads):
                own = block if isinstance(some, slice) else block.of(some)
                sums.places |= dict.fromkeys((head.layer for head in own.heads), places)
                numbers = [head.layer * num_heads + head.place for head in own.heads]
                sums._add(own, places, view, np.array(numbers))
        return sums

    @property
    def rows(self) -> Float[np.ndarray, "head"]:
        """How many rows each head has."""
        counts = self.spread_out(lambda places: np.array([places.rows.sum()]))
        return np.repeat(counts[0], self.num_heads)

    def spread_out(self, of: Callable[[Places], np.ndarray]) -> np.ndarray:
        """Numbers of each mask, (number,), for each layer: (number, layer); 0 without."""
        made: dict[int, np.ndarray] = {}
        for places in self.places.values():
            if id(places) not in made:
                made[id(places)] = of(places)
        found = np.zeros((len(next(iter(made.values()))), self.num_layers))
        for layer, places in self.places.items():
            found[:, layer] = made[id(places)]
        return found

    def _add(self, block: Block, places: Places, view: View, heads: np.ndarray) -> None:
        """Add some rows of the heads with these numbers."""
        first, end = _counted(places.rows[block.rows])
        if end <= first:
            return
        weights = block.weights if view.context.measured.shares else row_shares(block.weights)
        weights = weights[:, first:end]
        rows = slice(block.rows.start + first, block.rows.start + end)
        plain = places.rows[rows]
        if not plain.all():
            weights = weights * plain[None, :, None].astype(weights.dtype)
        flat = weights.reshape(len(weights), -1)
        own = np.zeros((FEATURES, len(weights)))
        rest = None
        if has_rest(view.context):
            rest = np.maximum(1 - weights.sum(axis=2), 0) * plain
        own[ENTROPY] = _entropies(flat) + (0 if rest is None else _entropies(rest))
        own[IN_CLASS] = (flat @ places.one_hot(rows).T).T
        if rest is not None:
            own[IN_CLASS][SINK] = rest.sum(axis=1)
        if not view.context.is_cross_attention:
            own[DISTANCE] = flat @ _distances(places, rows)
        own[MAXIMA] = _maxima(weights, rest, places, rows)
        columns = weights.sum(axis=1, dtype=np.float64)
        if places.text.first is not None:
            column = columns[:, places.text.first]
            own[TO_FIRST] = column - _own(weights, places, rows)
        self._add_norms(block, columns, own, places, view)
        self._add_rested(weights, rest, places, rows, heads)
        self.features[:, heads] += own

    def _add_norms(
        self, block: Block, columns: np.ndarray, own: np.ndarray, places: Places, view: View
    ) -> None:
        """What arrives of the keys, by the lengths of their v W_O, if these are known."""
        norms = _norms(view, block)
        if norms is None:
            return
        arrived = columns * norms
        own[CARRIED] = arrived.sum(axis=1)
        own[BROUGHT] = arrived[:, places.text.key_special].sum(axis=1)
        own[BROUGHT] += own[IN_CLASS][FIRST] * norms[:, 0]

    def _add_rested(
        self,
        weights: np.ndarray,
        rest: np.ndarray | None,
        places: Places,
        rows: slice,
        heads: np.ndarray,
    ) -> None:
        """How much each row gives to resting places, and the square of it."""
        given = weights[:, :, places.text.key_special].sum(axis=2)
        if rest is not None:
            given = given + rest
        resting = places.code[rows, 0] == FIRST
        if resting.any():
            given = given + weights[:, :, 0] * resting
        self.rested[0, heads] += given.sum(axis=1, dtype=np.float64)
        self.rested[1, heads] += np.square(given).sum(axis=1, dtype=np.float64)


def counts_of(places: Places) -> np.ndarray:
    """How many rows there are, and how many COUNTED of them: (1 + COUNTED,)."""
    having = (_HAVING @ places.cells > 0).sum(axis=1)
    largest = np.log2(places.choices[places.rows]).sum()
    return np.array([places.rows.sum(), largest, *having[:2], places.first_rows(), *having[2:]])


def to_words(classes: Float[np.ndarray, "... category head"]) -> Float[np.ndarray, "... head"]:
    """The attention that goes to words."""
    found: np.ndarray = classes[..., WORDS, :].sum(axis=-2)
    return found


def to_rest(classes: Float[np.ndarray, "... category head"]) -> Float[np.ndarray, "... head"]:
    """The attention that goes to resting places."""
    found: np.ndarray = classes[..., list(REST), :].sum(axis=-2)
    return found


def _counted(rows: np.ndarray) -> tuple[int, int]:
    """From the first to the last row that counts."""
    found = np.flatnonzero(rows)
    return (int(found[0]), int(found[-1]) + 1) if len(found) else (0, 0)


def _entropies(weights: Float[np.ndarray, "head cell"]) -> Float[np.ndarray, "head"]:
    """The entropies of all rows of a head together, in bits."""
    logs = np.log(np.maximum(weights, _LEAST))
    sums = np.einsum("hc,hc->h", weights, logs, dtype=np.float64)
    found: np.ndarray = np.maximum(sums / -np.log(2), 0)
    return found


def _distances(places: Places, rows: slice) -> np.ndarray:
    """How far each word is from each row's; 0 for other tokens: float32, (cell,)."""
    queries = np.arange(rows.start, rows.stop)
    apart = np.abs(np.arange(places.code.shape[1]) - queries[:, None])
    distances: np.ndarray = (apart * ~places.text.key_special).astype(np.float32).ravel()
    return distances


def _maxima(
    weights: np.ndarray, rest: np.ndarray | None, places: Places, rows: slice
) -> Float[np.ndarray, "offset head"]:
    """How many rows have their maximum at each of OFFSETS; ties count in parts."""
    largest = weights.max(axis=2)
    if rest is not None:
        largest = np.maximum(largest, rest)
    scale = 1 / np.maximum(largest * np.float32(TIE), _LEAST)
    are_largest = weights - largest[:, :, None]
    are_largest *= scale[:, :, None]
    are_largest += 1
    np.maximum(are_largest, 0, out=are_largest)
    ties = are_largest @ np.ones(weights.shape[2], np.float32)
    if rest is not None:
        ties += np.maximum((rest - largest) * scale + 1, 0)
    down, across, which = places.near(rows)
    parts = are_largest[:, down, across] / np.maximum(ties, 1)[:, down]
    found: np.ndarray = (parts @ which).T
    return found


def _own(weights: np.ndarray, places: Places, rows: slice) -> np.ndarray:
    """What the first word gives to itself."""
    first = places.text.first
    if first is None or not rows.start <= first < rows.stop or places.code[first, first] != ITSELF:
        return np.zeros(len(weights))
    own: np.ndarray = weights[:, first - rows.start, first]
    return own


def _norms(view: View, block: Block) -> Float[np.ndarray, "head key"] | None:
    """The lengths of v W_O, of words the mean of their pieces'; None if one is not known."""
    found = []
    if view.measure != "weights":
        return None
    for layer in dict.fromkeys(head.layer for head in block.heads):
        norms = view.inspection.layer(layer).value_norms
        if norms is None:
            return None
        found.append(norms[[head.place for head in block.heads if head.layer == layer]])
    norms = np.concatenate(found)
    starts = view.inspection.key_tokens.word_starts
    if len(starts) == norms.shape[1]:
        return norms
    sizes = np.diff([*starts, norms.shape[1]])
    means: np.ndarray = np.add.reduceat(norms, starts, axis=1) / sizes
    return means
