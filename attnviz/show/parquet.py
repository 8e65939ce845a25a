"""Rows as a Parquet file, some at a time, each time a row group; pyarrow does the work."""

import io
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from attnviz.errors import AttnvizError

ROWS_AT_ONCE = 1 << 16  # in a row group
Row = tuple[Any, ...]


def check_installed() -> None:
    """Raise AttnvizError if pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise AttnvizError(
            "Parquet files need pyarrow, which is not installed",
            "install it with pip install 'attnviz[parquet]'",
        )


def is_ours(path: Path) -> bool:
    """Whether attnviz wrote the file; its metadata says so."""
    from pyarrow import ArrowException, parquet

    try:
        metadata = parquet.read_schema(path).metadata or {}
    except (ArrowException, OSError):
        return False
    return b"attnviz" in metadata


class Writer:
    """Writes rows, typed by the first ones, to a stream that need not seek and stays open."""

    def __init__(self, stream: BinaryIO, columns: Sequence[str], schema: str) -> None:
        self._stream, self._columns, self._name = stream, columns, schema
        self._pending: list[Row] = []
        self._schema: Any = None
        self._writer: Any = None

    def add(self, rows: Iterator[Row]) -> None:
        """Write more rows."""
        while some := list(islice(rows, ROWS_AT_ONCE - len(self._pending))):
            self._pending += some
            if len(self._pending) == ROWS_AT_ONCE:
                self._write_group()

    def close(self) -> None:
        """Write what is pending, and the end of the file."""
        if self._pending or self._writer is None:
            self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        import pyarrow
        from pyarrow import parquet

        if self._writer is None:
            self._schema = _schema_of(self._columns, self._pending, self._name)
            sink = pyarrow.PythonFile(_Counted(self._stream), mode="w")
            self._writer = parquet.ParquetWriter(sink, self._schema)
        columns = list(zip(*self._pending, strict=True)) or [()] * len(self._columns)
        arrays = [
            pyarrow.array(map(_text if str(kind) == "string" else _plain, column), kind)
            for column, kind in zip(columns, self._schema.types, strict=True)
        ]
        self._writer.write_table(pyarrow.table(arrays, schema=self._schema))
        self._pending.clear()


def _schema_of(columns: Sequence[str], rows: Sequence[Row], name: str) -> Any:
    """Types by the values of each column, or by its name if it has none; strings if they differ."""
    import pyarrow

    kinds = {bool: pyarrow.bool_(), int: pyarrow.int64(), float: pyarrow.float32()}
    fields = []
    for place, column in enumerate(columns):
        found = {type(_plain(row[place])) for row in rows if row[place] is not None}
        if not found:
            is_number = column.endswith("index") or column in ("layer", "head", "rank", "bytes")
            is_word = column.rpartition("_")[2] in ("query", "key", "token")
            found = {int if is_number else str if is_word else float}
        kind = found.pop() if len(found) == 1 else float if found == {int, float} else str
        fields.append(pyarrow.field(column, kinds.get(kind, pyarrow.string())))
    return pyarrow.schema(fields, {"attnviz": name})


def cell_of(value: Any) -> str:
    """A value in CSV: numbers with their shortest digits, nothing where there is none."""
    if isinstance(value, str):
        return value
    text = orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return "" if text == "null" else text


def _text(value: Any) -> str | None:
    return None if value is None else cell_of(value)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


class _Counted(io.RawIOBase):
    """A stream that knows how much was written to it; a pipe does not. It is not closed."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._count = stream, 0

    def writable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """How many bytes were written."""
        return self._count

    def write(self, data: Any) -> int:
        """Write to the stream."""
        self._count += self._stream.write(data)
        return len(data)
