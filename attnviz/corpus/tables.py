"""Records of a table: rows with commas or tabs between cells, JSON Lines, Parquet."""

import csv
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, BinaryIO

from attnviz.corpus.opening import Form, Opened
from attnviz.errors import AttnvizError, RequestError
from attnviz.text.lines import LONGEST, lines_of
from attnviz.text.tokens import Typed

Record = tuple[int, dict[str, Any] | AttnvizError]
"""The line that a record begins in, from 1, and its cells by column; or what is wrong with it."""

Lines = Iterator[str | RequestError]
_Numbered = tuple[int, str | RequestError]

KINDS = {
    type(None): "null",
    str: "a string",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}

ROWS_AT_ONCE = 256  # of Parquet
BUFFERED = 1 << 16  # bytes of a column of Parquet


class Header(dict[str, Any]):
    """The names of the columns, before the records: "" for columns of strings, None for others."""

    @classmethod
    def of(cls, names: Sequence[str]) -> "Header":
        """The header of a table whose cells all are strings."""
        return cls((name.strip(), "") for name in names)


Wanted = Callable[[Header], Iterable[str]]


def kind_of(value: Any) -> str:
    """What a value is, in JSON's words."""
    return KINDS.get(type(value), "something else")


def typed_in(value: Any, told: str) -> Typed:
    """A text, or its words; RequestError for anything else, as `told`, which ends in a verb."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        told += f" {kind_of(value)}"
    elif all(isinstance(one, str) for one in value):
        return tuple(value)
    else:
        told += " a list, not of strings alone"
    raise RequestError(f"{told}, and a text, or a list of its words, is expected")


def records_of(opened: Opened, form: Form, wanted: Wanted = list) -> Iterator[Record]:
    """The records of an open file of this form; of Parquet the columns wanted (`of_parquet`)."""
    if form == "parquet":
        return of_parquet(opened.seekable(), wanted)
    read = {"csv": of_commas, "tsv": of_tabs, "jsonl": of_json}.get(form)
    if read is None:
        raise RequestError(
            f"a table is expected, and the form is {form}",
            "give csv, tsv, jsonl or parquet, and end the file's name so",
        )
    return read(lines_of(opened.stream()))


def of_commas(lines: Lines) -> Iterator[Record]:
    """A Header, and rows with commas between cells, or semicolons.

    A quoted cell may go on in the next line. After a row whose quotes do not match, its next line
    counts as the beginning of another.
    """
    csv.field_size_limit(max(LONGEST, csv.field_size_limit()))
    source = _Source(lines)
    rows = csv.reader(source, delimiter=source.separator(), strict=True)
    names: list[str] = []
    while True:
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            source.go_back()
            line, wrong = source.taken()
            yield line, wrong or _unmatched_quotes()
            continue
        line, wrong = source.taken()
        if wrong is not None:
            yield line, wrong
        elif cells and not names:
            names = [name.strip() for name in cells]
            yield line, Header.of(names)
        elif cells:
            yield line, _row(names, cells, "comma")


def of_tabs(lines: Lines) -> Iterator[Record]:
    """A Header, and rows with tabs between cells, a line each; quotes that match nothing stay."""
    names: list[str] = []
    for line, text in enumerate(lines, start=1):
        if isinstance(text, RequestError):
            yield line, text
            continue
        if not text.strip():
            continue
        try:
            [cells] = csv.reader([text], delimiter="\t", strict=True)
        except (csv.Error, ValueError):
            cells = text.split("\t")
        if not names:
            names = [name.strip() for name in cells]
            yield line, Header.of(names)
        else:
            yield line, _row(names, cells, "tab")


def of_json(lines: Lines) -> Iterator[Record]:
    """An object a line."""
    begun = False
    for line, text in enumerate(lines, start=1):
        if isinstance(text, RequestError):
            yield line, text
            continue
        if not text.strip():
            continue
        found: dict[str, Any] | RequestError
        try:
            found = _checked(json.loads(text))
        except json.JSONDecodeError as error:
            if not begun and text.strip() in ("[", "{"):
                found = RequestError(
                    "the file is one JSON value over many lines, and an object a line is expected",
                    "jq -c '.[]' FILE writes a list so",
                )
                yield line, found
                return
            found = RequestError(f"the line is not JSON: {error.msg} at character {error.pos}")
        except RecursionError:
            found = RequestError("the line is not JSON: it is nested too deep")
        except ValueError as error:  # a number of very many digits
            found = RequestError(f"the line is not JSON: {error}")
        begun = True
        yield line, found


def of_parquet(file: BinaryIO, wanted: Wanted = list) -> Iterator[Record]:
    """A Header, and the file's rows, counted from 1; of their cells, those of the columns wanted.

    `wanted` is asked for them, by the header.
    """
    try:
        from pyarrow import parquet, types
    except ImportError:
        raise AttnvizError(
            "a .parquet file needs pyarrow, which is not installed",
            "install it with pip install 'attnviz[parquet]'",
        ) from None
    file.seek(0)
    opened = parquet.ParquetFile(file, buffer_size=BUFFERED)
    schema = opened.schema_arrow
    strings = types.is_string, types.is_large_string
    header = Header(
        (one.name, "" if any(is_string(one.type) for is_string in strings) else None)
        for one in schema
    )
    yield 1, header
    line = 0
    for batch in opened.iter_batches(ROWS_AT_ONCE, columns=list(wanted(header))):
        for record in batch.to_pylist():
            line += 1
            yield line, record


def _checked(value: Any) -> "dict[str, Any] | RequestError":
    if isinstance(value, dict):
        return value
    return RequestError(
        f"the line holds {kind_of(value)}, and a JSON object is expected",
        "jq -c '.[]' FILE writes an object a line" if isinstance(value, list) else "",
    )


def _row(
    columns: Sequence[str], cells: Sequence[str], between: str
) -> dict[str, Any] | RequestError:
    """A row's cells by their columns; the first of columns that have one name."""
    if len(cells) == len(columns):
        return dict(zip(reversed(columns), reversed(cells), strict=True))
    count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
    return RequestError(
        f"the row has {count}, and the header {len(columns)}",
        f"put quotation marks around a cell with a {between} in it",
    )


