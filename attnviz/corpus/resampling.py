"""Means over a corpus with 95 % intervals, the same in any order and any split.

The Poisson bootstrap: each document is drawn Poisson(1) times into each of many resamples, which
needs neither the number of documents nor their order (Hanley & MacGibbon 2006, "Creating
non-parametric bootstrap samples using Poisson frequencies"; Chamandy et al. 2012, "Estimating
uncertainty for massive data streams"). The draws are seeded by the document's key.

Percentiles of few documents are too narrow, and so they are expanded: see `covered`.
benchmarks/intervals.py says how often such intervals hold the mean.
"""

from typing import Any

import numpy as np

from attnviz.answers.bootstrap import EXPANDED, covered

RESAMPLES = 500
METHOD = f"Poisson bootstrap over documents, {EXPANDED}"
AT_ONCE = 128  # documents whose draws are multiplied together


def times_of(key: int) -> np.ndarray:
    """How often a document is drawn into each resample: (RESAMPLES,), float64."""
    drawn = np.random.Generator(np.random.Philox(key=key)).poisson(1.0, RESAMPLES)
    return drawn.astype(np.float64)


class Means:
    """Means of an array of numbers: sums over what was counted, with intervals.

    `counts_shape` may be smaller than `shape`, if it broadcasts: (statistic, 1) beside
    (statistic, head).
    """

    def __init__(self, shape: tuple[int, ...], counts_shape: tuple[int, ...] | None = None) -> None:
        self.shape, self.counts_shape = shape, shape if counts_shape is None else counts_shape
        sizes = int(np.prod(self.shape)), int(np.prod(self.counts_shape))
        self._sums, self._counts = (np.zeros(size) for size in sizes)
        self._drawn_sums, self._drawn_counts = (np.zeros((RESAMPLES, size)) for size in sizes)
        self._documents = np.zeros(sizes[1])
        self._waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(
        self, times: np.ndarray, sums: np.ndarray, counts: np.ndarray, share: float = 1.0
    ) -> None:
        """Add what was summed and counted in a document, or in a `share` of it, as in a window.

        times: (RESAMPLES,); sums: `shape`; counts: `counts_shape`.
        """
        sums = np.asarray(sums, np.float64).reshape(-1)
        counts = np.asarray(counts, np.float64).reshape(-1)
        self._sums += sums
        self._counts += counts
        self._documents += share * (counts > 0)
        self._waiting.append((times, sums, counts))
        if len(self._waiting) == AT_ONCE:
            self._draw()

    def merge(self, other: "Means") -> None:
        """Add what another has seen."""
        self._draw()
        other._draw()
        self._sums += other._sums
        self._counts += other._counts
        self._documents += other._documents
        self._drawn_sums += other._drawn_sums
        self._drawn_counts += other._drawn_counts

    def mean(self) -> np.ndarray:
        """The means, `shape`; NaN where nothing was counted."""
        return self._ratio(self._sums, self._counts)

    def count(self) -> np.ndarray:
        """What was counted, `counts_shape`."""
        return self._counts.reshape(self.counts_shape)

    def resampled(self) -> np.ndarray:
        """The mean in each resample: (RESAMPLES, *shape); NaN where nothing was drawn."""
        self._draw()
        return self._ratio(self._drawn_sums, self._drawn_counts)

    def documents(self) -> np.ndarray:
        """How many documents anything was counted in, `counts_shape`."""
        return self._documents.reshape(self.counts_shape)

    def interval(self) -> tuple[np.ndarray, np.ndarray]:
        """The 95 % intervals of the means, low and high: see `covered`."""
        return covered(self.resampled(), self.documents())

    def state(self) -> dict[str, Any]:
        """All its numbers."""
        self._draw()
        return {
            "sums": self._sums.copy(),
            "counts": self._counts.copy(),
            "documents": self._documents.copy(),
            "drawn_sums": self._drawn_sums.copy(),
            "drawn_counts": self._drawn_counts.copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; ValueError if the shapes are others."""
        self._waiting.clear()
        for name, own in (
            ("sums", self._sums),
            ("counts", self._counts),
            ("documents", self._documents),
            ("drawn_sums", self._drawn_sums),
            ("drawn_counts", self._drawn_counts),
        ):
            if state[name].shape != own.shape:
                raise ValueError(f"{name} has shape {state[name].shape}, and not {own.shape}")
            own[...] = state[name]

    def _draw(self) -> None:
        if self._waiting:
            times, sums, counts = (np.stack(parts) for parts in zip(*self._waiting, strict=True))
            self._drawn_sums += times.T @ sums
            self._drawn_counts += times.T @ counts
            self._waiting.clear()

    def _ratio(self, sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        above = sums.reshape(*sums.shape[:-1], *self.shape)
        below = np.broadcast_to(counts.reshape(*sums.shape[:-1], *self.counts_shape), above.shape)
        ratio = np.full(above.shape, np.nan)
        np.divide(above, below, out=ratio, where=below > 0)
        return ratio
