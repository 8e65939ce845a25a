"""The files that make up a model, and a hash that is checked once."""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened

from attnviz.errors import AttnvizError
from attnviz.files import cache_folder, whole_file


@dataclass(frozen=True)
class ModelFiles:
    """Where a model's configuration, tokenizer and weights lie.

    `tokenizer` is its tokenizer.json, or None where another library is to build one of what lies in
    the folder. `weights` is one file, or the index of parts that lie beside it. `verified` says
    that weights were checked against a known hash.
    """

    name: str
    config: Path
    tokenizer: Path | None
    weights: Path
    verified: bool = False

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self.config.parent

    @property
    def pickled(self) -> bool:
        """Whether the weights lie in a pickle, for want of safetensors."""
        return is_pickle(self.weights)


def check_sha256(path: Path, expected: str, way_out: str) -> None:
    """Raise AttnvizError, with `way_out` as its hint, unless the file has this SHA-256.

    A file that passed is remembered in the cache folder by size and time stamp, and hashed again
    only when one of them changes.
    """
    stamps_path = cache_folder() / "verified.json"
    stamps = _read_stamps(stamps_path)
    try:
        stat = path.stat()
        stamp = [stat.st_size, stat.st_mtime_ns, expected]
        if stamps.get(str(path)) == stamp:
            return
        found = _sha256(path)
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}", way_out) from error
    if found != expected:
        raise AttnvizError(
            f"{path} is not the file that was published: its SHA-256 is {found[:16]}…, "
            f"and should be {expected[:16]}…",
            way_out,
        )
    _write_stamps(stamps_path, {**stamps, str(path): stamp})


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_stamps(path: Path) -> dict[str, object]:
    try:
        stamps = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamps if isinstance(stamps, dict) else {}


def _write_stamps(path: Path, stamps: dict[str, object]) -> None:
    """Keep the stamps; where the cache cannot be written, the next run hashes again."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with whole_file(path, private=True) as stream:
            stream.write(json.dumps(stamps).encode())
    except (OSError, AttnvizError):
        return


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


VOCABULARY = re.compile(
    r"""
    [\w.-]*(vocab|merges)[\w.-]*\.(txt|json|model)  # vocab.txt, merges.txt, vocab-src.json
    | [\w.-]+\.(model|spm|tiktoken)  # spiece.model, sentencepiece.bpe.model, source.spm
    | bpe\.codes | dict\.txt | emoji\.json | tekken\.json
    """,
    re.VERBOSE,
)
"""What the files are called that tokenizers keep their pieces in, other than tokenizer.json."""

TOKENIZER_CONFIG = "tokenizer_config.json"
SETTINGS = (
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "added_tokens.json",
    "generation_config.json",
)


@dataclass(frozen=True)
class Wanted:
    """What is needed of a model beside config.json, weights and tokenizer.json.

    `settings`: how its tokenizer and its decoder are meant to be used; `code`: what it is run with,
    which whoever asked for it trusts.
    """

    settings: bool = False
    code: bool = False


def is_vocabulary(name: str) -> bool:
    """Whether a file of this name has a tokenizer's pieces, and is not tokenizer.json."""
    return VOCABULARY.fullmatch(name) is not None


def is_code(name: str) -> bool:
    """Whether a file of this name has code."""
    return name.endswith(".py")


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether there may be a tokenizer among files that are not tokenizer.json."""
    return TOKENIZER_CONFIG in names or any(map(is_vocabulary, names))


def beside(names: Collection[str], wanted: Wanted, tokenizer: bool) -> list[str]:
    """Which files hold pieces or code that is needed; `tokenizer`: there is no tokenizer.json."""
    return sorted(
        name
        for name in names
        if (tokenizer and is_vocabulary(name)) or (wanted.code and is_code(name))
    )
