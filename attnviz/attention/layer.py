"""A layer's record and weights: softmax(Q K^T / sqrt(d_k)) (Vaswani et al. 2017, equation 1)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple, get_origin, get_type_hints

import numpy as np

from attnviz.attention.shapes import Bool, Float, Int
from attnviz.errors import AttnvizError

LARGEST = 1e15  # a recorded number beyond counts as damaged: products of two would overflow float32
SMALL = 60  # scores up to this size, and sums of many, have exponentials well in float32's range
ROW_SUM_TOLERANCE = 1e-4  # of float32 weights; rows beyond count as damaged
WIDER = "try --dtype bfloat16, which has the range of float32, or float32 itself"


@dataclass(frozen=True)
class Array:
    """What LayerRecord declares of an array."""

    shape: str  # the names of its axes, as in `_all_sizes`
    shared: bool = False  # there may be one head for all
    stored: str = ""  # its name in files, if that differs from the field's
    dtype: type = np.float32
    finite: bool = True  # False if -inf is allowed


class Inputs(NamedTuple):
    """x, q, k, v as in LayerRecord; k and v are made from key_value_states, x in self-attention."""

    x: Float[np.ndarray, "query d_model"]
    key_value_states: Float[np.ndarray, "key d_states"]
    q: Float[np.ndarray, "head query d_k"]
    k: Float[np.ndarray, "kv_head key d_k"]
    v: Float[np.ndarray, "kv_head key d_v"]


@dataclass(frozen=True, eq=False, repr=False)
class LayerRecord:
    """What one layer's attention computed with, in float32; None for what was not recorded.

    weights = softmax(scores), and scores = scale * q k^T, changed by these in this order: softcap,
    bias and distance_bias, key_ranges, sinks. In grouped-query attention (Ainslie et al. 2023)
    consecutive heads share k and v.
    """

    # What W_Q multiplies, and W_K and W_V too unless there are encoder_states (cross-attention).
    x: Annotated[np.ndarray | None, Array("query d_model")] = None
    q: Annotated[np.ndarray | None, Array("head query d_k")] = None
    k: Annotated[np.ndarray | None, Array("kv_head key d_k")] = None
    v: Annotated[np.ndarray | None, Array("kv_head key d_v")] = None
    scale: float = 1.0  # 1 / sqrt(d_k) in Vaswani et al. 2017
    encoder_states: Annotated[np.ndarray | None, Array("key d_encoder", stored="memory")] = None
    bias: Annotated[np.ndarray | None, Array("head query key", finite=False, shared=True)] = None
    # Entry j - i + n - 1 is added for query i of n and key j (MPNet, T5).
    distance_bias: Annotated[np.ndarray | None, Array("head query+key-1", shared=True)] = None
    # The mask as intervals: the first key that each query may attend to, and the end of its keys.
    key_ranges: Annotated[np.ndarray | None, Array("query 2", False, "visible", np.int32)] = None
    softcap: float | None = None  # softcap * tanh(scores / softcap) (Gemma 2)
    # Scores of a place beside the keys, whose weight is left out of the rows (gpt-oss).
    sinks: Annotated[np.ndarray | None, Array("head")] = None
    # the weights, from models that give no queries and keys
    recorded_weights: Annotated[np.ndarray | None, Array("head query key", stored="given")] = None
    # the model's sums of weights times v
    z: Annotated[np.ndarray | None, Array("head query d_v")] = None
    value_norms: Annotated[np.ndarray | None, Array("head key")] = None  # lengths of v W_O

    @property
    def num_heads(self) -> int:
        """The number of heads."""
        return len(self._by_head)

    @property
    def lengths(self) -> tuple[int, int]:
        """The numbers of queries and keys."""
        by_key = self._by_head.swapaxes(-1, -2) if self.k is None else self.k
        return self._by_head.shape[-2], by_key.shape[-2]

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays that were recorded, by field name."""
        every = {name: getattr(self, name) for name in ARRAYS}
        return {name: array for name, array in every.items() if array is not None}

    @property
    def nbytes(self) -> int:
        """The memory that its arrays take, in bytes."""
        return sum(array.nbytes for array in self.arrays().values())

    def inputs(self) -> Inputs:
        """x, q, k, v and what k and v were made from; AttnvizError if one was not recorded."""
        self.check_more_than_weights()
        if self.x is None or self.q is None or self.k is None or self.v is None:
            raise AttnvizError(
                "the inputs of queries, keys and values were not recorded, because the text is "
                "long",
                "give the text itself again, as TEXT",
            )
        states = self.x if self.encoder_states is None else self.encoder_states
        if len(states) != self.lengths[1]:
            raise AttnvizError(
                "the encoder's states, of which keys and values were made, were not recorded",
                "attnviz run shows the weights",
            )
        return Inputs(self.x, states, self.q, self.k, self.v)

    def check_more_than_weights(self, name: str = "this model") -> None:
        """Raise AttnvizError if the model, of this name, gave its weights and nothing else."""
        if self.recorded_weights is not None:
            raise AttnvizError(
                f"{name} gives its attention weights alone, without queries, keys and values, "
                "because its own code computes them",
                "attnviz models says which models give all of it",
            )

    def of_head(
        self, keys_or_values: Float[np.ndarray, "kv_head key d"], head: int
    ) -> Float[np.ndarray, "key d"]:
        """The k or v of one head, which it may share with others."""
        own: np.ndarray = keys_or_values[head * len(keys_or_values) // self.num_heads]
        return own

    def weights(
        self, layer: int, heads: Sequence[int] | None = None, queries: slice = slice(None)
    ) -> Float[np.ndarray, "head query key"]:
        """Attention weights between pieces; AttnvizError if rows sum to other than 1 (or <= 1)."""
        numbers = np.arange(self.num_heads)[slice(None) if heads is None else list(heads)]
        with np.errstate(over="ignore", invalid="ignore"):  # the sums reveal what overflows
            if self.recorded_weights is not None:
                weights = self.recorded_weights[numbers, queries]
            else:
                weights = self._softmax(numbers, range(self.lengths[0])[queries])
            sums = weights @ np.ones(weights.shape[-1], weights.dtype)  # BLAS: faster than .sum()
        worst = np.abs((sums if self.sinks is None else np.maximum(sums, 1)) - 1).max()
        if not worst <= ROW_SUM_TOLERANCE:  # also true of NaN
            raise AttnvizError(
                f"layer {layer}: a row of attention weights does not sum to 1: it is off by "
                f"{worst:.2g}",
                "the model's numbers overflow float32; try another checkpoint",
            )
        return weights

    def scores(
        self, head: int, queries: slice, dots: Float[np.ndarray, "row key"]
    ) -> Float[np.ndarray, "row key"]:
        """The scores of some queries in one head, from their products with the keys."""
        rows = range(self.lengths[0])[queries]
        adjusted: np.ndarray = self._adjusted((dots * self.scale)[None], np.array([head]), rows)[0]
        return adjusted

    def attention_mask(self, queries: slice = slice(None)) -> Bool[np.ndarray, "query key"] | None:
        """The attention mask: True if any head may attend; None if nothing is masked."""
        if self.key_ranges is None and self.bias is None:
            return None
        count, keys = self.lengths
        mask = np.ones((len(range(count)[queries]), keys), dtype=bool)
        if self.key_ranges is not None:
            ranges, numbers = self.key_ranges[queries], np.arange(keys)
            mask &= (ranges[:, :1] <= numbers) & (numbers < ranges[:, 1:])
        if self.bias is not None:
            mask &= ~np.isneginf(self.bias[:, queries].max(axis=0))
        return None if mask.all() else mask

    @property
    def _by_head(self) -> np.ndarray:  # (head, query, ...)
        by_head = self.q if self.recorded_weights is None else self.recorded_weights
        if by_head is None:
            raise AttnvizError("a layer was recorded with neither queries and keys nor weights")
        return by_head

    def _softmax(
        self, heads: Int[np.ndarray, "head"], rows: range
    ) -> Float[np.ndarray, "head row key"]:
        if self.q is None or self.k is None:
            raise AttnvizError("a layer was recorded without queries or keys")
        _, count = self.lengths
        first, end = 0, count
        # In a sliding window, most keys of a long text are outside all these rows: skip them.
        if self.key_ranges is not None and len(rows):
            ranges = self.key_ranges[rows.start : rows.stop]
            first, end = int(ranges[:, 0].min()), int(ranges[:, 1].max())
        q, k = self.q[:, rows.start : rows.stop], self.k[:, first:end]
        # Indexing copies, so leave q and k alone if all heads are wanted and none share keys.
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
        self,
        scores: Float[np.ndarray, "head row some_keys"],
        heads: Int[np.ndarray, "head"],
        rows: range,
        first: int = 0,
    ) -> Float[np.ndarray, "head row some_keys"]:
        """Apply soft cap, biases and mask to scaled scores of keys from `first` on, in place."""
        end = first + scores.shape[-1]
        if self.softcap is not None:
            scores /= self.softcap
            np.tanh(scores, out=scores)
            scores *= self.softcap
        if self.bias is not None:
            bias = self.bias if len(self.bias) == 1 else self.bias[heads]
            scores += bias[:, rows.start : rows.stop, first:end]
        if self.distance_bias is not None:
            shared = len(self.distance_bias) == 1
            offsets = self.distance_bias if shared else self.distance_bias[heads]
            # Entry j - i + n - 1: a row's window onto the offsets begins one before the last row's
            windows = np.lib.stride_tricks.sliding_window_view(offsets, end - first, axis=-1)
            last = self.lengths[0] - 1 + first
            scores += windows[:, last - rows.stop + 1 : last - rows.start + 1][:, ::-1]
        if self.key_ranges is not None:
            keys = np.arange(first, end)
            ranges = self.key_ranges[rows.start : rows.stop]
            scores[:, (keys < ranges[:, :1]) | (keys >= ranges[:, 1:])] = -np.inf
        return scores


