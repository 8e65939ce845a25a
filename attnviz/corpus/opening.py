"""The files of a corpus: named, in folders, by patterns, on other machines, compressed."""

import io
import os
import re
import zlib
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from glob import glob, has_magic
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal

from attnviz.errors import AttnvizError, RequestError, listed
from attnviz.text.lines import LONGEST, START, encoding_of

Form = Literal["txt", "csv", "tsv", "jsonl", "parquet", "conllu"]

STDIN = "-"

SUFFIXES: dict[str, Form] = {
    ".txt": "txt",
    ".text": "txt",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".conllu": "conllu",
}
"""What the end of a file's name says of its form."""

COMPRESSED = (".gz", ".zst")

_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*\{\s*\"")  # an object
_GZIP_BITS = 31  # of zlib's window, with gzip's header and checksum
_FED = 1 << 10  # compressed bytes at once: a few of them may hold a great many


def named_form(name: str) -> Form | None:
    """The form that a file's name tells; None if it tells none."""
    path = PurePosixPath(name.partition("::")[0].lower())
    if path.suffix in COMPRESSED:
        path = path.with_suffix("")
    return SUFFIXES.get(path.suffix)


Forms = Collection[Form] | None
"""Which files of a folder are read, by their names; None: all of them."""

FORMS: frozenset[Form] = frozenset(SUFFIXES.values())


def files_of(names: Sequence[str], forms: Forms) -> list[str]:
    """The files that are named, in named folders, or fit a pattern: sorted there, each once.

    Of a folder those whose names tell one of these forms; none that is hidden. RequestError if a
    name leads to none, AttnvizError if that cannot be found out.
    """
    found: dict[str, str] = {}
    for name in names:
        far = "://" in name
        for file in (_far if far else _near)(name, forms):
            found.setdefault(file if far or file == STDIN else os.path.realpath(file), file)
    return list(found.values())


def size_of(file: str) -> int | None:
    """How many bytes it has; None if that is not known."""
    with suppress(OSError):
        return os.stat(file).st_size if os.path.isfile(file) else None
    return None


def _near(name: str, forms: Forms) -> list[str]:
    """Files of this machine."""
    if name == STDIN or os.path.isfile(name):
        return [name]
    if os.path.isdir(name):
        inside = (os.path.join(folder, file) for folder, file in _walked(name))
        return _wanted(name, inside, forms)
    if os.path.exists(name):  # a pipe
        return [name]
    if has_magic(name):
        files = [file for file in sorted(glob(name, recursive=True)) if os.path.isfile(file)]
        if files:
            return files
        raise RequestError(f"no file fits {name}", "check the pattern")
    raise RequestError(f"there is no file {name}", "check the path; - is standard input")


def _walked(folder: str) -> Iterator[tuple[str, str]]:
    for inside, folders, files in os.walk(folder):
        folders[:] = [one for one in folders if not one.startswith(".")]
        yield from ((inside, file) for file in files if not file.startswith("."))


def _wanted(folder: str, files: Iterator[str], forms: Forms) -> list[str]:
    """Those files of a folder that can be read, sorted; RequestError if there is none."""
    seen = list(files)
    wanted = sorted(file for file in seen if forms is None or named_form(file) in forms)
    if not wanted:
        ends = listed(sorted(end for end in SUFFIXES if SUFFIXES[end] in (forms or FORMS)), 12)
        raise RequestError(
            f"the folder {folder} has {len(seen) or 'no'} file{'' if len(seen) == 1 else 's'}"
            + (f", none of which ends in {ends}" if seen else ""),
            "name the files, or in survey their form with --as" if seen else "name another",
        )
    return wanted


def _far(name: str, forms: Forms) -> list[str]:
    """Files that fsspec opens."""
    with _far_errors(name):
        from fsspec.core import url_to_fs

        system, path = url_to_fs(name)
        if system.isfile(path):
            return [name]
        if has_magic(path):
            files, why = sorted(system.glob(path)), f"no file fits {name}"
            files = [file for file in files if system.isfile(file) and "/." not in file]
        elif system.isdir(path):
            inside = [file for file in system.find(path) if "/." not in file.removeprefix(path)]
            return _wanted(name, (_renamed(name, file) for file in inside), forms)
        else:
            files, why = [], f"there is no file {name}"
        if not files:
            raise RequestError(why, "check the address")
        return [_renamed(name, file) for file in files]


def _renamed(name: str, path: str) -> str:
    """The address of another file, reached as the named one: `simplecache::s3://box/a.txt`."""
    if "://" in path:
        return path
    first, chain, rest = name.partition("::")
    if "://" not in first:
        return f"{first}::{_renamed(rest, path)}"
    return f"{first.partition('://')[0]}://{path}{chain}{rest}"


