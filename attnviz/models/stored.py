"""Tensors from safetensors files, which hold nothing that could run, or from a seed; no torch."""

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


def read_weights(path: Path, framework: str) -> dict[str, Any]:
    """All tensors, for the framework "pt" or "numpy"; AttnvizError for a file that is not whole."""
    tensors = {}
    for part in parts_of(path):
        with _open(part, framework) as (file, names):
            tensors.update({name: file.get_tensor(name) for name in names})
    return tensors


def tensor_names(path: Path) -> frozenset[str]:
    """The names of all tensors; AttnvizError as in `read_weights`."""
    return frozenset(tensor_kinds(path))


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
        if not wanted:
            continue
        with _open(part, "numpy") as (file, _):
            header, start = _header(part.path)
            for name in wanted:
                if header[name]["dtype"] == "BF16":  # numpy does not have it
                    tensors[name] = _bfloat16(part.path, header[name], start)
                else:
                    tensors[name] = file.get_tensor(name).astype(np.float32)
    return {name: tensors[name] for name in names}


@contextmanager
def _open(part: Part, framework: str) -> Iterator[tuple[Any, Collection[str]]]:
    """An open part and the names of its tensors; AttnvizError as in `read_weights`."""
    path = part.path
    if is_pickle(path):
        raise AttnvizError(f"{path} is a pickle, which cannot be read without torch", CONVERT)
    check_readable(path)
    try:
        with safe_open(path, framework=framework) as file:
            names = file.keys() if part.names is None else part.names
            missing = sorted(set(names).difference(file.keys()))
            if missing:
                more = f" and {len(missing) - 1} more" if missing[1:] else ""
                named = "which the index of the parts names"
                raise AttnvizError(f"{path} does not hold {missing[0]}{more}, {named}", AGAIN)
            yield file, names
    except (SafetensorError, OSError) as error:
        raise AttnvizError(f"{path} is not a whole safetensors file: {error}", AGAIN) from error


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
    """Fill a matrix of the untrained model from its seed and name: Glorot & Bengio 2010, 16."""
    # the generator takes numbers, so the name becomes one per byte
    np.random.default_rng([seed, *name.encode()]).random(out=out, dtype=np.float32)
    bound = (6 / sum(out.shape)) ** 0.5
    out *= 2 * bound
    out -= bound
