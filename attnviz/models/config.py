"""What each family means by its config.json: how it spells the encoder's hyperparameters."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, NamedTuple

from attnviz.errors import AttnvizError, RequestError

ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "silu": "silu",
    "swish": "silu",
}
"""The activations by the names that published configurations use, and what each of them means."""

BUCKETS = 32
"""Into how many buckets distances between tokens are put, where they are."""

LARGEST_SIZE = 1 << 24
MOST_LAYERS = 1000
"""Far beyond any encoder there is: a larger number is a slip, told before anything is built."""


@dataclass(frozen=True)
class EncoderConfig:
    """The encoder's hyperparameters; RequestError if they do not fit together.

    `max_positions` tokens fit in, None being any number of them; the first stands at
    `first_position` of the table of positions. `d_embedding` is the width of the embeddings where
    it is not d_model, `distance_buckets` how many distances between tokens are told apart by a
    number added to the scores. `scaled_embeddings` says whether word vectors that sinusoids are
    added to are first multiplied by sqrt(d_model), as in the paper.
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
        _check_size("num_layers", self.num_layers, MOST_LAYERS)
        for name in ("vocab_size", "num_heads", "d_model", "d_ff"):
            _check_size(name, getattr(self, name))
        for name in ("max_positions", "d_embedding", "distance_buckets"):
            if getattr(self, name) is not None:
                _check_size(name, getattr(self, name))
        if self.num_token_types:
            _check_size("num_token_types", self.num_token_types)
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


def _check_size(name: str, size: int, largest: int = LARGEST_SIZE) -> None:
    if not 1 <= size <= largest:
        raise RequestError(f"{name} is {size}", f"it should be from 1 to {largest}")


PAPER_SEED = 0
"""The seed of the untrained model's random weights, unless somebody gives another."""


def paper_config(
    vocab_size: int,
    num_layers: int = 6,
    num_heads: int = 8,
    d_model: int = 512,
    d_ff: int = 2048,
) -> EncoderConfig:
    """Transformer-base (Vaswani et al. 2017, table 3), or one of another shape."""
    return EncoderConfig(
        vocab_size, num_layers, num_heads, d_model, d_ff, "relu", projection_bias=False
    )


Config = Mapping[str, Any]

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


CONFIGS: Mapping[str, Callable[[Config], EncoderConfig]] = {
    "bert": _bert_config,
    "roberta": _roberta_config,
    "xlm-roberta": _roberta_config,
    "camembert": _roberta_config,
    "distilbert": _distilbert_config,
    "electra": _electra_config,
    "mpnet": _mpnet_config,
    "marian": _marian_config,
}
"""How the families that are read tell their hyperparameters, by config.json's `model_type`."""


class ModelType(NamedTuple):
    """What a config.json says of its model before all else: what type it is of, whether it has an
    encoder and a decoder, and whether it wants code of its own to be run.
    """

    name: str
    both: bool
    own_code: bool


def model_type(path: Path) -> ModelType:
    """The type of model that a config.json is of, read here or not; AttnvizError if it says none,
    or is damaged.
    """
    config = read_object(path)
    if "model_type" not in config:
        raise AttnvizError(
            f'{path} has no "model_type", so that nobody knows what its weights mean', SAVE_AGAIN
        )
    name = config["model_type"]
    if not isinstance(name, str):
        raise AttnvizError(
            f"{path} says model_type {shortened(name)}, where the name of a type should be",
            SAVE_AGAIN,
        )
    return ModelType(
        name,
        both=config.get("is_encoder_decoder") is True,
        own_code="auto_map" in config,
    )


def read_config(path: Path) -> tuple[str, EncoderConfig]:
    """The family and the hyperparameters that a config.json tells.

    Raises AttnvizError for a model type that is not known, a file that is damaged, or entries that
    are missing or make no sense.
    """
    config = read_object(path)
    if "model_type" not in config:
        raise AttnvizError(
            f'{path} has no "model_type", so that nobody knows what its weights mean',
            f"attnviz reads {', '.join(CONFIGS)}",
        )
    family = str(config["model_type"])
    if family not in CONFIGS:
        wants_code = "auto_map" in config
        raise AttnvizError(
            f"{path} says model_type {shortened(config['model_type'])}"
            + (", and that its own code is to be run" if wants_code else ""),
            ("attnviz runs no code of models; it" if wants_code else "attnviz")
            + f" reads {', '.join(CONFIGS)}",
        )
    try:
        return family, CONFIGS[family](config)
    except RequestError as error:  # nobody asked for these numbers: the file holds them
        raise AttnvizError(f"in {path}, {error.message}", error.hint) from error


def read_object(path: Path) -> dict[str, Any]:
    """A file's JSON object; AttnvizError if it is not one."""
    try:
        # a byte order mark, which some editors leave, is no part of the text
        config = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise AttnvizError(
            f"{path} cannot be read as JSON: {error}", "copy the model's folder again"
        ) from error
    if not isinstance(config, dict):
        raise AttnvizError(f"{path} should hold a JSON object, and holds a {type(config).__name__}")
    return config
