"""Some rows of some heads, as a view shows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from attnviz.attention.shapes import Float
from attnviz.inspection.context import HeadId


@dataclass(frozen=True, eq=False)
class Block:
    """Some rows of some heads, which may belong to several layers."""

    heads: Sequence[HeadId]
    rows: slice
    weights: Float[np.ndarray, "head query key"]
    # share that went to special tokens left out
    dropped: Float[np.ndarray, "head query"] | None = None
    sink: Float[np.ndarray, "head query"] | None = None  # share that went to the model's sink

    def take(self, rows: slice | np.ndarray) -> "Block":
        """Some of the rows, counted from the block's first row."""
        places = np.arange(self.rows.start, self.rows.stop)[rows]
        span = slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)
        return self._mapped(self.heads, span, lambda array: array[:, rows])

    def of(self, places: Sequence[int]) -> "Block":
        """The rows of the heads at some places."""
        own, heads = list(places), [self.heads[place] for place in places]
        return self._mapped(heads, self.rows, lambda array: array[own])

    @classmethod
    def concat(cls, blocks: Sequence["Block"]) -> "Block":
        """Join blocks of the same heads whose rows follow each other."""
        first, last = blocks[0], blocks[-1]
        if len(blocks) == 1:
            return first
        arrays = zip(*((b.weights, b.dropped, b.sink) for b in blocks), strict=True)
        joined: list[Any] = [
            None if parts[0] is None else np.concatenate(parts, axis=1) for parts in arrays
        ]
        return cls(first.heads, slice(first.rows.start, last.rows.stop), *joined)

    def _mapped(
        self, heads: Sequence[HeadId], rows: slice, change: Callable[[np.ndarray], np.ndarray]
    ) -> "Block":
        dropped, sink = (
            None if array is None else change(array) for array in (self.dropped, self.sink)
        )
        return Block(heads, rows, change(self.weights), dropped, sink)
