"""Published weights into our encoder: config.json and model.safetensors, every shape checked.

Only safetensors is read, which holds numbers and nothing that could run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from attnviz.encoder.encoder import Encoder, EncoderConfig
from attnviz.encoder.families import FAMILIES, Family
from attnviz.errors import AttnvizError

OLD_NAMES = {".weight": ".gamma", ".bias": ".beta"}
"""What layer norms were called in the first published BERT checkpoints."""

NAMES_LISTED = 5


@dataclass(frozen=True)
class Checkpoint:
    """A filled encoder, its family's name, and the file's tensors that are not the encoder's."""

    encoder: Encoder
    family: str
    left_over: tuple[str, ...]


def load_checkpoint(config_path: Path, weights_path: Path, verified: bool = False) -> Checkpoint:
    """Read a published model; `verified` says that the file's hash was already checked.

    Raises AttnvizError for a model type that is not known, a file that is damaged, names that are
    missing or not expected, a shape that differs from config.json's, or numbers that are not
    finite.
    """
    config = _read_config(config_path)
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        raise AttnvizError(
            f"{config_path} says model_type {config.get('model_type')!r}",
            f"attnviz reads {', '.join(FAMILIES)}",
        )
    shape = family.config(config)
    with torch.device("meta"):
        encoder = Encoder(shape, family.embeddings(shape))
    found = _read_tensors(weights_path)
    names = _theirs_to_ours(encoder, family, shape, found)
    _check_shapes(encoder, found, names)
    weights = {ours: found[theirs].float() for theirs, ours in names.items()}
    if not verified:
        _check_finite(weights, weights_path)
    encoder.load_state_dict(weights, assign=True)
    left_over = tuple(sorted(found.keys() - names.keys()))
    return Checkpoint(encoder.eval(), family.name, _other_parts(left_over, family))


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AttnvizError(
            f"{path} cannot be read as JSON: {error}", "copy the model's folder again"
        ) from error
    if not isinstance(config, dict):
        raise AttnvizError(f"{path} should hold a JSON object, and holds a {type(config).__name__}")
    return config


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AttnvizError(
            f"{path} is not a whole safetensors file: {error}", "copy or download it again"
        ) from error


def _theirs_to_ours(
    encoder: Encoder, family: Family, config: EncoderConfig, found: Mapping[str, Tensor]
) -> dict[str, str]:
    """The encoder's tensors by the names that the file has for them; nothing may be left open."""
    modules = {
        ours.format(layer=layer): theirs.format(layer=layer)
        for ours, theirs in family.modules.items()
        for layer in range(config.num_layers)
    }
    wanted = {}
    for name in encoder.state_dict():
        module, _, leaf = name.rpartition(".")
        wanted[name] = f"{modules[module]}.{leaf}"
    prefix = max(
        family.prefixes, key=lambda prefix: sum(prefix + name in found for name in wanted.values())
    )
    names, missing = {}, []
    for ours, theirs in wanted.items():
        stem, dot, leaf = theirs.rpartition(".")
        old = f"{stem}{OLD_NAMES[dot + leaf]}"
        present = next((n for n in (prefix + theirs, prefix + old) if n in found), None)
        if present is None:
            missing.append(prefix + theirs)
        else:
            names[present] = ours
    if missing:
        raise AttnvizError(
            f"the weights lack {_listed(missing)} of a {family.name} with {config.num_layers} "
            "layers",
            "check that config.json and model.safetensors belong together",
        )
    unread = [
        name
        for name in sorted(found.keys() - names.keys())
        if name.startswith(tuple(prefix + inside for inside in family.inside))
        and name.removeprefix(prefix) not in family.unused
    ]
    if unread:
        raise AttnvizError(
            f"the weights hold {_listed(unread)}, which a {family.name} with {config.num_layers} "
            "layers does not have",
            "check that config.json and model.safetensors belong together",
        )
    return names


def _check_shapes(encoder: Encoder, found: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    expected = encoder.state_dict()
    for theirs, ours in names.items():
        if found[theirs].shape != expected[ours].shape:
            raise AttnvizError(
                f"{theirs} has shape {tuple(found[theirs].shape)}, "
                f"and config.json calls for {tuple(expected[ours].shape)}",
                "check that config.json and model.safetensors belong together",
            )


def _check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise AttnvizError(
                f"{path} holds numbers that are not finite (NaN or infinity), in {name}",
                "the training diverged or the file is damaged; take another checkpoint",
            )


def _other_parts(left_over: tuple[str, ...], family: Family) -> tuple[str, ...]:
    """What is left once the names that carry no weights are taken away: heads, mostly."""
    return tuple(name for name in left_over if not name.endswith(family.unused))


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_LISTED
    return ", ".join(names[:NAMES_LISTED]) + (f" and {more} more" if more > 0 else "")
