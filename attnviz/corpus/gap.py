"""GAP (Webster et al. 2018): a pronoun, and two names of which it may mean either.

Lines with tabs between cells and no quotes, offsets in characters of the text:
`ID Text Pronoun Pronoun-offset A A-offset A-coref B B-offset B-coref URL`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from attnviz.corpus.document import Document, Problem
from attnviz.errors import RequestError, listed
from attnviz.text.spans import Span

BEGINS = "ID\tText\tPronoun"
"""How the first line begins, by which such a file is known."""

COLUMNS = (
    *("ID", "Text", "Pronoun", "Pronoun-offset"),
    *("A", "A-offset", "A-coref", "B", "B-offset", "B-coref"),
)
GENDERS = {
    **dict.fromkeys(("he", "him", "his", "himself"), "masculine"),
    **dict.fromkeys(("she", "her", "hers", "herself"), "feminine"),
}
TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Where the pronoun stands and where the names, and which of these it means; its gender."""

    pronoun: Span
    names: tuple[Span, Span]
    right: tuple[bool, bool]
    gender: str | None


def of_gap(lines: Iterator[str | RequestError], source: str) -> Iterator[Document | Problem]:
    """A document a line, `marks` Ambiguous; and what is wrong with a line."""
    columns: list[str] = []
    number = 0
    for line, text in enumerate(lines, start=1):
        if isinstance(text, RequestError):
            yield Problem(source, line, str(text))
        elif not columns:
            columns = text.split("\t")
            missing = [name for name in COLUMNS if name not in columns]
            if missing:
                yield Problem(source, line, f"the columns {listed(missing)} are not there")
                return
        elif text.strip():
            found = _read(dict(zip(columns, text.split("\t"), strict=False)))
            if isinstance(found, str):
                yield Problem(source, line, found)
            else:
                name, sentence, marks = found
                yield Document(source, number, line, sentence, name, marks=marks)
            number += 1


def _read(cells: dict[str, str]) -> tuple[str, str, Ambiguous] | str:
    """The id, the text and what is marked in it; or what is wrong with the row."""
    missing = [name for name in COLUMNS if name not in cells]
    if missing:
        return f"the row has {len(cells)} cells: there is none for {listed(missing)}"
    spans, truths = [], []
    for name in ("Pronoun", "A", "B"):
        text, offset = cells[name], cells[f"{name}-offset"]
        start = int(offset) if offset.isdecimal() and len(offset) < 10 else -1
        there = cells["Text"][start : start + len(text)] if start >= 0 else ""
        if not text or there != text:
            told = f'"{there}"' if there else "nothing"
            return f'{name} is "{text}" at offset {offset}, and the text has {told} there'
        spans.append((start, start + len(text)))
        if name != "Pronoun":
            truths.append(TRUTHS.get(cells[f"{name}-coref"].strip().lower()))
            if truths[-1] is None:
                return f'{name}-coref is "{cells[f"{name}-coref"]}", and not TRUE or FALSE'
    pronoun, *names = spans
    gender = GENDERS.get(cells["Pronoun"].lower())
    marks = Ambiguous(pronoun, (names[0], names[1]), (bool(truths[0]), bool(truths[1])), gender)
    return cells["ID"], cells["Text"], marks
