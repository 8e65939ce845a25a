"""One writer for every answer in every form: tables, data, files and pictures."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import orjson

from attnviz.answers.answer import Answer
from attnviz.errors import escaped
from attnviz.inspection import Context
from attnviz.show import parquet
from attnviz.show.forms import (
    FORMS,
    PICTURES,
    Form,
    Language,
    Limits,
    Style,
    figure,
    forms_of,
    page_file,
    table,
)
from attnviz.show.labels import visible
from attnviz.show.wording import unknown_told

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from attnviz.answers.head import HeadSteps
    from attnviz.answers.matrices import Matrices

Write = Callable[[Answer, int], None]  # the answer, and its text's index in the input

FILE_WIDTH = 100  # columns of a table that is written to a file
ROWS_AT_ONCE = 1 << 14  # rows of CSV that are written together
HEAD_BYTES = 256  # how many of a file's first bytes say whether attnviz wrote it

_JSON_START = b'{"schema":"attnviz.'
_MARKDOWN_START = "<!-- attnviz."
PAGE_START = b'<meta name="generator" content="attnviz '
_INDEX = "text_index"
_DELIMITERS: dict[Form, str] = {"csv": ",", "tsv": "\t"}


def contexts_of(answer: object) -> tuple[Context, ...]:
    """What the answer is about: one context, two for a comparison, none for models."""
    alignment = getattr(answer, "alignment", None)
    if alignment is not None:
        return alignment.a, alignment.b
    both: tuple[Context, ...] = getattr(answer, "contexts", ())
    context = getattr(answer, "context", None)
    return both if context is None else (context,)


@contextmanager
def writer(
    stream: BinaryIO,
    form: Form,
    top: int | None = None,
    to_file: bool = False,
    scale: Limits | None = None,
    style: Style | None = None,
) -> Iterator[Write]:
    """Write answers of one kind, each flushed; `top` as in tables, of fixed width if `to_file`.

    `scale`: the numbers of a picture's first and last colour; `style`: how it looks otherwise;
    a page has its language alone.
    """
    opened: AbstractContextManager[Write]
    if form == "table":
        opened = _tables(stream, top, to_file)
    elif form in _DELIMITERS:
        opened = _delimited(stream, form, top)
    elif form == "parquet":
        opened = _parquet(stream, top)
    elif form == "npz":
        opened = _npz(stream)
    else:
        page = partial(_html, language=style.language if style else None)
        simple: dict[str, Callable[..., AbstractContextManager[Write]]]
        simple = {"md": _markdown, "html": page, **dict.fromkeys(("json", "jsonl"), _json)}
        draw = partial(figure, top=top, scale=scale, style=style)
        opened = simple[form](stream, top) if form in simple else _picture(stream, form, draw)
    with opened as write:

        def flushed(answer: Answer, index: int) -> None:
            write(answer, index)
            stream.flush()

        yield flushed


@contextmanager
def _tables(stream: BinaryIO, top: int | None, to_file: bool) -> Iterator[Write]:
    """Tables as wide as the terminal, or in a file; an empty line between two."""
    from rich.console import Console

    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    text = None
    if to_file:
        text = io.TextIOWrapper(stream, encoding="utf-8", write_through=True)
        plain |= {"file": text, "width": FILE_WIDTH, "color_system": None}
    console = Console(**plain)
    first = True

    def write(answer: Answer, index: int) -> None:
        nonlocal first
        if not first:
            console.print()
        console.print(table(answer, top))
        first = False

    yield write
    if text is not None:
        text.detach()


@contextmanager
def _json(stream: BinaryIO, top: int | None) -> Iterator[Write]:
    """One object a line; on a terminal without control characters, which it would obey."""
    shown = _escaped if stream.isatty() else bytes

    def write(answer: Answer, index: int) -> None:
        stream.writelines(map(shown, json_chunks(answer, top)))

    yield write


def json_chunks(answer: Answer, top: int | None = None) -> Iterator[bytes]:
    """The answer's JSON object on a line, in chunks; float32 numbers have their shortest digits."""
    if forms_of(answer).streamed:
        from attnviz.show import matrix_data

        yield from matrix_data.json_chunks(cast("Matrices", answer), top)
    else:
        yield orjson.dumps(answer.data(top), option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"


def _escaped(chunk: bytes) -> bytes:
    lines = chunk.decode().split("\n")
    return "\n".join(escaped(line, lambda one: json.dumps(one)[1:-1]) for line in lines).encode()


@contextmanager
def _delimited(stream: BinaryIO, form: Form, top: int | None) -> Iterator[Write]:
    """A header, then a row a link, head or finding; words as typed, quoted where needed."""
    on_terminal, first = stream.isatty(), True

    def write(answer: Answer, index: int) -> None:
        nonlocal first
        if first:
            stream.write(delimited([header_of(answer)], form))
        first = False
        if form == "csv" and top is None and forms_of(answer).streamed and not on_terminal:
            from attnviz.show import matrix_data

            stream.writelines(matrix_data.csv_chunks(cast("Matrices", answer), index))
            return
        cells = (tuple(map(parquet.cell_of, row)) for row in indexed_rows(answer, index, top))
        if on_terminal:
            cells = (tuple(map(visible, row)) for row in cells)
        while some := list(islice(cells, ROWS_AT_ONCE)):
            stream.write(delimited(some, form))

    yield write


def delimited(rows: Iterable[Sequence[str]], form: Form) -> bytes:
    """Rows of cells as CSV or TSV."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=_DELIMITERS[form], lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def header_of(answer: Answer) -> tuple[str, ...]:
    """The columns, the text's index first if the answer is about one text."""
    return answer.columns if forms_of(answer).header else (_INDEX, *answer.columns)


def indexed_rows(answer: Answer, index: int, top: int | None) -> Iterator[tuple[Any, ...]]:
    """The rows of `header_of`."""
    start = () if forms_of(answer).header else (index,)
    return ((*start, *row) for row in answer.rows(top))


@contextmanager
def _markdown(stream: BinaryIO, top: int | None) -> Iterator[Write]:
    """A GitHub Markdown table an answer, below its text; a hidden comment names the format."""
    first = True

    def write(answer: Answer, index: int) -> None:
        nonlocal first
        rows = answer.rows(top)
        head = list(islice(rows, 1))
        aligned = ["---"] * len(answer.columns)
        for row in head:
            aligned = ["---" if isinstance(cell, str) else "---:" for cell in row]
        lines = [f"<!-- {_schema(answer)} -->", ""] if first else [""]
        for told in _told(answer):
            lines += [_markdown_text(visible(told)), ""]
        lines += [_markdown_row(answer.columns), _markdown_row(aligned)]
        lines += (_markdown_row(map(_markdown_cell, row)) for row in chain(head, rows))
        stream.writelines(f"{line}\n".encode() for line in lines)
        first = False

    yield write


def _told(answer: Any) -> Iterator[str]:
    """The texts that an answer is about, and their unknown words; of many, how many they are."""
    if hasattr(answer, "sentences"):
        yield f"{answer.sentences} sentences"
        return
    if hasattr(answer, "corpus"):
        yield f"{answer.corpus.documents} texts, {answer.corpus.words} words"
    for context in contexts_of(answer):
        yield from filter(None, (context.text.text, unknown_told(context)))


def _schema(answer: Any) -> str:
    return str(answer.schema)


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(value: Any) -> str:
    if isinstance(value, str):
        return _markdown_text(visible(value)).replace("|", "\\|")
    if value is None:
        return ""
    number = value.item() if hasattr(value, "item") else value
    if not isinstance(number, float):
        return str(number).lower() if isinstance(number, bool) else str(number)
    if number != number:  # NaN
        return ""
    return f"{number:.3f}" if number == 0 or 0.0005 <= abs(number) < 1e4 else f"{number:.1e}"


def _markdown_text(text: str) -> str:
    """The text as Markdown shows it literally: in a code span, unless it is plain anyway."""
    if re.fullmatch(r"[\w\s.,;:?!'’()-]*", text) and "_" not in text and "--" not in text:
        return text
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


@contextmanager
def _parquet(stream: BinaryIO, top: int | None) -> Iterator[Write]:
    """The rows of CSV with their types."""
    opened: list[parquet.Writer] = []

    def write(answer: Answer, index: int) -> None:
        if not opened:
            opened.append(parquet.Writer(stream, header_of(answer), _schema(answer)))
        opened[0].add(indexed_rows(answer, index, top))

    yield write
    for one in opened:
        one.close()


@contextmanager
def _npz(stream: BinaryIO) -> Iterator[Write]:
    from contextlib import ExitStack

    from attnviz.show.matrix_data import NpzWriter

    with ExitStack() as opened:
        writers: list[NpzWriter] = []

        def write(answer: Answer, index: int) -> None:
            if not writers:
                writers.append(opened.enter_context(NpzWriter(stream, _schema(answer))))
            if forms_of(answer).streamed:
                writers[0].add(cast("Matrices", answer), index)
            else:
                writers[0].add_arrays(cast("HeadSteps", answer), index)

        yield write


@contextmanager
def _html(stream: BinaryIO, top: int | None, language: Language | None) -> Iterator[Write]:
    """The one page of a Page, or of a Survey."""

    def write(answer: Answer, index: int) -> None:
        stream.write(page_file(answer, language).encode())

    yield write


@contextmanager
def _picture(stream: BinaryIO, form: Form, draw: Callable[[Answer], "Figure"]) -> Iterator[Write]:
    from attnviz.show.figure.drawing import write_figure

    def write(answer: Answer, index: int) -> None:
        write_figure(draw(answer), stream, cast("Any", form))

    yield write


def is_ours(path: Path, form: Form) -> bool:
    """Whether attnviz wrote the file in this form; a table looks like any other text."""
    if form in PICTURES:
        from attnviz.show.figure.drawing import written_by_attnviz

        return written_by_attnviz(path)
    if form == "parquet":
        return parquet.is_ours(path)
    with path.open("rb") as stream:
        return begins_as_ours(stream.read(HEAD_BYTES), form)


def begins_as_ours(head: bytes, form: Form) -> bool:
    """Whether a file's first HEAD_BYTES are as ours, but of a picture, a table or Parquet."""
    if form in ("json", "jsonl"):
        return head.startswith(_JSON_START)
    if form == "md":
        return head.startswith(_MARKDOWN_START.encode())
    if form == "html":
        return PAGE_START in head
    if form == "npz":  # a zip whose first member is schema.npy
        named = head[30:].startswith(b"schema.npy")
        return head.startswith(b"PK\x03\x04") and named and "attnviz.".encode("utf-32-le") in head
    if form not in _DELIMITERS:
        return False
    columns = head.partition(b"\n")[0].decode(errors="replace").split(_DELIMITERS[form])
    starts = [forms.header for forms in FORMS.values() if forms.header]
    others = ("layer", "head"), ("ablated", "with"), ("a_index", "a"), ("head", "token_index")
    starts += [(_INDEX, *names) for names in others]
    return any(columns[: len(names)] == list(names) for names in starts)
