"""A layer's two sublayers, attention and feed-forward, with their norms (Vaswani et al. 2017, 3.1).

Vectors are float64, or float32 where all tokens are asked for at once, and so is what they become.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from attnviz.attention.layer import Projections
from attnviz.attention.shapes import Float

NormKind = Literal["layer norm", "RMS norm", "gain"]
SublayerName = Literal["attention", "feed_forward", "self_attention", "cross_attention"]


@dataclass(frozen=True, eq=False)
class Norm:
    """A layer norm (Ba et al. 2016), an RMS norm (Zhang & Sennrich 2019), or a gain alone.

    y = gain * (u - mean u) / size + shift, where size is sqrt(mean square + eps); an RMS norm
    subtracts no mean.
    """

    kind: NormKind
    eps: float = 0.0
    gain: Float[np.ndarray, "d_model"] | float = 1.0
    shift: Float[np.ndarray, "d_model"] | float = 0.0

    def __call__(self, u: Float[np.ndarray, "... d_model"]) -> Float[np.ndarray, "... d_model"]:
        """The norm of vectors."""
        normed: np.ndarray = self.linear(u, u) + self.shift
        return normed

    def linear(
        self, parts: Float[np.ndarray, "... d_model"], u: Float[np.ndarray, "... d_model"]
    ) -> Float[np.ndarray, "... d_model"]:
        """What the norm of u makes of each of the parts that u is the sum of, without the shift.

        The size is u's, so that the results sum to the norm of u less its shift (Kobayashi et al.
        2021, equation 5).
        """
        scaled: np.ndarray = self._centred(parts) * self.gain
        if self.kind != "gain":
            square = (self._centred(u) ** 2).mean(axis=-1, keepdims=True)
            scaled /= np.sqrt(square + self.eps)
        return scaled

    def _centred(self, u: np.ndarray) -> np.ndarray:
        centred: np.ndarray = u - u.mean(axis=-1, keepdims=True)
        return centred if self.kind == "layer norm" else u


@dataclass(frozen=True, eq=False)
class FeedForward:
    """The feed-forward network, d_model -> d_ff -> d_model: function(h W_1 + b_1) W_2 + b_2.

    With a gate (Shazeer 2020), function(h W_G + b_G) * (h W_1 + b_1) takes the function's place.
    """

    W_1: Float[np.ndarray, "d_model d_ff"]
    W_2: Float[np.ndarray, "d_ff d_model"]
    b_1: Float[np.ndarray, "d_ff"] | None
    b_2: Float[np.ndarray, "d_model"] | None
    activation: str
    function: Callable[[np.ndarray], np.ndarray] = field(repr=False)
    W_G: Float[np.ndarray, "d_model d_ff"] | None = None
    b_G: Float[np.ndarray, "d_ff"] | None = None

    def inner(self, h: Float[np.ndarray, "... d_model"]) -> Float[np.ndarray, "... d_ff"]:
        """What enters W_2."""
        wide = _times(h, self.W_1, self.b_1)
        if self.W_G is None:
            return self.function(wide)
        gated: np.ndarray = self.function(_times(h, self.W_G, self.b_G)) * wide
        return gated

    def outer(self, inner: Float[np.ndarray, "... d_ff"]) -> Float[np.ndarray, "... d_model"]:
        """What the network gives."""
        return _times(inner, self.W_2, self.b_2)


class Unopened(NamedTuple):
    """A network that is more than two matrices, as a mixture of experts; what it gave."""

    name: str
    outputs: Float[np.ndarray, "piece d_model"]


@dataclass(frozen=True, eq=False)
class Adding:
    """A sublayer, and how what it gives is added to the vector that runs through the layer.

    vector = after(kept * vector + factor * inside(sublayer(before(vector)))), each norm None where
    there is none. `beside`: the sublayer reads the layer's x, as attention does, beside which it
    runs.
    """

    name: SublayerName
    before: Norm | None = None
    inside: Norm | None = None
    after: Norm | None = None
    kept: float = 1.0
    factor: float = 1.0
    beside: bool = False


@dataclass(frozen=True, eq=False)
class Sublayers:
    """A layer's parts beside its attention weights, and what went in and came out for some pieces.

    `order`: the sublayers, one of them attention, one feed-forward. `others`: what other attention
    gave, as a decoder's to its encoder. output: the model's own; None if it is not known.
    """

    pieces: tuple[int, ...]
    order: tuple[Adding, ...]
    W_O: Float[np.ndarray, "z_width d_model"]
    b_O: Float[np.ndarray, "d_model"] | None
    feed_forward: FeedForward | Unopened
    x: Float[np.ndarray, "piece d_model"]
    output: Float[np.ndarray, "piece d_model"] | None
    others: Mapping[SublayerName, Float[np.ndarray, "piece d_model"]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class HeadNorm:
    """A norm of queries or keys, before they are rotated: of each head's, or of all `together`.

    It subtracts no mean of several heads, and has no shift.
    """

    norm: Norm
    together: bool

    def __call__(self, vectors: Float[np.ndarray, "piece head d_k"]) -> np.ndarray:
        """What it makes of all heads' vectors."""
        shaped = vectors.reshape(len(vectors), -1) if self.together else vectors
        return self.norm(shaped).reshape(vectors.shape)

    def linear(
        self,
        parts: Float[np.ndarray, "part piece d_k"],
        vectors: Float[np.ndarray, "piece head d_k"],
        head: int,
    ) -> Float[np.ndarray, "part piece d_k"]:
        """What it makes of the parts of one head's vectors, its size held; see `Norm.linear`."""
        if not self.together:
            return self.norm.linear(parts, vectors[:, head])
        wide = np.zeros((*parts.shape[:2], *vectors.shape[1:]))
        wide[:, :, head] = parts
        flat = self.norm.linear(
            wide.reshape(*parts.shape[:2], -1), vectors.reshape(len(vectors), -1)
        )
        made: np.ndarray = flat.reshape(wide.shape)[:, :, head]
        return made


@dataclass(frozen=True, eq=False)
class NormedProjections(Projections):
    """Projections of which queries or keys go through a norm; None where that is not known."""

    q_norm: HeadNorm | None = field(default=None, kw_only=True)
    k_norm: HeadNorm | None = field(default=None, kw_only=True)


@dataclass(frozen=True, eq=False)
class Embedded:
    """What enters the first layer for some pieces: a sum of parts, through a norm and a matrix.

    parts: "token", "position", "type", or "embeddings" where these are not told apart, each (piece,
    width). No norm, or no matrix, where there is none.
    """

    parts: Mapping[str, Float[np.ndarray, "piece width"]]
    norm: Norm | None = None
    matrix: Float[np.ndarray, "width d_model"] | None = None
    bias: Float[np.ndarray, "d_model"] | None = None


@dataclass(frozen=True, eq=False)
class Origins:
    """What some pieces' vectors come from that one layer's attention reads.

    `layers`: those below, in order; `own`: the layer itself, where attention reads more than its x,
    as of a norm.
    """

    pieces: tuple[int, ...]
    embedded: Embedded
    layers: tuple[Sublayers, ...]
    own: Sublayers | None
    projections: Projections


def _times(x: np.ndarray, matrix: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    product: np.ndarray = x @ matrix
    return product if bias is None else product + bias
