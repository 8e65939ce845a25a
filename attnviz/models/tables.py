"""Weights that are made where they are used, drawn at random, or rounded."""

from abc import ABC, abstractmethod
from math import prod
from typing import Any

import numpy as np

BLOCK = 64  # rows that are drawn at once


class Table(ABC):
    """An array of float32 numbers, of which only the rows that are used are made.

    `table[numbers]` has the rows of these numbers, (...) -> (..., width); `np.asarray` has all.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.nbytes = 4 * prod(shape)

    @abstractmethod
    def __getitem__(self, numbers: np.ndarray) -> np.ndarray: ...

    @abstractmethod
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray: ...


class DrawnTable(Table):
    """A table of normal numbers, (rows, width), as a model has before its training.

    Rows come in blocks; each block has a generator of its own, from the seed, the name and the
    block's number.
    """

    def __init__(self, shape: tuple[int, int], seed: int, name: str, spread: float) -> None:
        super().__init__(shape)
        self._entropy = [seed, *name.encode()]
        self._spread = spread
        self._blocks: dict[int, np.ndarray] = {}

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        rows = np.empty((*numbers.shape, self.shape[1]), np.float32)
        blocks = numbers // BLOCK
        for block in np.unique(blocks).tolist():
            if block not in self._blocks:
                self._blocks[block] = self._drawn(block)
            here = blocks == block
            rows[here] = self._blocks[block][numbers[here] % BLOCK]
        return rows

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        count = -(-self.shape[0] // BLOCK)
        rows = np.concatenate([self._drawn(block) for block in range(count)])
        return rows.astype(dtype or self.dtype, copy=False)

    def _drawn(self, block: int) -> np.ndarray:
        seeds = np.random.SeedSequence(self._entropy, spawn_key=(block,))
        count = min(BLOCK, self.shape[0] - block * BLOCK)
        generator = np.random.default_rng(seeds)
        rows: np.ndarray = generator.standard_normal((count, self.shape[1]), np.float32)
        rows *= self._spread
        return rows


class WidenedTable(Table):
    """Numbers in bfloat16, which numpy lacks, exactly: each is the upper half of a float32."""

    def __init__(self, upper: np.ndarray) -> None:
        super().__init__(upper.shape)
        self._upper = upper

    def __getitem__(self, numbers: np.ndarray) -> np.ndarray:
        return _widened(self._upper[numbers])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return _widened(self._upper).astype(dtype or self.dtype, copy=False)


def _widened(upper: np.ndarray) -> np.ndarray:
    bits = upper.astype(np.uint32)
    bits <<= 16
    widened: np.ndarray = bits.view(np.float32)
    return widened


def untrained(
    name: str, shape: tuple[int, ...], seed: int, spread: float | None = None
) -> np.ndarray:
    """A weight before any training, in float32: no biases, plain norms, matrices drawn.

    The seed and the name decide. `spread`: the standard deviation of normal numbers, as BERT draws
    them; without, they are uniform, as in Glorot & Bengio 2010, 16.
    """
    if name.endswith(".bias"):
        return np.zeros(shape, np.float32)
    if len(shape) == 1:  # the gain of a norm
        return np.ones(shape, np.float32)
    # the generator takes numbers, so the name becomes one per byte
    called = name if spread is not None else name.removesuffix(".weight")
    generator = np.random.default_rng([seed, *called.encode()])
    if spread is not None:
        drawn: np.ndarray = generator.standard_normal(shape, np.float32)
        drawn *= spread
        return drawn
    uniform: np.ndarray = generator.random(shape, np.float32)
    bound = (6 / sum(shape)) ** 0.5
    uniform *= 2 * bound
    uniform -= bound
    return uniform


def rounded(numbers: np.ndarray, dtype: str) -> np.ndarray:
    """Float32 numbers rounded to "bfloat16" or "float16", ties to even; others as they are."""
    if dtype == "float16":
        return numbers.astype(np.float16).astype(np.float32)
    if dtype != "bfloat16":
        return numbers
    # bfloat16 is the upper half of float32
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    halfway = np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    upper = (bits + halfway) & np.uint32(0xFFFF0000)
    out: np.ndarray = upper.view(np.float32)
    return out
