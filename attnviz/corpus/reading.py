"""Documents of files, whatever their form: what `survey` and `probe` read."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from attnviz.corpus.document import Document, Problem
from attnviz.corpus.opening import STDIN, Form, Opened, files_of, named_form, reason_of, size_of
from attnviz.corpus.tables import Header, Record, of_commas, of_json, of_parquet, of_tabs
from attnviz.errors import AttnvizError, RequestError, listed
from attnviz.text.lines import encoding_of, lines_of
from attnviz.text.tokens import Typed, joined

TEXT = ("text", "sentence")
"""The columns that have the text, if none is named; the first that is there."""

ID = "id"

LONGEST_TEXT = 1 << 20
"""Characters of a text; a longer one, with all its windows, would fill the memory."""

_PARQUET = b"PAR1"

Texts = Iterator[tuple[int, Typed | AttnvizError, str | None]]
"""A text's first line, the text or what is wrong with it, and its id; blank ones are left out."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table have the text, and its id; without names, those that usually do."""

    text: str | None = None
    id: str | None = None

    def of(self, names: Collection[str]) -> tuple[str, str | None]:
        """The names of both; RequestError if one that is needed is not there."""
        text = self.text or next((name for name in TEXT if name in names), None)
        if text is None and len(names) == 1:
            [text] = names
        for wanted in (text or TEXT[0], self.id):
            if wanted is not None and wanted not in names:
                raise RequestError(
                    f"there is no column {wanted}: there are {listed(list(names))}",
                    "name the one with the texts with --column"
                    if wanted != self.id
                    else "name the one with the ids with --id-column",
                )
        return text or TEXT[0], self.id or (ID if ID in names else None)

    def wanted(self, names: Sequence[str]) -> list[str]:
        """The columns that are read."""
        return [name for name in self.of([name.strip() for name in names]) if name is not None]


class Files:
    """Reads named files, those in named folders, and those that fit a pattern; see `Reader`.

    Their form is what their name, or their beginning, says, or `form`. `read` says how many bytes
    of the files were read so far in this process.
    """

    def __init__(
        self, names: Sequence[str], columns: Columns | None = None, form: Form | None = None
    ) -> None:
        self._names, self._columns, self._form = tuple(names), columns or Columns(), form
        self._found: list[str] | None = None
        self._before = 0  # the bytes of files that are done
        self._opened: Opened | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Files, (self._names, self._columns, self._form)

    @property
    def what(self) -> dict[str, Any]:
        """The files with their sizes, and how they are read."""
        return {
            "files": [[file, size_of(file)] for file in self.files()],
            "columns": [self._columns.text, self._columns.id],
            "form": self._form,
        }

    @property
    def read(self) -> int:
        """How many bytes were read; of what is compressed, of the file as it is."""
        return self._before + (self._opened.read if self._opened else 0)

    def files(self) -> list[str]:
        """All files, each once; RequestError if a name leads to none."""
        if self._found is None:
            self._found = files_of(self._names, self._form is not None)
        return list(self._found)

    def documents(self, file: str) -> Iterator[Document | Problem]:
        """The documents of one file, and what could not be read of it."""
        line = 0  # the last one that was read
        try:
            with Opened(file) as opened:
                self._opened = opened
                for number, (line, text, name) in enumerate(self._texts(opened)):
                    if isinstance(text, AttnvizError):
                        yield Problem(file, line, str(text))
                    else:
                        yield Document(file, number, line, text, name)
                self._before += opened.read
            if not line:
                what = "no text came" if file == STDIN else "there is no text in it"
                yield Problem(file, None, what)
        except MemoryError:
            raise
        except AttnvizError as error:
            yield Problem(file, line + 1 if line else None, str(error))
        except Exception as error:  # of systems of files, and of what unpacks them, there are many
            told = f"it cannot be read{' any further' if line else ''}: {reason_of(error)}"
            yield Problem(file, line + 1 if line else None, told)
        finally:
            self._opened = None

    def _texts(self, opened: Opened) -> Texts:
        stream = opened.stream()
        form, start = self._form or named_form(opened.name), stream.peek(len(_PARQUET))
        if form is None and start.startswith(_PARQUET):
            form = "parquet"
        if form is None and b"\0" in start and encoding_of(start) is None:
            raise RequestError("it is not text", "name its form with --as if it is one of these")
        if form == "parquet":
            yield from self._of(of_parquet(opened.seekable(), self._columns.wanted))
        elif form in _TABLES:
            yield from self._of(_TABLES[form](lines_of(stream)))
        else:
            for line, text in enumerate(lines_of(stream), start=1):
                if isinstance(text, RequestError) or text.strip():
                    yield line, _fitting(text), None

    def _of(self, records: Iterator[Record]) -> Texts:
        """The texts in the records of a table."""
        header: tuple[str, str | None] | None = None
        for line, record in records:
            if isinstance(record, AttnvizError):
                yield line, record, None
                continue
            try:
                text, name = header or self._columns.of(record)
            except RequestError as error:
                yield line, error, None
                if isinstance(record, Header):
                    return
                continue
            if isinstance(record, Header):
                header = text, name
                continue
            value = record[text]
            if isinstance(value, list) and all(isinstance(one, str) for one in value):
                value = tuple(value)
            if not isinstance(value, str | tuple | None):
                told = f"the column {text} holds {_KINDS.get(type(value), 'something else')}"
                value = RequestError(f"{told}, and a text, or a list of its words, is expected")
            elif not value or not joined(value).strip():
                continue
            named = None if name is None or record[name] is None else str(record[name])
            yield line, _fitting(value), named


_TABLES: dict[str, Callable[[Iterator[str | RequestError]], Iterator[Record]]] = {
    "csv": of_commas,
    "tsv": of_tabs,
    "jsonl": of_json,
}

_KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "an object",
}


def _fitting(text: Typed | RequestError) -> Typed | RequestError:
    """The text, or that it is too long."""
    size = 0 if isinstance(text, RequestError) else len(text)
    if isinstance(text, tuple):
        size = sum(map(len, text))
    if size <= LONGEST_TEXT:
        return text
    return RequestError(
        f"the text has {size} characters, and {LONGEST_TEXT} are the most that are read at once",
        "give it in parts",
    )
