"""What a trial of a model on a few tokens tells: whether what was recorded is its own."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from attnviz.attention.check import check_finite
from attnviz.attention.layer import LayerRecord
from attnviz.encoder.devices import as_numpy
from attnviz.inspection.facts import AttentionKind

TOLERANCE = 5e-3
"""How far a weight may be off in the trial: rounding adds up over many layers. What is left out of
scores, as a soft cap or a bias, shows in weights by much more.
"""

COARSE = 0.1
"""The same where a model computes in bfloat16 or float16."""


def agree(
    records: Sequence[LayerRecord], eager: Sequence[Tensor | None] | None, dtype: str
) -> bool:
    """Whether the weights of all layers' records are those that the model itself gives.

    eager: a tensor a layer, (1, num_heads, n, m), of eager attention. `dtype`: what the model
    computes in. AttnvizError where its range does not do.
    """
    if eager is None or len(eager) != len(records):
        return False
    for number, (record, own) in enumerate(zip(records, eager, strict=True)):
        for name, array in (("q", record.q), ("k", record.k)):
            if array is not None:
                check_finite(number, name, array, dtype)
        weights = record.weights(number)
        if own is None or weights.shape != own.shape[1:]:
            return False
        tolerance = TOLERANCE if own.dtype == torch.float32 else COARSE
        if not np.abs(weights - as_numpy(own[0])).max() < tolerance:
            return False
    return True


def kind_of(records: Sequence[LayerRecord]) -> AttentionKind:
    """Whose attention it is: a decoder's, where no query of any layer looks at a key behind it."""
    behind = (np.triu(record.weights(number), 1).any() for number, record in enumerate(records))
    return "encoder" if any(behind) else "decoder"


def pooling(model: nn.Module) -> set[nn.Module]:
    """The modules that make one vector of a sentence, after all attention."""
    poolers = [module for module in model.modules() if "Pooler" in type(module).__name__]
    return {part for pooler in poolers for part in pooler.modules()}
