"""Whether files are what they were, by their content: a run that is resumed reads the same ones.

What time a file has does not count, so that a copy is the same file.
"""

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from typing import Any, BinaryIO

from attnviz.errors import listed

HASHED = 1 << 26
"""So many bytes of all files together are hashed; of larger ones, pieces that lie evenly."""

PIECES = 8

FAR_PIECE = 1 << 16
"""Bytes of the beginning, and of the end, that are read of a file elsewhere."""

TAGS = ("md5Hash", "Content-MD5", "Digest", "ETag", "etag", "e_tag", "blob_id", "sha", "CRC")
"""What systems of files say of the content, by the names that fsspec hands on."""

Stamp = dict[str, Any] | None
"""What a file is known by, in JSON; None for a stream, which is known once it is read."""


def stamps_of(files: Sequence[str]) -> list[tuple[str, Stamp]]:
    """What each file is known by."""
    share = max(PIECES << 9, HASHED // max(1, len(files)))
    return [(file, _far(file) if "://" in file else _near(file, share)) for file in files]


def is_stream(file: str) -> bool:
    """Whether it is standard input or a pipe, of which nothing is known before it is read."""
    return "://" not in file and not os.path.isfile(file)


def changed(before: Iterable[tuple[str, Stamp]], now: Iterable[tuple[str, Stamp]]) -> str:
    """Which files are not those of before, in words; nothing if all are.

    A large file whose time is another is told in a note: pieces of it alone were compared.
    """
    old, new = dict(before), dict(now)
    others = [file for file in new if file in old and _known_by(old[file]) != _known_by(new[file])]
    if others:
        return f"{listed(others)} {'has' if len(others) == 1 else 'have'} changed since it was read"
    for names, told in (
        ([file for file in old if file not in new], "read before and not named now"),
        ([file for file in new if file not in old], "named now and not read before"),
    ):
        if names:
            return f"{listed(names)} {'was' if len(names) == 1 else 'were'} {told}"
    if list(old) != list(new):
        return "the files came in another order"
    for file in new:
        if new[file] != old[file]:
            logging.getLogger(__name__).warning(
                "%s has another time than before; its size is the same, and so are %d pieces of it",
                file,
                PIECES,
            )
    return ""


def _known_by(stamp: Stamp) -> Stamp:
    return stamp and {name: value for name, value in stamp.items() if name != "time"}


def _near(file: str, share: int) -> Stamp:
    """Of a file of this machine."""
    if is_stream(file):
        return None
    with suppress(OSError), open(file, "rb", buffering=0) as stream:
        found = os.fstat(stream.fileno())
        size = found.st_size
        if size <= share:
            return {"size": size, "hash": _hash(stream, [(0, size)])}
        piece = share // PIECES
        places = [number * (size - piece) // (PIECES - 1) for number in range(PIECES)]
        digest = _hash(stream, [(place, piece) for place in places])
        return {"size": size, "hash": digest, "time": found.st_mtime_ns}
    return None


def _far(file: str) -> Stamp:
    """Of a file that fsspec opens: what its system says of the content, or its two ends."""
    with suppress(Exception):  # of systems of files there are many; reading it tells what is wrong
        from fsspec.core import url_to_fs

        system, path = url_to_fs(file)
        info: Mapping[str, Any] = system.info(path)
        size = info.get("size")
        tag = next((name for name in TAGS if info.get(name)), None)
        if tag is not None:
            return {"size": size, tag: str(info[tag])}
        with system.open(path, "rb") as stream:
            ends = [(0, FAR_PIECE)]
            if isinstance(size, int) and size > FAR_PIECE and stream.seekable():
                ends.append((size - FAR_PIECE, FAR_PIECE))
            return {"size": size, "hash": _hash(stream, ends)}
    return None


def _hash(stream: BinaryIO, pieces: Sequence[tuple[int, int]]) -> str:
    """Of these pieces: where each begins, and its bytes."""
    digest = blake2b(digest_size=16)
    for place, size in pieces:
        if place:
            stream.seek(place)
        left = size
        while left > 0 and (read := stream.read(min(left, 1 << 20))):
            digest.update(read)
            left -= len(read)
    return digest.hexdigest()
