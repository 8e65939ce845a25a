"""From a measure's name to its matrices."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from attnviz.attention.layer import Layers
from attnviz.attention.measures import MeasureName
from attnviz.attention.per_head import Norms, Weights
from attnviz.attention.rollout import Flow, Rollout


class Matrices(Protocol):
    """The matrices of one measure over one text, computed when they are asked for."""

    def pieces(self, layer: int, heads: Sequence[int] | None, queries: slice) -> np.ndarray:
        """Numbers between pieces, (head, query, key): of these heads, or of all (None).

        A measure without heads gives one matrix a layer, (1, query, key), and is asked for None.
        """

    def attention_mask(self, layer: int, queries: slice) -> np.ndarray | None:
        """Between which pieces there can be a number, (query, key); None where between all."""


def matrices(name: MeasureName, layers: Layers) -> Matrices:
    """The matrices that a measure makes of the layers' records.

    Raises AttnvizError if a layer's record lacks what the measure is made of, RequestError for a
    text that is too long for it.
    """
    kinds: dict[MeasureName, type[Weights | Norms | Rollout | Flow]] = {
        "weights": Weights,
        "norm": Norms,
        "rollout": Rollout,
        "flow": Flow,
    }
    return kinds[name](layers)
