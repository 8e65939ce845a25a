"""Coreference in CoNLL-U: documents with their mentions, and the windows in which they are run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from attnviz.corpus.conllu import NO_HEAD, Tree
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.mentions import FIELDS, Bracketed, Brackets, head_of
from attnviz.text.spans import folded

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
