"""How a model's weights lie in files: in one, in parts with an index, or in a pickle.

The parts are those that transformers saves: the index has a `weight_map` from each tensor's name to
the file beside it that holds the tensor. A pickle is what older models have instead.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened

from attnviz.errors import AttnvizError

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"

LAYOUTS = (WEIGHTS, WEIGHTS_INDEX, PICKLE)
"""The files that weights are found by, the best first."""

AGAIN = "copy or download it again"
CONVERT = (
    "convert it where you trust it, with AutoModel.from_pretrained(folder).save_pretrained(folder)"
)


@dataclass(frozen=True)
class Part:
    """A file of weights, and the tensors to be read from it; None for all that it has."""

    path: Path
    names: frozenset[str] | None = None


def is_pickle(path: Path) -> bool:
    """Whether weights lie in a pickle, which torch alone can read."""
    return path.name == PICKLE


def parts_of(path: Path) -> tuple[Part, ...]:
    """The files that the weights lie in, by the path of the one file or of the index.

    Whether the parts are there is not looked at. Raises AttnvizError for an index that cannot be
    read, or leads anywhere but to safetensors files beside it.
    """
    if path.name != WEIGHTS_INDEX:
        return (Part(path),)
    names: dict[str, set[str]] = {}
    for name, file in _weight_map(path).items():
        # a file elsewhere is none of this model's, whoever wrote the index
        if not isinstance(file, str) or Path(file).name != file or not _is_safetensors(file):
            raise AttnvizError(
                f"{path} should name a safetensors file beside it for {shortened(name)}, "
                f"and names {shortened(file)}",
                AGAIN,
            )
        names.setdefault(file, set()).add(name)
    return tuple(Part(path.parent / file, frozenset(names[file])) for file in sorted(names))


def _is_safetensors(file: str) -> bool:
    return file.endswith(".safetensors") and "\0" not in file


def _weight_map(path: Path) -> Mapping[str, object]:
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise AttnvizError(f"{path} cannot be read as JSON: {error}", AGAIN) from error
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise AttnvizError(
            f'{path} has no "weight_map", which says what tensor lies in what file', AGAIN
        )
    return weight_map
