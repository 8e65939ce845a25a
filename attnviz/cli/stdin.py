"""Sentences from standard input, one a line, as they come."""

import os
import queue
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

from attnviz.errors import AttnvizError, RequestError

Line = tuple[int, str | RequestError]
"""A line's index from 0, and its sentence, or what is wrong with it."""

WINDOW_CHARACTERS = 16_384
"""Characters taken together at most, when that much has come in already."""

_END = None


def is_piped() -> bool:
    """Whether something is piped or redirected into standard input (no terminal, no /dev/null)."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


class LineReader:
    """Reads lines in the background, and hands out those that came in so far, together.

    So a slow source has each line answered at once, and a file is run in batches. A UTF-8 byte
    order mark, line ends and blank lines are left out; a line that is not UTF-8 becomes an error.
    """

    def __init__(self) -> None:
        if sys.stdin is None:
            raise AttnvizError("standard input is closed", "give a sentence as TEXT")
        self.blank = 0
        self._failure: OSError | None = None
        self._lines: queue.Queue[Line | None] = queue.Queue(maxsize=4096)
        threading.Thread(target=self._read, daemon=True).start()

    def windows(self) -> Iterator[list[Line]]:
        """Runs of lines: at least one, and whatever else has come by then, up to a size.

        An empty run says that the next line is still to come.
        """
        while (line := self._lines.get()) is not _END:
            window, size, ended = [line], len(str(line[1])), False
            with suppress(queue.Empty):
                while size < WINDOW_CHARACTERS:
                    following = self._lines.get_nowait()
                    if following is _END:
                        ended = True
                        break
                    window.append(following)
                    size += len(str(following[1]))
            yield window
            if ended:
                break
            if self._lines.empty():
                yield []
        if self._failure is not None:
            raise AttnvizError(
                f"standard input cannot be read: {(self._failure.strerror or '').lower()}",
                "give a sentence as TEXT, or pipe some in",
            )

    def _read(self) -> None:
        """Fill the queue; on a stream of its own, which Python does not wait for when it ends."""
        try:
            with open(0, "rb", closefd=False) as stream:
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
