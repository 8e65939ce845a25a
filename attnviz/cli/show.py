"""How `attnviz run` gives out what it found: as tables, JSON, CSV or NPZ."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from rich.console import RenderableType

from attnviz.answers import answer_about
from attnviz.answers.matrices import matrices
from attnviz.cli.asked import Answer, Asked
from attnviz.cli.giving import Forms, check_output, give_each, giving
from attnviz.cli.options import DataOutput, Form
from attnviz.cli.output import results
from attnviz.cli.sentences import Sentences
from attnviz.cli.streams import on_terminal
from attnviz.errors import RequestError
from attnviz.inspection import Inspection
from attnviz.show.matrix_data import NpzWriter, csv_chunks, csv_header, json_chunks
from attnviz.show.terminal import table_of

Found = tuple[int, Answer]
"""What was found for the input's sentence of that index, from 0."""


def show(sentences: Sentences, asked: Asked, output: DataOutput, top: int | None) -> None:
    """Give out all sentences in the form asked for, each as soon as it is there."""
    form = output.form
    if form == "picture":
        raise RequestError(
            f"{output.file} is the name of a picture, and run gives tables and data",
            "draw it with attnviz heatmap or attnviz lines",
        )
    check_output(output)
    if form == "npz" and output.file is None and on_terminal(sys.stdout):
        raise RequestError("npz is not for reading on a terminal", "write it with -o FILE.npz")
    _say_what_tables_alone_obey(form, asked, top)

    def found(index: int, inspection: Inspection) -> Found:
        if form == "csv":
            asked.say_what_csv_lacks(inspection)
        return index, asked.of(inspection, sentences.place(index))

    with _giving(sentences, form, output, asked, top) as give:
        give_each(sentences, give, found)


def _say_what_tables_alone_obey(form: Form, asked: Asked, top: int | None) -> None:
    given = {"--query": asked.words.query, "--key": asked.words.key, "--top": top}
    options = [option for option, value in given.items() if value is not None]
    if form != "table" and options:
        asked.notes.say(
            f"{form} holds whole matrices of the heads selected: "
            f"{' and '.join(options)} {'chooses' if len(options) == 1 else 'choose'} "
            "what tables show"
        )


@contextmanager
def _giving(
    sentences: Sentences, form: Form, output: DataOutput, asked: Asked, top: int | None
) -> Iterator[Callable[[Found], None]]:
    if form == "npz":
        with _giving_npz(output) as give:
            yield give
        return

    def shown(answer: Answer) -> Iterator[RenderableType]:
        about = answer_about(answer.view, answer.heads, answer.query, answer.key, top)
        yield table_of(about, top)

    forms = Forms[Found](
        table=lambda found: sentences.worked("looking through heads", shown(found[1])),
        json=lambda found: json_chunks(matrices(found[1].view, found[1].heads_or_all), top),
        csv=lambda found: csv_chunks(matrices(found[1].view, found[1].heads_or_all), found[0]),
        csv_header=csv_header(asked.look.special, asked.look.measure),
    )
    with giving(output, forms) as give:
        yield give


@contextmanager
def _giving_npz(output: DataOutput) -> Iterator[Callable[[Found], None]]:
    """Nothing is written before there is a first sentence."""
    with results(output.file) as stream, ExitStack() as opened:
        writers: list[NpzWriter] = []

        def give(found: Found) -> None:
            index, answer = found
            if not writers:
                writers.append(opened.enter_context(NpzWriter(stream)))
            writers[0].add(matrices(answer.view, answer.heads_or_all), index)
            stream.flush()

        yield give
