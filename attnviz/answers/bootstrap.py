"""Numbers of many sentences, kept in few blocks, and how far their means can be trusted."""

import numpy as np

from attnviz.attention.shapes import Float

RESAMPLES, AT_ONCE, SEED = 2000, 100, 0
OUTSIDE = 0.025  # of all means, on either side of an interval
EXPANDED = "percentiles expanded as in Hesterberg 2015"

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
    """The 95 % intervals of the means of what was counted: blocks are drawn anew, as many as there
    are (Efron 1979; seeded). See `covered`.
    """
    count, generator = len(sums), np.random.default_rng(SEED)
    means, rows = [], np.arange(AT_ONCE)[:, None]
    for _ in range(0, RESAMPLES, AT_ONCE):
        draws = generator.integers(count, size=(AT_ONCE, count)) + count * rows
        times = np.bincount(draws.ravel(), minlength=AT_ONCE * count).astype(np.float64)
        times = times.reshape(AT_ONCE, count)
        drawn = times @ counts
        nothing = np.full_like(drawn, np.nan)
        means.append(np.divide(times @ sums, drawn, out=nothing, where=drawn > 0))
    return np.stack(covered(np.concatenate(means), counts.sum(axis=0)))


def covered(
    resampled: Float[np.ndarray, "resample *shape"], documents: np.ndarray | float
) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of means of so many texts: low and high, from their resamples.

    Percentiles of few texts are too narrow, and so they are expanded as in Hesterberg 2015, "What
    teachers should know about the bootstrap": to the quantiles Φ(±t √(n / (n − 1))) of the
    resamples, where t is Student's with n − 1 degrees of freedom. Shares stay between 0 and 1.
    documents: of each mean, or of all. NaN below FEWEST; NaN among the resamples is left out.
    """
    from scipy.special import ndtr, stdtrit

    n = np.broadcast_to(np.asarray(documents, np.float64).round(6), resampled.shape[1:])
    few = n < FEWEST
    n = np.where(few, FEWEST, n)
    outside = ndtr(stdtrit(n - 1, OUTSIDE) * np.sqrt(n / (n - 1)))
    ordered = np.sort(resampled, axis=0)  # NaN comes last
    last = np.maximum(np.count_nonzero(~np.isnan(ordered), axis=0) - 1, 0)
    ends = []
    for quantile in (outside, 1 - outside):
        place = quantile * last
        below = place.astype(int)
        numbers = (
            np.take_along_axis(ordered, at[None], axis=0)[0]
            for at in (below, np.minimum(below + 1, last))
        )
        low, high = numbers
        ends.append(np.where(few, np.nan, low + (place - below) * (high - low)))
    return ends[0], ends[1]
