"""The article's encoder: the Transformer-base of the paper, seeded and never trained."""

import torch
from torch import nn

from attnviz.encoder.embeddings import SinusoidalEmbeddings
from attnviz.encoder.encoder import Encoder, EncoderConfig
from attnviz.errors import AttnvizError


def paper_encoder(config: EncoderConfig, seed: int) -> Encoder:
    """An encoder with random weights that the seed alone determines.

    Matrices are Xavier-uniform, biases zero, word vectors normal with variance 1 / d_model, so that
    they have variance 1 once scaled by sqrt(d_model). Raises AttnvizError if memory does not do.
    """
    try:
        with torch.device("meta"):
            encoder = Encoder(config, SinusoidalEmbeddings(config))
        encoder.to_empty(device="cpu")
    except RuntimeError as error:
        raise AttnvizError(
            f"an encoder of d_model {config.d_model}, d_ff {config.d_ff} and {config.num_layers} "
            "layers does not fit in memory",
            "choose smaller numbers",
        ) from error
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in encoder.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                if module.bias is not None:
                    module.bias.zero_()
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()
            elif isinstance(module, nn.Embedding):
                module.weight.normal_(std=config.d_model**-0.5, generator=generator)
    return encoder.eval()
