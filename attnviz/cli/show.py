"""How `attnviz run` gives out what it found: as tables, JSON, CSV or NPZ."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from attnviz.analysis.summary import summarise
from attnviz.cli.asked import Answer, Asked
from attnviz.cli.options import Format, RunOutput
from attnviz.cli.output import check_overwrite, results
from attnviz.cli.sentences import Sentences
from attnviz.errors import RequestError
from attnviz.render import terminal
from attnviz.render.data import CSV_HEADER, OURS_BYTES, NpzWriter, is_ours, run_csv, run_json

FILE_WIDTH = 100
"""Columns of tables that are written to a file."""

Give = Callable[[int, Answer], None]
"""Gives out what was found for the input's sentence of that index, from 0."""


def show(sentences: Sentences, asked: Asked, output: RunOutput, top: int | None) -> None:
    """Give out all sentences in the form asked for, each as soon as it is there."""
    form = output.form
    if output.output is not None:
        check_overwrite(output.output, output.force, lambda path: _is_ours(path, form))
    elif form == "npz" and sys.stdout is not None and sys.stdout.isatty():
        raise RequestError("npz is not for reading on a terminal", "write it with -o FILE.npz")
    with results(output.output) as stream, _giver(form, stream, output, top) as give:
        for index, inspection in sentences:
            with sentences.trying(index):
                give(index, asked.of(inspection))
                stream.flush()


def _is_ours(path: Path, form: Format) -> bool:
    if form == "table":
        return False
    with path.open("rb") as stream:
        return is_ours(stream.read(OURS_BYTES), form)


def _giver(
    form: Format, stream: BinaryIO, output: RunOutput, top: int | None
) -> AbstractContextManager[Give]:
    if form == "table":
        return _tables(None if output.output is None else stream, top)
    return {"json": _json, "jsonl": _json, "csv": _csv, "npz": _npz}[form](stream)


@contextmanager
def _json(stream: BinaryIO) -> Iterator[Give]:
    yield lambda index, answer: stream.writelines(run_json(answer.view, answer.heads_or_all))


@contextmanager
def _csv(stream: BinaryIO) -> Iterator[Give]:
    stream.write(CSV_HEADER)
    yield lambda index, answer: stream.writelines(run_csv(answer.view, answer.heads_or_all, index))


@contextmanager
def _npz(stream: BinaryIO) -> Iterator[Give]:
    with NpzWriter(stream) as writer:
        yield lambda index, answer: writer.add(answer.view, answer.heads_or_all)


@contextmanager
def _tables(stream: BinaryIO | None, top: int | None) -> Iterator[Give]:
    """Tables on standard output, as wide as the terminal, or in a file."""
    if stream is None:
        console = Console(highlight=False, markup=False, emoji=False)
        yield lambda index, answer: _print_tables(console, answer, top)
        return
    text = TextIOWrapper(stream, encoding="utf-8", write_through=True)
    console = Console(file=text, width=FILE_WIDTH, highlight=False, markup=False, emoji=False)
    yield lambda index, answer: _print_tables(console, answer, top)
    text.detach()


def _print_tables(console: Console, answer: Answer, top: int | None) -> None:
    view = answer.view
    looks = [terminal.head_table(view, head, top) for head in answer.heads]
    if not looks and answer.query is not None:
        looks.append(terminal.query_grid(view, answer.query))
    if not looks and answer.key is not None:
        looks.append(terminal.key_grid(view, answer.key))
    if not looks:
        looks.append(terminal.overview(view, summarise(view, top or 3)))
    for look in looks:
        console.print(look)
