"""The attention function, and what one layer of a model gave it to work with.

`Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V` (Vaswani et al. 2017, equation 1). numpy only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.errors import AttnvizError

ROW_SUM_TOLERANCE = 1e-4
"""How far from 1 a row of float32 weights may sum before it counts as damaged."""


@dataclass(frozen=True, eq=False, repr=False)
class LayerRecord:
    """What one layer's self-attention worked with, in float32.

    x: (n, d_model), the vectors that came in; q, k, v: (num_heads, n, d_k), made of them by W_Q,
    W_K and W_V; bias: (num_heads or 1, n, n) added to the scaled scores, or None. The weights are
    `softmax(scale * q k^T + bias)` (Vaswani et al. 2017, equation 1, where scale is 1/sqrt(d_k)).

    z: (num_heads, n, d_k), the model's own sums of weights times v; value_norms: (num_heads, n),
    the lengths of v W_O, which is what each token's value becomes in the layer's output. Either is
    None where it was not recorded.
    """

    x: np.ndarray
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    scale: float
    bias: np.ndarray | None = None
    z: np.ndarray | None = None
    value_norms: np.ndarray | None = None

    def weights(
        self, layer: int, heads: Sequence[int] | None = None, queries: slice = slice(None)
    ) -> np.ndarray:
        """The weights between pieces, (head, query, key), of these heads, or of all of them.

        `layer` is the number by which errors name it. Raises AttnvizError if a row does not sum to
        1.
        """
        chosen = slice(None) if heads is None else list(heads)
        bias = self.bias
        if bias is not None:
            bias = np.broadcast_to(bias, (len(self.q), *bias.shape[1:]))[chosen][:, queries]
        with np.errstate(over="ignore", invalid="ignore"):  # an overflow is told just below
            weights = attention_weights(
                self.q[chosen][:, queries], self.k[chosen], self.scale, bias
            )
        error = np.abs(weights @ np.ones(weights.shape[-1], weights.dtype) - 1).max()
        if not error <= ROW_SUM_TOLERANCE:
            raise AttnvizError(
                f"layer {layer}: a row of attention weights does not sum to 1, but is off by "
                f"{error:.2g}",
                "the model's numbers overflow float32; try another checkpoint",
            )
        return weights


@dataclass(frozen=True, eq=False, repr=False)
class Projections:
    """The matrices and biases that make queries, keys and values of x, and mix what comes of them.

    As in the article, x stands on the left: q = x W_Q + b_Q. W_Q, W_K, W_V: (d_model, width); W_O:
    (width, d_model); width is d_model for a layer's matrices, d_k for one head's. The biases are
    None in a model without them, and b_O, which is added to the sum of all heads, in one head's.
    """

    W_Q: np.ndarray
    W_K: np.ndarray
    W_V: np.ndarray
    W_O: np.ndarray
    b_Q: np.ndarray | None = None
    b_K: np.ndarray | None = None
    b_V: np.ndarray | None = None
    b_O: np.ndarray | None = None

    def head(self, number: int, d_k: int) -> "Projections":
        """One head's part of a layer's: d_k columns of W_Q, W_K, W_V, and d_k rows of W_O."""
        part = slice(number * d_k, (number + 1) * d_k)
        biases = (None if bias is None else bias[part] for bias in (self.b_Q, self.b_K, self.b_V))
        return Projections(
            self.W_Q[:, part], self.W_K[:, part], self.W_V[:, part], self.W_O[part], *biases
        )


def attention_weights(
    q: np.ndarray, k: np.ndarray, scale: float, bias: np.ndarray | None = None
) -> np.ndarray:
    """`softmax(scale * q k^T + bias)`: how much each query looks at each key.

    q: (..., query, d_k); k: (..., key, d_k); bias: broadcastable to the result, or None.
    Returns (..., query, key), each row summing to 1.
    """
    scores: np.ndarray = np.matmul(q, np.swapaxes(k, -1, -2))
    scores *= scale
    if bias is not None:
        scores += bias
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def check_record(number: int, record: LayerRecord, shape: tuple[int, int, int, int]) -> None:
    """Raise AttnvizError if the record of layer `number` cannot be one.

    `shape`: num_heads, the number of tokens, d_model and d_k. Each array must have the shape that
    these call for, hold float32, all finite, and leave every query a key to look at.
    """
    num_heads, length, d_model, d_k = shape
    in_heads = (num_heads, length, d_k)
    expected = {"x": (length, d_model), "q": in_heads, "k": in_heads, "v": in_heads}
    optional = {"z": in_heads, "value_norms": in_heads[:2]}
    present = {name: size for name, size in optional.items() if getattr(record, name) is not None}
    for name, size in {**expected, **present}.items():
        array = getattr(record, name)
        if array.shape != size:
            raise AttnvizError(
                f"layer {number}: {name} has shape {array.shape}, "
                f"and {length} tokens in this model need {size}"
            )
        _check_floating(number, name, array)
        if not np.isfinite(array).all():
            raise AttnvizError(
                f"layer {number}: {name} holds numbers that are not finite (NaN or infinity)",
                "the model's weights are damaged or overflow; try another checkpoint",
            )
    if record.value_norms is not None and (record.value_norms < 0).any():
        raise AttnvizError(f"layer {number}: value_norms holds a length below 0")
    if not np.isfinite(record.scale):
        raise AttnvizError(f"layer {number}: the scale is {record.scale}, which is not finite")
    bias = record.bias
    if bias is not None:
        if bias.shape not in ((1, length, length), (num_heads, length, length)):
            raise AttnvizError(
                f"layer {number}: bias has shape {bias.shape}, "
                f"and {length} tokens in this model need {(num_heads, length, length)}"
            )
        _check_floating(number, "bias", bias)
        if np.isnan(bias).any() or not np.isfinite(bias.max(axis=-1)).all():
            raise AttnvizError(f"layer {number}: the mask leaves a query without any key")


def _check_floating(number: int, name: str, array: np.ndarray) -> None:
    if array.dtype != np.float32:
        raise AttnvizError(
            f"layer {number}: {name} holds {array.dtype} numbers, and float32 is expected"
        )
