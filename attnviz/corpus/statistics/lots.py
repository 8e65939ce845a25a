"""Lots that fall the same in any order: 64 bits for a text, and for whatever is counted in it."""

import numpy as np

from attnviz.attention.shapes import Int
from attnviz.corpus.document import hashed
from attnviz.corpus.fold import Seen

_STEP, _FIRST = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def lot_of(seen: Seen, name: str) -> int:
    """64 bits for a text, or for one window of it, and what the lot is drawn for."""
    part, document = seen.inspection.part, seen.document
    window = 0 if part is None else part.index
    return hashed(name, document.key, document.source, document.number, window)


def lots(lot: int, numbers: Int[np.ndarray, "n"]) -> np.ndarray:
    """64 bits for each number, as uint64: splitmix64 (Steele, Lea & Flood 2014) from a text's lot.

    Numbers are smaller than 2^63.
    """
    state = np.uint64(lot) + (numbers.astype(np.uint64) + np.uint64(1)) * _STEP
    state = (state ^ (state >> np.uint64(30))) * _FIRST
    state = (state ^ (state >> np.uint64(27))) * _SECOND
    drawn: np.ndarray = state ^ (state >> np.uint64(31))
    return drawn


_STEP, _FIRST, _SECOND = map(
    np.uint64, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)
