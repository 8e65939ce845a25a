"""Sentences on standard input, one a line, and tables of sentences with words of their own."""

import csv
import io
import logging
import os
import queue
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from attnviz.cli.output import STDIN, mode_of, on_terminal
from attnviz.errors import AttnvizError, RequestError
from attnviz.text.lines import LONGEST, START, lines_of

Line = tuple[int, str | RequestError]  # index from 0, and sentence or what is wrong with it

PATIENCE = 1.0  # seconds without a line, after which a note says what is waited for

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
    counts blank lines, `skipped` those of a header; `place` is what messages say before the line's
    number. Without a path it reads standard input; if the
    command line did not ask for that, notes say how to do without.
    """

    skipped, place = 0, ""

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

    @property
    def size(self) -> int:
        """How many bytes the file has; 0 for a pipe, of which that is not known."""
        try:
            about = os.stat(self._path or STDIN)
        except OSError:  # told by who reads it
            return 0
        return about.st_size if stat.S_ISREG(about.st_mode) else 0

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
                for index, line in enumerate(lines_of(stream)):
                    if isinstance(line, str) and not line.strip():
                        self.blank += 1
                    else:
                        self._lines.put((index, line))
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


COLUMNS = ("sentence", "query", "key")
ID = "id"

_SEPARATORS = {"\t": "tab", ",": "comma", ";": "semicolon"}


class Row(NamedTuple):
    """One row of a table: a sentence, the words that are asked about in it, and its id if any."""

    sentence: str
    query: str
    key: str
    id: str | None = None


class TableReader:
    """Reads rows of cells, with tabs or commas between them, as LineReader reads lines.

    The first line is a header if one of its cells is `sentence`, or if it names all three columns;
    then columns may come in any order, beside others, and one called `id` is kept. Without a header
    they are the first three. Between commas a quoted cell may go on in the next line.
    """

    def __init__(self, path: Path, commas: bool = False) -> None:
        on_stdin = path == Path("-")
        if not on_stdin and not path.exists():
            raise RequestError(f"there is no file {path}", "check the path; - is standard input")
        if path.is_dir():
            raise RequestError(f"{path} is a folder", "name a file with a table in it")
        self._lines = LineReader(None if on_stdin else path)
        self._commas, self._separator = commas, "," if commas else "\t"
        self._places: dict[str, int] = {}  # of the columns, by name
        self._width = 0  # how many the header names
        self._rows: dict[int, Row] = {}
        self.where, self.hint, self.skipped = self._lines.where, self._lines.hint, 0
        self.place = "" if on_stdin else f"{path}, "

    @property
    def blank(self) -> int:
        """How many blank lines were skipped."""
        return self._lines.blank

    @property
    def size(self) -> int:
        """How many bytes the file has; 0 for a pipe."""
        return self._lines.size

    def row(self, index: int) -> Row:
        """The row of the sentence of that index, which can be asked for once."""
        return self._rows.pop(index)

    def __iter__(self) -> Iterator[Line | None]:
        """The sentences as they come, or what is wrong with a row; None as in LineReader."""
        first, begun = 0, ""  # where a row began that goes on, and how
        for line in self._lines:
            if line is None or isinstance(line[1], RequestError):
                yield line if line is None else (line[0] - self.skipped, line[1])
                continue
            first, text = (first, f"{begun}\n{line[1]}") if begun else (line[0], line[1])
            cells = self._cells(text)
            begun = text if cells is None and len(text) < LONGEST else ""
            if begun or (cells and not self._places and self._is_header(cells)):
                continue
            yield first - self.skipped, self._sentence(first - self.skipped, cells)
        if begun:
            yield first - self.skipped, self._sentence(first - self.skipped, None)

    def _cells(self, text: str) -> list[str] | None:
        """The cells of a row, none if it breaks the rules of quotes; None if the last goes on."""
        if not self._places and self._commas and "," not in text and ";" in text:
            self._separator = ";"  # so spreadsheets write it where numbers have commas
        try:
            [cells] = csv.reader([text], delimiter=self._separator, strict=True)
        except (csv.Error, ValueError) as error:
            if not self._commas:  # quotes as they were typed
                return text.split(self._separator)
            return None if "unexpected end" in str(error) else []
        return cells

    def _is_header(self, cells: Sequence[str]) -> bool:
        """Whether the first row names columns; where they are is known from then on."""
        names = [cell.strip().casefold() for cell in cells]
        missing = [column for column in COLUMNS if column not in names]
        if missing and COLUMNS[0] not in names:
            self._places = {column: place for place, column in enumerate(COLUMNS)}
            return False
        if missing:
            raise RequestError(
                f"the first line names its columns, and {' and '.join(missing)} is not among them",
                f"name them {', '.join(COLUMNS)}, or leave out the header",
            )
        self._places, self.skipped, self._width = {n: names.index(n) for n in names}, 1, len(names)
        return True

    def _sentence(self, index: int, cells: Sequence[str] | None) -> str | RequestError:
        """The sentence of a row, which is kept; or what is wrong with it."""
        try:
            self._rows[index] = row = self._row(cells)
        except RequestError as error:
            return error
        return row.sentence

    def _row(self, cells: Sequence[str] | None) -> Row:
        between = f"put a {_SEPARATORS[self._separator]} between two columns"
        if not cells:
            raise RequestError(
                "the row has a quoted cell that does not end as it should",
                "put quotation marks around the whole cell, and two for one within it",
            )
        count = f"{len(cells)} column{'' if len(cells) == 1 else 's'}"
        if len(cells) <= max(self._places[column] for column in COLUMNS):
            if not self._commas and cells[0].count(",") >= len(COLUMNS) - 1:
                between += ", or read commas with --csv"
            raise RequestError(
                f"the row has {count}, and {', '.join(COLUMNS)} are expected", between
            )
        if self._commas and self._width and len(cells) > self._width:
            raise RequestError(
                f"the row has {count}, and the header {self._width}",
                f"put quotation marks around a cell with a {_SEPARATORS[self._separator]} in it",
            )
        row = Row(*(cells[self._places[column]].strip() for column in COLUMNS))
        for name, cell in zip(COLUMNS, row, strict=False):
            if not cell:
                raise RequestError(f"the {name} is empty", "fill it in, or take the row out")
        place = self._places.get(ID)
        if place is None:
            return row
        return row._replace(id=cells[place].strip() if place < len(cells) else "")


Lines = LineReader | TableReader
