"""Tensors out of a model.safetensors: opening it, and reading the few that are asked for.

Only safetensors is read, which holds numbers and nothing that could run.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from attnviz.errors import AttnvizError

BFLOAT16 = "BF16"
"""What a file's header calls the numbers that numpy does not know."""


@contextmanager
def weights_file(path: Path, framework: str) -> Iterator[Any]:
    """A safetensors file, opened; AttnvizError if it cannot be read, or is not whole."""
    try:
        with path.open("rb"):  # safetensors calls a file that may not be read missing
            pass
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}") from error
    try:
        with safe_open(path, framework=framework) as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise AttnvizError(
            f"{path} is not a whole safetensors file: {error}", "copy or download it again"
        ) from error


def tensor_names(path: Path) -> frozenset[str]:
    """The names of all tensors in a file; AttnvizError as in `weights_file`."""
    with weights_file(path, "numpy") as file:
        return frozenset(file.keys())


def read_tensors(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The tensors of these names, in float32, and no others.

    Raises KeyError for a name that the file lacks, AttnvizError as in `weights_file`.
    """
    with weights_file(path, "numpy") as file:
        header, start = _header(path)
        return {
            name: _bfloat16(path, header[name], start)
            if header[name]["dtype"] == BFLOAT16
            else file.get_tensor(name).astype(np.float32)
            for name in names
        }


def _header(path: Path) -> tuple[Mapping[str, Any], int]:
    """What a file says of its tensors, and where its numbers begin; safetensors has checked it."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        return json.loads(stream.read(size)), 8 + size


def _bfloat16(path: Path, entry: Mapping[str, Any], start: int) -> np.ndarray:
    """A tensor of bfloat16 numbers, exactly: each is the upper half of a float32."""
    first, end = entry["data_offsets"]
    with path.open("rb") as stream:
        stream.seek(start + first)
        upper = np.frombuffer(stream.read(end - first), "<u2")
    return (upper.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])
