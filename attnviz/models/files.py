"""The files of a model: its weights in one safetensors file, in parts or in a pickle; its hash."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened

from attnviz.errors import AttnvizError
from attnviz.files import cache_folder, read_json, whole_file

WEIGHTS = "model.safetensors"
WEIGHTS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"

LAYOUTS = (WEIGHTS, WEIGHTS_INDEX, PICKLE)  # the best first

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
    stamps: Mapping[str, object] = {}
    with suppress(AttnvizError):
        stamps = read_json(stamps_path, "")
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
        stamps_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(stamps_path, private=True) as stream:
            stream.write(json.dumps({**stamps, str(path): stamp}).encode())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
