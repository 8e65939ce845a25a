"""What the writer makes of answers, in parts, for tests of data; and schemas, and tables."""

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType

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


def schema(name: str) -> Any:
    """A JSON Schema, as `docs/schema/` has it."""
    folder = Path(__file__).parent.parent / "docs" / "schema"
    return json.loads((folder / f"{name}.schema.json").read_text())


def printed(look: RenderableType, width: int = 80) -> str:
    """What a pipe receives."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(look)
    return stream.getvalue()
