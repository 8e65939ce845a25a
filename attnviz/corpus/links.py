"""Links of one's own: sentences with two words each that a head should join.

Records have `sentence`, `query`, `key`, and may have `label`, `group` (twins have the same),
`distractor` (a word that the query should look at less than at the key) and `id`. Without
`label`, `order` is read, as in samples/pronouns.tsv; without `group`, sentences with the same key
and distractor, whichever is which, are twins.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from attnviz.corpus.document import Document, Problem
from attnviz.errors import AttnvizError, RequestError, listed

NEEDED = ("sentence", "query", "key")
LABELS = ("label", "order")


@dataclass(frozen=True, slots=True)
class Link:
    """Which word should look at which, and which at less, by selectors as in `it#2`."""

    query: str
    key: str
    distractor: str | None
    label: str | None


def of_records(
    records: Iterable[tuple[int, dict[str, Any] | AttnvizError]], source: str
) -> Iterator[Document | Problem]:
    """A document a record, `marks` Link; and what is wrong with a record."""
    number = 0
    for line, record in records:
        if isinstance(record, AttnvizError):
            yield Problem(source, line, str(record))
            continue
        cells = {str(name).strip().casefold(): value for name, value in record.items()}
        try:
            missing = [name for name in NEEDED if name not in cells]
            if missing:
                raise RequestError(
                    f"there is no {' and no '.join(missing)}: there are {listed(list(cells))}"
                )
            if any(value is not None for value in cells.values()):  # not the names of the columns
                yield _document(cells, source, number, line)
                number += 1
        except RequestError as error:
            yield Problem(source, line, str(error))


def _document(cells: dict[str, Any], source: str, number: int, line: int) -> Document:
    sentence = cells["sentence"]
    if isinstance(sentence, list) and all(isinstance(word, str) for word in sentence):
        sentence = tuple(sentence)
    elif not isinstance(sentence, str):
        raise RequestError(f"the sentence is {sentence!r}, and not a text or a list of its words")
    query, key = (_named(cells, name) for name in ("query", "key"))
    if not (sentence and query and key):
        empty = [name for name in NEEDED if not cells[name]]
        raise RequestError(f"the {' and the '.join(empty)} is empty")
    label = next((cells[name] for name in LABELS if cells.get(name)), None)
    distractor, group = _named(cells, "distractor"), cells.get("group")
    if not group and distractor:
        group = " ".join(sorted((key, distractor)))
    name = cells.get("id")
    link = Link(query, key, distractor, None if label is None else str(label))
    return Document(
        source,
        number,
        line,
        sentence,
        None if name is None else str(name),
        marks=link,
        group=f"{source}:{group}" if group else None,
    )


def _named(cells: dict[str, Any], name: str) -> str | None:
    """A word's selector; None if there is none."""
    value = cells.get(name)
    if value is None or isinstance(value, str):
        return (value or "").strip() or None
    raise RequestError(f"the {name} is {value!r}, and not a word, as in it, it#2 or @10")
