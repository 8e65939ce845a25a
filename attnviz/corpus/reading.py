"""Documents of files, whatever their form: what `survey` and `probe` read."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from attnviz.corpus.conllu import sentences
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.opening import STDIN, Form, Opened, files_of, reason_of, size_of
from attnviz.corpus.tables import Header, Record, records_of
from attnviz.errors import AttnvizError, RequestError, listed
from attnviz.text.lines import lines_of
from attnviz.text.tokens import Typed, joined

TEXT = ("text", "sentence")
"""The columns that have the text, if none is named; the first that is there."""

ID = "id"

LONGEST_TEXT = 1 << 20
"""Characters of a text; a longer one, with all its windows, would fill the memory."""

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
    of the files were read so far in this process. A subclass may read more of a file (`items`).
    """

    def __init__(
        self, names: Sequence[str], columns: Columns | None = None, form: Form | None = None
    ) -> None:
        self._names, self._columns, self._form = tuple(names), columns or Columns(), form
        self._found: list[str] | None = None
        self._before = 0  # the bytes of files that are done
        self._opened: Opened | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._names, self._columns, self._form)

    @property
    def what(self) -> dict[str, Any]:
        """The files with their sizes, and how they are read."""
        return {
            "files": [[file, size_of(file)] for file in self.files()],
            "columns": [self._columns.text, self._columns.id],
            "form": self._form,
        }

    @property
    def size(self) -> int:
        """How many bytes the files have; 0 if that is not known of one."""
        sizes = list(map(size_of, self.files()))
        return 0 if None in sizes else sum(filter(None, sizes))

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
                for item in self.items(opened):
                    line = item.line or line
                    yield item
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

    def items(self, opened: Opened) -> Iterator[Document | Problem]:
        """The documents of an open file; whatever is raised becomes a Problem."""
        form = opened.form(self._form)
        if form == "conllu":
            yield from sentences(opened.raw_lines(), opened.name)
            return
        for number, (line, text, name) in enumerate(self._texts(opened, form)):
            if isinstance(text, AttnvizError):
                yield Problem(opened.name, line, str(text))
            else:
                yield Document(opened.name, number, line, text, name)

    def _texts(self, opened: Opened, form: Form) -> Texts:
        if form != "txt":
            yield from self._of(records_of(opened, form, self._columns.wanted))
            return
        for line, text in enumerate(lines_of(opened.stream()), start=1):
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
