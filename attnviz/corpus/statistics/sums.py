"""What is summed up of each text: of its rows, how much of each head's attention goes where.

All of it is linear in the weights, so that one product with the classes of the cells gives it, but
for the entropy and the maxima.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from attnviz.answers.masks import by_mask, has_rest
from attnviz.attention.shapes import Float
from attnviz.corpus.fold import Seen
from attnviz.corpus.statistics.places import (
    CLASSES,
    FACTS,
    FIRST,
    ITSELF,
    OFFSETS,
    REST,
    SINK,
    WORDS,
    Places,
    Text,
)
from attnviz.inspection import Block, HeadId, View, row_shares

TIE = 1e-3
"""A weight that is lower than its row's largest by less than this part of it counts in part as a
maximum, and equal ones at OFFSETS share it: rounding changes no count."""

ENTROPY, DISTANCE, TO_FIRST, BROUGHT, CARRIED = range(5)
MAXIMA = slice(5, 5 + len(OFFSETS))
IN_CLASS = slice(MAXIMA.stop, MAXIMA.stop + CLASSES)
FEATURES = IN_CLASS.stop

_LEAST = np.float32(1e-30)


@dataclass(frozen=True, eq=False)
class Sums:
    """One text's sums over its rows; heads are numbered layer by layer.

    `rested`: each head's sum, and sum of squares, of what rows give to resting places. `facts`: of
    each layer, as in `Places.facts`. `share`: its part of its document, if it is a window of one.
    """

    features: Float[np.ndarray, "feature head"]
    rested: Float[np.ndarray, "2 head"]
    facts: Float[np.ndarray, "fact layer"]
    share: float = 1.0

    @classmethod
    def of(cls, seen: Seen, num_layers: int, num_heads: int) -> "Sums":
        """The sums of a text's heads."""
        view, text, heads = seen.view, Text.of(seen), num_layers * num_heads
        features, rested = np.zeros((FEATURES, heads)), np.zeros((2, heads))
        facts = np.zeros((FACTS, num_layers))
        keysof = by_mask(view, lambda layer: Places.of(view, text, layer))
        norms = _norms(view)
        known: set[int] = set()
        for block in seen.blocks():
            layers, numbers = _numbered(tuple(block.heads), num_heads)
            each = {layer: keysof(layer) for layer in layers}
            for places in {id(places): places for places in each.values()}.values():
                own, some = block, numbers
                if len(layers) > 1 and any(other is not places for other in each.values()):
                    chosen = [n for n, head in enumerate(block.heads) if each[head.layer] is places]
                    own, some = block.of(chosen), numbers[chosen]
                found = _Rows.of(own, places, view)
                if found is not None:
                    lengths = None if norms is None else norms[_slice(some)]
                    features[:, _slice(some)] += found.features(lengths)
                    rested[:, _slice(some)] += found.rested()
                new = [layer for layer in layers if each[layer] is places and layer not in known]
                if new:
                    facts[:, new] = places.facts[:, None]
                    known.update(new)
        return cls(features, rested, facts, seen.share)


@lru_cache(maxsize=1 << 10)
def _numbered(heads: tuple[HeadId, ...], num_heads: int) -> tuple[tuple[int, ...], np.ndarray]:
    """The layers of some heads, and the heads' numbers."""
    layers = tuple(dict.fromkeys(head.layer for head in heads))
    return layers, np.array([head.layer * num_heads + head.place for head in heads])


