"""Token ids to the vectors that enter the first layer; and what scores get for distance."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from attnviz.models.config import BUCKETS, EncoderConfig
from attnviz.models.families import Embeddings

FARTHEST = 128  # Distances from this on are all in the last bucket


class Table(nn.Embedding):
    """A table of vectors by number; torch's own draws random numbers first, which takes long."""

    def reset_parameters(self) -> None:
        """Leave the table as it is."""


class LearnedEmbeddings(nn.Module):
    """Word + position + token type (BERT, figure 2), then a layer norm.

    DistilBERT has no token types; ELECTRA has narrower tables, and a matrix from there to d_model.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width, num_types = config.d_embedding or config.d_model, config.num_token_types
        self.word = Table(config.vocab_size, width)
        self.position = Table(config.first_position + (config.max_positions or 0), width)
        self.token_type = Table(num_types, width) if num_types else None
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.project = None if width == config.d_model else nn.Linear(width, config.d_model)

    def positions(self, ids: Tensor) -> Tensor:
        """Each token's row in the position table: (batch, n) -> (n,) or (batch, n)."""
        return torch.arange(ids.shape[1], device=ids.device)

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        """ids, types: (batch, n) -> (batch, n, d_model)."""
        summed: Tensor = self.word(ids) + self.position(self.positions(ids))
        if self.token_type is not None:
            summed = summed + self.token_type(types)
        vectors: Tensor = self.norm(summed)
        return vectors if self.project is None else self.project(vectors)


class OffsetEmbeddings(LearnedEmbeddings):
    """The same, with positions counted as in fairseq's RoBERTa (Liu et al. 2019).

    The first token has the row after the padding token's id, a padding token always its id's row.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.padding = config.first_position - 1

    def positions(self, ids: Tensor) -> Tensor:
        """Each token's row in the position table: (batch, n) -> (batch, n)."""
        counted = ids != self.padding
        return counted.cumsum(dim=1) * counted + self.padding


class SinusoidalEmbeddings(nn.Module):
    """Word vectors times sqrt(d_model), plus sinusoids (Vaswani et al. 2017, 3.4 and 3.5)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.word = Table(config.vocab_size, config.d_model)
        self.scale = math.sqrt(config.d_model) if config.scaled_embeddings else 1.0

    def positions(self, length: int, d_model: int) -> Tensor:
        """The vector to add at each position: (length, d_model)."""
        return sinusoidal_positions(length, d_model)

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        """ids: (batch, n) -> (batch, n, d_model); the paper's encoder has no token types."""
        words: Tensor = self.word(ids)
        return words * self.scale + self.positions(*words.shape[1:]).to(words)


class HalvedSinusoidalEmbeddings(SinusoidalEmbeddings):
    """All sines before all cosines, as in Marian (Junczys-Dowmunt et al. 2018).

    A file that holds a table of positions has it as `position`, which counts then.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self.position: Table | None = None

    def positions(self, length: int, d_model: int) -> Tensor:
        """The vector to add at each position: (length, d_model)."""
        if self.position is not None:
            return self.position.weight[:length]
        angles = _angles(length, d_model)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)[:, :d_model].float()


EMBEDDINGS: Mapping[Embeddings, type[LearnedEmbeddings | SinusoidalEmbeddings]] = {
    "learned": LearnedEmbeddings,
    "offset": OffsetEmbeddings,
    "sinusoidal": SinusoidalEmbeddings,
    "halved sinusoidal": HalvedSinusoidalEmbeddings,
}


def sinusoidal_positions(length: int, d_model: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i / d_model)), PE(pos, 2i+1) = cos; (length, d_model)."""
    angles = _angles(length, d_model)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    return waves[:, :d_model].float()


def _angles(length: int, d_model: int) -> Tensor:
    """The angles pos / 10000^(2i / d_model), (pos, i), in float64."""
    positions = torch.arange(length, dtype=torch.float64)[:, None]
    even = torch.arange(0, d_model, 2, dtype=torch.float64)
    return positions / 10000 ** (even / d_model)


class DistanceBias(nn.Module):
    """A number for each head and bucket of distances (MPNet, 3.1; buckets: T5, 2.1)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.table = Table(config.distance_buckets or 0, config.num_heads)

    def forward(self, length: int) -> Tensor:
        """The numbers to add to the scores of n tokens: (1, num_heads, query, key)."""
        positions = torch.arange(length, device=self.table.weight.device)
        values: Tensor = self.table(buckets(positions[None, :] - positions[:, None]))
        return values.permute(2, 0, 1)[None]


def buckets(distances: Tensor) -> Tensor:
    """The bucket of each distance from query to key, in any shape; below 0 is to the left.

    Half are for keys to the right. In each, half have one distance; others grow logarithmically.
    """
    half = BUCKETS // 2
    alone, far = half // 2, distances.abs()
    # in float32 and in this order, so that each distance rounds as in the published model
    steps = torch.log(far.float() / alone) / math.log(FARTHEST / alone) * (half - alone)
    grown = (alone + steps.clamp(min=0).long()).clamp(max=half - 1)
    return torch.where(far < alone, far, grown) + half * (distances > 0)
