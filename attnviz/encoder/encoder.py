"""The Transformer encoder, top to bottom (Vaswani et al. 2017, "Attention Is All You Need", 3).

Each layer is self-attention, then feed-forward, each in `norm(x + sublayer(x))`. No dropout and no
training. It is written once, for numpy and torch; what differs is an `Engine`. Axes: batch, token
(n of them), d_model; head and d_k = d_model / num_heads.
"""

from collections.abc import Generator
from functools import cached_property
from typing import NamedTuple

from attnviz.encoder.embeddings import EMBEDDINGS, DistanceBias
from attnviz.encoder.engine import Array
from attnviz.encoder.parts import LayerNorm, Linear, Weights
from attnviz.models.config import ACTIVATIONS, EncoderConfig
from attnviz.models.families import Embeddings


class LayerVectors(NamedTuple):
    """One layer's x, (batch, n, d_model); q, k, v and their result z, (batch, heads, n, d_k)."""

    x: Array
    q: Array
    k: Array
    v: Array
    z: Array


class MultiHeadSelfAttention:
    """Self-attention, run `num_heads` times in parallel (Vaswani et al. 2017, 3.2.2).

    Each head's W_Q, W_K and W_V, d_model x d_k, are d_k columns of the square matrices here.
    """

    def __init__(self, num_heads: int, weights: Weights) -> None:
        self.engine, self.num_heads = weights.engine, num_heads
        self.W_Q = Linear(weights, "W_Q")
        self.W_K = Linear(weights, "W_K")
        self.W_V = Linear(weights, "W_V")
        self.W_O = Linear(weights, "W_O")

    def __call__(self, x: Array, mask: Array | None, queries: slice = slice(None)) -> LayerVectors:
        """`z = softmax(Q K^T / sqrt(d_k)) V` in every head, and the vectors that go into it.

        mask: as in `Engine.attend`. `queries`: q, z and the mask have only these tokens.
        """
        q = split_heads(self.W_Q(x[:, queries]), self.num_heads)
        k = split_heads(self.W_K(x), self.num_heads)
        v = split_heads(self.W_V(x), self.num_heads)
        return LayerVectors(x, q, k, v, self.engine.attend(q, k, v, mask))

    def mix(self, z: Array) -> Array:
        """The heads joined and mixed by W_O: (batch, num_heads, n, d_k) -> (batch, n, d_model)."""
        return self.W_O(join_heads(z))

    def value_norms(self, v: Array) -> Array:
        """|v W_O| without bias (Kobayashi et al. 2020): (batch, heads, n, d_k) -> (…, n)."""
        return self.engine.lengths(v, self._outputs)

    @cached_property
    def _outputs(self) -> Array:
        return self.engine.head_outputs(self.W_O.weight, self.num_heads)


def split_heads(x: Array, num_heads: int) -> Array:
    """(batch, n, d_model) -> (batch, num_heads, n, d_k)."""
    batch, length, d_model = x.shape
    return x.reshape(batch, length, num_heads, d_model // num_heads).swapaxes(1, 2)


def join_heads(z: Array) -> Array:
    """(batch, num_heads, n, d_k) -> (batch, n, d_model)."""
    batch, num_heads, length, d_k = z.shape
    return z.swapaxes(1, 2).reshape(batch, length, num_heads * d_k)


class FeedForward:
    """The position-wise feed-forward network, d_model -> d_ff -> d_model (the article, 3.3)."""

    def __init__(self, activation: str, weights: Weights) -> None:
        self.engine, self.activation = weights.engine, ACTIVATIONS[activation]
        self.inner = Linear(weights, "inner")
        self.outer = Linear(weights, "outer")

    def __call__(self, x: Array) -> Array:
        """(batch, n, d_model) -> (batch, n, d_model)."""
        return self.outer(self.engine.activation(self.activation, self.inner(x)))


class EncoderLayer:
    """Self-attention, then feed-forward, each with a residual connection and then a layer norm."""

    def __init__(self, config: EncoderConfig, weights: Weights) -> None:
        self.attention = MultiHeadSelfAttention(config.num_heads, weights.inside("attention"))
        self.attention_norm = LayerNorm(weights, "attention_norm", config.norm_eps)
        self.feed_forward = FeedForward(config.activation, weights.inside("feed_forward"))
        self.feed_forward_norm = LayerNorm(weights, "feed_forward_norm", config.norm_eps)

    def __call__(self, x: Array, z: Array) -> Array:
        """The next layer's x from this one's, both (batch, n, d_model), and its attention's z."""
        x = self.attention_norm(x + self.attention.mix(z))
        return self.feed_forward_norm(x + self.feed_forward(x))


class EncoderOutput(NamedTuple):
    """hidden_states: (batch, n, d_model), the last layer's output; layers: each one's vectors."""

    hidden_states: Array
    layers: tuple[LayerVectors, ...]


class Encoder:
    """Embeddings, then `num_layers` layers; it gives every layer's x, q, k, v and z."""

    def __init__(self, config: EncoderConfig, embeddings: Embeddings, weights: Weights) -> None:
        self.config = config
        self.weights = weights
        self.engine = weights.engine
        self.embeddings = EMBEDDINGS[embeddings](config, weights.inside("embeddings"))
        biased = config.distance_buckets is not None
        self.position_bias = DistanceBias(weights.inside("position_bias")) if biased else None
        places = (weights.inside(f"layers.{number}") for number in range(config.num_layers))
        self.layers = tuple(EncoderLayer(config, place) for place in places)

    def bias(self, length: int) -> Array | None:
        """What every layer adds to the scores of n tokens, (1, num_heads, n, n), if anything."""
        return None if self.position_bias is None else self.position_bias(length)

    def steps(
        self, ids: Array, types: Array, mask: Array | None
    ) -> Generator[LayerVectors, None, Array]:
        """Each layer's vectors in turn; returns the last layer's output, (batch, n, d_model).

        ids, types, mask: (batch, n); the mask is True at tokens and False at padding.
        """
        keys = None if mask is None else mask[:, None, None, :]
        bias = self.bias(ids.shape[1])
        if bias is not None:
            keys = bias if keys is None else self.engine.where(keys, bias, float("-inf"))
        x = self.embeddings(ids, types)
        for layer in self.layers:
            vectors = layer.attention(x, keys)
            yield vectors
            x = layer(x, vectors.z)
        return x

    def __call__(self, ids: Array, types: Array, mask: Array | None = None) -> EncoderOutput:
        """Run the whole stack; shapes as in `steps`."""
        layers = []
        steps = self.steps(ids, types, mask)
        while True:
            try:
                layers.append(next(steps))
            except StopIteration as last:
                return EncoderOutput(last.value, tuple(layers))
