"""The parts that all others are made of; their weights, and the names and shapes of all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from attnviz.encoder.engine import Array, Engine
from attnviz.models.config import EncoderConfig
from attnviz.models.families import Embeddings

Shapes = dict[str, tuple[int, ...]]

WORD_VECTORS = "embeddings.word.weight"


@dataclass(frozen=True)
class Weights:
    """The arrays of the encoder, or of a part of it, by name; and the engine they belong to."""

    engine: Engine
    arrays: Mapping[str, Array]
    place: str = ""

    def inside(self, part: str) -> "Weights":
        """Those of a part."""
        return Weights(self.engine, self.arrays, f"{self.place}{part}.")

    def get(self, name: str) -> Array | None:
        """The array of this name, if there is one."""
        return self.arrays.get(self.place + name)

    def __getitem__(self, name: str) -> Array:
        return self.arrays[self.place + name]


class Linear:
    """`x W^T + b`: W is (d_out, d_in), as files hold it; b may be missing."""

    def __init__(self, weights: Weights, name: str) -> None:
        self.engine = weights.engine
        self.weight = weights[f"{name}.weight"]
        self.bias = weights.get(f"{name}.bias")

    def __call__(self, x: Array) -> Array:
        """(..., d_in) -> (..., d_out)."""
        return self.engine.linear(x, self.weight, self.bias)


class LayerNorm:
    """A layer norm (Ba et al. 2016): `gain * (x - mean) / sqrt(variance + eps) + shift`."""

    def __init__(self, weights: Weights, name: str, eps: float) -> None:
        self.engine, self.eps = weights.engine, eps
        self.gain, self.shift = weights[f"{name}.weight"], weights[f"{name}.bias"]

    def __call__(self, x: Array) -> Array:
        """(..., d_model) -> (..., d_model)."""
        return self.engine.layer_norm(x, self.gain, self.shift, self.eps)


def encoder_shapes(
    config: EncoderConfig, embeddings: Embeddings, stored_positions: bool = False
) -> Shapes:
    """Every weight of an encoder, by our names; `stored_positions`: sinusoids have a table too."""
    c = config
    width, learned = c.d_embedding or c.d_model, embeddings in ("learned", "offset")
    shapes: Shapes = {WORD_VECTORS: (c.vocab_size, width)}
    if learned or stored_positions:
        rows = c.first_position + (c.max_positions or 0)
        shapes["embeddings.position.weight"] = (rows, width)
    if learned and c.num_token_types:
        shapes["embeddings.token_type.weight"] = (c.num_token_types, width)
    if learned:
        shapes |= _norm("embeddings.norm", width)
        shapes |= _linear("embeddings.project", c.d_model, width) if width != c.d_model else {}
    if c.distance_buckets is not None:
        shapes["position_bias.table.weight"] = (c.distance_buckets, c.num_heads)
    for layer in (f"layers.{number}" for number in range(c.num_layers)):
        for matrix in ("W_Q", "W_K", "W_V", "W_O"):
            name = f"{layer}.attention.{matrix}"
            shapes |= _linear(name, c.d_model, c.d_model, c.projection_bias)
        shapes |= _norm(f"{layer}.attention_norm", c.d_model)
        shapes |= _linear(f"{layer}.feed_forward.inner", c.d_ff, c.d_model)
        shapes |= _linear(f"{layer}.feed_forward.outer", c.d_model, c.d_ff)
        shapes |= _norm(f"{layer}.feed_forward_norm", c.d_model)
    return shapes


def masked_lm_shapes(config: EncoderConfig) -> Shapes:
    """Every weight of a masked-LM head, by our names."""
    width = config.d_embedding or config.d_model
    dense = _linear("dense", width, config.d_model) | _norm("norm", width)
    return dense | _linear("decoder", config.vocab_size, width)


def work(config: EncoderConfig, lengths: Sequence[int]) -> int:
    """The multiply-adds of a run: tokens by all matrices, and each token by each other."""
    matrices = 4 * config.d_model**2 + 2 * config.d_model * config.d_ff
    return config.num_layers * sum(n * (matrices + 2 * n * config.d_model) for n in lengths)


def _linear(name: str, d_out: int, d_in: int, bias: bool = True) -> Shapes:
    weight: Shapes = {f"{name}.weight": (d_out, d_in)}
    return weight | ({f"{name}.bias": (d_out,)} if bias else {})


def _norm(name: str, width: int) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}
