"""CoNLL-U: sentences with their syntactic words, heads and relations, one after the other.

Universal Dependencies' format, https://universaldependencies.org/format.html. What is broken is
told with its line, that sentence is left out, and the next one is read.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from attnviz.corpus.document import Document, Problem

COLUMNS = 10
ROOT, NO_HEAD = -1, -2
"""In place of a head: of the sentence's root, and of a word to which the file gives none (`_`)."""

MOST_WORDS = 10_000
"""Of longer sentences, as of a file without empty lines, nothing is kept."""

PUNCTUATION = "PUNCT"

_NUMBER = re.compile("[0-9]{1,9}")
_RANGE = re.compile("([0-9]{1,9})-([0-9]{1,9})")
_EMPTY = re.compile(r"[0-9]{1,9}\.[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Tree:
    """A sentence's syntactic words: an entry for each, in order, in every tuple but the last two.

    `units`: which of its document's words each lies in. They are the same, but for the words of a
    multiword token that is written otherwise than they are (`du` for `de le`): these share one.
    """

    forms: tuple[str, ...]
    lemmas: tuple[str, ...]
    upos: tuple[str, ...]
    feats: tuple[str, ...]
    heads: tuple[int, ...]  # from 0; ROOT or NO_HEAD
    relations: tuple[str, ...]  # without subtype: `nsubj` for `nsubj:pass`
    misc: tuple[str, ...]
    units: tuple[int, ...]
    lines: tuple[int, ...]  # of the file
    comments: tuple[str, ...] = ()  # without their `#`
    empty: tuple[tuple[int, int, str], ...] = ()  # nodes: the words before each, its line, its MISC

    def comment(self, name: str) -> str | None:
        """The value of the first comment `# name = value`; None if there is none."""
        return _value(self.comments, name)


def sentences(lines: Iterable[bytes], source: str, first: int = 1) -> Iterator[Document | Problem]:
    """Each sentence as a document of its words, `marks` its Tree; and what cannot be read.

    lines: of the file `source`, in UTF-8, from line number `first` on. The words are given to a
    model as the file has them, wherever its text has no space between two (`SpaceAfter=No`).
    """
    number, sentence = 0, _Sentence(first)
    line = first - 1
    for line, raw in enumerate(lines, start=first):
        if raw.strip(b" \t\r\n\xef\xbb\xbf" if line == 1 else None):
            sentence.add(raw, line)
            continue
        if sentence.begun:
            yield sentence.done(source, number)
            number += 1
        sentence = _Sentence(line + 1)
    if sentence.begun:
        yield sentence.done(source, number)
        number += 1


@dataclass
class _Sentence:
    """The lines of a sentence, as they come."""

    line: int
    begun: bool = False  # whether there is more than comments
    words: list[list[str]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    ranges: list[tuple[int, int, str, int]] = field(default_factory=list)
    empty: list[tuple[int, int, str]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    problem: tuple[int, str] | None = None

    def add(self, raw: bytes, line: int) -> None:
        """Take one more line; nothing after the first that is broken."""
        is_comment = raw.startswith((b"#", b"\xef\xbb\xbf#"))
        self.begun |= not is_comment
        if self.problem is None:
            found = self._add(raw, line, is_comment)
            if found:
                self.problem = line, found

    def done(self, source: str, number: int) -> Document | Problem:
        """The sentence, after its last line."""
        broken = self.problem or self._broken()
        if broken:
            return Problem(source, *broken)
        text, units = self._units()
        columns = list(zip(*self.words, strict=True))
        tree = Tree(
            forms=columns[1],
            lemmas=columns[2],
            upos=columns[3],
            feats=columns[5],
            heads=tuple(NO_HEAD if head == "_" else int(head) - 1 for head in columns[6]),
            relations=tuple(name.partition(":")[0] for name in columns[7]),
            misc=columns[9],
            units=units,
            lines=tuple(self.lines),
            comments=tuple(self.comments),
            empty=tuple(self.empty),
        )
        name = _value(tree.comments, "sent_id")
        return Document(source, number, self.line, text, id=name, marks=tree)

    def _add(self, raw: bytes, line: int, is_comment: bool) -> str | None:
        """Take a line, or say what is wrong with it."""
        try:
            text = raw.decode("utf-8-sig" if line == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            return f"it is not UTF-8 at byte {error.start + 1} of the line"
        if is_comment:
            if len(self.comments) < MOST_WORDS:
                self.comments.append(text[1:].strip())
            return None
        cells = text.split("\t")
        if len(cells) != COLUMNS:
            return f"a word has {COLUMNS} columns with tabs between, and here are {len(cells)}"
        if _EMPTY.fullmatch(cells[0]):
            self.empty.append((len(self.words), line, cells[9]))
            return None
        found = _RANGE.fullmatch(cells[0])
        if found is not None:
            self.ranges.append((int(found[1]), int(found[2]), cells[1], line))
            return None if cells[1].strip() else "a multiword token has no form"
        self.words.append(cells)
        self.lines.append(line)
        return _wrong(cells, len(self.words))

    def _broken(self) -> tuple[int, str] | None:
        """The line and what is wrong with the sentence as a whole."""
        count = len(self.words)
        if not count:
            return self.line, "the sentence has no words"
        for cells, line in zip(self.words, self.lines, strict=True):
            if cells[6] != "_" and int(cells[6]) > count:
                return line, f"the head is word {cells[6]}, and the last word is {count}"
        reached = 0
        for first, last, form, line in self.ranges:
            if not reached < first <= last <= count:
                told = f"the multiword token {first}-{last} ({form}) does not fit words 1 to "
                return line, f"{told}{count}, and those before it"
            reached = last
        return self._circle()

    def _circle(self) -> tuple[int, str] | None:
        """The line of a word that is above itself, by way of others, and that it is."""
        above = [0 if cells[6] == "_" else int(cells[6]) for cells in self.words]
        done = {0}
        for start in range(1, len(above) + 1):
            path, word = [], start
            while word not in done:
                done.add(word)
                path.append(word)
                word = above[word - 1]
            if word in path:
                return self.lines[word - 1], f"word {word} is its own head, by way of others"
        return None

    def _units(self) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The words that a model reads, and for each word of the file which it is in."""
        forms = [cells[1] for cells in self.words]
        joined = {}
        for first, last, form, _ in self.ranges:
            if "".join(forms[first - 1 : last]) != form:
                joined.update(dict.fromkeys(range(first, last), first - 1))
                forms[first - 1] = form
        text: list[str] = []
        units = []
        for place, form in enumerate(forms):
            if place not in joined:
                text.append(form)
            units.append(len(text) - 1)
        return tuple(text), tuple(units)


def _wrong(cells: list[str], number: int) -> str | None:
    """What is wrong with a word's columns, if it should be the word of this number."""
    name, form, head, relation = cells[0], cells[1], cells[6], cells[7]
    if name != str(number):
        missing = ": is an empty line missing before it?" if name == "1" else ""
        return f'word {number} comes next, and "{name[:20]}" came{missing}'
    if number > MOST_WORDS:
        return f"the sentence has more than {MOST_WORDS} words: are empty lines missing?"
    if not form.strip():
        return f"word {number} has no form"
    if head == "_":
        return None
    if not _NUMBER.fullmatch(head):
        return f'the head of word {number} is "{head[:20]}", and not the number of a word, or 0'
    if int(head) == number:
        return f"word {number} is its own head"
    return f"word {number} has no relation" if relation in ("", "_") else None


def _value(comments: Iterable[str], name: str) -> str | None:
    for comment in comments:
        key, is_there, value = comment.partition("=")
        if is_there and key.strip() == name:
            return value.strip()
    return None
