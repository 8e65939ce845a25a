"""Documents in CoNLL-U and their mentions: the brackets of `Entity=`, as in GUM and CorefUD.

`(e1-person-2` opens a mention of e1 at a word, `e1)` closes the last one that is open, and
`(e2-place)` is a word alone; several stand together, as in `(e1-person(e2-place)`. A mention may be
open in another, also of the same entity, and may end in a later sentence. Parts of one that is
broken are `e3[1/2]` and `e3[2/2]`. The comment `# global.Entity = eid-etype-head` names the fields.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from attnviz.corpus.conllu import NO_HEAD, Tree
from attnviz.corpus.document import Document, Problem
from attnviz.text.spans import folded

FIELDS = ("eid", "etype", "head", "other")
"""What a file without `# global.Entity` has, as CorefUD does."""

IDS = ("eid", "GRP")
"""How the field with the entity's name may be called."""

_BRACKET = re.compile(r"\([^()]+\)?|[^()]+\)?|[()]")
_PART = re.compile(r"(.+)\[([0-9]{1,6})/([0-9]{1,6})\]")


@dataclass(frozen=True, slots=True)
class Bracketed:
    """A mention as the brackets have it: its words' places, ascending, and its fields."""

    entity: str
    words: tuple[int, ...]
    values: Mapping[str, str]


@dataclass(slots=True)
class _Open:
    """A mention, or a part of one, that is not closed yet; `words`: of the parts before."""

    entity: str
    first: int
    line: int
    values: Mapping[str, str]
    words: tuple[int, ...] = ()
    part: tuple[int, int] = (1, 1)


@dataclass
class Brackets:
    """Reads a document's brackets, word by word; `problems` are lines, and what is wrong there."""

    fields: Sequence[str] = FIELDS
    found: list[Bracketed] = field(default_factory=list)
    problems: list[tuple[int, str]] = field(default_factory=list)
    _open: dict[str, list[_Open]] = field(default_factory=lambda: defaultdict(list))
    _broken: dict[str, list[_Open]] = field(default_factory=lambda: defaultdict(list))

    def read(self, value: str, line: int, first: int, last: int) -> None:
        """Read what stands at a word: what opens there begins at `first`, and ends at `last`.

        Both are the word's place. At an empty node, which no model reads, `first` is the place of
        the word after it, and `last` that of the word before.
        """
        for bracket in _BRACKET.findall(value):
            name = bracket.strip("()")
            opens, closes = bracket[0] == "(", bracket[-1] == ")"
            if not name or not (opens or closes):
                self._tell(line, f'"{bracket}" in Entity={value} is no mention')
                continue
            if opens:
                name = self._begin(name, line, first)
            if closes and name:
                self._end(name, line, last)

    def end(self) -> None:
        """Tell what was never closed, and forget it: what comes is another document."""
        never = [mention for stack in self._open.values() for mention in stack]
        for mention in sorted(never, key=lambda one: one.line):
            self._tell(mention.line, f"a mention of {mention.entity} is opened and never closed")
        waiting = [mention for stack in self._broken.values() for mention in stack]
        for mention in sorted(waiting, key=lambda one: one.line):
            index, count = mention.part
            self._tell(
                mention.line, f"part {index} of {count} of {mention.entity} has none after it"
            )
        self._open.clear()
        self._broken.clear()

    def _begin(self, fields: str, line: int, first: int) -> str:
        """Open a mention; its name, by which it is closed, or none if it has none."""
        values = dict(zip(self.fields, fields.split("-"), strict=False))
        name = next((values[own] for own in IDS if values.get(own)), "")
        if not name:
            self._tell(line, f"the mention ({fields} does not say of which entity it is")
            return ""
        parted = _PART.fullmatch(name)
        mention = _Open(name, first, line, values)
        if parted:
            index, count = int(parted[2]), int(parted[3])
            mention = _Open(parted[1], first, line, values, part=(index, count))
            before = self._before(mention)
            if before is None:
                self._tell(line, f"part {index} of {count} of {parted[1]} comes without part 1")
                return ""
            mention.words = before.words
        self._open[name].append(mention)
        return name

    def _before(self, part: _Open) -> _Open | None:
        """The part that a part follows; itself if it is the first, None if there is none."""
        if part.part[0] == 1:
            return part
        waiting = self._broken[part.entity]
        for place in reversed(range(len(waiting))):
            if waiting[place].part == (part.part[0] - 1, part.part[1]):
                return waiting.pop(place)
        return None

    def _end(self, name: str, line: int, last: int) -> None:
        """Close the last mention of that name."""
        if not self._open.get(name) and "-" in name:  # `person-1)`, as in GUM up to 2.9
            values = dict(zip(self.fields, name.split("-"), strict=False))
            name = next((values[own] for own in IDS if own in values), name)
        if not self._open.get(name):
            self._tell(line, f"a mention of {name} is closed, and none is open")
            return
        mention = self._open[name].pop()
        mention.words += tuple(range(mention.first, last + 1))
        if mention.part[0] < mention.part[1]:
            self._broken[mention.entity].append(mention)
        elif mention.words:  # else it had empty nodes alone
            words = tuple(sorted(set(mention.words)))
            self.found.append(Bracketed(mention.entity, words, mention.values))

    def _tell(self, line: int, what: str) -> None:
        self.problems.append((line, what))


