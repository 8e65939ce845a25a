"""One text of a corpus, what could not be read of it, and who reads."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Protocol

from attnviz.text.tokens import Typed


@dataclass(frozen=True, slots=True)
class Document:
    """A sentence or a text, and where it stands.

    `source`: the file as it was named, or `-`. `number`: its record in the file, from 0. `line`:
    its first line, from 1. `id`: the data's own. `text`: words of the file's own, if it has them.
    `marks`: what a probe reads: a tree, mentions, links, alignments. `group`: twins have one.
    """

    source: str
    number: int
    line: int
    text: Typed
    id: str | None = None
    pair: Typed | None = None
    marks: Any = None
    group: str | None = None

    @property
    def place(self) -> str:
        """As in `corpus.txt:12`."""
        return f"{self.source}:{self.line}"

    @property
    def key(self) -> int:
        """64 bits that seed samples and halves, the same in any order; twins have the same."""
        return (
            hashed("record", self.source, self.number)
            if self.group is None
            else (hashed("group", self.group))
        )


@lru_cache(maxsize=1 << 10)
def hashed(*parts: object) -> int:
    """64 bits of a hash of some names and numbers, the same on every machine."""
    digest = blake2b("\0".join(map(str, parts)).encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "little")


@dataclass(frozen=True, slots=True)
class Problem:
    """What could not be read, or not be run, and where; the rest goes on."""

    source: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{place}: {self.message}"


class Reader(Protocol):
    """Reads a corpus; it is pickled, and sent to workers."""

    @property
    def what(self) -> dict[str, Any]:
        """What is read, in JSON: a run that is resumed must read the same."""

    def files(self) -> list[str]:
        """The files, each once; RequestError if there is none."""

    def documents(self, file: str) -> Iterator[Document | Problem]:
        """A file's documents in their order, and what could not be read of it."""