ARRAYS: dict[str, Array] = {
    name: hint.__metadata__[0]
    for name, hint in get_type_hints(LayerRecord, include_extras=True).items()
    if get_origin(hint) is Annotated
}


class Between(NamedTuple):
    """What a model does to x W_Q, x W_K, x W_V to get q, k, v, as "rotated by its position"."""

    q: str | None = None
    k: str | None = None
    v: str | None = None


NOTHING_BETWEEN = Between()


@dataclass(frozen=True, eq=False, repr=False)
class Projections:
    """The matrices and biases that turn x into queries, keys and values, and mix the results.

    x stands on the left, as in the article: q = x W_Q + b_Q. Widths are heads * d_k or d_v,
    kv_heads * d_k or d_v for W_K and W_V, which multiply the encoder's states in cross-attention.
    """

    W_Q: Float[np.ndarray, "d_model queries_width"]
    W_K: Float[np.ndarray, "d_states keys_width"]
    W_V: Float[np.ndarray, "d_states values_width"]
    W_O: Float[np.ndarray, "z_width d_model"]
    b_Q: Float[np.ndarray, "queries_width"] | None = None
    b_K: Float[np.ndarray, "keys_width"] | None = None
    b_V: Float[np.ndarray, "values_width"] | None = None
    b_O: Float[np.ndarray, "d_model"] | None = None  # added to the sum of heads; None for one
    between: Between = field(default=NOTHING_BETWEEN, kw_only=True)
    # x is the output of the layer below, or the embeddings; else what enters attention.
    direct: bool = field(default=True, kw_only=True)

    def head(self, number: int, num_heads: int) -> "Projections":
        """One head's columns of W_Q, W_K, W_V, which heads may share, and rows of W_O."""
        d_k, d_v = self.W_Q.shape[1] // num_heads, len(self.W_O) // num_heads
        shared = number * (self.W_K.shape[1] // d_k) // num_heads
        q, k, v, z = (
            slice(place * width, (place + 1) * width)
            for place, width in ((number, d_k), (shared, d_k), (shared, d_v), (number, d_v))
        )
        given = ((self.b_Q, q), (self.b_K, k), (self.b_V, v))
        biases = [None if bias is None else bias[columns] for bias, columns in given]
        matrices = self.W_Q[:, q], self.W_K[:, k], self.W_V[:, v], self.W_O[z]
        return Projections(*matrices, *biases, between=self.between, direct=self.direct)


def times(x: np.ndarray, matrix: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """X times a matrix, in float64, and its bias."""
    product: np.ndarray = x.astype(np.float64) @ matrix.astype(np.float64)
    return product if bias is None else product + bias


def softmax(
    scores: Float[np.ndarray, "*b head query key"], sinks: Float[np.ndarray, "head"] | None = None
) -> Float[np.ndarray, "*b head query key"]:
    """The softmax of each row, in place; sinks count in the sums, and their weight is left out."""
    # the maxima of short rows take longer than all the rest
    if sinks is not None or not scores.size or not -SMALL <= scores.min() <= scores.max() <= SMALL:
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


DAMAGED = "the model's weights are damaged or overflow; try another checkpoint"


def check_record(
    number: int, record: LayerRecord, sizes: Mapping[str, int], dtype: str = "float32"
) -> None:
    """Raise AttnvizError for wrong shapes, dtypes or values, or a query without a key.

    sizes: of the axes head, query, key, d_model and d_k. dtype: what the model computed in.
    """
    if record.recorded_weights is None and (record.q is None or record.k is None):
        raise AttnvizError(
            f"layer {number}: neither queries and keys were recorded, nor weights",
            "run the text again",
        )
    sizes = _all_sizes(number, record, sizes)
    if not sizes["d_v"]:
        raise AttnvizError(f"layer {number}: values have no numbers")
    for name, array in record.arrays().items():
        facts = ARRAYS[name]
        needed = tuple(sizes[axis] for axis in facts.shape.split())
        if array.shape != needed and not (facts.shared and array.shape == (1, *needed[1:])):
            raise AttnvizError(
                f"layer {number}: {name} has shape {array.shape}, "
                f"and {sizes['query']} tokens in this model need {needed}"
            )
        if array.dtype != facts.dtype:
            raise AttnvizError(
                f"layer {number}: {name} holds {array.dtype} numbers, "
                f"and {np.dtype(facts.dtype).name} is expected"
            )
        if facts.finite:
            check_finite(number, name, array, dtype)
    _check_values(number, record)
    _check_mask(number, record, sizes["key"])


@np.errstate(over="ignore", invalid="ignore")  # of the square of what is too large
def check_finite(number: int, name: str, array: np.ndarray, dtype: str) -> None:
    """Raise AttnvizError if an array holds NaN, infinity or numbers that are too large, or nothing.

    dtype: what the model computed in.
    """
    if array.size and array.dtype == np.float32 and np.vdot(array, array) <= LARGEST**2:
        return  # one quick pass, which NaN fails
    if not (array.size and array.max() <= LARGEST and array.min() >= -LARGEST):  # true of NaN too
        finite = f"up to {LARGEST:g}" if np.isfinite(array).all() else "finite (NaN or infinity)"
        raise AttnvizError(
            f"layer {number}: {name} holds numbers that are not {finite}",
            WIDER if dtype == "float16" else DAMAGED,
        )


def _all_sizes(number: int, record: LayerRecord, sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes of all axes that LayerRecord names: also of those that only the record has."""
    heads, k, states = sizes["head"], record.k, record.encoder_states
    values = record.z if record.v is None else record.v
    kv_heads = len(k) if k is not None and k.ndim == 3 else heads
    if not 1 <= kv_heads <= heads or heads % kv_heads:
        raise AttnvizError(f"layer {number}: {heads} heads cannot share {kv_heads} keys and values")
    return {
        **sizes,
        "kv_head": kv_heads,
        "d_v": values.shape[-1] if values is not None and values.ndim == 3 else sizes["d_k"],
        "d_encoder": states.shape[-1] if states is not None and states.ndim else 0,
        "query+key-1": sizes["query"] + sizes["key"] - 1,
        "2": 2,
    }


def _check_values(number: int, record: LayerRecord) -> None:
    for name, what in (("value_norms", "length"), ("recorded_weights", "weight")):
        array = getattr(record, name)
        if array is not None and (array < 0).any():
            raise AttnvizError(f"layer {number}: {name} holds a {what} below 0")
    for name, factor in (("scale", record.scale), ("soft cap", record.softcap)):
        if factor is not None and not abs(factor) <= LARGEST:  # true of NaN too
            raise AttnvizError(
                f"layer {number}: the {name} is {factor}, which is not a number up to {LARGEST:g}"
            )
    if record.softcap is not None and not record.softcap > 1 / LARGEST:
        told = f"the soft cap is {record.softcap}, and not above {1 / LARGEST:g}"
        raise AttnvizError(f"layer {number}: {told}")


def _check_mask(number: int, record: LayerRecord, keys: int) -> None:
    blind = AttnvizError(f"layer {number}: the mask leaves a query without any key")
    if record.key_ranges is not None:
        first, end = record.key_ranges[:, 0], record.key_ranges[:, 1]
        if (first < 0).any() or (end > keys).any():
            raise AttnvizError(f"layer {number}: the mask names keys that are not there")
        if (first >= end).any():
            raise blind
    if record.bias is not None and (
        np.isnan(record.bias).any() or not np.isfinite(record.bias.max(axis=-1)).all()
    ):
        raise blind
