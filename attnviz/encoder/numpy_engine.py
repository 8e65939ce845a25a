"""The encoder's array functions in numpy: for texts that are done before torch is imported."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from attnviz.attention.activations import FUNCTIONS
from attnviz.attention.layer import softmax
from attnviz.encoder.parts import WORD_VECTORS
from attnviz.errors import enough_memory
from attnviz.models.config import LESS_MEMORY
from attnviz.threads import one_thread

MULTIPLIED_OUT = 256
"""Tokens up to which the lengths of v W_O take less than a decomposition of W_O."""

MOST_SCORES = 1 << 20
"""The most scores at once, as a processor's cache has room for; a long text has more."""

FEW_TOKENS = 64
"""Tokens below which OpenBLAS multiplies W by columns x^T faster than rows x by W^T."""


class NumpyEngine:
    """Implements `Engine` on the CPU in float32; each product on one thread."""

    device, dtype, alone = "cpu", "float32", False

    def put(self, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """See `Engine`. Float32 stays where it is, mapped from a file.

        Word vectors stay in any dtype, or as a `models.tables.Table`: few of their rows are used.
        """
        with enough_memory("the model's weights do", LESS_MEMORY):
            return {
                name: array if name == WORD_VECTORS else _narrow(array)
                for name, array in weights.items()
            }

    def array(self, numbers: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        return _narrow(numbers) if numbers.dtype.kind == "f" else numbers

    def numpy(self, array: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        return np.array(array, np.float32, order="C")

    @contextmanager
    def running(self) -> Iterator[None]:
        """See `Engine`."""
        with one_thread(), np.errstate(all="ignore"):
            yield

    def rows(self, table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        return _narrow(table[numbers])

    def whole(self, table: np.ndarray) -> np.ndarray:
        """See `Engine`. `put` leaves word vectors as they are stored."""
        with enough_memory("the model's weights do", LESS_MEMORY):
            return _narrow(table)

    def linear(self, x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
        """See `Engine`."""
        flat = x.reshape(-1, x.shape[-1])  # one product of the whole batch
        few = len(flat) < FEW_TOKENS
        y: np.ndarray = np.ascontiguousarray((weight @ flat.T).T) if few else flat @ weight.T
        if bias is not None:
            y += bias
        return y.reshape(*x.shape[:-1], len(weight))

    def layer_norm(
        self, x: np.ndarray, gain: np.ndarray, shift: np.ndarray, eps: float
    ) -> np.ndarray:
        """See `Engine`."""
        normed: np.ndarray = x - x.mean(-1, keepdims=True)
        variance = np.einsum("...i,...i->...", normed, normed)[..., None] / x.shape[-1]
        normed /= np.sqrt(variance + np.float32(eps))
        normed *= gain
        normed += shift
        return normed

    def activation(self, name: str, x: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        return FUNCTIONS[name](x, out=x)

    def attend(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None
    ) -> np.ndarray:
        """See `Engine`."""
        batch, num_heads, length, d_k = q.shape
        z = np.empty((batch, num_heads, length, v.shape[-1]), np.float32)
        at_once = max(1, MOST_SCORES // (batch * num_heads * k.shape[2]))
        scaled = q * np.float32(d_k**-0.5)
        for first in range(0, length, at_once):
            rows = slice(first, first + at_once)
            scores = scaled[:, :, rows] @ k.swapaxes(-1, -2)
            if mask is not None:
                own = mask if mask.shape[2] == 1 else mask[:, :, rows]
                if mask.dtype == bool:
                    np.copyto(scores, -np.inf, where=~own)
                else:
                    scores += own
            np.matmul(softmax(scores), v, out=z[:, :, rows])
        return z

    def where(self, condition: np.ndarray, x: np.ndarray, other: float) -> np.ndarray:
        """See `Engine`."""
        return np.where(condition, x, np.float32(other))

    def joined(self, arrays: Sequence[np.ndarray]) -> np.ndarray:
        """See `Engine`."""
        return np.concatenate(arrays)

    def repeated(self, array: np.ndarray, count: int) -> np.ndarray:
        """See `Engine`."""
        return np.broadcast_to(array, (count, *array.shape[1:]))

    def head_outputs(self, weight: np.ndarray, num_heads: int) -> "HeadOutputs":
        """See `Engine`."""
        return HeadOutputs(weight.T.reshape(num_heads, -1, len(weight)))

    def lengths(self, v: np.ndarray, outputs: "HeadOutputs") -> np.ndarray:
        """See `Engine`. W_O is decomposed for many tokens alone."""
        many = v.shape[0] * v.shape[2] > MULTIPLIED_OUT
        vectors = v @ (outputs.triangles if many else outputs.parts)
        lengths: np.ndarray = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
        return lengths


@dataclass(frozen=True)
class HeadOutputs:
    """Each head's part of W_O, (num_heads, d_k, d_model)."""

    parts: np.ndarray

    @cached_property
    def triangles(self) -> np.ndarray:
        """The parts without their rotation, (num_heads, d_k, d_k), as `shape_of_output` in torch.

        The transposed R of a QR decomposition, in float64.
        """
        columns = self.parts.astype(np.float64).swapaxes(-1, -2)
        upper: np.ndarray = np.asarray(np.linalg.qr(columns, mode="r"))
        return upper.swapaxes(-1, -2).astype(np.float32)


def _narrow(numbers: np.ndarray) -> np.ndarray:
    """Numbers in float32, not copied if they are."""
    return np.asarray(numbers, np.float32)
