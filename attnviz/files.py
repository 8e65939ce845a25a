"""Helpers for several rooms: files written whole or not at all, and read; errors of Rust."""

import json
import os
import re
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from threading import RLock
from typing import Any, BinaryIO, TypeVar

from attnviz.errors import AttnvizError, RequestError

Item = TypeVar("Item")

_STREAMS = re.compile(r"/proc/[^/]+(/task/[^/]+)?/fd")
"""Where Linux lists the streams that a process has open."""

_unfinished: set[str] = set()
"""Temporary files that are being written."""

SIZES = "sizes.json"
"""In a folder of attnviz's own, how long its files are; written last."""

_LINKS_FOLLOWED = 40
"""As many as the kernel follows before it speaks of a loop."""


@contextmanager
def whole_file(path: Path, private: bool = False) -> Iterator[BinaryIO]:
    """Open `path` for writing; it appears under its name once the block ends without an error.

    The bytes go to a temporary file beside it, which is renamed at the end and removed after an
    error or an interrupt. A link is followed, and a file that is replaced leaves its permissions to
    the new one. A device, a pipe, or a stream that is open already (`/dev/stdout`) is written to
    directly, after what it holds. `private` is for a file of attnviz's own: it is readable by the
    user alone, and takes the place of whatever has its name, be it a link, a pipe or another's.

    Raises RequestError if the folder does not exist, AttnvizError if it cannot be written, and
    BrokenPipeError as it comes: a reader that has seen enough is no error.
    """
    target = path if private else Path(os.path.realpath(path))
    try:
        if not private and (is_open_stream(path) or (target.exists() and not target.is_file())):
            with path.open("ab") as stream:
                yield stream
            return
        name = str(target.parent / f".{target.name[:60]}.{os.urandom(6).hex()}")
        _unfinished.add(name)
        try:
            with open(name, "xb", opener=_for_the_user_alone) as stream:
                yield stream
            if not private:
                os.chmod(name, _permissions(target))
            os.replace(name, target)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            _unfinished.discard(name)  # not before: a signal may have kept it from going
            raise
        _unfinished.discard(name)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _write_error(path, error) from error


def discard_unfinished() -> None:
    """Remove the temporary files of `whole_file`; for a process that ends at once."""
    for name in list(_unfinished):
        Path(name).unlink(missing_ok=True)


def cache_folder() -> Path:
    """The user's cache folder for attnviz, which may not exist yet."""
    import platformdirs

    folder = platformdirs.user_cache_path("attnviz", appauthor=False)
    if folder.is_absolute():
        return folder
    # a relative XDG_CACHE_HOME does not count, says the standard; and there may be no home
    home = Path.home()
    if not home.is_absolute():
        import tempfile

        home = Path(tempfile.gettempdir())
    return home / ".cache" / "attnviz"


def make_own_folder(folder: Path) -> None:
    """Make attnviz's own folder, which is the user's alone; AttnvizError if it cannot be.

    Elsewhere others could put links and files of theirs.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
            raise AttnvizError(f"{folder} belongs to another user", "set XDG_CACHE_HOME")
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise AttnvizError(f"cannot use {folder}: {reason}", "set XDG_CACHE_HOME") from error


def is_own_file(path: Path) -> bool:
    """Whether the user has a file of that name; AttnvizError if it is a link, a pipe, another's."""
    try:
        found = path.lstat()
    except OSError:
        return False
    if not stat.S_ISREG(found.st_mode):
        raise AttnvizError(f"{path} is not a file of attnviz's own", "delete it")
    if hasattr(os, "geteuid") and found.st_uid != os.geteuid():
        raise AttnvizError(f"{path} belongs to another user", "delete it")
    return True


def add_sizes(folder: Path, names: Iterable[str]) -> None:
    """Write into a folder of attnviz's own how long its files are, once all are there."""
    sizes = {name: (folder / name).stat().st_size for name in names}
    with whole_file(folder / SIZES, private=True) as stream:
        stream.write(json.dumps(sizes).encode())


def intact(folder: Path) -> bool:
    """Whether a folder has the files that `add_sizes` wrote down, each as long as it was."""
    if not is_own_file(folder / SIZES):
        return False
    try:
        sizes = read_json(folder / SIZES, "")
        found = {name: (folder / name).stat().st_size for name in sizes}
    except (AttnvizError, OSError, ValueError):
        return False
    return bool(found) and found == sizes


def check_readable(path: Path) -> None:
    """Raise AttnvizError, with the system's reason, unless the file can be opened.

    safetensors, for one, says that a file is missing when it may not be read.
    """
    try:
        path.open("rb").close()
    except OSError as error:
        raise AttnvizError(f"{path} cannot be read: {error.strerror}") from error


