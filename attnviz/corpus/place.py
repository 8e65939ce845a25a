"""How far a fold came in a corpus, and what is left of it to be read."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from attnviz.corpus.document import Document, Problem, Reader, hashed
from attnviz.errors import RequestError

Key = tuple[str, int]
"""Which document: its source and number."""


@dataclass(frozen=True)
class Place:
    """How far a corpus was read, and which texts before there are not folded yet.

    `file`: the last one that was read, and `items` of it: documents, and what could not be read;
    `mark`: a hash of these; `read`: all items, of earlier files too. `left`: texts, each as source,
    document and window.
    """

    file: str | None = None
    items: int = 0
    read: int = 0
    mark: int = 0
    left: tuple[tuple[str, int, int], ...] = ()

    @classmethod
    def of(cls, told: dict[str, Any]) -> "Place":
        """From what `data` gave; KeyError, TypeError or ValueError if it is anything else."""
        left = tuple((str(file), int(number), int(window)) for file, number, window in told["left"])
        return cls(told["file"], told["items"], told["read"], told["mark"], left)

    def data(self) -> dict[str, Any]:
        """The place in JSON."""
        return {
            "file": self.file,
            "items": self.items,
            "read": self.read,
            "mark": self.mark,
            "left": [list(one) for one in self.left],
        }

    @property
    def windows(self) -> dict[Key, set[int]]:
        """The windows that are left of each document."""
        found: dict[Key, set[int]] = defaultdict(set)
        for file, number, window in self.left:
            found[file, number].add(window)
        return dict(found)


class Passed:
    """Counts what was read: where it goes on from."""

    def __init__(self, start: Place) -> None:
        self._file, self._items, self._read = start.file, start.items, start.read
        self._mark = start.mark

    def add(self, item: Document | Problem) -> None:
        """One more was read."""
        if item.source != self._file:
            self._file, self._items, self._mark = item.source, 0, 0
        self._items += 1
        self._read += 1
        self._mark = mark_of(item, self._mark)

    def place(self, left: Sequence[tuple[str, int, int]]) -> Place:
        """Where that is."""
        return Place(self._file, self._items, self._read, self._mark, tuple(left))


def mark_of(item: Document | Problem, before: int) -> int:
    """A hash of what was read, and of all before it."""
    return hashed(before, item.text if isinstance(item, Document) else item.message)


def documents_from(
    reader: Reader, files: Sequence[str], start: Place | None
) -> Iterator[Document | Problem]:
    """All files' documents, or those that are left after `start`.

    RequestError if the file in which the reading stopped has other texts than then.
    """
    if start is None or start.file is None:
        yield from chain.from_iterable(map(reader.documents, files))
        return
    left = start.windows
    passed = False
    for file in files:
        if passed:
            yield from reader.documents(file)
        elif file == start.file:
            yield from _after(reader.documents(file), start, left)
            passed = True
        elif any(source == file for source, _ in left):
            yield from (item for item in reader.documents(file) if is_left(item, left))


def is_left(item: Document | Problem, left: dict[Key, set[int]]) -> bool:
    """Whether it is a document that was read and not folded."""
    return isinstance(item, Document) and (item.source, item.number) in left


def _after(
    documents: Iterator[Document | Problem], start: Place, left: dict[Key, set[int]]
) -> Iterator[Document | Problem]:
    """The rest of the file in which the reading stopped."""
    count = mark = 0
    for count, item in enumerate(documents, start=1):
        if count <= start.items:
            mark = mark_of(item, mark)
        if count == start.items and mark != start.mark:
            raise _changed(start)
        if count > start.items or is_left(item, left):
            yield item
    if count < start.items:
        raise _changed(start)


def _changed(start: Place) -> RequestError:
    file = "standard input" if start.file == "-" else start.file
    return RequestError(
        f"--resume cannot go on: {file} has other texts than when it was read before",
        "give another --resume FILE to begin anew",
    )
