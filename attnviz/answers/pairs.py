"""Which pairs of tokens are like the pair that is asked about, and how many of them may look?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from attnviz.answers.phrase import Phrase
from attnviz.inspection import View

ROWS_AT_ONCE = 512
"""Rows of a long text's mask that are looked at together."""


class Like(NamedTuple):
    """Pairs of tokens that are like a pair of words asked about: rows, ascending, and columns.

    `words`: how many of the words asked about are such a pair.
    """

    words: int
    rows: np.ndarray
    columns: np.ndarray


def likes_of(view: View, query: Phrase, key: Phrase) -> list[Like]:
    """For the words of a query and a key, the pairs of tokens like them.

    Those are as far apart; or, where queries and keys are of two texts, all that have the key.
    Special tokens do not count, unless the query or the key is one.
    """
    looks = np.array([query.special or not token.special for token in view.tokens])
    if view.is_cross_attention:
        rows, words = np.flatnonzero(looks), len(query.tokens)
        return [Like(words, rows, np.full_like(rows, column)) for column in key.indices]
    likes, length = [], len(view.keys)
    seen = np.array([key.special or not token.special for token in view.keys])
    distances = np.subtract.outer(key.indices, query.indices).ravel()
    for distance, words in zip(*np.unique(distances, return_counts=True), strict=True):
        low, high = max(0, -distance), length - max(0, distance)
        rows = np.flatnonzero(looks[low:high]) + low
        rows = rows[seen[rows + distance]]
        likes.append(Like(int(words), rows, rows + distance))
    return likes


def count(view: View, layer: int, likes: Sequence[Like]) -> np.ndarray:
    """How many of the pairs may look, in a layer: (like,)."""
    counts = np.zeros(len(likes), int)
    for start in range(0, len(view.tokens), ROWS_AT_ONCE):
        stop = start + ROWS_AT_ONCE
        seen = view.visible(layer, slice(start, stop))
        for place, like in enumerate(likes):
            here = slice(*np.searchsorted(like.rows, (start, stop)))
            rows, columns = like.rows[here], like.columns[here]
            counts[place] += len(rows) if seen is None else seen[rows - start, columns].sum()
    return counts


def seen_by(view: View, query: Phrase, layers: Sequence[int]) -> np.ndarray:
    """Which keys any word of the query may look at, in one of the layers: (key,)."""
    rows = slice(query.indices[0], query.indices[-1] + 1)
    seen = np.zeros(len(view.keys), dtype=bool)
    for layer in layers:
        mask = view.visible(layer, rows)
        seen |= True if mask is None else mask.any(axis=0)
    return seen
