"""The attention function, and what one layer of a model gave it to work with.

`Attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V` (Vaswani et al. 2017, equation 1). numpy only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from attnviz.errors import AttnvizError

ROW_SUM_TOLERANCE = 1e-4
"""How far from 1 a row of float32 weights may sum before it counts as damaged."""

WIDER = "take --dtype bfloat16, which reaches as far as float32, or float32 itself"
"""What to try where float16's range, up to 65504, does not do."""

OPTIONAL = (
    "x",
    "memory",
    "q",
    "k",
    "v",
    "z",
    "value_norms",
    "bias",
    "distance_bias",
    "visible",
    "sinks",
    "given",
)
"""The arrays that a LayerRecord may have; `given`, or else q and k, are always there."""


class Inputs(NamedTuple):
    """What q, k and v were made of, and they themselves; shapes as in LayerRecord.

    `memory` is x itself in self-attention.
    """

    x: np.ndarray
    memory: np.ndarray
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray


@dataclass(frozen=True, eq=False, repr=False)
class LayerRecord:
    """What one layer's attention worked with, in float32: n queries, and m keys (n of them too
    in self-attention).

    q: (num_heads, n, d_k); k: (num_kv_heads, m, d_k); v: (num_kv_heads, m, d_v). In grouped-query
    attention (Ainslie et al. 2023) several heads in a row share one k and v. The weights are
    `softmax(scores)`, where the scores are `scale * q k^T` (Vaswani et al. 2017, equation 1, where
    scale is 1/sqrt(d_k)), then:

    - softcap: `softcap * tanh(scores / softcap)` (Gemma 2);
    - bias: (num_heads or 1, n, m), added; distance_bias: (num_heads or 1, n + m - 1), added too,
      where entry `j - i + n - 1` is for query i and key j (MPNet, T5);
    - visible: (n, 2) whole numbers, the first key that each query may look at, and the end of them
      (causal masks, sliding windows);
    - sinks: (num_heads,), the score of a place beside all keys to which weight goes (gpt-oss), so
      that rows sum to less than 1.

    given: (num_heads, n, m), the weights themselves, where a model gives no queries and keys.

    x: (n, d_model), the vectors that came in, of which W_Q made q, and W_K and W_V k and v; these
    are made of memory, (m, d_model), where there is one: an encoder's output. z: (num_heads, n,
    d_v), the model's own sums of weights times v; value_norms: (num_heads, m), the lengths of v
    W_O, which is what each token's value becomes in the layer's output. Each is None where it was
    not recorded.
    """

    x: np.ndarray | None = None
    q: np.ndarray | None = None
    k: np.ndarray | None = None
    v: np.ndarray | None = None
    scale: float = 1.0
    memory: np.ndarray | None = None
    bias: np.ndarray | None = None
    distance_bias: np.ndarray | None = None
    visible: np.ndarray | None = None
    softcap: float | None = None
    sinks: np.ndarray | None = None
    given: np.ndarray | None = None
    z: np.ndarray | None = None
    value_norms: np.ndarray | None = None

    @property
    def num_heads(self) -> int:
        """How many heads the layer has."""
        return len(self._by_head)

    @property
    def lengths(self) -> tuple[int, int]:
        """How many queries and keys there are."""
        if self.k is None:
            return self._by_head.shape[-2], self._by_head.shape[-1]
        return self._by_head.shape[-2], self.k.shape[-2]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that its arrays take."""
        arrays = (getattr(self, name) for name in OPTIONAL)
        return sum(array.nbytes for array in arrays if array is not None)

    def inputs(self) -> Inputs:
        """x, q, k and v, and what k and v were made of; AttnvizError where one is missing."""
        self.check_more_than_weights()
        if self.x is None or self.q is None or self.k is None or self.v is None:
            raise AttnvizError(
                "what queries, keys and values were made of was not recorded of so long a text",
                "look at the sentence anew with attnviz explain",
            )
        return Inputs(
            self.x, self.x if self.memory is None else self.memory, self.q, self.k, self.v
        )

    def check_more_than_weights(self) -> None:
        """Raise AttnvizError where the model gave its weights and nothing else."""
        if self.given is not None:
            raise AttnvizError(
                "this model gives its attention weights alone, without queries, keys and values: "
                "its own code computes them in its own way",
                "attnviz models says which models give all of it",
            )

    def of_head(self, keys_or_values: np.ndarray, head: int) -> np.ndarray:
        """A head's own k or v, (m, d), out of those that heads may share."""
        own: np.ndarray = keys_or_values[head * len(keys_or_values) // self.num_heads]
        return own

    def weights(
        self, layer: int, heads: Sequence[int] | None = None, queries: slice = slice(None)
    ) -> np.ndarray:
        """The weights between pieces, (head, query, key), of these heads, or of all of them.

        `layer` is the number by which errors name it. Raises AttnvizError if a row does not sum to
        1, or to at most 1 where there are sinks.
        """
        numbers = np.arange(self.num_heads)[slice(None) if heads is None else list(heads)]
        if self.given is not None:
            weights = self.given[numbers, queries]
        else:
            with np.errstate(over="ignore", invalid="ignore"):  # an overflow is told just below
                weights = self._softmax(numbers, range(self.lengths[0])[queries])
        sums = weights @ np.ones(weights.shape[-1], weights.dtype)
        worst = np.abs((sums if self.sinks is None else np.maximum(sums, 1)) - 1).max()
        if not worst <= ROW_SUM_TOLERANCE:
            raise AttnvizError(
                f"layer {layer}: a row of attention weights does not sum to 1, but is off by "
                f"{worst:.2g}",
                "the model's numbers overflow float32; try another checkpoint",
            )
        return weights

    def scores_row(self, head: int, query: int, dots: np.ndarray) -> np.ndarray:
        """What becomes of one query's products with the keys, (m,), before the softmax."""
        scores = (dots * self.scale)[None, None]
        place = range(self.lengths[0])[query]
        row: np.ndarray = self._adjusted(scores, np.array([head]), range(place, place + 1))[0, 0]
        return row

    def may_look(self, queries: slice = slice(None)) -> np.ndarray | None:
        """Which keys these queries may look at in any head, (query, key); None where at all keys.

        A causal mask, a sliding window, or a bias of minus infinity keeps a query from a key.
        """
        if self.visible is None and self.bias is None:
            return None
        count, keys = self.lengths
        seen = np.ones((len(range(count)[queries]), keys), dtype=bool)
        if self.visible is not None:
            own, places = self.visible[queries], np.arange(keys)
            seen &= (own[:, :1] <= places) & (places < own[:, 1:])
        if self.bias is not None:
            seen &= ~np.isneginf(self.bias[:, queries].max(axis=0))
        return None if seen.all() else seen

    @property
    def _by_head(self) -> np.ndarray:
        by_head = self.q if self.given is None else self.given
        if by_head is None:
            raise AttnvizError("a layer was recorded with neither queries and keys nor weights")
        return by_head

    def _softmax(self, heads: np.ndarray, rows: range) -> np.ndarray:
        """Weights, (head, row, key). Keys that none of the rows may look at are not computed."""
        if self.q is None or self.k is None:
            raise AttnvizError("a layer was recorded without queries or keys")
        _, count = self.lengths
        first, end = 0, count
        if self.visible is not None and len(rows):
            own = self.visible[rows.start : rows.stop]
            first, end = int(own[:, 0].min()), int(own[:, 1].max())
        q, k = self.q[:, rows.start : rows.stop], self.k[:, first:end]
        in_order = np.array_equal(heads, np.arange(len(q)))
        if len(k) < len(q) or not in_order:
            k = k[heads * len(k) // len(q)]
        scores = np.matmul(q if in_order else q[heads], np.swapaxes(k, -1, -2))
        scores *= self.scale
        sinks = None if self.sinks is None else self.sinks[heads]
        weights = softmax(self._adjusted(scores, heads, rows, first), sinks)
        if (first, end) == (0, count):
            return weights
        whole = np.zeros((*weights.shape[:-1], count), weights.dtype)
        whole[..., first:end] = weights
        return whole

    def _adjusted(
        self, scores: np.ndarray, heads: np.ndarray, rows: range, first: int = 0
    ) -> np.ndarray:
        """Scaled scores, (head, row, key), with all that is done to them, in place.

        The keys are those from `first` on.
        """
        end = first + scores.shape[-1]
        if self.softcap is not None:
            scores /= self.softcap
            np.tanh(scores, out=scores)
            scores *= self.softcap
        if self.bias is not None:
            own = self.bias if len(self.bias) == 1 else self.bias[heads]
            scores += own[:, rows.start : rows.stop, first:end]
        if self.distance_bias is not None:
            shared = len(self.distance_bias) == 1
            offsets = self.distance_bias if shared else self.distance_bias[heads]
            # entry j - i + n - 1: a row begins one entry before the row above it
            windows = np.lib.stride_tricks.sliding_window_view(offsets, end - first, axis=-1)
            last = self.lengths[0] - 1 + first
            own = windows[:, last - rows.stop + 1 : last - rows.start + 1][:, ::-1]
            scores += own
        if self.visible is not None:
            keys = np.arange(first, end)
            own = self.visible[rows.start : rows.stop]
            scores[:, (keys < own[:, :1]) | (keys >= own[:, 1:])] = -np.inf
        return scores


@dataclass(frozen=True)
class Layers:
    """A model's layers, each by its number from 0; one that was not recorded is a RequestError."""

    layer: Callable[[int], LayerRecord]
    count: int


class Between(NamedTuple):
    """What is done to x W_Q, x W_K and x W_V before they are q, k and v, as in "rotated by its
    position" (Su et al. 2021, "RoFormer"); None where they are q, k and v already.
    """

    q: str | None = None
    k: str | None = None
    v: str | None = None


NOTHING_BETWEEN = Between()


@dataclass(frozen=True, eq=False, repr=False)
class Projections:
    """The matrices and biases that make queries, keys and values of x, and mix what comes of them.

    As in the article, x stands on the left: q = x W_Q + b_Q. W_Q: (d_model, num_heads x d_k); W_K,
    (d_model, num_kv_heads x d_k) and W_V, (d_model, num_kv_heads x d_v), of memory where there is
    one; W_O: (num_heads x d_v, d_model). One head's have d_k and d_v alone. The biases are None in
    a model without them, and b_O, which is added to the sum of all heads, in one head's.

    `between`: what the model does beside, and `direct`: whether x is what the layer below gave,
    or the embeddings; otherwise it is what enters attention, whatever was done before.
    """

    W_Q: np.ndarray
    W_K: np.ndarray
    W_V: np.ndarray
    W_O: np.ndarray
    b_Q: np.ndarray | None = None
    b_K: np.ndarray | None = None
    b_V: np.ndarray | None = None
    b_O: np.ndarray | None = None
    between: Between = field(default=NOTHING_BETWEEN, kw_only=True)
    direct: bool = field(default=True, kw_only=True)

    def head(self, number: int, num_heads: int) -> "Projections":
        """One of the layer's heads: its columns of W_Q, W_K, W_V, and its rows of W_O.

        Where heads share keys and values, their columns are the same.
        """
        d_k, d_v = self.W_Q.shape[1] // num_heads, len(self.W_O) // num_heads
        shared = number * (self.W_K.shape[1] // d_k) // num_heads
        q, k, v, z = (
            slice(place * width, (place + 1) * width)
            for place, width in ((number, d_k), (shared, d_k), (shared, d_v), (number, d_v))
        )
        return Projections(
            self.W_Q[:, q],
            self.W_K[:, k],
            self.W_V[:, v],
            self.W_O[z],
            None if self.b_Q is None else self.b_Q[q],
            None if self.b_K is None else self.b_K[k],
            None if self.b_V is None else self.b_V[v],
            between=self.between,
            direct=self.direct,
        )


def softmax(scores: np.ndarray, sinks: np.ndarray | None = None) -> np.ndarray:
    """Each row's powers of e, divided by their sum, in place: (head, query, key).

    sinks: (head,), scores that count in the sum and get weight of their own, which is left out.
    """
    highest = scores.max(axis=-1, keepdims=True)
    if sinks is not None:
        sinks = sinks[:, None, None]
        np.maximum(highest, sinks, out=highest)
    scores -= highest
    np.exp(scores, out=scores)
    total = scores.sum(axis=-1, keepdims=True)
    if sinks is not None:
        total += np.exp(sinks - highest)
    scores /= total
    return scores
