"""Word alignments in Pharaoh form, as in `0-0 1-2 2?1`: source word, then target word.

`-` is a sure link; `p` or `?` a possible one, as in `1p2`. Words are those between blanks, or a
JSON list of them, counted from 0 (or from 1, if that is said).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from attnviz.corpus.document import Document, Problem
from attnviz.errors import AttnvizError, RequestError, listed

NEEDED = ("source", "target", "alignment")
BETWEEN = "|||"

_LINK = re.compile(r"([0-9]{1,6})([-pP?])([0-9]{1,6})")
_LINKS = re.compile(rf"\s*{_LINK.pattern}(\s+{_LINK.pattern})*\s*")

Links = frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which source word goes with which target word, from 0; sure links are not among `possible`.

    In some places there is a choice: annotators were to mark as possible what is not sure.
    """

    sure: Links
    possible: Links


def looks_aligned(line: str) -> bool:
    """Whether a line is an alignment and nothing else."""
    return _LINKS.fullmatch(line) is not None


def of_lines(
    lines: Iterable[Sequence[str | RequestError]], source: str, first: int = 0
) -> Iterator[Document | Problem]:
    """A document for each line, which is in parts: the source, the target and the alignment.

    They are columns of a line with `|||` between, or lines of parallel files. first: what the first
    word is called.
    """
    number = 0
    for line, parts in enumerate(lines, start=1):
        wrong = next((part for part in parts if isinstance(part, RequestError)), None)
        if wrong is not None:
            yield Problem(source, line, str(wrong))
            continue
        cells = [cell.strip() for part in parts for cell in str(part).split(BETWEEN)]
        if not any(cells):
            continue
        if len(cells) != len(NEEDED):
            told = f"the line has {len(cells)} parts, and {', '.join(NEEDED)} are expected"
            yield Problem(source, line, f"{told} (put {BETWEEN} between two)")
            continue
        yield _document(dict(zip(NEEDED, cells, strict=True)), source, number, line, first)
        number += 1


def of_records(
    records: Iterable[tuple[int, dict[str, Any] | AttnvizError]], source: str, first: int = 0
) -> Iterator[Document | Problem]:
    """A document for each record of a table or of JSON Lines, by its columns."""
    number = 0
    for line, record in records:
        if isinstance(record, AttnvizError):
            yield Problem(source, line, str(record))
            continue
        cells = {str(name).strip().casefold(): value for name, value in record.items()}
        missing = [name for name in NEEDED if name not in cells]
        if missing:
            told = f"there is no {' and no '.join(missing)}: there are {listed(list(cells))}"
            yield Problem(source, line, told)
        elif any(value is not None for value in cells.values()):  # not the names of the columns
            yield _document(cells, source, number, line, first)
            number += 1


def _document(
    cells: dict[str, Any], source: str, number: int, line: int, first: int
) -> Document | Problem:
    try:
        texts = [_words(name, cells[name]) for name in NEEDED[:2]]
        marks = _alignment(cells["alignment"], [len(text) for text in texts], first)
    except RequestError as error:
        return Problem(source, line, str(error))
    name = cells.get("id")
    own = None if name is None else str(name)
    return Document(source, number, line, texts[0], own, pair=texts[1], marks=marks)


def _words(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise RequestError(f"the {name} is {value!r}, and not a text or a list of its words")
    if not value:
        raise RequestError(f"the {name} is empty")
    return tuple(value)


def _alignment(value: Any, sizes: Sequence[int], first: int) -> Alignment:
    """The links of an alignment; RequestError for one that has no such form, or no such word."""
    if isinstance(value, list):
        value = " ".join(
            "-".join(map(str, link)) if isinstance(link, list) else str(link) for link in value
        )
    kinds: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    for text in str(value or "").split():
        found = _LINK.fullmatch(text)
        if found is None:
            raise RequestError(
                f'"{text}" is no link between two words', "links are as in 0-0, or 0p0 and 0?0"
            )
        link = int(found[1]) - first, int(found[3]) - first
        for what, place, size in zip(NEEDED, link, sizes, strict=False):
            if not 0 <= place < size:
                last = size - 1 + first
                raise RequestError(
                    f"{text} names word {place + first} of the {what}, and its words are {first} "
                    f"to {last}",
                    "" if first else "if the first word is called 1, say --first-word 1",
                )
        kinds[found[2] == "-"].add(link)
    return Alignment(frozenset(kinds[True]), frozenset(kinds[False] - kinds[True]))
