"""What a head gives other pairs: the yardsticks beside a weight, each without the pair itself."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, NamedTuple

import numpy as np

from attnviz.answers.masks import Pairs, by_mask
from attnviz.answers.select import Phrase
from attnviz.attention.order import NEAR_ZERO, tiers
from attnviz.attention.shapes import Bool, Float, Int
from attnviz.inspection import Block, HeadId, View

ROWS_AT_ONCE = 512


class Yardstick(NamedTuple):
    """What a head gives other pairs: the mean, of how many, and weight / mean."""

    mean: float
    of: int
    lift: float | None


Reason = Literal["same_distance", "same_key"]
"""Which yardstick explains a weight away: a diagonal, or a stripe."""


def reason_of(same_distance: Yardstick | None, same_key: Yardstick | None) -> Reason | None:
    """The larger yardstick, the same key of two equal ones, if it is half of the weight or more."""
    distance, key = (0.0 if one is None else one.mean for one in (same_distance, same_key))
    reason: Reason = "same_key" if key >= distance else "same_distance"
    larger = same_key if reason == "same_key" else same_distance
    return reason if larger is not None and larger.lift and larger.lift <= 2 else None


@dataclass(frozen=True, eq=False)
class Yardsticks:
    """A yardstick in each head. `means`: NaN where there is no other pair."""

    means: Float[np.ndarray, "head"]
    counts: Int[np.ndarray, "head"]

    def at(self, place: int, weight: float) -> Yardstick | None:
        """The yardstick of one head, beside its weight; None where there is no other pair."""
        mean, count = float(self.means[place]), int(self.counts[place])
        if math.isnan(mean):
            return None
        return Yardstick(mean, count, float(weight / self.means[place]) if mean > 0 else None)

    def facts(self, place: int, weight: np.floating, counted: str) -> dict[str, Any] | None:
        """The same as JSON has it; numbers stay float32."""
        mean, count = self.means[place], int(self.counts[place])
        if math.isnan(mean):
            return None
        return {"mean": mean, counted: count, "lift": weight / mean if mean > 0 else None}


class _Like(NamedTuple):
    """Some of the asked pairs of tokens, and the others that they are compared with, by rows.

    `needed`: of these others there must be one, or there is nothing to compare with.
    """

    own: Pairs
    others: Pairs
    needed: Pairs


class OtherPairs:
    """What a query and a key are compared with: see `find`."""

    def __init__(self, view: View, query: Phrase, key: Phrase, layers: Sequence[int]) -> None:
        self._view, self._words = view, len(query.tokens)
        self._looks = np.flatnonzero([query.special or not token.special for token in view.tokens])
        by_distance = [] if view.context.is_cross_attention else list(self._as_far(query, key))
        self._distances, self._likes = len(by_distance), [*by_distance, *self._keys(query, key)]
        counted = by_mask(view, self._count)
        self._counts = {layer: counted(layer) for layer in layers}

    def sums(self, heads: int) -> Float[np.ndarray, "like head"]:
        """Where `add` adds up what each head gives the others."""
        return np.zeros((len(self._likes), heads))

    def add(self, sums: Float[np.ndarray, "like head"], block: Block) -> None:
        """Add some more rows."""
        for total, like in zip(sums, self._likes, strict=True):
            rows, columns = _within(like.others, block.rows.start, block.rows.stop)
            total += block.weights[:, rows, columns].sum(axis=1, dtype=np.float64)

    def yardsticks(
        self, sums: Float[np.ndarray, "like head"], heads: Sequence[HeadId]
    ) -> tuple[Yardsticks, Yardsticks]:
        """Same distance and same key in each head, after all rows were added."""
        counts = np.stack([self._counts[head.layer] for head in heads], axis=-1)
        own, others = counts
        means = np.divide(sums, others, out=np.zeros_like(sums), where=others > 0)
        lacks = (own > 0) & (others == 0)

        def found(likes: slice, count: np.ndarray) -> Yardsticks:
            mean = (own * means)[likes].sum(axis=0) / self._words
            mean[lacks[likes].any(axis=0) | ~own[likes].any(axis=0)] = np.nan
            return Yardsticks(mean.astype(np.float32), count)

        distance, key = slice(0, self._distances), slice(self._distances, None)
        others = np.where(own > 0, others, 0)
        return found(distance, others[distance].sum(axis=0)), found(key, others[key].max(axis=0))

    def _as_far(self, query: Phrase, key: Phrase) -> Iterator[_Like]:
        """For each distance of a word of the key from one of the query: pairs as far apart."""
        view, count = self._view, len(self._view.keys)
        counted = np.array([key.special or not token.special for token in view.keys])
        for distance in sorted({k - q for q, k in product(query.indices, key.indices)}):
            columns = self._looks + distance
            inside = (columns >= 0) & (columns < count)
            rows, columns = self._looks[inside], columns[inside]
            rows, columns = rows[counted[columns]], columns[counted[columns]]
            own = _among(rows, query) & _among(columns, key)
            others = rows[~own], columns[~own]
            yield _Like((rows[own], columns[own]), others, others)

    def _keys(self, query: Phrase, key: Phrase) -> Iterator[_Like]:
        """For each word of the key: all that look at it.

        That a key looks at itself counts among the others, and is no comparison alone.
        """
        asked = _among(self._looks, query)
        own, others = self._looks[asked], self._looks[~asked]
        crossed = self._view.context.is_cross_attention
        needed = others if crossed else others[~_among(others, key)]
        for column in key.indices:
            yield _Like(*((rows, np.full_like(rows, column)) for rows in (own, others, needed)))

    def _count(self, layer: int) -> Int[np.ndarray, "own_or_others like"]:
        """How many of the asked pairs, and of the others, the layer's mask allows."""
        counts = np.zeros((3, len(self._likes)), int)
        for start in range(0, len(self._view.tokens), ROWS_AT_ONCE):
            stop = start + ROWS_AT_ONCE
            mask = self._view.visible(layer, slice(start, stop))
            for place, like in enumerate(self._likes):
                for kind, pairs in enumerate(like):
                    rows, columns = _within(pairs, start, stop)
                    allowed = len(rows) if mask is None else mask[rows, columns].sum()
                    counts[kind, place] += allowed
        own, others, needed = counts
        return np.stack([own, np.where(needed > 0, others, 0)])


def best_first(
    weights: Float[np.ndarray, "head"], by: Float[np.ndarray, "head"]
) -> Int[np.ndarray, "head"]:
    """The places of heads, largest first; equals, and last those with NaN, by weight."""
    ranked = np.where(np.isnan(by), -np.inf, by)
    return np.lexsort((tiers(weights), tiers(ranked, NEAR_ZERO)))


def _among(indices: Int[np.ndarray, "n"], phrase: Phrase) -> Bool[np.ndarray, "n"]:
    """Which of some rows or columns are a phrase's, whose tokens follow each other."""
    own = phrase.indices
    return np.asarray((indices >= own[0]) & (indices <= own[-1]))


def _within(pairs: Pairs, start: int, stop: int) -> Pairs:
    """The pairs in some rows, counted from the first of them."""
    rows, columns = pairs
    here = slice(*np.searchsorted(rows, (start, stop)))
    return rows[here] - start, columns[here]
