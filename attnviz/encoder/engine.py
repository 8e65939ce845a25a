"""What the encoder asks of the library that it computes with, numpy or torch."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np

Array = Any
"""An array of the engine: a numpy array, or a tensor on some device and of some dtype.

Both have `+`, `*`, `@`, slices, `shape`, `reshape`, `swapaxes`, `mean` and `cumsum`; an `Engine`
has what else the encoder needs.
"""


class Engine(Protocol):
    """The array functions that the encoder is written in, and where and how they compute."""

    device: str
    dtype: str  # that it computes in

    @property
    def alone(self) -> bool:
        """Whether work runs one after the other, as on a GPU."""

    def put(self, weights: Mapping[str, np.ndarray]) -> dict[str, Array]:
        """Weights as the engine's arrays; AttnvizError if the dtype or memory is too small."""

    def array(self, numbers: np.ndarray) -> Array:
        """Numbers as the engine's array: floats in its dtype, others as they are."""

    def numpy(self, array: Array) -> np.ndarray:
        """A copy as a float32 array in C order."""

    def running(self) -> AbstractContextManager[object]:
        """Inside, it computes: without gradients, without warnings of numbers that overflow.

        Each product of numpy takes one thread.
        """

    def rows(self, table: Array, numbers: Array) -> Array:
        """The rows of a table with these numbers: (*shape,) -> (*shape, width)."""

    def whole(self, table: Array) -> Array:
        """A table of which only rows were used, as a matrix for products."""

    def linear(self, x: Array, weight: Array, bias: Array | None) -> Array:
        """`x W^T + b`, (..., d_in) -> (..., d_out); W as files hold it, (d_out, d_in)."""

    def layer_norm(self, x: Array, gain: Array, shift: Array, eps: float) -> Array:
        """`gain * (x - mean) / sqrt(variance + eps) + shift` (Ba et al. 2016).

        (..., d_model) -> (..., d_model); mean and variance are those of each vector.
        """

    def activation(self, name: str, x: Array) -> Array:
        """A function of each number, by its name in `models.config.ACTIVATIONS`.

        x may be overwritten.
        """

    def attend(self, q: Array, k: Array, v: Array, mask: Array | None) -> Array:
        """`softmax(Q K^T / sqrt(d_k)) V` in every head (Vaswani et al. 2017, equation 1).

        (batch, num_heads, n, d_k) each. mask, broadcastable to (batch, num_heads, query, key): True
        where attention is allowed, or numbers to add to the scores.
        """

    def where(self, condition: Array, x: Array, other: float) -> Array:
        """`x` where the condition holds, the other number elsewhere."""

    def joined(self, arrays: Sequence[Array]) -> Array:
        """A new array of all of these, along the first axis."""

    def repeated(self, array: Array, count: int) -> Array:
        """An array of one row, along the first axis, as `count` equal rows, not to be changed."""

    def head_outputs(self, weight: Array, num_heads: int) -> Array:
        """What `lengths` needs of W_O, (d_model, d_model), in a form of the engine's own."""

    def lengths(self, v: Array, outputs: Array) -> Array:
        """|v W_O| of each head: (batch, num_heads, n, d_k) -> (batch, num_heads, n)."""
