"""Lines of a stream of bytes, whatever encoding they have and however they end."""

import codecs
import re
from collections.abc import Callable, Iterator
from functools import partial
from io import BufferedReader, TextIOWrapper
from typing import Any, TypeVar

from attnviz.errors import RequestError

Raw = TypeVar("Raw", bytes, str)

LONGEST = 1 << 24
"""The bytes of a line that are read; a line without end would fill the memory."""

START = 1 << 16
"""Bytes at once, the first of which show the encoding."""

_SKIPPED = 16
"""How many times LONGEST a line may have for what comes after it to be read."""

_ENCODINGS = {
    "utf-32": re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff"),
    "utf-16": re.compile(rb"\xff\xfe|\xfe\xff"),
    "utf-16-le": re.compile(rb"[^\0]\0[^\0]\0"),
    "utf-16-be": re.compile(rb"\0[^\0]\0[^\0]"),
}
"""Encodings beside UTF-8, and how text in them begins: with a byte order mark, or letters."""

_CR_ENDS_LINES = re.compile(rb"[^\r\n]*\r[^\n]")


def lines_of(stream: "BufferedReader[Any]") -> Iterator[str | RequestError]:
    """Each line, without its end, or what is wrong with it.

    It is in UTF-8, or in UTF-16 or UTF-32 from its start. LF ends a line, and CR alone does if it
    ends the first.
    """
    start = stream.peek(1)
    encoding = encoding_of(start)
    if encoding is None and not _CR_ENDS_LINES.match(start):
        for index, raw in enumerate(_cut(stream.readline, b"\n")):
            yield _too_long() if raw is None else _decoded(index, raw)
        return
    how = "surrogateescape" if encoding is None else "replace"
    text = TextIOWrapper(stream, encoding or "utf-8", how)
    try:
        for index, line in enumerate(_cut(text.readline, "\n")):
            if line is None:
                yield _too_long()
            elif encoding is None:
                yield _decoded(index, line.encode("utf-8", how))
            elif "\ufffd" in line:
                yield RequestError("the line is not whole UTF-16", "save the file again as UTF-8")
            else:
                yield line.rstrip("\r\n")
    finally:
        text.detach()  # who opened the stream closes it


def _cut(readline: Callable[[int], Raw], end: Raw) -> Iterator[Raw | None]:
    """The lines; None for one that is too long, which is passed over, or ends the lines."""
    read = partial(readline, LONGEST + 1)
    for raw in iter(read, end[:0]):
        if len(raw) <= LONGEST:
            yield raw
            continue
        yield None
        for _ in range(_SKIPPED):
            if raw.endswith(end):
                break
            raw = read()
        else:
            return


def _too_long() -> RequestError:
    return RequestError(
        f"the line is longer than {LONGEST >> 20} MiB, and is not read further",
        "give a sentence a line",
    )


def encoding_of(start: bytes) -> str | None:
    """The encoding that a text begins in; None for UTF-8, or anything else that has its bytes."""
    marked = next((name for name, begins in _ENCODINGS.items() if begins.match(start)), None)
    if marked is not None or b"\0" not in start:
        return marked
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:  # then UTF-16 shows itself in line feeds of two bytes
        for name, first in (("utf-16-le", 0), ("utf-16-be", 1)):
            ends = [place ^ 1 for place in range(first, len(start), 2) if start[place] == 0x0A]
            if sum(start[place : place + 1] == b"\0" for place in ends) > len(ends) / 2:
                return name
    return None


def _decoded(index: int, raw: bytes) -> str | RequestError:
    try:
        line = raw.decode("utf-8-sig" if index == 0 else "utf-8")
    except UnicodeDecodeError as error:
        return RequestError(
            f"the line is not UTF-8 at byte {error.start}",
            "convert the file, as in iconv -f LATIN1 -t UTF-8 FILE (Korean: -f CP949)",
        )
    return line.rstrip("\r\n")