def _unmatched_quotes() -> RequestError:
    return RequestError(
        "the row has a quoted cell that does not end as it should",
        "put quotation marks around the whole cell, and two for one within it",
    )


class _Source:
    """Lines for csv, which can go back to the second line of the row that it reads."""

    def __init__(self, lines: Lines) -> None:
        self._lines, self._again = enumerate(lines, start=1), deque[_Numbered]()
        self._row: list[_Numbered] = []  # that is being read

    def __iter__(self) -> "_Source":
        return self

    def __next__(self) -> str:
        self._row.append(self._again.popleft() if self._again else next(self._lines))
        line = self._row[-1][1]
        return f"{line}\n" if isinstance(line, str) else "\n"

    def separator(self) -> str:
        """A comma; a semicolon if the first line has that alone, as where numbers have commas."""
        self._again.extend(islice(self._lines, 1))
        first = self._again[0][1] if self._again else ""
        return ";" if isinstance(first, str) and ";" in first and "," not in first else ","

    def taken(self) -> tuple[int, RequestError | None]:
        """The first line of the row that was read, and what is wrong with a line of it."""
        first, _ = self._row[0]
        wrong = next((line for _, line in self._row if isinstance(line, RequestError)), None)
        self._row.clear()
        return first, wrong

    def go_back(self) -> None:
        """Read the lines of this row again, but not the first, and none with something wrong."""
        self._again.extendleft(one for one in self._row[:0:-1] if isinstance(one[1], str))
        self._row = [one for one in self._row if one is self._row[0] or not isinstance(one[1], str)]
