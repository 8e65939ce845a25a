"""Sentences on standard input, one a line, and tables of sentences with words of their own."""

import csv
import io
import logging
import os
import queue
import re
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from attnviz.cli.output import STDIN, mode_of, on_terminal
from attnviz.errors import AttnvizError, RequestError

Line = tuple[int, str | RequestError]  # index from 0, and sentence or what is wrong with it

LONGEST = 1 << 24
"""The bytes of a line that are read; a line without end would fill the memory."""

START = 1 << 16  # bytes at once, the first of which show the encoding
PATIENCE = 1.0  # seconds without a line, after which a note says what is waited for

_ENCODINGS = {
    "utf-32": re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff"),
    "utf-16": re.compile(rb"\xff\xfe|\xfe\xff"),
    "utf-16-le": re.compile(rb"[^\0]\0[^\0]\0"),
    "utf-16-be": re.compile(rb"\0[^\0]\0[^\0]"),
}
"""Encodings beside UTF-8, and how text in them begins: with a byte order mark, or letters."""

_CR_ENDS_LINES = re.compile(rb"[^\r\n]*\r[^\n]")

_SHARED = (
    "standard input is shared with what called attnviz, and its lines are taken for sentences; "
    "in a loop, such as while read, add < /dev/null"
)


def is_piped() -> bool:
    """Whether standard input is a pipe or a file: not a terminal, not /dev/null."""
    mode = mode_of(STDIN)
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)


def is_shared() -> bool:
    """Whether others read in the same standard input, as a `while read` loop does.

    In a file they have read already; in a pipe, it is the one of the shell that called attnviz.
    """
    try:
        if stat.S_ISREG(mode_of(STDIN)):
            return os.lseek(STDIN, 0, os.SEEK_CUR) > 0
        caller = Path(f"/proc/{os.getppid()}")
        is_shell = (caller / "comm").read_text().strip().endswith("sh")
        return is_shell and os.path.samestat((caller / "fd/0").stat(), os.fstat(STDIN))
    except OSError:  # there is no /proc, or it is another user's
        return False


class LineReader:
    """Reads lines in the background, and says when the next one has not come yet.

    So a slow source gets an answer to each line at once, and a file is run in batches. `blank`
    counts blank lines, `skipped` those of a header. Without a path it reads standard input; if the
    command line did not ask for that, notes say how to do without.
    """

    skipped = 0

    def __init__(self, path: Path | None = None, asked: bool = True) -> None:
        if path is None and sys.stdin is None:
            raise AttnvizError("standard input is closed", "give a sentence as TEXT")
        self.blank = 0
        self.where = "on standard input" if path is None else f"in {path}"
        self.hint = "give one a line" + ("" if asked else ", or add < /dev/null if none is to come")
        self._path, self._asked = path, asked
        self._shared = not asked and is_shared()
        self._failure: OSError | None = None
        self._lines: queue.Queue[Line | None] = queue.Queue(maxsize=4096)
        self._waiting = threading.Timer(PATIENCE, self._note_waiting)
        self._waiting.daemon = True
        if path is None:
            self._waiting.start()
        threading.Thread(target=self._read, daemon=True).start()

    def __iter__(self) -> Iterator[Line | None]:
        """The lines as they come; None when the next one has not come yet."""
        while True:
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                yield None
                line = self._lines.get()
            if line is None:
                break
            yield line
        if self._failure is not None:
            raise AttnvizError(
                f"{self._path or 'standard input'} cannot be read: "
                f"{(self._failure.strerror or '').lower()}",
                "give a sentence as TEXT, or pipe some in",
            )

    def _read(self) -> None:
        """Fill the queue from a stream of its own, which Python does not wait for at exit."""
        try:
            file = io.FileIO(self._path or STDIN, closefd=self._path is not None)
            with io.BufferedReader(file, START) as stream:
                start = stream.peek(1)
                self._waiting.cancel()
                if start and self._shared:
                    logging.getLogger("attnviz").warning(_SHARED)
                for index, raw in enumerate(_lines_of(stream, start)):
                    line = _decoded(index, raw)
                    if isinstance(line, str) and not line.strip():
                        self.blank += 1
                    else:
                        self._lines.put((index, line))
                    if len(raw) > LONGEST:  # what comes is still this line
                        break
        except OSError as error:
            self._failure = error
        finally:
            self._waiting.cancel()
            self._lines.put(None)  # the end

    def _note_waiting(self) -> None:
        what = f"waiting for sentences, one a line, {self.where}"
        how = "" if self._asked else f"; give TEXT instead, or {self.hint.partition('or ')[2]}"
        if on_terminal(sys.stdin):
            how = "; Ctrl-D ends them"
        logging.getLogger("attnviz").warning(what + how)


