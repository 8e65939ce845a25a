"""Numbers of many sentences, kept in few blocks, and how far their means can be trusted."""

import numpy as np

from attnviz.attention.shapes import Float

RESAMPLES, AT_ONCE, SEED = 2000, 100, 0
COVERED = (0.025, 0.975)
"""The quantiles between which 95 % of the resampled means lie."""

FEWEST = 6
"""Of fewer sentences there is no interval: even all their numbers would hold less than 95 %.

The smallest and the largest of n numbers lie around the median with probability 1 − 2^(1−n).
"""

MOST_BLOCKS = 2048
"""Of more sentences neighbours are kept as sums, so that memory stays flat."""


class Blocks:
    """Sums of the arrays that are added, each of some neighbours; at first of one alone."""

    def __init__(self) -> None:
        self._blocks: list[np.ndarray] = []
        self._each, self._inside = 1, 0  # arrays in a block, and in the last one so far

    def add(self, numbers: Float[np.ndarray, "*shape"]) -> None:
        """Add one more."""
        if self._inside in (0, self._each):
            if len(self._blocks) == MOST_BLOCKS and self._inside == self._each:
                pairs = zip(self._blocks[::2], self._blocks[1::2], strict=True)
                self._blocks, self._each = [one + two for one, two in pairs], 2 * self._each
            self._blocks.append(np.zeros_like(numbers))
            self._inside = 0
        self._blocks[-1] += numbers
        self._inside += 1

    def sums(self) -> Float[np.ndarray, "block *shape"]:
        """The sums of all blocks, in the order in which they came."""
        return np.stack(self._blocks)


def intervals(
    sums: Float[np.ndarray, "block head"], counts: Float[np.ndarray, "block head"]
) -> Float[np.ndarray, "low_high head"]:
    """Where 95 % of means lie if blocks are drawn anew, as many as there are (percentile bootstrap,
    Efron 1979; seeded). NaN where fewer than FEWEST were counted.
    """
    count, generator = len(sums), np.random.default_rng(SEED)
    found = np.full((2, sums.shape[1]), np.nan)
    has = counts.sum(axis=0) >= FEWEST
    means, rows = [], np.arange(AT_ONCE)[:, None]
    for _ in range(0, RESAMPLES, AT_ONCE):
        draws = generator.integers(count, size=(AT_ONCE, count)) + count * rows
        times = np.bincount(draws.ravel(), minlength=AT_ONCE * count).astype(np.float64)
        times = times.reshape(AT_ONCE, count)
        drawn = times @ counts[:, has]
        nothing = np.full_like(drawn, np.nan)
        means.append(np.divide(times @ sums[:, has], drawn, out=nothing, where=drawn > 0))
    if has.any():
        found[:, has] = np.nanquantile(np.concatenate(means), COVERED, axis=0)
    return found
