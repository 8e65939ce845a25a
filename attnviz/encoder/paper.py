"""The article's encoder: the Transformer-base of the paper, seeded and never trained."""

import os

import numpy as np
import torch
from torch import nn

from attnviz.encoder.devices import HERE, Placement
from attnviz.encoder.embeddings import SinusoidalEmbeddings
from attnviz.encoder.encoder import Encoder
from attnviz.errors import AttnvizError, RequestError
from attnviz.models.config import EncoderConfig
from attnviz.models.files import draw_matrix
from attnviz.models.tables import DrawnTable

LARGEST_SEED = 2**63 - 1


def paper_encoder(config: EncoderConfig, seed: int, place: Placement = HERE) -> Encoder:
    """An encoder with random weights, which the seed alone determines on every device.

    Word vectors have variance 1 / d_model, or 1 once scaled by sqrt(d_model). RequestError for a
    seed out of range, AttnvizError if it does not fit in memory.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise RequestError(f"seed is {seed}", f"it should be from 0 to {LARGEST_SEED}")
    with torch.device("meta"):
        encoder = Encoder(config, SinusoidalEmbeddings(config))
    _check_memory(encoder)
    try:
        encoder.to_empty(device="cpu")
    except RuntimeError as error:
        raise _too_large(config) from error
    with torch.no_grad():
        for name, module in encoder.named_modules():
            if isinstance(module, nn.Linear):
                draw_matrix(module.weight.detach().numpy(), seed, name)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Embedding):
                size, width = module.weight.shape
                table = DrawnTable((size, width), seed, name, config.d_model**-0.5)
                module.weight.copy_(torch.from_numpy(np.asarray(table)))
    encoder.load_state_dict(place.put(encoder.state_dict()), assign=True)
    return encoder.eval()


def _check_memory(encoder: Encoder) -> None:
    """Linux promises more memory than there is, and kills a process that uses it."""
    size = sum(parameter.nbytes for parameter in encoder.parameters())
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # this system does not say
        return
    if size > memory:
        raise _too_large(encoder.config)


def _too_large(config: EncoderConfig) -> AttnvizError:
    return AttnvizError(
        f"an encoder of d_model {config.d_model}, d_ff {config.d_ff} and {config.num_layers} "
        "layers does not fit in memory",
        "choose smaller numbers",
    )
