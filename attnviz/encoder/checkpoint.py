"""Published weights into our encoder: config.json and the weights' files, every shape checked."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from attnviz.encoder.devices import HERE, Placement
from attnviz.encoder.encoder import Encoder
from attnviz.encoder.families import FAMILIES, Family
from attnviz.encoder.masked_lm import MaskedLm, read_masked_lm
from attnviz.errors import AttnvizError
from attnviz.models.config import read_config
from attnviz.models.files import AGAIN, CONVERT, is_pickle
from attnviz.models.stored import read_weights

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
"""The numbers that weights may be stored as; whole numbers are quantised, and mean something else.
"""

BELONG_TOGETHER = "check that config.json and the weights belong together"

OLD_NAMES = {".weight": ".gamma", ".bias": ".beta"}
"""What layer norms were called in the first published BERT checkpoints."""

WORD_VECTORS = "embeddings.word.weight"

NAMES_LISTED = 5


@dataclass(frozen=True)
class Checkpoint:
    """A filled encoder, its family's name, and the file's tensors that belong to another part.

    `left_over` does not name what every such file may have, such as a pooler. `masked_lm` is None
    where the file has no such head that is whole.
    """

    encoder: Encoder
    family: str
    left_over: tuple[str, ...]
    masked_lm: MaskedLm | None


def load_checkpoint(
    config_path: Path, weights_path: Path, verified: bool = False, place: Placement = HERE
) -> Checkpoint:
    """Read a published model; `verified` says that the file's hash was already checked.

    `weights_path` is the file of the weights, a pickle too, or the index of those in parts; `place`
    says where the encoder will compute, and in which numbers.

    Raises AttnvizError for a model type that is not known, a file that is damaged, names that are
    missing or not expected, a shape that differs from config.json's, numbers that are not finite,
    not floating-point numbers at all or too large for the place, and where memory does not do.
    """
    name, shape = read_config(config_path)
    family = FAMILIES[name]
    found: dict[str, Tensor] = (
        read_pickle(weights_path) if is_pickle(weights_path) else read_weights(weights_path, "pt")
    )
    # each layer has tensors, and a thousand layers take seconds to build
    if shape.num_layers > len(found):
        raise AttnvizError(
            f"config.json calls for {shape.num_layers} layers, "
            f"and {weights_path} holds {len(found)} tensors in all",
            BELONG_TOGETHER,
        )
    with torch.device("meta"):
        encoder = family.encoder(shape)
    names = _theirs_to_ours(encoder, family, found)
    _check_tensors(encoder, found, names)
    held = {ours: found[theirs] for theirs, ours in names.items()}
    if not verified:
        _check_finite(held, weights_path)
    weights = place.put(held)
    encoder.load_state_dict(weights, assign=True)
    left_over = sorted(found.keys() - names.keys())
    others = tuple(name for name in left_over if not _is_usual(name, family))
    masked_lm = read_masked_lm(
        family.head_config(shape), family.names.masked_lm, found, weights[WORD_VECTORS], place
    )
    return Checkpoint(encoder.eval(), family.name, others, masked_lm)


def _theirs_to_ours(
    encoder: Encoder, family: Family, found: Mapping[str, Tensor]
) -> dict[str, str]:
    """The encoder's tensors by the names that the file has for them; nothing may be left open."""
    model = f"{family.name} with {encoder.config.num_layers} layers"
    wanted = _ours_to_published(encoder, family)
    prefix = family.names.prefix_in(found.keys(), wanted.values())
    names, missing = {}, []
    for ours, theirs in wanted.items():
        stem, dot, leaf = theirs.rpartition(".")
        shared = family.names.shared.get(stem, stem)
        known = (theirs, f"{stem}{OLD_NAMES[dot + leaf]}", f"{shared}.{leaf}")
        present = next((prefix + name for name in known if prefix + name in found), None)
        if present is None:
            missing.append(prefix + theirs)
        else:
            names[present] = ours
    if not names:
        raise AttnvizError(
            f"the weights hold none of the tensors of a {model}, but {_listed(sorted(found))}",
            BELONG_TOGETHER,
        )
    if missing:
        raise AttnvizError(f"the weights lack {_listed(missing)} of a {model}", BELONG_TOGETHER)
    inside = tuple(prefix + part for part in family.names.inside)
    unread = [
        name
        for name in sorted(found.keys() - names.keys())
        if name.startswith(inside) and not _is_usual(name, family)
    ]
    if unread:
        raise AttnvizError(
            f"the weights hold {_listed(unread)}, which a {model} does not have", BELONG_TOGETHER
        )
    return names


def _ours_to_published(encoder: Encoder, family: Family) -> dict[str, str]:
    """What the family calls each of the encoder's tensors, before any prefix."""
    modules = {
        ours.format(layer=layer): theirs.format(layer=layer)
        for ours, theirs in family.names.modules.items()
        for layer in range(encoder.config.num_layers)
    }
    split = {name: name.rpartition(".") for name in encoder.state_dict()}
    return {name: f"{modules[module]}.{leaf}" for name, (module, _, leaf) in split.items()}


def _check_tensors(encoder: Encoder, found: Mapping[str, Tensor], names: Mapping[str, str]) -> None:
    expected = encoder.state_dict()
    for theirs, ours in names.items():
        if found[theirs].shape != expected[ours].shape:
            raise AttnvizError(
                f"{theirs} has shape {tuple(found[theirs].shape)}, "
                f"and config.json calls for {tuple(expected[ours].shape)}",
                BELONG_TOGETHER,
            )
        if found[theirs].dtype not in FLOATS:
            held = str(found[theirs].dtype).removeprefix("torch.")
            raise AttnvizError(
                f"{theirs} holds {held} numbers, where floating-point numbers should be",
                "take the model as it was before it was quantised",
            )


def _check_finite(weights: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in weights.items():
        if not torch.isfinite(tensor.float()).all():  # float64's largest are none in float32
            raise AttnvizError(
                f"{path} holds numbers that are not finite (NaN or infinity), in {name}",
                "the training diverged or the file is damaged; take another checkpoint",
            )


def _is_usual(name: str, family: Family) -> bool:
    """Whether a tensor is one that every checkpoint of the family may have beside the encoder."""
    return any(
        name.removeprefix(prefix).startswith(family.names.unused)
        for prefix in family.names.prefixes
    )


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_LISTED
    return ", ".join(names[:NAMES_LISTED]) + (f" and {more} more" if more > 0 else "")


def read_pickle(path: Path) -> dict[str, Tensor]:
    """All tensors of a pytorch_model.bin; no code in it is run.

    Raises AttnvizError for a file that cannot be read, is damaged, or holds more than tensors.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about how it was stored, which nobody here can change
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever a damaged file makes of torch's reader
        if "unsupported" in str(error).casefold():  # a step that builds no tensor
            raise AttnvizError(
                f"{path} is a pickle that holds more than tensors, which could be code, "
                "so it is not read",
                CONVERT,
            ) from error
        raise AttnvizError(f"{path} is not a whole pickle of tensors", AGAIN) from error
    if not isinstance(held, dict) or not all(map(_is_plain, held.items())):
        raise AttnvizError(
            f"{path} should hold tensors by their names, and holds something else", CONVERT
        )
    return {name: tensor.detach() for name, tensor in held.items()}


def _is_plain(item: tuple[object, object]) -> bool:
    """Whether it is a name with a tensor whose numbers are there, one by one."""
    name, tensor = item
    return (
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and tensor.layout == torch.strided
        and tensor.device.type == "cpu"
    )
