"""The model families that are read: which parts of ours each of them has.

A family is data: which embeddings it uses, and, without torch, how its config.json spells the
hyperparameters (weights/configs.py) and what it calls each of our tensors (weights/names.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from torch import nn

from attnviz.encoder.embeddings import (
    DistanceBias,
    HalvedSinusoidalEmbeddings,
    LearnedEmbeddings,
    OffsetEmbeddings,
)
from attnviz.encoder.encoder import Encoder
from attnviz.models.config import EncoderConfig
from attnviz.models.names import NAMES, TensorNames


@dataclass(frozen=True)
class Family:
    """How one family's checkpoints fill our encoder.

    `embeddings` and `position_bias` are what the encoder has by these names.
    `head_activation` is that of its masked-LM head; None where config.json says it.
    """

    name: str
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


def _roberta(name: str) -> Family:
    return Family(name, OffsetEmbeddings, head_activation="gelu")


FAMILIES: Mapping[str, Family] = {
    family.name: family
    for family in (
        Family("bert"),
        _roberta("roberta"),
        _roberta("xlm-roberta"),
        _roberta("camembert"),
        Family("distilbert"),
        Family("electra", head_activation="gelu"),
        Family("mpnet", OffsetEmbeddings, DistanceBias, head_activation="gelu"),
        Family("marian", HalvedSinusoidalEmbeddings),
    )
}
"""The families read, by config.json's `model_type`."""
