"""Heads' weights as they come: of several heads at once, or of one head some rows at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from attnviz.inspection.facts import HeadId


class HeadStack(NamedTuple):
    """The weights of some heads, together; they may belong to several layers.

    weights: (head, query, key), in the view's measure; dropped: (head, query), the share of each
    query's row that went to the special tokens left out, or None where none are left out.
    """

    heads: list[HeadId]
    weights: np.ndarray
    dropped: np.ndarray | None


class Part(NamedTuple):
    """Some rows of some heads: which, and of them what HeadStack has of all."""

    rows: slice
    weights: np.ndarray
    dropped: np.ndarray | None


class Group(NamedTuple):
    """Some heads, and their rows: all in one part, or in several that come one after the other.

    `parts` are computed as they are asked for, and can be gone through once.
    """

    heads: list[HeadId]
    parts: Iterator[Part]


def joined(parts: Iterator[Part], count: int) -> tuple[np.ndarray, np.ndarray | None]:
    """All `count` rows of some heads, put together: weights and dropped, as HeadStack has them."""
    rows, weights, dropped = next(parts)
    if rows.stop == count:
        return weights, dropped
    whole = np.empty((len(weights), count, weights.shape[-1]), weights.dtype)
    shares = None if dropped is None else np.empty(whole.shape[:-1], whole.dtype)
    while True:
        whole[:, rows] = weights
        if shares is not None:
            shares[:, rows] = dropped
        if rows.stop == count:
            return whole, shares
        rows, weights, dropped = next(parts)


def row_shares(weights: np.ndarray) -> np.ndarray:
    """Rows as shares, (..., key): divided by their sum; a row of zeros stays as it is."""
    return ratio(weights, weights.sum(axis=-1, keepdims=True))


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Part of whole, and 0 where the whole is nothing."""
    shares: np.ndarray = np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
    return shares
