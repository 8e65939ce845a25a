"""Token ids to the vectors that enter the first layer; and what scores get for distance."""

import math
from collections.abc import Mapping

import numpy as np

from attnviz.encoder.engine import Array
from attnviz.encoder.parts import LayerNorm, Linear, Weights
from attnviz.models.config import BUCKETS, EncoderConfig
from attnviz.models.families import Embeddings

FARTHEST = 128  # Distances from this on are all in the last bucket


class LearnedEmbeddings:
    """Word + position + token type (BERT, figure 2), then a layer norm.

    DistilBERT has no token types; ELECTRA has narrower tables, and a matrix from there to d_model.
    """

    def __init__(self, config: EncoderConfig, weights: Weights) -> None:
        self.engine = weights.engine
        self.word, self.position = weights["word.weight"], weights["position.weight"]
        self.token_type = weights.get("token_type.weight")
        self.norm = LayerNorm(weights, "norm", config.norm_eps)
        projects = weights.get("project.weight") is not None
        self.project = Linear(weights, "project") if projects else None
        self.padding = config.first_position - 1

    def positions(self, ids: Array) -> Array:
        """Each token's vector by its place: (batch, n) -> (n, width) or (batch, n, width)."""
        return self.engine.rows(self.position, self.engine.array(np.arange(ids.shape[1])))

    def summed(self, ids: Array, types: Array) -> dict[str, Array]:
        """What is added up, each (batch, n, width), or (n, width) if it is the same in a batch."""
        parts = {"token": self.engine.rows(self.word, ids), "position": self.positions(ids)}
        if self.token_type is not None:
            parts["type"] = self.engine.rows(self.token_type, types)
        return parts

    def __call__(self, ids: Array, types: Array) -> Array:
        """ids, types: (batch, n) -> (batch, n, d_model)."""
        vectors = self.norm(sum_of(self.summed(ids, types)))
        return vectors if self.project is None else self.project(vectors)


class OffsetEmbeddings(LearnedEmbeddings):
    """The same, with positions counted as in fairseq's RoBERTa (Liu et al. 2019).

    The first token has the row after the padding token's id, a padding token always its id's row.
    """

    def positions(self, ids: Array) -> Array:
        """Each token's vector by its place: (batch, n) -> (batch, n, width)."""
        counted = ids != self.padding
        return self.engine.rows(self.position, counted.cumsum(1) * counted + self.padding)


class SinusoidalEmbeddings:
    """Word vectors times sqrt(d_model), plus sinusoids (Vaswani et al. 2017, 3.4 and 3.5)."""

    def __init__(self, config: EncoderConfig, weights: Weights) -> None:
        self.engine = weights.engine
        self.word, self.position = weights["word.weight"], weights.get("position.weight")
        self.scale = math.sqrt(config.d_model) if config.scaled_embeddings else 1.0

    def positions(self, length: int, d_model: int) -> Array:
        """The vector to add at each position: (length, d_model)."""
        return self.engine.array(sinusoidal_positions(length, d_model))

    def summed(self, ids: Array, types: Array) -> dict[str, Array]:
        """As of LearnedEmbeddings; the paper's encoder has no token types."""
        words = self.engine.rows(self.word, ids)
        return {"token": words * self.scale, "position": self.positions(*words.shape[1:])}

    def __call__(self, ids: Array, types: Array) -> Array:
        """ids: (batch, n) -> (batch, n, d_model)."""
        return sum_of(self.summed(ids, types))


class HalvedSinusoidalEmbeddings(SinusoidalEmbeddings):
    """All sines before all cosines, as in Marian (Junczys-Dowmunt et al. 2018).

    A file that holds a table of positions has it as `position`, which counts then.
    """

    def positions(self, length: int, d_model: int) -> Array:
        """The vector to add at each position: (length, d_model)."""
        if self.position is not None:
            return self.position[:length]
        angles = _angles(length, d_model)
        halves = np.concatenate([np.sin(angles), np.cos(angles)], axis=-1)[:, :d_model]
        return self.engine.array(halves)


def sum_of(parts: Mapping[str, Array]) -> Array:
    """The sum of arrays, in their order."""
    first, *others = parts.values()
    for other in others:
        first = first + other
    return first


EMBEDDINGS: Mapping[Embeddings, type[LearnedEmbeddings | SinusoidalEmbeddings]] = {
    "learned": LearnedEmbeddings,
    "offset": OffsetEmbeddings,
    "sinusoidal": SinusoidalEmbeddings,
    "halved sinusoidal": HalvedSinusoidalEmbeddings,
}


def sinusoidal_positions(length: int, d_model: int) -> np.ndarray:
    """PE(pos, 2i) = sin(pos / 10000^(2i / d_model)), PE(pos, 2i+1) = cos; (length, d_model)."""
    angles = _angles(length, d_model)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return waves.reshape(length, -1)[:, :d_model]


def _angles(length: int, d_model: int) -> np.ndarray:
    """The angles pos / 10000^(2i / d_model), (pos, i), in float64."""
    angles: np.ndarray = np.arange(length)[:, None] / 10000 ** (np.arange(0, d_model, 2) / d_model)
    return angles


class DistanceBias:
    """A number for each head and bucket of distances (MPNet, 3.1; buckets: T5, 2.1)."""

    def __init__(self, weights: Weights) -> None:
        self.engine, self.table = weights.engine, weights["table.weight"]

    def __call__(self, length: int) -> Array:
        """The numbers to add to the scores of n tokens: (1, num_heads, query, key)."""
        positions = np.arange(length)
        numbers = buckets(positions[None, :] - positions[:, None])
        values = self.engine.rows(self.table, self.engine.array(numbers))
        return values.swapaxes(1, 2).swapaxes(0, 1)[None]


def buckets(distances: np.ndarray) -> np.ndarray:
    """The bucket of each distance from query to key, in any shape; below 0 is to the left.

    Half are for keys to the right. In each, half have one distance; others grow logarithmically.
    """
    half = BUCKETS // 2
    alone, far = half // 2, np.abs(distances)
    # in float32 and in this order, so that each distance rounds as in the published model
    nearest = np.maximum(far, 1).astype(np.float32)
    steps = np.log(nearest / alone) / np.float32(math.log(FARTHEST / alone)) * (half - alone)
    grown = np.minimum(alone + np.maximum(steps, 0).astype(np.int64), half - 1)
    found: np.ndarray = np.where(far < alone, far, grown) + half * (distances > 0)
    return found
