"""Answers as JSON and CSV, and which files attnviz wrote."""

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from attnviz.answers.ablate import COLUMNS as ABLATE_COLUMNS
from attnviz.answers.answer import Answer
from attnviz.answers.compare import COLUMNS as COMPARE_COLUMNS
from attnviz.show.matrix_data import CSV_HEADER, quoted, with_numbers

DataFormat = Literal["json", "jsonl", "csv", "npz"]

OURS_BYTES = 256
"""How many of a file's first bytes `is_ours` needs."""

_OURS = (("text_index", *ABLATE_COLUMNS), COMPARE_COLUMNS)
_CSV_STARTS = (CSV_HEADER, *(",".join(columns).encode() for columns in _OURS))
_JSON_START = b'{"schema":"attnviz.'
_ZIP_MEMBER, _ZIP_NAME_AT = b"PK\x03\x04", 30


def is_ours(head: bytes, data_format: DataFormat) -> bool:
    """Whether a file that begins with these bytes was written by attnviz in this format."""
    if data_format == "csv":
        return head.startswith(_CSV_STARTS)
    if data_format == "npz":
        named = head[_ZIP_NAME_AT:].startswith(b"schema.npy")
        return head.startswith(_ZIP_MEMBER) and named and "attnviz.".encode("utf-32-le") in head
    return head.startswith(_JSON_START)


def answer_json(answer: Answer, top: int | None = None) -> bytes:
    """The answer's JSON object on a line of its own; float32 in the fewest digits that keep it."""
    return with_numbers(answer.data(top)) + b"\n"


def csv_line(cells: Iterable[Any]) -> bytes:
    """A row of CSV: words as they were typed, numbers in their fewest digits, None as nothing."""
    return ",".join(map(_cell, cells)).encode() + b"\n"


def answer_csv(
    answer: Answer, text_index: int | None = None, top: int | None = None
) -> Iterator[bytes]:
    """The answer's rows, without the header; the text's index first, if there is one."""
    first = () if text_index is None else (text_index,)
    for row in answer.rows(top):
        yield csv_line((*first, *row))


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    text = with_numbers(value).decode()
    return "" if text == "null" else text
