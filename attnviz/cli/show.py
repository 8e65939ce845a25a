"""How `attnviz run` gives out what it found: as tables, JSON, CSV or NPZ."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from rich.console import Console

from attnviz.cli.asked import Answer, Asked
from attnviz.cli.options import Format, RunOutput
from attnviz.cli.output import check_overwrite, results
from attnviz.cli.sentences import Sentences
from attnviz.cli.streams import on_terminal
from attnviz.errors import RequestError
from attnviz.render.data import (
    CSV_HEADER,
    OURS_BYTES,
    DataFormat,
    NpzWriter,
    is_ours,
    run_csv,
    run_json,
)
from attnviz.render.labels import visible
from attnviz.render.terminal import looks

FILE_WIDTH = 100
"""Columns of tables that are written to a file."""

_CONTROLS = re.compile("[\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")

Give = Callable[[int, Answer], None]
"""Gives out what was found for the input's sentence of that index, from 0."""


def show(sentences: Sentences, asked: Asked, output: RunOutput, top: int | None) -> None:
    """Give out all sentences in the form asked for, each as soon as it is there."""
    form, path = output.form, output.file
    if path is not None:
        _check_output(path, output)
    elif form == "npz" and on_terminal(sys.stdout):
        raise RequestError("npz is not for reading on a terminal", "write it with -o FILE.npz")
    _say_what_tables_alone_obey(form, asked, top)
    given = 0
    with (
        results(path) as stream,
        _giver(form, stream, path, top) as give,
        closing(iter(sentences)) as inspections,
    ):
        for index, inspection in inspections:
            with sentences.trying(index):
                if form == "csv" and not inspection.model.trained and not given:
                    asked.notes.say(f"{inspection.model}; the weights mean nothing")
                give(index, asked.of(inspection, sentences.place(index)))
                stream.flush()
                given += 1
        if not given:
            sentences.finish()  # raises, so that no file without a result is left


def _check_output(path: Path, output: RunOutput) -> None:
    """Refuse a file that would be lost: somebody else's, or the one that --save writes."""
    form = output.form
    if output.save and os.path.realpath(path) == os.path.realpath(output.save):
        raise RequestError(f"-o and --save both name {path}", "give each a name of its own")
    if form == "table":
        doubt = "a table of ours looks like any other text"
        check_overwrite(path, output.force, lambda _: False, doubt)
    else:
        check_overwrite(path, output.force, lambda path: _is_ours(path, form))


def _is_ours(path: Path, form: DataFormat) -> bool:
    with path.open("rb") as stream:
        return is_ours(stream.read(OURS_BYTES), form)


def _say_what_tables_alone_obey(form: Format, asked: Asked, top: int | None) -> None:
    given = {"--query": asked.words.query, "--key": asked.words.key, "--top": top}
    options = [option for option, value in given.items() if value is not None]
    if form != "table" and options:
        asked.notes.say(
            f"{form} holds whole matrices of the heads selected: "
            f"{' and '.join(options)} {'chooses' if len(options) == 1 else 'choose'} "
            "what tables show"
        )


def _giver(
    form: Format, stream: BinaryIO, path: Path | None, top: int | None
) -> AbstractContextManager[Give]:
    if form == "table":
        return _tables(None if path is None else stream, top)
    return {"json": _json, "jsonl": _json, "csv": _csv, "npz": _npz}[form](stream)


@contextmanager
def _json(stream: BinaryIO) -> Iterator[Give]:
    shown = _escaped if on_terminal(stream) else bytes

    def give(index: int, answer: Answer) -> None:
        stream.writelines(map(shown, run_json(answer.view, answer.heads_or_all)))

    yield give


def _escaped(chunk: bytes) -> bytes:
    """The same JSON, without the control characters that JSON allows and a terminal obeys."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", chunk.decode()).encode()


@contextmanager
def _csv(stream: BinaryIO) -> Iterator[Give]:
    """Words as they were typed, but on a terminal, which would obey their escape codes."""
    header = [CSV_HEADER]
    shown = _visible_lines if on_terminal(stream) else bytes

    def give(index: int, answer: Answer) -> None:
        chunks = run_csv(answer.view, answer.heads_or_all, index)
        stream.writelines(header)
        header.clear()
        stream.writelines(map(shown, chunks))

    yield give


def _visible_lines(chunk: bytes) -> bytes:
    return "\n".join(map(visible, chunk.decode().split("\n"))).encode()


@contextmanager
def _npz(stream: BinaryIO) -> Iterator[Give]:
    """Nothing is written before there is a first sentence."""
    with ExitStack() as opened:
        writers: list[NpzWriter] = []

        def give(index: int, answer: Answer) -> None:
            if not writers:
                writers.append(opened.enter_context(NpzWriter(stream)))
            writers[0].add(answer.view, answer.heads_or_all, index)

        yield give


@contextmanager
def _tables(stream: BinaryIO | None, top: int | None) -> Iterator[Give]:
    """Tables on standard output, as wide as the terminal, or in a file; a line between two."""
    if stream is None:
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

    def give(index: int, answer: Answer) -> None:
        nonlocal first
        for look in looks(answer.view, answer.heads, answer.query, answer.key, top):
            if not first:
                console.print()
            console.print(look)
            first = False

    yield give
    if stream is not None:
        text.detach()
