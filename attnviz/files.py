"""Files that are written whole or not at all, and errors of the disk put in words."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from attnviz.errors import AttnvizError, RequestError


@contextmanager
def whole_file(path: Path, private: bool = False) -> Iterator[BinaryIO]:
    """Open `path` for writing; it appears under its name once the block ends without an error.

    The bytes go to a temporary file beside it, which is renamed at the end and removed after an
    error or an interrupt. A device or pipe (`/dev/stdout`) is written to directly. `private` makes
    the file readable by the user alone.

    Raises RequestError if the folder does not exist, AttnvizError if it cannot be written.
    """
    target = path.resolve()
    try:
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        handle, name = tempfile.mkstemp(prefix=f".{target.name[:60]}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
            if not private:
                os.chmod(name, 0o666 & ~_umask())
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _write_error(path, error) from error


def cache_folder() -> Path:
    """The user's cache folder for attnviz, which may not exist yet."""
    import platformdirs

    return platformdirs.user_cache_path("attnviz", appauthor=False)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _write_error(path: Path, error: OSError) -> AttnvizError:
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return RequestError(
            f"cannot write {path}: there is no folder {path.parent}", "make the folder first"
        )
    if isinstance(error, IsADirectoryError):
        return RequestError(f"cannot write {path}: it is a folder", "give the name of a file")
    return AttnvizError(f"cannot write {path}: {reason}", "choose another place with -o")
