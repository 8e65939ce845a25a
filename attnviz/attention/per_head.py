"""Measures that every head has: its weights, and the sizes of what they bring."""

from collections.abc import Sequence

import numpy as np

from attnviz.attention.layer import Layers
from attnviz.errors import AttnvizError


class PerHead:
    """What the measures of heads have in common: a number where a query may look at a key."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers

    def attention_mask(self, layer: int, queries: slice) -> np.ndarray | None:
        """Which keys the queries may look at, (query, key); None where at all of them."""
        return self._layers.layer(layer).attention_mask(queries)


class Weights(PerHead):
    """Attention weights as the model computed them."""

    def pieces(self, layer: int, heads: Sequence[int] | None, queries: slice) -> np.ndarray:
        """Weights, (head, query, key); each row sums to 1."""
        return self._layers.layer(layer).weights(layer, heads, queries)


class Norms(PerHead):
    """The sizes of the vectors that arrive: `||alpha * v W_O||` (Kobayashi et al. 2020, eq. 4).

    A head's output is the sum of its values v, each times its weight alpha, taken through the
    head's part of W_O. A large weight on a small value brings little. v includes W_V's bias; the
    bias of W_O, which belongs to no token, is left out.
    """

    def pieces(self, layer: int, heads: Sequence[int] | None, queries: slice) -> np.ndarray:
        """Norms, (head, query, key), in the units of the layer's output."""
        record = self._layers.layer(layer)
        if record.value_norms is None:
            record.check_more_than_weights()
            raise AttnvizError(
                "the norm measure needs the lengths of v W_O, and this inspection does not have "
                "them",
                "look at the sentence anew, or take --measure weights; models that do more to "
                "what a head sums up than multiply it by W_O have none",
            )
        weights = record.weights(layer, heads, queries)
        weights *= record.value_norms[slice(None) if heads is None else list(heads), None]
        return weights
