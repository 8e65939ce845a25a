"""The masked-LM head of some checkpoints (BERT, 3.1): from a final state to a word."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from attnviz.encoder.devices import HERE, Placement, as_numpy
from attnviz.encoder.encoder import activation_of
from attnviz.models.config import EncoderConfig
from attnviz.models.families import HeadNames


class MaskedLm(nn.Module):
    """A dense layer, its activation and a layer norm; then a score for each vocabulary entry."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.d_embedding or config.d_model
        self.dense = nn.Linear(config.d_model, width)
        self.activation = activation_of(config)
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.decoder = nn.Linear(width, config.vocab_size)

    def forward(self, states: Tensor) -> Tensor:
        """Final states, (..., d_model), to scores of all entries, (..., vocab_size)."""
        scores: Tensor = self.decoder(self.norm(self.activation(self.dense(states))))
        return scores

    def probabilities(self, states: np.ndarray) -> np.ndarray:
        """The probability of each entry: (token, d_model) -> (token, vocab_size)."""
        with torch.inference_mode():
            scores: Tensor = self(torch.from_numpy(states).to(self.dense.weight))
            # in float32: rows of many small numbers would not sum to 1 in fewer bits
            return as_numpy(scores.softmax(dim=-1, dtype=torch.float32))


def read_masked_lm(
    config: EncoderConfig,
    names: HeadNames | None,
    found: Mapping[str, Tensor],
    word_vectors: Tensor,
    place: Placement = HERE,
) -> MaskedLm | None:
    """The head in a file's tensors; None unless it is complete, finite and of the right shapes.

    A decoder without a weight of its own uses the word vectors, (vocab_size, width).
    """
    resolved = names.resolve(found) if names else {}
    if not resolved:
        return None
    weights = {"decoder.weight": word_vectors}
    weights |= {ours: found[theirs] for ours, theirs in resolved.items()}
    with torch.device("meta"):
        head = MaskedLm(config)
    for name, expected in head.state_dict().items():
        tensor = weights[name]
        whole = tensor.shape == expected.shape and tensor.is_floating_point()
        if not whole or not torch.isfinite(tensor).all():
            return None
    head.load_state_dict(place.put(weights), assign=True)
    return head.eval()