def _slice(numbers: np.ndarray) -> slice | np.ndarray:
    """Numbers that follow each other as a slice, which saves a copy."""
    first, last = int(numbers[0]), int(numbers[-1])
    return slice(first, last + 1) if last - first + 1 == len(numbers) else numbers


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of a block that count, of heads that have one mask; `rest`: what is not shown."""

    weights: Float[np.ndarray, "head row key"]
    rest: Float[np.ndarray, "head row"] | None
    rows: slice
    places: Places
    view: View

    @classmethod
    def of(cls, block: Block, places: Places, view: View) -> "_Rows | None":
        """The rows of a block; None if none counts."""
        counted = np.flatnonzero(places.rows[block.rows])
        if not len(counted):
            return None
        first, end = int(counted[0]), int(counted[-1]) + 1
        weights = block.weights if view.context.measured.shares else row_shares(block.weights)
        weights = np.ascontiguousarray(weights[:, first:end])
        rows = slice(block.rows.start + first, block.rows.start + end)
        plain = places.rows[rows]
        if len(counted) < end - first:
            weights = weights * plain[:, None]
        rest = None
        if has_rest(view.context):
            rest = np.maximum(1 - weights.sum(axis=2), 0) * plain
        return cls(weights, rest, rows, places, view)

    @cached_property
    def by_key(self) -> Float[np.ndarray, "key head row"]:
        """The weights with the keys first: sums and maxima of short rows take longer than this."""
        turned: np.ndarray = np.ascontiguousarray(self.weights.transpose(2, 0, 1))
        return turned

    def features(
        self, norms: Float[np.ndarray, "head key"] | None
    ) -> Float[np.ndarray, "feature head"]:
        """The sums of the heads; norms: the lengths of v W_O, if they are known."""
        weights, rest, places = self.weights, self.rest, self.places
        flat = weights.reshape(len(weights), -1)
        own = np.zeros((FEATURES, len(weights)))
        own[ENTROPY] = _entropies(flat)
        own[IN_CLASS] = places.by_class(weights, self.rows)
        if rest is not None:
            own[ENTROPY] += _entropies(rest)
            own[IN_CLASS.start + SINK] = rest.sum(axis=1)
        if not self.view.context.is_cross_attention:
            own[DISTANCE] = flat @ _distances(places, self.rows)
        own[MAXIMA] = self._maxima()
        columns = _along(self.by_key, np.ones(weights.shape[1], np.float32)).T
        first = places.text.first
        if first is not None:
            own[TO_FIRST] = columns[:, first]
            if places.code[first, first] == ITSELF and self.rows.start <= first < self.rows.stop:
                own[TO_FIRST] -= weights[:, first - self.rows.start, first]
        if norms is not None:
            arrived = columns * norms
            own[CARRIED] = arrived.sum(axis=1)
            own[BROUGHT] = arrived[:, places.text.key_special].sum(axis=1)
            own[BROUGHT] += own[IN_CLASS.start + FIRST] * norms[:, 0]
        return own

    def rested(self) -> Float[np.ndarray, "2 head"]:
        """How much the rows give to resting places, and the squares of it."""
        given = self.by_key[self.places.text.key_special].sum(axis=0)
        if self.rest is not None:
            given += self.rest
        resting = self.places.code[self.rows, 0] == FIRST
        if resting.any():
            given += self.weights[:, :, 0] * resting
        return np.stack([given.sum(axis=1), np.einsum("hr,hr->h", given, given)])

    def _maxima(self) -> Float[np.ndarray, "offset head"]:
        """How many rows have their maximum at each of OFFSETS; equal ones share it."""
        weights, rest = self.weights, self.rest
        heads, rows, _ = weights.shape
        largest = self.by_key.max(axis=0)
        if rest is not None:
            largest = np.maximum(largest, rest)
        cells, down, which = self.places.near(self.rows)
        parts = weights.reshape(heads, -1).take(cells, axis=1)
        parts /= np.maximum(largest, _LEAST).take(down, axis=1)
        parts -= 1
        parts *= np.float32(1 / TIE)
        parts += 1
        np.maximum(parts, 0, out=parts)
        in_row = (down[:, None] == np.arange(rows)).astype(np.float32)
        ties = np.maximum(parts @ in_row, 1)
        parts /= ties.take(down, axis=1)
        found: np.ndarray = (parts @ which).T
        return found


def to_words(classes: Float[np.ndarray, "... category head"]) -> Float[np.ndarray, "... head"]:
    """The attention that goes to words."""
    found: np.ndarray = classes[..., WORDS, :].sum(axis=-2)
    return found


def to_rest(classes: Float[np.ndarray, "... category head"]) -> Float[np.ndarray, "... head"]:
    """The attention that goes to resting places."""
    found: np.ndarray = classes[..., list(REST), :].sum(axis=-2)
    return found


def _along(numbers: Float[np.ndarray, "a b c"], times: np.ndarray) -> np.ndarray:
    """The sum over the last axis, each number times another: (a, b)."""
    *others, count = numbers.shape
    sums: np.ndarray = (numbers.reshape(-1, count) @ times).reshape(others)
    return sums


def _entropies(weights: Float[np.ndarray, "head cell"]) -> Float[np.ndarray, "head"]:
    """The entropies of all rows of a head together, in bits."""
    logs = np.maximum(weights, _LEAST)
    np.log(logs, out=logs)
    found: np.ndarray = np.maximum(np.einsum("hc,hc->h", weights, logs) / -np.log(2), 0)
    return found


def _distances(places: Places, rows: slice) -> np.ndarray:
    """How far each word is from each row's; 0 for other tokens: float32, (cell,)."""
    keys = np.arange(places.code.shape[1], dtype=np.float32)
    apart = np.abs(keys - keys[rows, None])
    apart[:, places.text.key_special] = 0
    distances: np.ndarray = apart.ravel()
    return distances


def _norms(view: View) -> Float[np.ndarray, "head key"] | None:
    """All heads' lengths of v W_O, of words the mean of their pieces'; None if they lack."""
    layers = view.inspection.layers
    found = [None if layer is None else layer.value_norms for layer in layers]
    given = next((norms for norms in found if norms is not None), None)
    if view.measure != "weights" or given is None:
        return None
    norms = np.concatenate([np.zeros_like(given) if one is None else one for one in found])
    starts = view.inspection.key_tokens.word_starts
    if len(starts) == norms.shape[1]:
        return norms
    sizes = np.diff([*starts, norms.shape[1]]).astype(np.float32)
    means: np.ndarray = np.add.reduceat(norms, starts, axis=1) / sizes
    return means