def stamp(path: Path) -> list[int]:
    """What differs once a file has changed: its size, times and inode; OSError if it is gone.

    The time of the last change is among them, which nobody can set.
    """
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def read_json(path: Path, hint: str) -> dict[str, Any]:
    """Read a file's JSON object; AttnvizError, with this hint, if it is damaged or is not one."""
    content: dict[str, Any] = _content(path, hint, dict, "object")
    return content


def read_json_list(path: Path, hint: str) -> list[Any]:
    """Read a file's JSON list; AttnvizError, with this hint, if it is damaged or is not one."""
    content: list[Any] = _content(path, hint, list, "list")
    return content


def _content(path: Path, hint: str, kind: type, called: str) -> Any:
    check_readable(path)
    try:
        # utf-8-sig: some editors write a byte order mark
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise AttnvizError(f"{path} cannot be read as JSON: {error}", hint) from error
    if not isinstance(content, kind):
        raise AttnvizError(
            f"{path} should hold a JSON {called}, and holds a {type(content).__name__}", hint
        )
    return content


def read_own_json(path: Path, most: int) -> dict[str, Any]:
    """The JSON object in a file of attnviz's own, or {}.

    That is for a file that is not there, not attnviz's own, damaged, or larger than `most` bytes.
    """
    try:
        if is_own_file(path) and path.stat().st_size <= most:
            return read_json(path, "")
    except (AttnvizError, OSError):
        pass
    return {}


def write_own_json(path: Path, content: dict[str, Any]) -> None:
    """Write an object for `read_own_json`; if it cannot be written, nothing is."""
    with suppress(OSError, AttnvizError):
        make_own_folder(path.parent)
        with whole_file(path, private=True) as stream:
            stream.write(json.dumps(content).encode())


_RUST = RLock()


@contextmanager
def rust_errors(what: str, hint: str) -> Iterator[None]:
    """Raise AttnvizError, which says `what` and why, for whatever a library in Rust raises."""
    try:
        with panics():
            yield
    except (AttnvizError, MemoryError):
        raise
    except Exception as error:  # the Rust side raises bare Exception, whatever went wrong
        raise AttnvizError(f"{what}: {error}", hint) from error


@contextmanager
def panics() -> Iterator[None]:
    """Raise RuntimeError for a panic in Rust, which is no Exception and tells about itself.

    What it writes to standard error is dropped; what anything else writes there comes later. It
    lies in a file meanwhile: a pipe that nobody reads would fill up.
    """
    with _RUST:
        try:
            own = os.dup(2)
        except OSError:  # standard error is closed
            own = _scratch()
        panicked = False
        try:
            os.dup2(_scratch(), 2)
            yield
        except BaseException as error:
            panicked = type(error).__name__ == "PanicException"
            if not panicked:
                raise
            raise RuntimeError(str(error)) from error
        finally:
            os.dup2(own, 2)
            said = _taken()
            if said and not panicked:
                os.write(2, said)
            if own != _scratch():
                os.close(own)


def _taken() -> bytes:
    """What was written to the scratch file, which is empty afterwards."""
    scratch = _scratch()
    size = os.lseek(scratch, 0, os.SEEK_CUR)
    if not size:
        return b""
    os.lseek(scratch, 0, os.SEEK_SET)
    said = os.read(scratch, size)
    os.ftruncate(scratch, os.lseek(scratch, 0, os.SEEK_SET))
    return said


@cache
def _scratch() -> int:
    """A file without a name, for as long as the process runs."""
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def look_ahead(items: Iterable[Item], count: int) -> Iterator[Item]:
    """The same items, but `count` of them are taken before they are needed.

    If taking an item starts work on another thread, that work goes on while earlier items are used.
    """
    taken: deque[Item] = deque()
    for item in items:
        taken.append(item)
        if len(taken) > count:
            yield taken.popleft()
    while taken:
        yield taken.popleft()


def is_open_stream(path: Path) -> bool:
    """Whether the path leads to a stream of a process: `/dev/stdout`, `/dev/fd/3`.

    Where standard output is a file, renaming another over it would lose what it holds.
    """
    for _ in range(_LINKS_FOLLOWED):
        if not os.path.islink(path):  # False for a name that is too long, where is_symlink raises
            return False
        if _STREAMS.fullmatch(os.path.realpath(path.parent)):
            return True
        path = path.parent / os.readlink(path)
    return False


def _for_the_user_alone(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _permissions(target: Path) -> int:
    """Those of the file that is replaced, or what the umask leaves to a new one."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    return 0o666 & ~mask


def _write_error(path: Path, error: OSError) -> AttnvizError:
    reason = (error.strerror or str(error)).lower()
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return RequestError(
            f"cannot write {path}: there is no folder {path.parent}", "make the folder first"
        )
    if isinstance(error, IsADirectoryError):
        return RequestError(f"cannot write {path}: it is a folder", "give the name of a file")
    return AttnvizError(f"cannot write {path}: {reason}", "choose another place")
