"""What the writer makes of answers, in parts, for tests of data."""

from collections.abc import Iterable, Iterator
from typing import Any

from attnviz.answers.answer import Answer
from attnviz.show.parquet import cell_of
from attnviz.show.write import HEAD_BYTES, begins_as_ours, delimited, json_chunks

OURS_BYTES, is_ours = HEAD_BYTES, begins_as_ours


def answer_json(answer: Answer, top: int | None = None) -> bytes:
    return b"".join(json_chunks(answer, top))


def csv_line(cells: Iterable[Any]) -> bytes:
    return delimited([list(map(cell_of, cells))], "csv")


def answer_csv(
    answer: Answer, text_index: int | None = None, top: int | None = None
) -> Iterator[bytes]:
    first = () if text_index is None else (text_index,)
    return (csv_line((*first, *row)) for row in answer.rows(top))
