"""Measures that mix the heads of each layer: A = 0.5 * mean of the heads + 0.5 * I.

Half of a token comes from attention, half from the residual (Abnar & Zuidema 2020, section 3).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.attention.layer import LayerRecord
from attnviz.attention.shapes import Bool, Float
from attnviz.errors import RequestError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGEST_FLOW_WORK = 1_200_000_000  # edges times flows in all layers: two minutes (0.1 µs each)
KEPT_BYTES = 1 << 28  # of the rollouts of all layers; of a longer text, only the last is kept
WEIGHTS_AT_ONCE = 1 << 20  # How many weights, of all heads of a layer, are averaged at once
_UNIT = 1 << 28  # The integer that stands for a capacity of 1 in the flow's network: exact to 4e-9


class Mixed(ABC):
    """A measure with one matrix a layer, over the layers that `record_of` gives."""

    def __init__(self, record_of: Callable[[int], LayerRecord], num_layers: int) -> None:
        self._record_of, self._num_layers = record_of, num_layers
        self._length = record_of(0).lengths[0]
        self._masks: list[np.ndarray | None] = []

    @abstractmethod
    def pieces(self, layer: int, queries: slice) -> Float[np.ndarray, "1 query key"]:
        """The numbers between pieces."""

    def attention_mask(self, layer: int, queries: slice) -> Bool[np.ndarray, "query key"] | None:
        """True where a path leads from a query down to an input token; None if from all to all."""
        while len(self._masks) <= layer:
            number = len(self._masks)
            below = self._masks[-1] if number else np.eye(self._length) > 0
            self._masks.append(_reached(self._record_of(number).attention_mask(), below))
        mask = self._masks[layer]
        return None if mask is None else mask[queries]

    def _mixed(self, layer: int) -> Float[np.ndarray, "query key"]:
        record = self._record_of(layer)
        mixed = np.empty((self._length, self._length), np.float32)
        at_once = max(1, WEIGHTS_AT_ONCE // (record.num_heads * self._length))
        for first in range(0, self._length, at_once):
            rows = slice(first, first + at_once)
            mixed[rows] = 0.5 * record.weights(layer, None, rows).mean(axis=0)
        mixed[np.diag_indices_from(mixed)] += 0.5
        return mixed


class Rollout(Mixed):
    """Attention rollout: each layer's A times the rollout of the layer below. Rows sum to 1."""

    def __init__(self, record_of: Callable[[int], LayerRecord], num_layers: int) -> None:
        super().__init__(record_of, num_layers)
        self._rolled: dict[int, np.ndarray] = {}

    def pieces(self, layer: int, queries: slice) -> Float[np.ndarray, "1 query key"]:
        """How much of each input token is in each query after the layer."""
        if layer not in self._rolled:
            below = max((number for number in self._rolled if number < layer), default=-1)
            rolled = self._rolled.get(below)
            for number in range(below + 1, layer + 1):
                mixed = self._mixed(number)
                rolled = mixed if rolled is None else mixed @ rolled
                if self._num_layers * rolled.nbytes > KEPT_BYTES:
                    self._rolled.clear()  # layers are mostly asked for in order: keep the last one
                self._rolled[number] = rolled
        return self._rolled[layer][None, queries].copy()


class Flow(Mixed):
    """Attention flow: the maximum flow from a query in a layer down to a token of the input.

    A node for each token in each layer, an edge for each entry of A. A row may sum to more than 1.
    """

    def __init__(self, record_of: Callable[[int], LayerRecord], num_layers: int) -> None:
        super().__init__(record_of, num_layers)
        self._kept: dict[tuple[Any, ...], Any] = {}

    def pieces(self, layer: int, queries: slice) -> Float[np.ndarray, "1 query key"]:
        """The flow from each query to each input token; RequestError if it takes too long."""
        rows = range(self._length)[queries]
        # Count the edges of all layers, or minutes would go into the lower ones before the refusal.
        edges = self._length**2 * self._num_layers * (self._num_layers + 1) // 2
        if layer and len(rows) * self._length * edges > LARGEST_FLOW_WORK:
            raise RequestError(
                f"flow among {self._length} tokens takes too long: each pair of tokens is a "
                "maximum flow of its own through all the layers below",
                "take a shorter sentence, follow one word with attnviz run --query, or take "
                "--measure rollout, which is quick",
            )
        flows = [self._once(self._maximum_flows, layer, query) for query in rows]
        return np.stack(flows)[None]

    def _once(self, function: Callable[..., Any], *arguments: int) -> Any:
        """What the method gives, computed once; lru_cache would keep this object alive."""
        call = (function.__name__, *arguments)
        if call not in self._kept:
            self._kept[call] = function(*arguments)
        return self._kept[call]

    def _maximum_flows(self, layer: int, query: int) -> Float[np.ndarray, "key"]:
        if layer == 0:
            row: np.ndarray = self._once(self._mixed, 0)[query]
            return row
        from scipy.sparse.csgraph import maximum_flow

        network = self._once(self._network_below, layer)
        source = (layer + 1) * self._length + query
        flows = [maximum_flow(network, source, token).flow_value for token in range(self._length)]
        return np.array(flows, np.float32) / np.float32(_UNIT)

    def _network_below(self, layer: int) -> "csr_array":
        """Capacities between nodes: the input's tokens, then layer 0's, and so on; 0 is no edge."""
        from scipy.sparse import bmat, csr_array

        count = layer + 2
        blocks: list[list[csr_array | None]] = [[None] * count for _ in range(count)]
        blocks[0][0] = csr_array((self._length, self._length), dtype=np.int32)
        blocks[-1][-1] = blocks[0][0]
        for number in range(layer + 1):
            capacities = np.rint(self._once(self._mixed, number).astype(np.float64) * _UNIT)
            blocks[number + 1][number] = csr_array(capacities.astype(np.int32))
        return csr_array(bmat(blocks, format="csr", dtype=np.int32))


def _reached(
    mask: Bool[np.ndarray, "query query"] | None, below: Bool[np.ndarray, "query key"] | None
) -> Bool[np.ndarray, "query key"] | None:
    """The input tokens that a layer reaches by its mask, or by the residual; None for all."""
    if mask is None or below is None:
        return None
    steps = (mask | np.eye(len(mask), dtype=bool)).astype(np.float32)
    reached: np.ndarray = steps @ below.astype(np.float32) > 0
    return None if reached.all() else reached
