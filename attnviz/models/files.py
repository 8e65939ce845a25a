"""The files of a model: its weights in one safetensors file, in parts or in a pickle; its hash."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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
    is_own_file,
    make_own_folder,
    read_json,
    whole_file,
)

if TYPE_CHECKING:
    import numpy as np

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"

OLD_LAYOUT = "0_Transformer"
"""The folder in which sentence-transformers kept the model itself, until its version 2."""

LAYOUTS = (WEIGHTS, WEIGHTS_INDEX, PICKLE)  # the best first

MOST_STAMPS = 1 << 20  # bytes; a longer list of files that passed begins anew

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
    # a file that passed is hashed again only after its size or time stamp changed
    stamps_path = cache_folder() / "verified.json"
    stamps = _stamps(stamps_path)
    try:
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, expected]
        if stamps.get(str(path)) == stamp:
            return
        found = _sha256(path)
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}", hint) from error
    if found != expected:
        raise AttnvizError(
            f"{path} is not the file that was published: its SHA-256 is {found[:16]}…, "
            f"and should be {expected[:16]}…",
            hint,
        )
    # if the cache cannot be written, the next run hashes again
    with suppress(OSError, AttnvizError):
        make_own_folder(stamps_path.parent)
        with whole_file(stamps_path, private=True) as stream:
            stream.write(json.dumps({**stamps, str(path): stamp}).encode())


def _stamps(path: Path) -> dict[str, list[int | str]]:
    """Size, time and hash of the files that passed; none if the file is not our own, or damaged."""
    try:
        if not is_own_file(path) or path.stat().st_size > MOST_STAMPS:
            return {}
        known = read_json(path, "")
    except (AttnvizError, OSError):
        return {}
    return {
        name: stamp
        for name, stamp in known.items()
        if isinstance(stamp, list) and list(map(type, stamp)) == [int, int, str]
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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


def wrapper_of(names: Collection[str]) -> str:
    """What stands before all of the tensors' names; mostly nothing."""
    first = WRAPPED.match(next(iter(names), ""))
    wrapper = "" if first is None else first[0]
    while not all(name.startswith(wrapper) for name in names):
        wrapper = wrapper[: wrapper[:-1].rfind(".") + 1]
    return wrapper


def read_tensors(path: Path, names: Sequence[str]) -> "dict[str, np.ndarray]":
    """The tensors of these names, in float32; only the parts that hold them are opened.

    Raises KeyError for a name that is not there, AttnvizError as in `read_weights`.
    """
    import numpy as np

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
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        raise AttnvizError(f"{path} is not a whole safetensors file: {error}", AGAIN) from error


def _header(path: Path) -> tuple[Mapping[str, Any], int]:
    """A file's header, which safetensors has checked, and where its numbers begin."""
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        return json.loads(stream.read(size)), 8 + size


def _bfloat16(path: Path, entry: Mapping[str, Any], start: int) -> "np.ndarray":
    """A tensor of bfloat16 numbers, exactly: each is the upper half of a float32."""
    import numpy as np

    first, end = entry["data_offsets"]
    with path.open("rb") as stream:
        stream.seek(start + first)
        upper = np.frombuffer(stream.read(end - first), "<u2")
    return (upper.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def rounded(numbers: "np.ndarray", dtype: str) -> "np.ndarray":
    """Float32 numbers rounded to "bfloat16" or "float16", ties to even; others as they are."""
    import numpy as np

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


def draw_normal(shape: tuple[int, ...], seed: int, name: str, spread: float) -> "np.ndarray":
    """A float32 array of a model before its training, from its seed and name, as BERT draws it."""
    import numpy as np

    generator = np.random.default_rng([seed, *name.encode()])
    drawn: np.ndarray = generator.standard_normal(shape, np.float32)
    drawn *= spread
    return drawn


def draw_matrix(out: "np.ndarray", seed: int, name: str) -> None:
    """Fill a matrix of the untrained model from its seed and name: Glorot & Bengio 2010, 16."""
    import numpy as np

    # the generator takes numbers, so the name becomes one per byte
    np.random.default_rng([seed, *name.encode()]).random(out=out, dtype=np.float32)
    bound = (6 / sum(out.shape)) ** 0.5
    out *= 2 * bound
    out -= bound
