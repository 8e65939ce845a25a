"""Random numbers of a model before its training, which its seed and their name alone determine."""

from typing import Any

import numpy as np

BLOCK = 64  # rows that are drawn at once


class DrawnTable:
    """A table of normal numbers, (rows, width), of which only the rows that are used are drawn.

    Rows come in blocks; each block has a generator of its own, from the seed, the name and the
    block's number.
    """

    def __init__(self, shape: tuple[int, int], seed: int, name: str, spread: float) -> None:
        self.shape = shape
        self._entropy = [seed, *name.encode()]
        self._spread = spread
        self._blocks: dict[int, np.ndarray] = {}

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        """The rows of these numbers, float32: (...) -> (..., width)."""
        rows = np.empty((*numbers.shape, self.shape[1]), np.float32)
        blocks = numbers // BLOCK
        for block in np.unique(blocks).tolist():
            if block not in self._blocks:
                self._blocks[block] = self._drawn(block)
            here = blocks == block
            rows[here] = self._blocks[block][numbers[here] % BLOCK]
        return rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All rows."""
        count = -(-self.shape[0] // BLOCK)
        rows = np.concatenate([self._drawn(block) for block in range(count)])
        return rows if dtype is None else rows.astype(dtype, copy=False)

    def _drawn(self, block: int) -> np.ndarray:
        seeds = np.random.SeedSequence(self._entropy, spawn_key=(block,))
        count = min(BLOCK, self.shape[0] - block * BLOCK)
        generator = np.random.default_rng(seeds)
        rows: np.ndarray = generator.standard_normal((count, self.shape[1]), np.float32)
        rows *= self._spread
        return rows
