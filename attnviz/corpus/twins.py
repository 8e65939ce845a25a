"""Twins: two sentences that differ in a word or two, from a table or from plain lines.

A row with `a` and `b` has both. Rows with a `sentence` are twins if they have the same `group`, or
the same key and distractor, whichever is which, as in samples/pronouns.tsv; without both, each two
lines that follow one another are, as in plain text. Beside them may stand `query`, `of`, `against`
and `id`; those of A hold.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from attnviz.corpus.document import Document, Problem
from attnviz.corpus.opening import FORMS, Forms, Opened
from attnviz.corpus.reading import Files
from attnviz.corpus.tables import Header, Record, kind_of, records_of, typed_in
from attnviz.errors import AttnvizError, RequestError, listed
from attnviz.text.lines import START, lines_of

BOTH, ONE = ("a", "b"), "sentence"


@dataclass(frozen=True, slots=True)
class Words:
    """Which words a row names: the query, and what the model should say of A, and of B."""

    query: str | None = None
    of: str | None = None
    against: str | None = None


class TwinFiles(Files):
    """Reads twins: a Document for each two, whose `text` is A and `pair` is B, `marks` Words.

    `alone`: how many sentences had no twin, of those whose key or group says which it would be.
    """

    forms: ClassVar[Forms] = FORMS - {"conllu"}
    alone = 0

    def items(self, opened: Opened) -> Iterator[Document | Problem]:
        """See Files."""
        form = opened.form(None)
        if form == "txt" and b"\t" in opened.stream().peek(START).partition(b"\n")[0]:
            form = "tsv"  # nothing said that it is a table
        records = _plain(opened) if form == "txt" else records_of(opened, form)
        pairs, number = _Pairs(), 0
        for line, record in records:
            try:
                twins = pairs.take(line, record)
                if twins is not None:
                    yield _document(opened.name, number, *twins)
                    number += 1
            except AttnvizError as error:
                yield Problem(opened.name, line, str(error))
                if isinstance(record, Header):  # no row has what it lacks
                    return
        if None in pairs.waiting:
            line, _ = pairs.waiting.pop(None)
            yield Problem(opened.name, line, "the last sentence has no twin")
        self.alone += len(pairs.waiting)


class _Pairs:
    """Puts two records together; `waiting`: those whose twin has not come, by what they share."""

    def __init__(self) -> None:
        self.waiting: dict[str | None, tuple[int, dict[str, Any]]] = {}

    def take(
        self, line: int, record: dict[str, Any] | AttnvizError
    ) -> tuple[int, dict[str, Any], tuple[Any, Any]] | None:
        """The line and the cells of A, and both sentences; None while the other is to come."""
        if isinstance(record, AttnvizError):
            raise record
        cells = {str(name).strip().casefold(): value for name, value in record.items()}
        if not (ONE in cells or set(BOTH) <= set(cells)):
            raise RequestError(
                f"there is no column {ONE}, and there are no columns a and b: there are "
                f"{listed(list(cells)) or 'none'}"
            )
        if isinstance(record, Header):
            return None
        if set(BOTH) <= set(cells):
            return line, cells, (cells["a"], cells["b"])
        group = _group(cells)
        if group not in self.waiting:
            self.waiting[group] = line, cells
            return None
        first, own = self.waiting.pop(group)
        return first, own, (own[ONE], cells[ONE])


def _plain(opened: Opened) -> Iterator[Record]:
    """Lines, as records."""
    for line, text in enumerate(lines_of(opened.stream()), start=1):
        if isinstance(text, RequestError):
            yield line, text
        elif text.strip():
            yield line, {ONE: text.strip()}


def _group(cells: dict[str, Any]) -> str | None:
    """What twins have in common; None where nothing says it."""
    group, key, other = (_named(cells, name) for name in ("group", "key", "distractor"))
    if group is not None:
        return f"group {group}"
    return None if key is None or other is None else " ".join(sorted((key, other)))


def _document(
    source: str, number: int, line: int, cells: dict[str, Any], two: tuple[Any, Any]
) -> Document:
    a, b = (typed_in(one, f"sentence {name} is") for one, name in zip(two, "AB", strict=True))
    empty = [name for one, name in ((a, "A"), (b, "B")) if not "".join(one).strip()]
    if empty:
        raise RequestError(f"sentence {' and sentence '.join(empty)} of the twins is empty")
    words = Words(*(_named(cells, name) for name in ("query", "of", "against")))
    return Document(source, number, line, a, _named(cells, "id"), pair=b, marks=words)


def _named(cells: dict[str, Any], name: str) -> str | None:
    """A word, a name or a number; None if there is none."""
    value = cells.get(name)
    if isinstance(value, list | dict | bool):
        raise RequestError(f"the {name} is {kind_of(value)}, and a word or a name is expected")
    return (None if value is None else str(value).strip()) or None
