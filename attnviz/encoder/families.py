"""The model families that are read, and what each means by its config.json.

A family is data: how its config.json spells the hyperparameters, which embeddings it uses, and what
it calls each of our tensors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from reprlib import repr as shortened
from typing import Any

from torch import nn

from attnviz.encoder.embeddings import LearnedEmbeddings
from attnviz.encoder.encoder import EncoderConfig
from attnviz.errors import AttnvizError
from attnviz.weights.names import NAMES, TensorNames

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """How one family's checkpoints fill our encoder."""

    name: str
    config: Callable[[Config], EncoderConfig]
    embeddings: Callable[[EncoderConfig], nn.Module]
    names: TensorNames


SAVE_AGAIN = "save the model again with model.save_pretrained(folder)"


def number(config: Config, key: str) -> int:
    """A whole number of config.json, at least 1; AttnvizError if it is anything else."""
    if key not in config:
        raise AttnvizError(f'config.json has no "{key}"', SAVE_AGAIN)
    value = config[key]
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise AttnvizError(
            f'config.json should hold a whole number above 0 as "{key}", '
            f"and has {shortened(value)}",
            SAVE_AGAIN,
        )
    return value


def epsilon(config: Config, key: str, default: float) -> float:
    """What a layer norm adds to the variance: above 0, below 1; AttnvizError otherwise."""
    value = config.get(key, default)
    # a JSON true is 1 to Python, and NaN is neither above nor below anything
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise AttnvizError(
            f'config.json should hold a small number above 0 as "{key}", '
            f"and has {shortened(value)}",
            SAVE_AGAIN,
        )
    return float(value)


def _bert_config(config: Config) -> EncoderConfig:
    positions = config.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        raise AttnvizError(
            f"BERT with {shortened(positions)} positions is not read, only 'absolute' ones"
        )
    if config.get("is_decoder"):
        raise AttnvizError("this BERT is a decoder (is_decoder is true); attnviz reads encoders")
    return EncoderConfig(
        vocab_size=number(config, "vocab_size"),
        num_layers=number(config, "num_hidden_layers"),
        num_heads=number(config, "num_attention_heads"),
        d_model=number(config, "hidden_size"),
        d_ff=number(config, "intermediate_size"),
        activation=str(config.get("hidden_act", "gelu")),
        max_positions=number(config, "max_position_embeddings"),
        num_token_types=number(config, "type_vocab_size"),
        norm_eps=epsilon(config, "layer_norm_eps", 1e-12),
    )


BERT = Family(
    name="bert",
    config=_bert_config,
    embeddings=LearnedEmbeddings,
    names=NAMES["bert"],
)

FAMILIES: Mapping[str, Family] = {"bert": BERT}
"""The families read, by config.json's `model_type`."""