@contextmanager
def _far_errors(name: str) -> Iterator[None]:
    """Whatever fsspec, and the libraries that it calls, raise becomes an AttnvizError."""
    try:
        yield
    except (AttnvizError, MemoryError):
        raise
    except ImportError as error:  # "Install s3fs to access S3"
        raise AttnvizError(f"{name} cannot be opened: {reason_of(error)}") from error
    except Exception as error:
        kind = RequestError if isinstance(error, ValueError) else AttnvizError
        raise kind(f"{name} cannot be opened: {reason_of(error)}", "check the address") from error


def reason_of(error: BaseException) -> str:
    """What an error of a library says, in a line."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    told = getattr(error, "strerror", None) or str(error).strip().partition("\n")[0]
    return str(told).rstrip(".") or type(error).__name__


class Opened:
    """Opens a file, and gives what is in it, decompressed; `read` says how many bytes it took.

    What a file begins with tells how it is compressed. Its name may say so too: then it must be.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._stack = ExitStack()
        self._raw: Any = None
        self._stream: io.BufferedReader | None = None

    def __enter__(self) -> "Opened":
        self._raw = self._stack.enter_context(self._open())
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def read(self) -> int:
        """How many of the file's bytes were read."""
        try:
            return int(self._raw.tell())
        except (OSError, ValueError):
            return 0

    def form(self, asked: Form | None = None) -> Form:
        """The one asked for, or what its name says, or its beginning.

        RequestError if it is none of them, and no text.
        """
        form = asked or named_form(self.name)
        if form is not None:
            return form
        start = self.stream().peek(len(_PARQUET))
        if start.startswith(_PARQUET):
            return "parquet"
        if _JSON.match(start):
            return "jsonl"
        if b"\0" in start and encoding_of(start) is None:
            raise RequestError("it is not text", "end its name in its form, or in survey give --as")
        return "txt"

    def seekable(self) -> BinaryIO:
        """The file as it lies there; AttnvizError if one cannot go back in it."""
        if not self._raw.seekable():
            raise AttnvizError(
                "Parquet is read from its end, which a pipe does not have yet", "save it as a file"
            )
        stream: BinaryIO = self._raw
        return stream

    def stream(self) -> io.BufferedReader:
        """What is in it; reading that raises EOFError and others if it is not whole."""
        if self._stream is None:
            self._stream = self._unpacked()
        return self._stream

    def raw_lines(self) -> Iterator[bytes]:
        """Its lines as they are; one that is very long in several parts."""
        return iter(partial(self.stream().readline, LONGEST), b"")

    def _unpacked(self) -> io.BufferedReader:
        plain = self._buffered(self._raw)
        start = plain.peek(len(_ZSTD))
        if start.startswith(_GZIP):
            return self._buffered(_Unpacked(plain, partial(zlib.decompressobj, _GZIP_BITS)))
        if start.startswith(_ZSTD):
            return self._buffered(_Unpacked(plain, _zstd()))
        packed = next((end for end in COMPRESSED if self.name.lower().endswith(end)), None)
        if packed is not None and start:
            raise AttnvizError(f"the file's name ends in {packed}, and it is not compressed so")
        return plain

    def _buffered(self, raw: Any) -> io.BufferedReader:
        return self._stack.enter_context(io.BufferedReader(raw, START))

    def _open(self) -> Any:
        if self.name == STDIN:
            return io.FileIO(0, closefd=False)
        if "://" not in self.name:
            return io.FileIO(self.name)
        import fsspec

        with _far_errors(self.name):
            return fsspec.open(self.name, "rb").open()


class _Unpacked(io.RawIOBase):
    """What is packed, frame after frame; EOFError if the last one has no end.

    All that comes before a break is read; Python's own reader of gzip drops the last of it.
    """

    def __init__(self, packed: io.BufferedReader, begin: Callable[[], Any]) -> None:
        self._packed, self._begin, self._frame = packed, begin, begin()
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, into: Any) -> int:
        """As many bytes as there are and fit; 0 at the end."""
        while not self._left:
            if self._frame.eof:
                fed = self._next_frame()
                if not fed:
                    return 0
                self._frame = self._begin()
            else:
                fed = self._packed.read(_FED)
                if not fed:
                    raise EOFError("it ends in the middle")
            self._left = memoryview(self._frame.decompress(fed))
        size = min(len(into), len(self._left))
        into[:size], self._left = self._left[:size], self._left[size:]
        return size

    def _next_frame(self) -> bytes:
        """What comes after the frame that ended, but zeros, with which some fill up a block."""
        fed: bytes = self._frame.unused_data.lstrip(b"\0")
        while not fed:
            more = self._packed.read(_FED)
            if not more:
                break
            fed = more.lstrip(b"\0")
        return fed


def _zstd() -> Callable[[], Any]:
    """What begins a frame of Zstandard; AttnvizError if its library is not installed."""
    try:
        import zstandard
    except ImportError:
        raise AttnvizError(
            "a .zst file needs zstandard, which is not installed",
            "install it with pip install 'attnviz[corpus]'",
        ) from None
    begin: Callable[[], Any] = zstandard.ZstdDecompressor().decompressobj
    return begin
