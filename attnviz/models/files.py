"""The files of a model: its weights in one safetensors file, in parts or in a pickle; its hash."""

import hashlib
import json
import mmap
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from attnviz.errors import AttnvizError, lacks_memory
from attnviz.files import (
    cache_folder,
    check_readable,
    read_json,
    read_own_json,
    stamp,
    write_own_json,
)

if TYPE_CHECKING:
    import numpy as np

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"

OLD_LAYOUT = "0_Transformer"
"""The folder in which sentence-transformers kept the model itself, until its version 2."""

LAYOUTS = (WEIGHTS, WEIGHTS_INDEX, PICKLE)  # the best first

STAMPS = "verified.json"
MOST_STAMPS = 1 << 20  # bytes; a longer list of files that passed begins anew
CHECKED_AT_ONCE = 1 << 22  # bytes; of smaller files it is not remembered that they passed

NUMPY_TYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "C64": "c8", "BOOL": "?",
    "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
}  # fmt: skip
"""The dtypes of safetensors that numpy has."""

AGAIN = "copy or download it again"
CONVERT = "if you trust it, convert it: AutoModel.from_pretrained(folder).save_pretrained(folder)"

# the names of files with a tokenizer's pieces, other than tokenizer.json
VOCABULARY = re.compile(
    r"""
    [\w.-]*(vocab|merges)[\w.-]*\.(txt|json|model)  # vocab.txt, merges.txt, vocab-src.json
    | [\w.-]+\.(model|spm|tiktoken)  # spiece.model, sentencepiece.bpe.model, source.spm
    | bpe\.codes | dict\.txt | emoji\.json | tekken\.json
    """,
    re.VERBOSE,
)

WRAPPED = re.compile(r"^((module|model|_orig_mod|auto_model)\.)+")
"""What may stand before the names of all tensors: of training in parallel, of a class around."""

CODE = re.compile(r".*\.py")

TOKENIZER_CONFIG = "tokenizer_config.json"
SETTINGS = (
    TOKENIZER_CONFIG, "special_tokens_map.json", "added_tokens.json", "generation_config.json",
)  # fmt: skip


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model; `weights`: one file, or the index of parts beside it."""

    name: str
    config: Path
    tokenizer: Path | None  # None: transformers builds it from other files in the folder
    weights: Path
    verified: bool = False  # whether the weights have a known hash

    @property
    def folder(self) -> Path:
        """The folder that they are in."""
        return self.config.parent

    @property
    def pickled(self) -> bool:
        """Whether the weights are a pickle."""
        return is_pickle(self.weights)


@dataclass(frozen=True)
class Wanted:
    """What a model needs besides: settings of its tokenizer and decoder, its own trusted code."""

    settings: bool = False
    code: bool = False


@dataclass(frozen=True)
class Part:
    """A file of weights, and the names of the tensors to read from it (None: all)."""

    path: Path
    names: frozenset[str] | None = None


def is_pickle(path: Path) -> bool:
    """Whether the weights are a pickle, which only torch can read."""
    return path.name == PICKLE


def parts_of(path: Path) -> tuple[Part, ...]:
    """The files of the weights, from the one file or the index; AttnvizError for a bad index."""
    if path.name != WEIGHTS_INDEX:
        return (Part(path),)
    weight_map = read_json(path, AGAIN).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise AttnvizError(
            f'{path} has no "weight_map", which says which file holds which tensor', AGAIN
        )
    names: dict[str, set[str]] = {}
    for name, file in weight_map.items():
        is_safetensors = isinstance(file, str) and file.endswith(".safetensors")
        # an index must not lead to files outside the model's folder
        if not is_safetensors or Path(file).name != file or "\0" in file:
            raise AttnvizError(
                f"{path} should name a safetensors file beside it for {shortened(name)}, "
                f"and names {shortened(file)}",
                AGAIN,
            )
        names.setdefault(file, set()).add(name)
    return tuple(Part(path.parent / file, frozenset(names[file])) for file in sorted(names))


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether transformers may be able to build a tokenizer from files of these names."""
    return TOKENIZER_CONFIG in names or any(map(VOCABULARY.fullmatch, names))


def check_sha256(path: Path, expected: str, hint: str) -> None:
    """Raise AttnvizError, with this hint, unless the file has this SHA-256."""
    # a file that passed is hashed again only after it changed
    stamps = {str(path): _stamp(path, expected, hint)}
    if _passed(stamps):
        return
    try:
        found = _sha256(path)
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}", hint) from error
    if found != expected:
        raise AttnvizError(
            f"{path} is not the file that was published: its SHA-256 is {found[:16]}…, "
            f"and should be {expected[:16]}…",
            hint,
        )
    _remember(stamps)


def check_finite(path: Path, arrays: "Mapping[str, np.ndarray]") -> None:
    """Raise AttnvizError unless all numbers of a file, or of the index of parts, are finite.

    They must be so in float32 too. Large files that passed are looked through again after they
    changed; what is remembered of them does not tell where they are.
    """
    called = f"finite {_hash(json.dumps(sorted(arrays)).encode())}"
    files = {path} if is_pickle(path) else {path, *(part.path for part in parts_of(path))}
    stamps = {_hash(os.fsencode(file.resolve())): _stamp(file, called) for file in files}
    large = sum(array.nbytes for array in arrays.values()) > CHECKED_AT_ONCE
    if large and _passed(stamps):
        return
    for name, array in arrays.items():
        if not is_finite(array):
            raise AttnvizError(
                f"{path} holds numbers that are not finite (NaN or infinity), in {name}",
                "the training diverged or the file is damaged; take another checkpoint",
            )
    if large:
        _remember(stamps)


