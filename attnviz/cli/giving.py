"""How answers are given out: tables, JSON, CSV, on standard output or in a file."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, Generic, TypeVar

from rich.console import Console, RenderableType

from attnviz.cli.options import AnswerOutput, DataOutput
from attnviz.cli.output import check_overwrite, results
from attnviz.cli.sentences import Sentences
from attnviz.cli.streams import on_terminal
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.show.data import OURS_BYTES, DataFormat, is_ours
from attnviz.show.labels import visible

FILE_WIDTH = 100
"""Columns of tables that are written to a file."""

_CONTROLS = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class Forms(Generic[_Answer]):
    """What one kind of answer looks like in each form.

    `table` gives rich renderables, an empty line between two; `json` whole lines of UTF-8; `csv`
    rows below the line `csv_header`. JSON and CSV may come in chunks of any size.
    """

    table: Callable[[_Answer], Iterable[RenderableType]]
    json: Callable[[_Answer], Iterable[bytes]]
    csv: Callable[[_Answer], Iterable[bytes]]
    csv_header: bytes


def give_each(
    sentences: Sentences,
    give: Callable[[_Answer], None],
    answer: Callable[[int, Inspection], _Answer],
) -> None:
    """Give out the answer to each sentence, by its index in the input, as soon as it is there.

    Where there is none at all it raises, so that no file without a result is left.
    """
    given = False
    with closing(iter(sentences)) as inspections:
        for index, inspection in inspections:
            with sentences.trying(index):
                give(answer(index, inspection))
                given = True
    if not given:
        sentences.finish()


@contextmanager
def giving(output: DataOutput, forms: Forms[_Answer]) -> Iterator[Callable[[_Answer], None]]:
    """Gives out one answer after the other, each as soon as it is there."""
    with results(output.file) as stream:
        if output.form == "table":
            with tables(stream, output.file) as write:
                yield lambda answer: _flushed(stream, write, forms.table(answer))
        elif output.form == "csv":
            rows = csv_to(stream, forms.csv_header)
            yield lambda answer: _flushed(stream, rows, forms.csv(answer))
        else:
            lines = json_to(stream)
            yield lambda answer: _flushed(stream, lines, forms.json(answer))


_Part = TypeVar("_Part")


def _flushed(
    stream: BinaryIO, write: Callable[[Iterable[_Part]], None], parts: Iterable[_Part]
) -> None:
    write(parts)
    stream.flush()


def check_answer(command: str, output: AnswerOutput, draws: bool = False) -> None:
    """Refuse a file whose name says a form that answers do not have; then as `check_output`.

    `draws`: whether the command can give a picture too.
    """
    form = output.form
    if form == "npz" or (form == "picture" and not draws):
        what = "a picture" if form == "picture" else "an npz file"
        given = "tables, JSON, CSV and pictures" if draws else "tables, JSON and CSV"
        raise RequestError(
            f"{output.file} is the name of {what}, and {command} gives {given}",
            "end its name in .txt, .json or .csv" + (", or .png, .svg or .pdf" if draws else ""),
        )
    check_output(output)


def check_output(output: DataOutput) -> None:
    """Refuse a file that would be lost: somebody else's, or the one that --save writes."""
    form, path = output.form, output.file
    if path is None:
        return
    if output.save and os.path.realpath(path) == os.path.realpath(output.save):
        raise RequestError(f"-o and --save both name {path}", "give each a name of its own")
    if form == "picture":
        from attnviz.show.figure.drawing import written_by_attnviz

        check_overwrite(path, output.force, written_by_attnviz)
    elif form == "table":
        doubt = "a table of ours looks like any other text"
        check_overwrite(path, output.force, lambda _: False, doubt)
    else:
        check_overwrite(path, output.force, lambda path: _is_ours(path, form))


def _is_ours(path: Path, form: DataFormat) -> bool:
    with path.open("rb") as stream:
        return is_ours(stream.read(OURS_BYTES), form)


@contextmanager
def tables(
    stream: BinaryIO, path: Path | None
) -> Iterator[Callable[[Iterable[RenderableType]], None]]:
    """Tables on standard output, as wide as the terminal, or in a file; a line between two."""
    if path is None:
        console = Console(highlight=False, markup=False, emoji=False)
    else:
        text = TextIOWrapper(stream, encoding="utf-8", write_through=True)
        console = Console(
            file=text,
            width=FILE_WIDTH,
            color_system=None,
            highlight=False,
            markup=False,
            emoji=False,
        )
    first = True

    def write(looks: Iterable[RenderableType]) -> None:
        nonlocal first
        for look in looks:
            if not first:
                console.print()
            console.print(look)
            first = False

    yield write
    if path is not None:
        text.detach()


def json_to(stream: BinaryIO) -> Callable[[Iterable[bytes]], None]:
    """JSON as it is, but on a terminal without control characters, which a terminal obeys."""
    shown = _escaped if on_terminal(stream) else bytes
    return lambda chunks: stream.writelines(map(shown, chunks))


def _escaped(chunk: bytes) -> bytes:
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", chunk.decode()).encode()


def csv_to(stream: BinaryIO, header: bytes) -> Callable[[Iterable[bytes]], None]:
    """Rows below their header, words as they were typed; on a terminal, as `json_to`."""
    shown = _visible_lines if on_terminal(stream) else bytes
    head = [header]

    def write(chunks: Iterable[bytes]) -> None:
        stream.writelines(head)
        head.clear()
        stream.writelines(map(shown, chunks))

    return write


def _visible_lines(chunk: bytes) -> bytes:
    return "\n".join(map(visible, chunk.decode().split("\n"))).encode()
