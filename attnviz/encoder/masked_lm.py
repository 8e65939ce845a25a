"""The masked-LM head that some checkpoints have: from a token's final state to what it may be.

It stands beside the encoder, which does without (Devlin et al. 2019, "BERT", 3.1, task 1).
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from attnviz.encoder.devices import HERE, Placement, as_numpy
from attnviz.encoder.encoder import activation_of
from attnviz.models.config import EncoderConfig


class MaskedLm(nn.Module):
    """A dense layer, its activation and a layer norm; then a score for each vocabulary entry.

    The dense layer ends in the width of the embeddings, which the scores are taken with.
    """

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
        """How likely each entry is: (token, d_model) -> (token, vocab_size); rows sum to 1."""
        with torch.inference_mode():
            scores: Tensor = self(torch.from_numpy(states).to(self.dense.weight))
            # in float32 whatever the scores are, or rows of many small shares would not sum to 1
            return as_numpy(scores.softmax(dim=-1, dtype=torch.float32))


def read_masked_lm(
    config: EncoderConfig,
    names: Mapping[str, tuple[str, ...]],
    found: Mapping[str, Tensor],
    word_vectors: Tensor,
    place: Placement = HERE,
) -> MaskedLm | None:
    """The head out of a file's tensors; None unless it is there, in its shapes and finite.

    names: what each of the head's tensors may be called. A decoder without a weight of its own has
    the word vectors, (vocab_size, width). `place` says where it computes, and in which numbers.
    """
    weights = {"decoder.weight": word_vectors}
    for ours, theirs in names.items():
        present = next((found[name] for name in theirs if name in found), None)
        if present is not None:
            weights[ours] = present
    if weights.keys() != names.keys():
        return None
    with torch.device("meta"):
        head = MaskedLm(config)
    for name, expected in head.state_dict().items():
        tensor = weights[name]
        if tensor.shape != expected.shape or not tensor.is_floating_point():
            return None
        if not torch.isfinite(tensor).all():
            return None
    head.load_state_dict(place.put(weights), assign=True)
    return head.eval()
