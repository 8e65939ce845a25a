"""Documents of files, whatever their form: what `survey` and `probe` read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from attnviz.corpus.conllu import sentences
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.opening import (
    FORMS,
    STDIN,
    Form,
    Forms,
    Opened,
    files_of,
    named_form,
    reason_of,
    size_of,
)
from attnviz.corpus.stamps import stamps_of
from attnviz.corpus.tables import Header, Record, records_of, typed_in
from attnviz.errors import AttnvizError, RequestError, listed
from attnviz.text.lines import lines_of
from attnviz.text.tokens import Typed, joined

TEXT = ("text", "sentence")
"""The columns that have the text, if none is named; the first that is there."""

ID = "id"

PLAIN: frozenset[Form | None] = frozenset(("txt", "conllu"))
"""Forms without columns to name."""

LONGEST_TEXT = 1 << 20
"""Characters of a text; a longer one, with all its windows, would fill the memory."""

Texts = Iterator[tuple[int, Typed | AttnvizError, str | None, Typed | None]]
"""A text's first line, the text or what is wrong with it, its id, and its second text; blank ones
are left out."""


@dataclass(frozen=True)
class Columns:
    """Which columns of a table have the text, and its id; without names, those that usually do.

    `pair`: the one with a second text, of a pair or for the decoder; without a name, none.
    """

    text: str | None = None
    id: str | None = None
    pair: str | None = None

    def settled(self, first: Mapping[str, Any]) -> "Columns":
        """With what a table's header, or its first record, says beside: the only text in it."""
        aside = (self.id or ID, self.pair)
        others = {name: value for name, value in first.items() if name not in aside}
        strings = [name for name, value in others.items() if isinstance(value, str)]
        names = list(others) if len(others) == 1 else strings
        is_clear = len(names) == 1 and not any(name in first for name in TEXT)
        return replace(self, text=names[0]) if is_clear and self.text is None else self

    def of(self, names: Mapping[str, Any]) -> tuple[str, str | None]:
        """The names of both; RequestError if one that is needed is not there."""
        text = self.text or next((name for name in TEXT if name in names), None)
        for wanted, what in (
            (text or TEXT[0], "the texts with --column"),
            (self.id, "the ids with --id-column"),
            (self.pair, "the second texts with --pair-column"),
        ):
            if wanted is not None and wanted not in names:
                raise RequestError(
                    f"there is no column {wanted}: there are {listed(list(names)) or 'none'}",
                    f"name the one with {what}",
                )
        return text or TEXT[0], self.id or (ID if ID in names else None)

    @property
    def named(self) -> str:
        """The option that names one; "" if none does."""
        names = {"--column": self.text, "--id-column": self.id, "--pair-column": self.pair}
        return next((option for option, name in names.items() if name), "")

    def wanted(self, header: Header) -> list[str]:
        """The columns that are read."""
        wanted = (*self.settled(header).of(header), self.pair)
        return [name for name in wanted if name is not None]


class Files:
    """Reads named files, those in named folders, and those that fit a pattern; see `Reader`.

    Their form is what their name, or their beginning, says, or `form`. `read` says how many bytes
    of the files were read so far in this process. A subclass may read more of a file (`items`), and
    of folders only files of its own `forms`.
    """

    forms: ClassVar[Forms] = FORMS

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
        """The files, what their content is known by, and how they are read."""
        return {
            "files": list(map(list, stamps_of(self.inputs()))),
            "columns": [self._columns.text, self._columns.id, *filter(None, [self._columns.pair])],
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
        """All files, each once; RequestError if a name leads to none, or to no named column."""
        if self._found is None:
            found = files_of(self._names, self.forms if self._form is None else None)
            if self._columns.named and {self._form or named_form(file) for file in found} <= PLAIN:
                raise RequestError(
                    f"{self._columns.named} names a column of a table, and {found[0]} is "
                    + (f"read as {self._form}" if self._form else "none"),
                    "leave it out, or give csv, tsv, jsonl or parquet",
                )
            self._found = found
        return list(self._found)

    def inputs(self) -> list[str]:
        """All files that are read: also those that are beside others."""
        return self.files()

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
        for number, (line, text, name, pair) in enumerate(self._texts(opened, form)):
            if isinstance(text, AttnvizError):
                yield Problem(opened.name, line, str(text))
            else:
                yield Document(opened.name, number, line, text, name, pair)

    def _texts(self, opened: Opened, form: Form) -> Texts:
        if form != "txt":
            yield from self._of(records_of(opened, form, self._columns.wanted))
            return
        if self._columns.named and self._form is None and named_form(opened.name) is None:
            raise RequestError(
                f"nothing says that it is a table, and {self._columns.named} names a column",
                "end its name in its form, or in survey give --as",
            )
        for line, text in enumerate(lines_of(opened.stream()), start=1):
            if isinstance(text, RequestError) or text.strip():
                yield line, _fitting(text), None, None

    def _of(self, records: Iterator[Record]) -> Texts:
        """The texts in the records of a table: all in one column, which the first decides."""
        columns: Columns | None = None
        for line, record in records:
            if isinstance(record, AttnvizError):
                yield line, record, None, None
                continue
            columns = columns or self._columns.settled(record)
            try:
                text, name = columns.of(record)
            except RequestError as error:
                yield line, error, None, None
                if isinstance(record, Header):
                    return
                continue
            columns = replace(columns, text=text)
            if isinstance(record, Header) or record[text] is None:
                continue
            try:
                value = typed_in(record[text], f"the column {text} holds")
                pair = self._second(record) if joined(value).strip() else None
            except RequestError as error:
                yield line, error, None, None
                continue
            if joined(value).strip():
                own = None if name is None else record[name]
                yield line, _fitting(value), None if own in (None, "") else str(own), pair

    def _second(self, record: Mapping[str, Any]) -> Typed | None:
        """A record's second text; None if no column has one, RequestError if this has none."""
        name = self._columns.pair
        if name is None:
            return None
        second = _fitting(typed_in(record[name], f"the column {name} holds"))
        if isinstance(second, RequestError):
            raise second
        if not joined(second).strip():
            raise RequestError(f"the column {name} is empty here")
        return second


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