def _lines_of(stream: "io.BufferedReader[io.FileIO]", start: bytes) -> Iterator[bytes | str]:
    """Lines as bytes, which are in UTF-8 or wrong one by one; or as text, from UTF-16 and UTF-32.

    LF ends a line, and CR alone does if it ends the first.
    """
    encoding = next((name for name, begins in _ENCODINGS.items() if begins.match(start)), None)
    if encoding is None and not _CR_ENDS_LINES.match(start):
        yield from iter(partial(stream.readline, LONGEST + 1), b"")
        return
    how = "surrogateescape" if encoding is None else "replace"
    with io.TextIOWrapper(stream, encoding or "utf-8", how) as text:
        for line in iter(partial(text.readline, LONGEST + 1), ""):
            yield line if encoding else line.encode("utf-8", how)


def _decoded(index: int, raw: bytes | str) -> str | RequestError:
    if len(raw) > LONGEST:
        return RequestError(
            f"the line is longer than {LONGEST >> 20} MiB, and is not read further",
            "give a sentence a line",
        )
    if isinstance(raw, str):
        if "\ufffd" in raw:
            return RequestError("the line is not whole UTF-16", "save the file again as UTF-8")
        return raw.rstrip("\r\n")
    try:
        line = raw.decode("utf-8-sig" if index == 0 else "utf-8")
    except UnicodeDecodeError as error:
        return RequestError(
            f"the line is not UTF-8 at byte {error.start}",
            "convert the file, as in iconv -f LATIN1 -t UTF-8 FILE (Korean: -f CP949)",
        )
    return line.rstrip("\r\n")


COLUMNS = ("sentence", "query", "key")


class Row(NamedTuple):
    """One row of a table: a sentence, and the words that are asked about in it."""

    sentence: str
    query: str
    key: str


class TsvReader:
    """Reads rows of tab-separated cells, as LineReader reads lines.

    The first line is a header if one of its cells is `sentence`, or if it names all three columns;
    then columns may come in any order, beside others. Without a header they are the first three.
    """

    def __init__(self, path: Path) -> None:
        on_stdin = path == Path("-")
        if not on_stdin and not path.exists():
            raise RequestError(f"there is no file {path}", "check the path; - is standard input")
        if path.is_dir():
            raise RequestError(f"{path} is a folder", "name a file of tab-separated values")
        self._lines = LineReader(None if on_stdin else path)
        self._columns: Sequence[int] | None = None
        self._rows: dict[int, Row] = {}
        self.where, self.hint, self.skipped = self._lines.where, self._lines.hint, 0

    @property
    def blank(self) -> int:
        """How many blank lines were skipped."""
        return self._lines.blank

    def row(self, index: int) -> Row:
        """The row of the sentence of that index, which can be asked for once."""
        return self._rows.pop(index)

    def __iter__(self) -> Iterator[Line | None]:
        """The sentences as they come, or what is wrong with a row; None as in LineReader."""
        for line in self._lines:
            if line is None or isinstance(line[1], RequestError):
                yield line if line is None else (line[0] - self.skipped, line[1])
                continue
            cells = _cells(line[1])
            if self._columns is None:
                named = _named_columns(cells)
                self._columns = named or range(len(COLUMNS))
                if named:
                    self.skipped = 1
                    continue
            index = line[0] - self.skipped
            try:
                self._rows[index] = row = _row(cells, self._columns)
            except RequestError as error:
                yield index, error
            else:
                yield index, row.sentence


Lines = LineReader | TsvReader


def _cells(line: str) -> list[str]:
    try:
        [cells] = csv.reader([line], "excel-tab", strict=True)
    except (csv.Error, ValueError):  # not one row by the rules of quotes
        return line.split("\t")
    return cells


def _named_columns(cells: Sequence[str]) -> list[int] | None:
    """Where a header has the columns; None if the line is not a header."""
    names = [cell.strip().casefold() for cell in cells]
    missing = [column for column in COLUMNS if column not in names]
    if missing and COLUMNS[0] not in names:
        return None
    if missing:
        raise RequestError(
            f"the first line names its columns, and {' and '.join(missing)} is not among them",
            f"name them {', '.join(COLUMNS)}, or leave out the header",
        )
    return [names.index(column) for column in COLUMNS]


def _row(cells: Sequence[str], columns: Sequence[int]) -> Row:
    if len(cells) <= max(columns):
        count = f"{len(cells)} column{'' if len(cells) == 1 else 's'}"
        raise RequestError(
            f"the row has {count}, and {', '.join(COLUMNS)} are expected",
            "put a tab between two columns",
        )
    row = Row(*(cells[column].strip() for column in columns))
    for name, cell in zip(COLUMNS, row, strict=True):
        if not cell:
            raise RequestError(f"the {name} is empty", "fill it in, or take the row out")
    return row
