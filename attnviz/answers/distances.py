"""How far heads are from each other, and which are alike."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attnviz.answers.answer import shortest
from attnviz.attention.shapes import Float


@dataclass(frozen=True, eq=False)
class Distances:
    """Jensen-Shannon distances between heads, in bits: means over `rows` queries of a corpus.

    `clusters`: places of heads that are alike, the largest cluster first; each is a branch of the
    tree whose heads are `cut` bits apart or less on average. `tree`: the joins of average linkage,
    (a, b, height, size) as scipy has them: numbers from the count of heads on are earlier joins.
    """

    matrix: Float[np.ndarray, "head head"]
    rows: int
    clusters: tuple[tuple[int, ...], ...]
    tree: tuple[tuple[int, int, float, int], ...]
    cut: float

    @property
    def cluster_of(self) -> tuple[int, ...]:
        """For each head the place of its cluster in `clusters`."""
        found = {place: n for n, cluster in enumerate(self.clusters) for place in cluster}
        return tuple(found[place] for place in range(len(found)))

    def data(self) -> dict[str, Any]:
        """The distances as JSON has them."""
        return {
            "matrix": self.matrix.astype(np.float32),
            "rows": self.rows,
            "cut": self.cut,
            "clusters": [list(cluster) for cluster in self.clusters],
            "tree": [[a, b, shortest(height), size] for a, b, height, size in self.tree],
        }
