"""From token ids to the vectors that enter the first layer, one class per way of doing it.

Self-attention does not see order, so each vector also carries its position: looked up in a learned
table (BERT), or written in sines and cosines (the paper).
"""

import math

import torch
from torch import Tensor, nn

from attnviz.encoder.encoder import EncoderConfig


class Table(nn.Embedding):
    """A table of vectors by number, whose contents a checkpoint or a seed brings.

    torch's own would first draw random numbers, and on the meta device import its compiler to do
    so, which takes longer than all the rest of loading a model.
    """

    def reset_parameters(self) -> None:
        """Leave the table as it is."""


class LearnedEmbeddings(nn.Module):
    """Word + position + token type, each from a learned table, then a layer norm.

    Devlin et al. 2019, "BERT", section 3, figure 2.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        d_model = config.d_model
        self.word = Table(config.vocab_size, d_model)
        self.position = Table(config.max_positions or 0, d_model)
        self.token_type = Table(config.num_token_types, d_model)
        self.norm = nn.LayerNorm(d_model, eps=config.norm_eps)

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        """ids, types: (batch, n) -> (batch, n, d_model)."""
        positions = torch.arange(ids.shape[1], device=ids.device)
        vectors: Tensor = self.norm(
            self.word(ids) + self.position(positions) + self.token_type(types)
        )
        return vectors


class SinusoidalEmbeddings(nn.Module):
    """Word vectors times sqrt(d_model), plus sinusoids (Vaswani et al. 2017, 3.4 and 3.5)."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.word = Table(config.vocab_size, config.d_model)

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        """ids: (batch, n) -> (batch, n, d_model); the paper's encoder knows no token types."""
        words: Tensor = self.word(ids)
        d_model = words.shape[-1]
        return words * math.sqrt(d_model) + sinusoidal_positions(ids.shape[1], d_model).to(words)


def sinusoidal_positions(length: int, d_model: int) -> Tensor:
    """PE(pos, 2i) = sin(pos / 10000^(2i / d_model)), PE(pos, 2i+1) = cos of the same.

    Returns (length, d_model), float32.
    """
    positions = torch.arange(length, dtype=torch.float64)[:, None]
    even = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions / 10000 ** (even / d_model)
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    return waves[:, :d_model].float()
