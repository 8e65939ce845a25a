"""What is added to attention's scores for how far apart query and key stand."""

import math

import torch
from torch import Tensor, nn

from attnviz.encoder.embeddings import Table
from attnviz.models.shape import BUCKETS, EncoderConfig

FARTHEST = 128
"""The distance from which all are in the last bucket."""


class DistanceBias(nn.Module):
    """One learned number a head and bucket of distances, the same in every layer.

    Song et al. 2020, "MPNet", 3.1, with the buckets of Raffel et al. 2020, "T5", 2.1.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.table = Table(config.distance_buckets or 0, config.num_heads)

    def forward(self, length: int) -> Tensor:
        """What a sentence of n tokens has added to its scores: (1, num_heads, query, key)."""
        positions = torch.arange(length, device=self.table.weight.device)
        values: Tensor = self.table(buckets(positions[None, :] - positions[:, None]))
        return values.permute(2, 0, 1)[None]


def buckets(distances: Tensor) -> Tensor:
    """The bucket of each distance from query to key, in any shape; below 0 is to the left.

    Half of the buckets are for keys to the right. Of each half, the first half has a bucket for
    each distance, and the others grow as the distance's logarithm does.
    """
    half = BUCKETS // 2
    alone, far = half // 2, distances.abs()
    # in float32 and in this order, so that each distance rounds as in the published model
    steps = torch.log(far.float() / alone) / math.log(FARTHEST / alone) * (half - alone)
    grown = (alone + steps.clamp(min=0).long()).clamp(max=half - 1)
    return torch.where(far < alone, far, grown) + half * (distances > 0)
