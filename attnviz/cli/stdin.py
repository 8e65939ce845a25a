"""Lines from standard input, or from a file, as they come: a sentence each."""

import os
import queue
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from attnviz.errors import AttnvizError, RequestError

Line = tuple[int, str | RequestError]
"""A line's index from 0, and its sentence, or what is wrong with it."""

_END = None


def is_piped() -> bool:
    """Whether something is piped or redirected into standard input (no terminal, no /dev/null)."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


class Lines(Protocol):
    """What gives sentences one after the other, and tells where the next one is still to come.

    `where` tells in words where they come from.
    """

    where: str

    @property
    def blank(self) -> int:
        """How many lines were left out for being blank."""

    @property
    def skipped(self) -> int:
        """How many lines stand before the sentences, and are not counted by their indices."""

    def __iter__(self) -> Iterator[Line | None]:
        """Each sentence's index and text, or what is wrong with it; None before one is awaited."""


class LineReader:
    """Reads lines in the background, and tells where the next one has not come yet.

    So a slow source has each line answered at once, and a file is run in batches. A UTF-8 byte
    order mark, line ends and blank lines are left out; a line that is not UTF-8 becomes an error.
    Without a path it reads standard input.
    """

    skipped = 0

    def __init__(self, path: Path | None = None) -> None:
        if path is None and sys.stdin is None:
            raise AttnvizError("standard input is closed", "give a sentence as TEXT")
        self.blank = 0
        self.where = "on standard input" if path is None else f"in {path}"
        self._path = path
        self._failure: OSError | None = None
        self._lines: queue.Queue[Line | None] = queue.Queue(maxsize=4096)
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[Line | None]:
        """The lines as they come; None where the next one is still to come."""
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                yield None
                line = self._lines.get()
            if line is _END:
                break
            yield line
        if self._failure is not None:
            raise AttnvizError(
                f"{self._path or 'standard input'} cannot be read: "
                f"{(self._failure.strerror or '').lower()}",
                "give a sentence as TEXT, or pipe some in",
            )

    def _read(self) -> None:
        """Fill the queue; on a stream of its own, which Python does not wait for when it ends."""
        try:
            with open(self._path or 0, "rb", closefd=self._path is not None) as stream:
                for index, raw in enumerate(stream):
                    line = _decoded(index, raw)
                    if isinstance(line, str) and not line.strip():
                        self.blank += 1
                    else:
                        self._lines.put((index, line))
        except OSError as error:
            self._failure = error
        finally:
            self._lines.put(_END)


def _decoded(index: int, raw: bytes) -> str | RequestError:
    try:
        line = raw.decode("utf-8-sig" if index == 0 else "utf-8")
    except UnicodeDecodeError as error:
        return RequestError(
            f"the line is not UTF-8 at byte {error.start}",
            "convert the file, for instance with iconv -t UTF-8",
        )
    return line.rstrip("\r\n")