def head_of(
    words: Sequence[int], values: Mapping[str, str], governors: Sequence[int | None]
) -> int:
    """The place of a mention's head word.

    The one that the field `head` names, counted from 1 in the mention; else the first word whose
    governor lies outside; else the first of the field `minspan`; else the last word.
    """
    named = values.get("head", "")
    if named.isdecimal() and 1 <= int(named) <= len(words):
        return words[int(named) - 1]
    within = set(words)
    for word in words:
        if governors[word] is not None and governors[word] not in within:
            return word
    least = values.get("minspan", "").split(",")[0]
    if least.isdecimal() and 1 <= int(least) <= len(words):
        return words[int(least) - 1]
    return words[-1]


KINDS = ("pronoun", "proper", "nominal")
"""Types of mentions: by the head word's tag, PRON (or DET alone), PROPN, and any other."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A mention: its entity, its first, last and head words in the document, and its type."""

    entity: int
    first: int
    last: int
    head: int
    kind: str
    text: str  # in small letters


@dataclass(frozen=True, slots=True)
class Mentions:
    """A document's mentions, by their heads, and the first word of each sentence."""

    mentions: tuple[Mention, ...]
    sentences: tuple[int, ...]


def of_sentences(read: Iterable[Document | Problem]) -> Iterator[Document | Problem]:
    """Join sentences of CoNLL-U to documents, which `# newdoc` begins; `marks` are Mentions.

    A mention that is not opened and closed as it should be is told, and left out.
    """
    fields: Sequence[str] = FIELDS
    number, joined = 0, _Joined(fields)
    for sentence in read:
        if isinstance(sentence, Problem):
            yield sentence
            continue
        tree: Tree = sentence.marks
        named = tree.comment("global.Entity")
        if named is not None:
            fields = named.split("-")
        if _begins(tree) and joined.words:
            yield from joined.done(number)
            number, joined = number + 1, _Joined(fields)
        joined.brackets.fields = fields
        joined.add(sentence, tree)
    if joined.words:
        yield from joined.done(number)


def _begins(tree: Tree) -> bool:
    return any(comment.split(" ", 1)[0].rstrip("=") == "newdoc" for comment in tree.comments)


@dataclass
class _Joined:
    """The sentences of a document, as they come."""

    fields: Sequence[str]
    first: Document | None = None
    id: str | None = None
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    governors: list[int | None] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    sentences: list[int] = field(default_factory=list)
    brackets: Brackets = field(init=False)

    def __post_init__(self) -> None:
        self.brackets = Brackets(self.fields)

    def add(self, sentence: Document, tree: Tree) -> None:
        """Join one more sentence."""
        self.first = self.first or sentence
        self.id = self.id or tree.comment("newdoc id")
        before = len(self.tags)
        self.sentences.append(len(self.words))
        self.units += [len(self.words) + unit for unit in tree.units]
        self.words += sentence.text
        self.tags += tree.upos
        self.governors += [
            None if head == NO_HEAD else -1 if head < 0 else before + head for head in tree.heads
        ]
        for first, last, line, value in _entities(tree):
            self.brackets.read(value, line, before + first, before + last)

    def done(self, number: int) -> Iterator[Document | Problem]:
        """The document, and what is wrong with its mentions."""
        if self.first is None:
            return
        self.brackets.end()
        for line, told in self.brackets.problems:
            yield Problem(self.first.source, line, told)
        entities: dict[str, int] = {}
        found = [self._mention(one, entities) for one in self.brackets.found]
        found.sort(key=lambda mention: (mention.head, mention.first, mention.last))
        marks = Mentions(tuple(found), tuple(self.sentences))
        yield Document(
            self.first.source, number, self.first.line, tuple(self.words), self.id, marks=marks
        )

    def _mention(self, found: Bracketed, entities: dict[str, int]) -> Mention:
        head = head_of(found.words, found.values, self.governors)
        units = list(dict.fromkeys(self.units[word] for word in found.words))
        return Mention(
            entities.setdefault(found.entity, len(entities)),
            units[0],
            units[-1],
            self.units[head],
            _kind(self.tags[head], len(units)),
            folded(" ".join(self.words[unit] for unit in units)),
        )


def _entities(tree: Tree) -> Iterator[tuple[int, int, int, str]]:
    """Each `Entity=`: where what it opens begins, and what it closes ends; its line and value."""
    words = [
        (place, place, *told) for place, told in enumerate(zip(tree.lines, tree.misc, strict=True))
    ]
    nodes = [(after, after - 1, line, misc) for after, line, misc in tree.empty]
    for first, last, line, misc in sorted([*words, *nodes], key=lambda entry: entry[2]):
        for part in misc.split("|"):
            if part.startswith("Entity="):
                yield first, last, line, part.removeprefix("Entity=")


def _kind(tag: str, words: int) -> str:
    if tag == "PRON" or (tag == "DET" and words == 1):
        return "pronoun"
    return "proper" if tag == "PROPN" else "nominal"
