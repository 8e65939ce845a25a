"""The Transformer encoder, top to bottom (Vaswani et al. 2017, "Attention Is All You Need", 3).

Each layer is self-attention, then feed-forward, each in `norm(x + sublayer(x))`. No dropout and no
training. Axes: batch, token (n of them), d_model; head and d_k = d_model / num_heads.
"""

from collections.abc import Callable, Generator
from functools import cached_property
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attnviz.models.config import ACTIVATIONS, EncoderConfig

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "gelu_10": lambda x: F.gelu(x).clamp(-10, 10),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "mish": F.mish,
    "relu2": lambda x: F.relu(x).square(),
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "leaky_relu": F.leaky_relu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "laplace": lambda x: (1 + torch.erf((x - 0.707107) / (0.282095 * 2**0.5))) / 2,
    "sqrtsoftplus": lambda x: F.softplus(x).sqrt(),
    "identity": lambda x: x,
}


def activation_of(config: EncoderConfig) -> Callable[[Tensor], Tensor]:
    """The function between the two matrices of the feed-forward network."""
    return FUNCTIONS[ACTIVATIONS[config.activation]]


class LayerVectors(NamedTuple):
    """One layer's x, (batch, n, d_model); q, k, v and their result z, (batch, heads, n, d_k)."""

    x: Tensor
    q: Tensor
    k: Tensor
    v: Tensor
    z: Tensor


class MultiHeadSelfAttention(nn.Module):
    """Self-attention, run `num_heads` times in parallel (Vaswani et al. 2017, 3.2.2).

    Each head's W_Q, W_K and W_V, d_model x d_k, are d_k columns of the square matrices here.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        d_model, bias = config.d_model, config.projection_bias
        self.W_Q = nn.Linear(d_model, d_model, bias)
        self.W_K = nn.Linear(d_model, d_model, bias)
        self.W_V = nn.Linear(d_model, d_model, bias)
        self.W_O = nn.Linear(d_model, d_model, bias)

    def forward(self, x: Tensor, mask: Tensor | None, queries: slice = slice(None)) -> LayerVectors:
        """`z = softmax(Q K^T / sqrt(d_k)) V` in every head, and the vectors that go into it.

        mask, broadcastable to (batch, num_heads, query, key): True where attention is allowed, or
        numbers to add to the scores. `queries`: q, z and the mask have only these tokens.
        """
        q = split_heads(self.W_Q(x[:, queries]), self.num_heads)
        k = split_heads(self.W_K(x), self.num_heads)
        v = split_heads(self.W_V(x), self.num_heads)
        return LayerVectors(x, q, k, v, attend(q, k, v, mask))

    def mix(self, z: Tensor) -> Tensor:
        """The heads joined and mixed by W_O: (batch, num_heads, n, d_k) -> (batch, n, d_model)."""
        mixed: Tensor = self.W_O(join_heads(z))
        return mixed

    def value_norms(self, v: Tensor) -> Tensor:
        """|v W_O| without bias (Kobayashi et al. 2020): (batch, heads, n, d_k) -> (…, n)."""
        lengths: Tensor = torch.linalg.vector_norm(v.float() @ self._output_shape, dim=-1)
        return lengths

    @cached_property
    def _output_shape(self) -> Tensor:
        return shape_of_output(self.W_O.weight, self.num_heads)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """`softmax(Q K^T / sqrt(d_k)) V` in every head; shapes as in MultiHeadSelfAttention."""
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def split_heads(x: Tensor, num_heads: int) -> Tensor:
    """(batch, n, d_model) -> (batch, num_heads, n, d_k)."""
    batch, length, d_model = x.shape
    return x.view(batch, length, num_heads, d_model // num_heads).transpose(1, 2)


def join_heads(z: Tensor) -> Tensor:
    """(batch, num_heads, n, d_k) -> (batch, n, d_model)."""
    return z.transpose(1, 2).flatten(-2)


def shape_of_output(weight: Tensor, num_heads: int) -> Tensor:
    """Each head's part of W_O without its rotation, (num_heads, d_k, d_k), in float32.

    A head's part is L times orthonormal rows, which keep lengths: |v W_O| = |v L|, at d_k / d_model
    of the work. L is the transposed R of a QR decomposition.
    """
    # on the CPU: not every GPU has float64
    columns = weight.to("cpu", torch.float64).T.reshape(num_heads, -1, len(weight))
    upper: Tensor = torch.linalg.qr(columns.mT, mode="r").R
    return upper.mT.to(weight.device, torch.float32)


class FeedForward(nn.Module):
    """The position-wise feed-forward network, d_model -> d_ff -> d_model (the article, 3.3)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.d_model, config.d_ff)
        self.outer = nn.Linear(config.d_ff, config.d_model)
        self.activation = activation_of(config)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, n, d_model) -> (batch, n, d_model)."""
        widened: Tensor = self.outer(self.activation(self.inner(x)))
        return widened


class EncoderLayer(nn.Module):
    """Self-attention, then feed-forward, each with a residual connection and then a layer norm."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.attention = MultiHeadSelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.d_model, eps=config.norm_eps)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """The next layer's x from this one's, both (batch, n, d_model), and its attention's z."""
        x = self.attention_norm(x + self.attention.mix(z))
        out: Tensor = self.feed_forward_norm(x + self.feed_forward(x))
        return out


class EncoderOutput(NamedTuple):
    """hidden_states: (batch, n, d_model), the last layer's output; layers: each one's vectors."""

    hidden_states: Tensor
    layers: tuple[LayerVectors, ...]


class Encoder(nn.Module):
    """Embeddings, then `num_layers` layers; it gives every layer's x, q, k, v and z.

    embeddings: ids and types, (batch, n), to (batch, n, d_model). position_bias: see `bias`.
    """

    def __init__(
        self, config: EncoderConfig, embeddings: nn.Module, position_bias: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.embeddings = embeddings
        self.position_bias = position_bias
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_layers))

    @property
    def device(self) -> torch.device:
        """The device that it computes on."""
        return next(self.parameters()).device

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU."""
        return self.device.type != "cpu"

    def layer(self, number: int) -> EncoderLayer:
        """One layer, counted from 0."""
        layer = self.layers[number]
        if not isinstance(layer, EncoderLayer):
            raise TypeError(f"layer {number} is a {type(layer).__name__}")
        return layer

    def bias(self, length: int) -> Tensor | None:
        """What every layer adds to the scores of n tokens, (1, num_heads, n, n), if anything."""
        return None if self.position_bias is None else self.position_bias(length)

    def steps(
        self, ids: Tensor, types: Tensor, mask: Tensor | None
    ) -> Generator[LayerVectors, None, Tensor]:
        """Each layer's vectors in turn; returns the last layer's output, (batch, n, d_model).

        ids, types, mask: (batch, n); the mask is True at tokens and False at padding.
        """
        keys = None if mask is None else mask[:, None, None, :]
        bias = self.bias(ids.shape[1])
        if bias is not None:
            keys = bias if keys is None else bias.masked_fill(~keys, float("-inf"))
        x: Tensor = self.embeddings(ids, types)
        for number in range(self.config.num_layers):
            layer = self.layer(number)
            vectors: LayerVectors = layer.attention(x, keys)
            yield vectors
            x = layer(x, vectors.z)
        return x

    def forward(self, ids: Tensor, types: Tensor, mask: Tensor | None = None) -> EncoderOutput:
        """Run the whole stack; shapes as in `steps`."""
        layers = []
        steps = self.steps(ids, types, mask)
        while True:
            try:
                layers.append(next(steps))
            except StopIteration as last:
                return EncoderOutput(last.value, tuple(layers))
