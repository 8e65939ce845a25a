"""The strongest links of some heads, out of rows that are never all in memory."""

import numpy as np

from attnviz.attention.order import descending
from attnviz.inspection import Block

SMALLEST = 1e-30
"""What a largest number of nothing counts as, so that nothing is a link."""


class Strongest:
    """The strongest links, `most` of them, an entry each in four arrays; of equal ones the first.

    `heads` are places in the order in which heads came; they, queries and keys ascend. Links are
    weights above 0 of at least `least`, which is a part of the largest number where these are no
    shares: `scale`, 1 for shares.
    """

    def __init__(self, most: int, least: float, shares: bool) -> None:
        self.heads, self.queries, self.keys = (np.zeros(0, np.intp) for _ in range(3))
        self.weights = np.zeros(0, np.float32)
        self.scale = 1.0 if shares else SMALLEST
        self._most, self._least, self._shares = most, least, shares

    def add(self, stack: Block) -> None:
        """Count some rows of some heads."""
        if not self._shares:
            self.scale = max(self.scale, float(stack.weights.max()))
        needed = max(self._least * self.scale, self._weakest)
        heads, queries, keys = np.nonzero((stack.weights >= needed) & (stack.weights > 0))
        weights = stack.weights[heads, queries, keys]
        self._keep(heads, queries + stack.rows.start, keys, weights)

    def join(self, other: "Strongest", first: int) -> None:
        """Count what another has counted; its heads come behind `first` others."""
        self.scale = max(self.scale, other.scale)
        self._keep(other.heads + first, other.queries, other.keys, other.weights)

    @property
    def _weakest(self) -> float:
        """What a link must have to be among the strongest."""
        return float(self.weights.min()) if len(self.weights) == self._most else 0.0

    def _keep(
        self, heads: np.ndarray, queries: np.ndarray, keys: np.ndarray, weights: np.ndarray
    ) -> None:
        """Put more behind those there are, and keep the strongest."""
        arrays = [
            np.concatenate(pair)
            for pair in (
                (self.heads, heads),
                (self.queries, queries),
                (self.keys, keys),
                (self.weights, weights),
            )
        ]
        if len(arrays[-1]) > self._most:
            order = descending(arrays[-1], self._most)
            arrays = [array[np.sort(order)] for array in arrays]
        self.heads, self.queries, self.keys, self.weights = arrays
