"""Measures that follow attention down through the layers, where tokens are mixed (no heads).

Both take a layer as `A = 0.5 * mean of the heads + 0.5 * I`: half of what a token becomes is
attention's, half is what the residual connection carries past it (Abnar & Zuidema 2020,
"Quantifying Attention Flow in Transformers", section 3).
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from attnviz.attention.layer import Layers
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGEST_FLOW_WORK = 1_200_000_000
"""Edges times flows that all layers together may take: at most about two minutes (0.1 µs each)."""

KEPT_BYTES = 1 << 28
"""What the rollouts of all layers may take, to be kept; of a long text only one is."""

WEIGHTS_AT_ONCE = 1 << 20
"""Weights of all heads of a layer that are averaged together: some rows of a long text's."""

_UNIT = 1 << 28
"""A capacity of 1 in the whole numbers that the flow is computed in: exact to 4e-9."""


class Mixed:
    """What both have in common: a number where attention, or the residual, leads to a token."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._reached: list[np.ndarray | None] = []

    def attention_mask(self, layer: int, queries: slice) -> np.ndarray | None:
        """From which queries a way leads down to which input tokens; None where from all to all."""
        while len(self._reached) <= layer:
            number = len(self._reached)
            below = self._reached[-1] if number else np.eye(self._layers.layer(0).lengths[0]) > 0
            self._reached.append(_reached(self._layers.layer(number).attention_mask(), below))
        reached = self._reached[layer]
        return None if reached is None else reached[queries]


class Rollout(Mixed):
    """Attention rollout: each layer's A times the rollout of the layer below; rows sum to 1."""

    def __init__(self, layers: Layers) -> None:
        super().__init__(layers)
        self._rolled: dict[int, np.ndarray] = {}

    def pieces(self, layer: int, heads: Sequence[int] | None, queries: slice) -> np.ndarray:
        """How much of each input token is in each query after the layer: (1, query, key)."""
        if layer not in self._rolled:
            below = max((number for number in self._rolled if number < layer), default=-1)
            rolled = self._rolled.get(below)
            for number in range(below + 1, layer + 1):
                mixed = _mixed(self._layers, number)
                rolled = mixed if rolled is None else mixed @ rolled
                if self._layers.count * rolled.nbytes > KEPT_BYTES:
                    self._rolled.clear()  # of a long text, whose layers are asked for in order
                self._rolled[number] = rolled
        return self._rolled[layer][None, queries].copy()


class Flow(Mixed):
    """Attention flow: the most that can flow from a query in a layer to a token of the input.

    The network has a node for each token in each layer and an edge for each entry of A. Capacities
    hold for each edge alone, so that a row of flows may sum to more than 1. The maximum is scipy's
    (Dinic's algorithm).
    """

    def __init__(self, layers: Layers) -> None:
        super().__init__(layers)
        self._length, self._depth = layers.layer(0).lengths[0], layers.count
        self._mixed = lru_cache(maxsize=None)(lambda number: _mixed(layers, number))
        self._network = lru_cache(maxsize=None)(self._made_network)
        self._row = lru_cache(maxsize=None)(self._maximum_flows)

    def pieces(self, layer: int, heads: Sequence[int] | None, queries: slice) -> np.ndarray:
        """The flow from each query in the layer to each input token: (1, query, key).

        Raises RequestError where that would take too long.
        """
        wanted = range(self._length)[queries]
        # of all layers, so that no minutes are spent on the lower ones before the refusal
        edges = self._length**2 * self._depth * (self._depth + 1) // 2
        if layer and len(wanted) * self._length * edges > LARGEST_FLOW_WORK:
            raise RequestError(
                f"flow among {self._length} tokens takes too long: each pair of tokens is a "
                "maximum flow of its own through all the layers below",
                "take a shorter sentence, follow one word with attnviz run --query, or take "
                "--measure rollout, which is quick",
            )
        rows: list[np.ndarray] = [self._row(layer, query) for query in wanted]
        return np.stack(rows)[None]

    def _maximum_flows(self, layer: int, query: int) -> np.ndarray:
        if layer == 0:
            row: np.ndarray = self._mixed(0)[query]
            return row
        from scipy.sparse.csgraph import maximum_flow

        network = self._network(layer)
        source = (layer + 1) * self._length + query
        flows = [maximum_flow(network, source, token).flow_value for token in range(self._length)]
        return np.array(flows, np.float32) / np.float32(_UNIT)

    def _made_network(self, layer: int) -> "csr_array":
        """Capacities from node to node; the input's tokens come first, then layer 0's, and so on.

        A piece of A that rounds to no unit is no edge.
        """
        from scipy.sparse import bmat, csr_array

        count = layer + 2
        blocks: list[list[csr_array | None]] = [[None] * count for _ in range(count)]
        blocks[0][0] = csr_array((self._length, self._length), dtype=np.int32)
        blocks[-1][-1] = blocks[0][0]
        for number in range(layer + 1):
            capacities = np.rint(self._mixed(number).astype(np.float64) * _UNIT)
            blocks[number + 1][number] = csr_array(capacities.astype(np.int32))
        return csr_array(bmat(blocks, format="csr", dtype=np.int32))


def _mixed(layers: Layers, number: int) -> np.ndarray:
    """A = 0.5 * mean of the heads + 0.5 * I, (query, key)."""
    record = layers.layer(number)
    length, _ = record.lengths
    mixed = np.empty((length, length), np.float32)
    at_once = max(1, WEIGHTS_AT_ONCE // (record.num_heads * length))
    for first in range(0, length, at_once):
        rows = slice(first, first + at_once)
        mixed[rows] = 0.5 * record.weights(number, None, rows).mean(axis=0)
    mixed[np.diag_indices_from(mixed)] += 0.5
    return mixed


def _reached(seen: np.ndarray | None, below: np.ndarray | None) -> np.ndarray | None:
    """What a layer reaches by what its queries may look at, or by the residual; None: all."""
    if seen is None or below is None:
        return None
    steps = (seen | np.eye(len(seen), dtype=bool)).astype(np.float32)
    reached: np.ndarray = steps @ below.astype(np.float32) > 0
    return None if reached.all() else reached