def is_finite(array: "np.ndarray") -> bool:
    """Whether all numbers are finite, and stay so in float32."""
    import numpy as np

    array = np.asarray(array)
    with np.errstate(all="ignore"):
        if array.dtype.itemsize <= 4 and np.isfinite(array.sum(dtype=np.float32)):
            return True
        # not each sum that is too large has a number that is; float64's largest overflow float32
        return bool(np.isfinite(array.astype(np.float32)).all())


Stamp = list[int | str]


def _stamp(path: Path, passed: str, hint: str = AGAIN) -> Stamp:
    """A file's stamp, and what it passed."""
    try:
        return [*stamp(path), passed]
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}", hint) from error


def _passed(stamps: Mapping[str, Stamp]) -> bool:
    """Whether these files passed, and have not changed since."""
    known = _stamps(cache_folder() / STAMPS)
    return all(known.get(name) == found for name, found in stamps.items())


def _remember(stamps: Mapping[str, Stamp]) -> None:
    """Write down that these files passed; if it cannot be, the next run checks again."""
    path = cache_folder() / STAMPS
    write_own_json(path, {**_stamps(path), **stamps})


def _stamps(path: Path) -> dict[str, Stamp]:
    """What the files passed; none if the list is not our own, or damaged."""
    known = read_own_json(path, MOST_STAMPS)
    return {
        name: found
        for name, found in known.items()
        if isinstance(found, list) and list(map(type, found)) == [*[int] * 4, str]
    }


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_weights(path: Path) -> dict[str, Any]:
    """All tensors, as those of torch; AttnvizError for a file that is not whole."""
    tensors = {}
    for part in parts_of(path):
        with _open(part, "pt") as (file, names):
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
            header, _ = _header(_mapped(part.path))
            kinds |= {name: (header[name]["dtype"], prod(header[name]["shape"])) for name in names}
    return kinds


def wrapper_of(names: Collection[str]) -> str:
    """What stands before all of the tensors' names; mostly nothing."""
    first = WRAPPED.match(next(iter(names), ""))
    wrapper = "" if first is None else first[0]
    while not all(name.startswith(wrapper) for name in names):
        wrapper = wrapper[: wrapper[:-1].rfind(".") + 1]
    return wrapper


def read_tensors(path: Path, names: Sequence[str]) -> "dict[str, np.ndarray]":
    """The tensors of these names, copied and in float32; else as `mapped_tensors`."""
    import numpy as np

    mapped = mapped_tensors(path, names)
    return {name: np.array(tensor, np.float32) for name, tensor in mapped.items()}


def mapped_tensors(path: Path, names: Sequence[str] | None = None) -> "dict[str, np.ndarray]":
    """The tensors of these names, or all, as they are stored; only parts that hold them are opened.

    A tensor's numbers are read from the file where they are used. To change them does not change
    the file. bfloat16 numbers, which numpy lacks, come as a `WidenedTable`, and those of other
    dtypes that it lacks as bytes. Raises KeyError for a name that is not there, AttnvizError for a
    file that is not whole.
    """
    tensors: dict[str, np.ndarray] = {}
    for part in parts_of(path):
        wanted = [name for name in names or () if part.names is None or name in part.names]
        if names is not None and not wanted:
            continue
        with _open(part, "numpy") as (_, held):
            memory = _mapped(part.path)
            header, start = _header(memory)
            for name in held if names is None else wanted:
                tensors[name] = _tensor(memory, header[name], start)
    return tensors if names is None else {name: tensors[name] for name in names}


def dtype_of(path: Path, name: str) -> str:
    """The dtype in which a tensor is stored, as torch names it."""
    stored = tensor_kinds(path)[name][0]
    kinds = {"F": "float", "I": "int", "U": "uint", "C": "complex", "BF16": "bfloat16"}
    return kinds.get(stored) or kinds.get(stored[0], "") + stored.lstrip("FIUC").lower()


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
    except (SafetensorError, OSError, ValueError, TypeError) as error:  # the last: odd shapes
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        raise AttnvizError(f"{path} is not a whole safetensors file: {error}", AGAIN) from error


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


def _header(memory: mmap.mmap) -> tuple[Mapping[str, Any], int]:
    """A file's header, which safetensors has checked, and where its numbers begin."""
    start = 8 + int.from_bytes(memory[:8], "little")
    return json.loads(memory[8:start]), start


def _tensor(memory: mmap.mmap, entry: Mapping[str, Any], start: int) -> Any:
    """A tensor where it lies in its file."""
    import numpy as np

    shape, dtype = entry["shape"], entry["dtype"]
    first, end = entry["data_offsets"]
    unknown = f"V{(end - first) // max(1, prod(shape))}"
    kind = "u2" if dtype == "BF16" else NUMPY_TYPES.get(dtype, unknown)
    array: np.ndarray = np.ndarray(shape, f"<{kind}", memory, start + first)
    array = array if array.flags.aligned else array.copy()
    if dtype != "BF16":
        return array
    from attnviz.models.tables import WidenedTable

    return WidenedTable(array)
