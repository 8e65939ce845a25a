"""Sentences from a table, each with the words that are asked about in it."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from attnviz.cli.stdin import Line, LineReader
from attnviz.errors import RequestError

COLUMNS = ("sentence", "query", "key")


class Row(NamedTuple):
    """One line: a sentence, and the words that are asked about in it."""

    sentence: str
    query: str
    key: str


class TsvReader:
    """Reads rows of tab-separated cells, one a line, as LineReader reads lines.

    A first line with a cell `sentence`, or with all three of the columns' names, is a header, and
    columns may come in any order beside others; without one they are the first three. Quotes are
    read as spreadsheets write them: a cell in double quotes stands without them, and a doubled one
    in it for one. A line whose quotes do not fit that has them literally.
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
        self.where, self.skipped = self._lines.where, 0

    @property
    def blank(self) -> int:
        """How many blank lines were left out."""
        return self._lines.blank

    def row(self, index: int) -> Row:
        """The row of the sentence of that index, which is asked for once."""
        return self._rows.pop(index)

    def __iter__(self) -> Iterator[Line | None]:
        """The sentences as they come, or what is wrong with a row; None where more are to come."""
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


def _cells(line: str) -> list[str]:
    try:
        [cells] = csv.reader([line], "excel-tab", strict=True)
    except (csv.Error, ValueError):  # a line of its own that is not one row
        return line.split("\t")
    return cells


def _named_columns(cells: Sequence[str]) -> list[int] | None:
    """Where a header has the columns; None if the line is none."""
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
