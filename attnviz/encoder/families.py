"""The model families that are read, and what each means by its config.json.

A family is data: how its config.json spells the hyperparameters, which embeddings it uses, and what
it calls each of our tensors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from reprlib import repr as shortened
from typing import Any

from torch import nn

from attnviz.encoder.distance import BUCKETS, DistanceBias
from attnviz.encoder.embeddings import (
    HalvedSinusoidalEmbeddings,
    LearnedEmbeddings,
    OffsetEmbeddings,
)
from attnviz.encoder.encoder import Encoder, EncoderConfig
from attnviz.errors import AttnvizError
from attnviz.weights.names import NAMES, TensorNames

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Family:
    """How one family's checkpoints fill our encoder.

    `embeddings` and `position_bias` are what the encoder has by these names.
    `head_activation` is that of its masked-LM head; None where config.json says it.
    """

    name: str
    config: Callable[[Config], EncoderConfig]
    embeddings: Callable[[EncoderConfig], nn.Module] = LearnedEmbeddings
    position_bias: Callable[[EncoderConfig], nn.Module] | None = None
    head_activation: str | None = None

    def encoder(self, config: EncoderConfig) -> Encoder:
        """The family's encoder, still to be filled."""
        bias = None if self.position_bias is None else self.position_bias(config)
        return Encoder(config, self.embeddings(config), bias)

    @property
    def names(self) -> TensorNames:
        """What it calls the encoder's tensors."""
        return NAMES[self.name]

    def head_config(self, config: EncoderConfig) -> EncoderConfig:
        """The hyperparameters that the masked-LM head of such an encoder has."""
        return replace(config, activation=self.head_activation or config.activation)


SAVE_AGAIN = "save the model again with model.save_pretrained(folder)"


def number(config: Config, key: str, default: int | None = None, least: int = 1) -> int:
    """A whole number of config.json; AttnvizError if it is anything else, or below `least`.

    `default` stands for an entry that is not there; None says that there should be one.
    """
    if key not in config and default is None:
        raise AttnvizError(f'config.json has no "{key}"', SAVE_AGAIN)
    value = config.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise AttnvizError(
            f'config.json should hold a whole number above {least - 1} as "{key}", '
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


def _stack_config(config: Config) -> EncoderConfig:
    """What BERT's config.json and those after its model have in common."""
    positions = config.get("position_embedding_type") or "absolute"
    if positions != "absolute":
        raise AttnvizError(
            f"{config['model_type']} with {shortened(positions)} positions is not read, "
            "only 'absolute' ones"
        )
    _check_encoder(config)
    return EncoderConfig(
        vocab_size=number(config, "vocab_size"),
        num_layers=number(config, "num_hidden_layers"),
        num_heads=number(config, "num_attention_heads"),
        d_model=number(config, "hidden_size"),
        d_ff=number(config, "intermediate_size"),
        activation=str(config.get("hidden_act", "gelu")),
        max_positions=number(config, "max_position_embeddings"),
        norm_eps=epsilon(config, "layer_norm_eps", 1e-12),
    )


def _check_encoder(config: Config) -> None:
    if config.get("is_decoder"):
        raise AttnvizError(
            f"this {config['model_type']} model is a decoder (is_decoder is true); "
            "attnviz reads encoders"
        )


def _bert_config(config: Config) -> EncoderConfig:
    return replace(_stack_config(config), num_token_types=number(config, "type_vocab_size"))


def _roberta_config(config: Config) -> EncoderConfig:
    first = number(config, "pad_token_id", default=1, least=0) + 1
    return _behind_padding(_bert_config(config), first)


def _behind_padding(config: EncoderConfig, first: int) -> EncoderConfig:
    """With the table of positions used from row `first` on."""
    rows = config.max_positions or 0
    return replace(config, first_position=first, max_positions=rows - first)


def _distilbert_config(config: Config) -> EncoderConfig:
    return EncoderConfig(
        vocab_size=number(config, "vocab_size"),
        num_layers=number(config, "n_layers"),
        num_heads=number(config, "n_heads"),
        d_model=number(config, "dim"),
        d_ff=number(config, "hidden_dim"),
        activation=str(config.get("activation", "gelu")),
        max_positions=number(config, "max_position_embeddings"),
        norm_eps=1e-12,
    )


def _electra_config(config: Config) -> EncoderConfig:
    return replace(_bert_config(config), d_embedding=number(config, "embedding_size"))


def _mpnet_config(config: Config) -> EncoderConfig:
    # the model's own code knows one number of buckets, and one id of padding, whatever is written
    rows = number(config, "relative_attention_num_buckets", default=BUCKETS, least=BUCKETS)
    return replace(_behind_padding(_stack_config(config), 2), distance_buckets=rows)


def _marian_config(config: Config) -> EncoderConfig:
    _check_encoder(config)
    return EncoderConfig(
        vocab_size=number(config, "vocab_size"),
        num_layers=number(config, "encoder_layers"),
        num_heads=number(config, "encoder_attention_heads"),
        d_model=number(config, "d_model"),
        d_ff=number(config, "encoder_ffn_dim"),
        activation=str(config.get("activation_function", "gelu")),
        max_positions=number(config, "max_position_embeddings"),
        norm_eps=1e-5,
        scaled_embeddings=bool(config.get("scale_embedding", False)),
    )


def _roberta(name: str) -> Family:
    return Family(name, _roberta_config, OffsetEmbeddings, head_activation="gelu")


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("bert", _bert_config),
        _roberta("roberta"),
        _roberta("xlm-roberta"),
        _roberta("camembert"),
        Family("distilbert", _distilbert_config),
        Family("electra", _electra_config, head_activation="gelu"),
        Family("mpnet", _mpnet_config, OffsetEmbeddings, DistanceBias, head_activation="gelu"),
        Family("marian", _marian_config, HalvedSinusoidalEmbeddings),
    )
}
"""The families read, by config.json's `model_type`."""
