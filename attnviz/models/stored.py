"""Tensors from where they are stored, without torch: from safetensors files, or from a seed.

Safetensors files hold numbers, and nothing that could run.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from attnviz.errors import AttnvizError
from attnviz.files import check_readable
from attnviz.models.files import AGAIN, CONVERT, Part, is_pickle, parts_of

BFLOAT16 = "BF16"
"""safetensors' name of bfloat16, which numpy does not have."""


def read_weights(path: Path, framework: str) -> dict[str, Any]:
    """All tensors, as tensors of the framework ("pt" or "numpy").

    `path` is the one file, or the index of the parts. Raises AttnvizError for a file that cannot be
    read or is not complete, or an index that promises what its parts do not hold.
    """
    tensors = {}
    for part in parts_of(path):
        with _open(part, framework) as (file, names):
            tensors.update({name: file.get_tensor(name) for name in names})
    return tensors


def tensor_names(path: Path) -> frozenset[str]:
    """The names of all tensors; AttnvizError as in `read_weights`."""
    found: set[str] = set()
    for part in parts_of(path):
        with _open(part, "numpy") as (_, names):
            found.update(names)
    return frozenset(found)


def tensor_kinds(path: Path) -> dict[str, tuple[str, int]]:
    """Each tensor's stored dtype and its number of numbers; AttnvizError as in `read_weights`."""
    kinds: dict[str, tuple[str, int]] = {}
    for part in parts_of(path):
        with _open(part, "numpy") as (_, names):
            header, _ = _header(part.path)
            kinds |= {name: (header[name]["dtype"], prod(header[name]["shape"])) for name in names}
    return kinds


def read_tensors(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The tensors of these names, in float32; only the parts that hold them are opened.

    Raises KeyError for a name that is not there, AttnvizError as in `read_weights`.
    """
    tensors: dict[str, np.ndarray] = {}
    for part in parts_of(path):
        wanted = [name for name in names if part.names is None or name in part.names]
        if wanted:
            tensors.update(_read_part(part, wanted))
    return {name: tensors[name] for name in names}


def _read_part(part: Part, names: Sequence[str]) -> dict[str, np.ndarray]:
    with _open(part, "numpy") as (file, _):
        header, start = _header(part.path)
        return {
            name: _bfloat16(part.path, header[name], start)
            if header[name]["dtype"] == BFLOAT16
            else file.get_tensor(name).astype(np.float32)
            for name in names
        }


@contextmanager
def _open(part: Part, framework: str) -> Iterator[tuple[Any, Collection[str]]]:
    """An open part and the names of its tensors; AttnvizError as in `read_weights`."""
    path = part.path
    if is_pickle(path):
        raise AttnvizError(f"{path} is a pickle, which cannot be read without torch", CONVERT)
    check_readable(path)
    try:
        with safe_open(path, framework=framework) as file:
            yield file, _names_in(part, file.keys())
    except (SafetensorError, OSError) as error:
        raise AttnvizError(f"{path} is not a whole safetensors file: {error}", AGAIN) from error


def _names_in(part: Part, found: Collection[str]) -> Collection[str]:
    if part.names is None:
        return found
    missing = sorted(part.names.difference(found))
    if missing:
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise AttnvizError(
            f"{part.path} does not hold {missing[0]}{more}, which the index of the parts names",
            AGAIN,
        )
    return part.names


def _header(path: Path) -> tuple[Mapping[str, Any], int]:
    """A file's header, which safetensors has checked, and where its numbers begin."""
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


def rounded(numbers: np.ndarray, dtype: str) -> np.ndarray:
    """Float32 numbers rounded to "bfloat16" or "float16", ties to even; others as they are."""
    if dtype == "float16":
        return numbers.astype(np.float16).astype(np.float32)
    if dtype != "bfloat16":
        return numbers
    # bfloat16 is the upper half of float32
    bits = np.ascontiguousarray(numbers, np.float32).view(np.uint32)
    halfway = np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    upper = (bits + halfway) & np.uint32(0xFFFF0000)
    out: np.ndarray = upper.view(np.float32)
    return out


def draw_matrix(out: np.ndarray, seed: int, name: str) -> None:
    """Fill a float32 matrix of the untrained model, Xavier-uniformly (Glorot & Bengio 2010, 16).

    It follows from the seed and its name alone, so one layer's can be drawn without the others.
    """
    # the generator takes numbers, so the name becomes one per byte
    np.random.default_rng([seed, *name.encode()]).random(out=out, dtype=np.float32)
    bound = (6 / sum(out.shape)) ** 0.5
    out *= 2 * bound
    out -= bound
