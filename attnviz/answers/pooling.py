"""A matrix too large to be shown, by blocks: what is the largest number of each?

The largest, and not the mean, which would hide diagonals and single links.
"""

import math

import numpy as np


class Pool:
    """The largest numbers of blocks of `steps` rows and columns, put together as rows come.

    `numbers`: (..., block of rows, block of columns), 0 until rows are added; the last blocks may
    hold less.
    """

    def __init__(self, shape: tuple[int, ...], steps: tuple[int, int]) -> None:
        *others, down, across = shape
        self._steps = steps
        self._columns = np.arange(0, across, steps[1])
        blocks = math.ceil(down / steps[0]), len(self._columns)
        self.numbers = np.zeros((*others, *blocks), np.float32)

    @classmethod
    def within(cls, shape: tuple[int, ...], most: int) -> "Pool":
        """With at most so many blocks down and across."""
        return cls(shape, (math.ceil(shape[-2] / most), math.ceil(shape[-1] / most)))

    def add(self, rows: slice, weights: np.ndarray) -> None:
        """Count some rows, (..., query, key), none of which is below 0."""
        step, first = self._steps[0], rows.start // self._steps[0]
        starts = np.maximum(np.arange(first * step, rows.stop, step) - rows.start, 0)
        found = weights
        if step > 1:
            found = np.maximum.reduceat(found, starts, axis=-2)
        if self._steps[1] > 1:
            found = np.maximum.reduceat(found, self._columns, axis=-1)
        own = self.numbers[..., first : first + len(starts), :]
        np.maximum(own, found, out=own)
