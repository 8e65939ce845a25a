"""The files that make up a model, and a hash that is checked once."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from attnviz.errors import AttnvizError
from attnviz.files import cache_folder, whole_file
from attnviz.models.layout import is_pickle


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
