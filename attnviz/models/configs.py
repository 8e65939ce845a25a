"""What each family means by its config.json: how it spells the encoder's hyperparameters."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, NamedTuple

from attnviz.errors import AttnvizError, RequestError
from attnviz.models.shape import BUCKETS, EncoderConfig

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
