"""config.json, the encoder's hyperparameters, and the options with which a model is run."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, NamedTuple

from attnviz.attention.request import AttentionKind, Device, Dtype
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import read_json

_TANH = ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh")
_SAME = (
    "relu", "gelu", "gelu_10", "quick_gelu", "silu", "mish", "relu2", "relu6", "hardswish",
    "leaky_relu", "sigmoid", "tanh", "laplace", "sqrtsoftplus",
)  # fmt: skip
ACTIVATIONS = {
    **{name: name for name in _SAME},
    **dict.fromkeys(_TANH, "gelu_tanh"),
    "gelu_python": "gelu",
    "swish": "silu",
    "linear": "identity",
}
"""The names of activations in published configurations, and ours; without those that have weights
of their own, prelu and xielu.
"""

BUCKETS = 32  # for distances between tokens

# far beyond any published model: a larger number is a slip, refused before anything is built
LARGEST, MOST_LAYERS, MOST_LABELS = 1 << 24, 1000, 1 << 20
_LAYERS = re.compile(r"(n|num|encoder|decoder)_(\w+_)?layers?")


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder's hyperparameters; RequestError if they do not fit together.

    At most `max_positions` tokens fit (None: any number). The first token has row `first_position`
    of the position table. `d_embedding` is the width of the embeddings if it is not d_model. With
    `distance_buckets`, scores get a bias by distance. `scaled_embeddings`: word vectors are
    multiplied by sqrt(d_model) before sinusoids are added, as in the paper.
    """

    vocab_size: int
    num_layers: int
    num_heads: int
    d_model: int
    d_ff: int
    activation: str = "relu"
    max_positions: int | None = None
    num_token_types: int = 0
    projection_bias: bool = True
    norm_eps: float = 1e-5
    first_position: int = 0
    d_embedding: int | None = None
    distance_buckets: int | None = None
    scaled_embeddings: bool = True

    def __post_init__(self) -> None:
        sizes = ["num_layers", "vocab_size", "num_heads", "d_model", "d_ff"]
        optional = ("max_positions", "d_embedding", "distance_buckets")
        sizes += [name for name in optional if getattr(self, name) is not None]
        sizes += ["num_token_types"] if self.num_token_types else []
        for name in sizes:
            size, largest = getattr(self, name), MOST_LAYERS if name == "num_layers" else LARGEST
            if not 1 <= size <= largest:
                raise RequestError(f"{name} is {size}", f"it should be from 1 to {largest}")
        if self.d_model % self.num_heads:
            raise RequestError(
                f"d_model {self.d_model} cannot be divided among {self.num_heads} heads",
                "choose a d_model that is a multiple of num_heads: d_k is d_model / num_heads",
            )
        if self.activation not in ACTIVATIONS:
            raise RequestError(
                f'the activation "{self.activation}" is not known',
                f"known are {', '.join(ACTIVATIONS)}",
            )

    @property
    def d_k(self) -> int:
        """The width of one head's query, key and value vectors (the paper: 512 / 8 = 64)."""
        return self.d_model // self.num_heads

    @property
    def num_parameters(self) -> int:
        """How many numbers the encoder's matrices have, and its embeddings of words."""
        layer = 4 * self.d_model**2 + 2 * self.d_model * self.d_ff
        return self.num_layers * layer + self.vocab_size * self.d_model


SEED = 0  # the default one of random weights
MOST_PARAMETERS = 1 << 31  # of the untrained model: 8 GB
USUAL_SPREAD = 0.02  # of random weights in a model whose config.json does not say


def paper_config(
    vocab_size: int, num_layers: int = 6, num_heads: int = 8, d_model: int = 512, d_ff: int = 2048
) -> EncoderConfig:
    """Transformer-base (Vaswani et al. 2017, table 3), or another shape of it."""
    return EncoderConfig(
        vocab_size, num_layers, num_heads, d_model, d_ff, "relu", projection_bias=False
    )


Config = Mapping[str, Any]  # the content of a config.json
SAVE_AGAIN = "save the model again with model.save_pretrained(folder)"


class ModelType(NamedTuple):
    """A config.json; `both`: its model has an encoder and a decoder."""

    name: str
    both: bool
    own_code: bool
    content: Config
    path: Path


def model_type(path: Path) -> ModelType:
    """Read a config.json; AttnvizError if it is damaged or names no model type."""
    content = read_json(path, "copy the model's folder again")
    _check_numbers(content, path)
    if "model_type" not in content:
        raise AttnvizError(
            f'{path} has no "model_type", so attnviz cannot tell what its weights mean', SAVE_AGAIN
        )
    name = content["model_type"]
    if not isinstance(name, str):
        raise AttnvizError(
            f"{path} has model_type {shortened(name)}, which should be a name", SAVE_AGAIN
        )
    quantised = content.get("quantization_config")
    if isinstance(quantised, dict):
        method = shortened(quantised.get("quant_method", "bitsandbytes"))
        raise AttnvizError(
            f"{path} says that the weights are quantised ({method}), "
            "and attnviz reads them as they were trained",
            "give the model from before it was quantised, often the name without -GPTQ, -AWQ, "
            "-4bit or -bnb",
        )
    both = content.get("is_encoder_decoder") is True
    return ModelType(name, both, "auto_map" in content, content, path)


def _check_numbers(content: Config, path: Path) -> None:
    """AttnvizError for whole numbers that are too large to be what they are called."""
    entries = list(content.items())
    while entries:
        key, value = entries.pop()
        if isinstance(value, dict):
            entries += value.items()
        elif isinstance(value, list):
            entries += [(key, item) for item in value]
        elif isinstance(value, int):
            most = MOST_LABELS if key == "num_labels" else 1 << 62  # that fit into 64 bits
            most = MOST_LAYERS if _LAYERS.fullmatch(key) else most
            if abs(value) > most:
                raise AttnvizError(
                    f'{path} has {shortened(value)} as "{key}", and at most {most} is expected',
                    SAVE_AGAIN,
                )


def number(config: Config, key: str, default: int | None = None, least: int = 1) -> int:
    """A whole number in config.json; AttnvizError for anything else, or if it is missing."""
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
    # JSON's true is 1 to Python, and NaN is neither above nor below anything
    if not isinstance(value, int | float) or not 0 < value < 1:
        raise AttnvizError(
            f'config.json should hold a small number above 0 as "{key}", '
            f"and has {shortened(value)}",
            SAVE_AGAIN,
        )
    return float(value)


def spread(config: Config) -> float:
    """The standard deviation of a new model's random weights."""
    default = config.get("init_std", USUAL_SPREAD)  # Marian's name of it
    return epsilon(config, "initializer_range", default)


LESS_MEMORY = "--dtype bfloat16 takes half of float32's; --device cpu takes the main memory"


@dataclass(frozen=True)
class RunOptions:
    """How a model is run, and what of it is inspected.

    "auto" takes a GPU if there is one. Without `attention`, the encoder's is recorded if there is
    one, else the decoder's. `target` is the decoder's text; without it, the model writes one.
    `drawn` is the seed that all weights are drawn from, as before training; None: they are read.
    """

    device: Device = "cpu"
    dtype: Dtype = "float32"
    attention: AttentionKind | None = None
    target: str | tuple[str, ...] | None = None
    trust_remote_code: bool = False  # run its own code if transformers does not know its type
    drawn: int | None = None
