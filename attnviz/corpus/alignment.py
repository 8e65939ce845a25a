"""`probe --align`: which heads of cross-attention align the words of a text and its translation.

Alignments are in Pharaoh form, as in `0-0 1-2 2?1`: a source word, then a target word. `-` is a
sure link; `p` or `?` a possible one, as in `1p2`. Words are those between blanks, or a JSON list of
them, counted from 0 (or from 1, if that is said). They come in a table with the columns source,
target and alignment; in lines `source ||| target ||| alignment`; in a file of `source ||| target`
and one of alignments; or in three files.
"""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any, ClassVar

import numpy as np

from attnviz.answers.probe import INFORMED, Kind, Probe, Relation
from attnviz.attention.measures import MeasureName
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.fold import Seen
from attnviz.corpus.opening import FORMS, STDIN, Opened
from attnviz.corpus.probing import Findings, Questions
from attnviz.corpus.reading import Files
from attnviz.corpus.tables import Header, records_of, typed_in
from attnviz.errors import AttnvizError, RequestError, listed
from attnviz.inspection import ModelFacts
from attnviz.model.model import Model
from attnviz.text.lines import lines_of
from attnviz.text.tokens import Tokens

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
            told = (
                f"there is no {' and no '.join(missing)}: there are {listed(list(cells)) or 'none'}"
            )
            yield Problem(source, line, told)
            if isinstance(record, Header):  # no row has what it lacks
                return
        elif not isinstance(record, Header):
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
    typed = typed_in(value, f"the {name} is")
    words = tuple(typed.split()) if isinstance(typed, str) else typed
    if not words:
        raise RequestError(f"the {name} is empty")
    return words


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


ALIGNED = "alignment"
READING, WRITING = "reading", "writing"
"""Which row is a target word's: the one where the decoder reads it, or the one before, which writes
it (Kobayashi et al. 2020, "Attention is not only a weight", call them alignment with the input and
with the output)."""

FORMULA = (
    "1 − the alignment error rate, (|A∩S| + |A∩P|) / (|A| + |S|) as in Och & Ney 2003: A has the "
    "source word to which each target word gives most, S the sure links, P these and the possible "
    "ones; special tokens are no answers"
)

MOST_HEADS = 10
"""So many `alignment_heads` at most are named."""


@dataclass(frozen=True)
class AlignmentWork:
    """Asks every head of cross-attention for the source word of each target word."""

    measure: MeasureName = "weights"
    kind: ClassVar[Kind] = "align"
    formula: ClassVar[str] = FORMULA

    @property
    def what(self) -> dict[str, Any]:
        """See Work."""
        return {"question": f"probe --{self.kind}", "measure": self.measure}

    def accumulator(self, facts: ModelFacts) -> Findings:
        """See Work."""
        return Findings(questions, "diagonal")

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """See Work."""
        target = document.pair or ()
        tokens = model.translated(document.text, target)
        for text, typed, read in (
            ("source", document.text, tokens.source),
            ("target", target, tokens.target),
        ):
            words = [] if read is None else [word for word in read.words if not word.special]
            if len(words) != len(typed):
                raise AttnvizError(
                    f"the model's tokenizer finds {len(words)} words in the {text}, and it has "
                    f"{len(typed)}",
                    "mend the words, or take a model with another tokenizer",
                )
        return [tokens]

    def told(self, probe: Probe, findings: Findings) -> Probe:
        """See Probing."""
        rates = [{**one.more, "error_rate": _errors(one)} for one in probe.relations]
        relations = zip(probe.relations, rates, strict=True)
        heads = [list(head) for one in probe.relations for head in _aligning(one)]
        return replace(
            probe,
            relations=tuple(replace(one, more=more) for one, more in relations),
            more={**probe.more, "alignment_heads": heads},
        )


def _errors(relation: Relation) -> dict[str, float | None]:
    """The error rate of the best head, and its interval."""
    mean, low, high = (None if one is None else 1 - one for one in relation.accuracy)
    return {"mean": mean, "low": high, "high": low}


def _aligning(relation: Relation) -> list[tuple[int, int | None]]:
    """The layer and number of the heads that are surely better than every baseline, best first.

    Without an interval, as of few texts, none is.
    """
    known = relation.asked.baselines.items()
    most = max(one.accuracy.mean or 0 for name, one in known if name not in INFORMED)
    ranked = relation.ranked()
    better = [head for (head, _), (_, low, _) in ranked if low is not None and low > most]
    return [(head.layer, head.head) for head in dict.fromkeys(better)][:MOST_HEADS]


def questions(seen: Seen) -> Iterator[Questions]:
    """For every target word its source words, and each sure link by itself: |A| + |S| in all.

    RequestError for what is no cross-attention.
    """
    if seen.inspection.keys is None:
        shown = seen.inspection.attention
        raise RequestError(
            f"alignments ask cross-attention, and the model shows {shown} attention",
            "load it with attention='cross'",
        )
    links: Alignment = seen.document.marks
    rows = np.array([word.index for word in seen.view.tokens if not word.special])
    keys = np.array([word.index for word in seen.view.keys if not word.special])
    sure = np.array(sorted(links.sure), int).reshape(-1, 2)
    every = np.array(sorted(links.sure | links.possible), int).reshape(-1, 2)
    gold = np.zeros((len(rows) + len(sure), len(seen.view.keys)), bool)
    gold[every[:, 1], keys[every[:, 0]]] = True
    gold[len(rows) + np.arange(len(sure)), keys[sure[:, 0]]] = True
    targets = np.concatenate([np.arange(len(rows)), sure[:, 1]])
    candidates = np.zeros((len(seen.view.tokens), len(seen.view.keys)), bool)
    candidates[:, keys] = True
    along = np.arange(len(rows)) * (len(keys) - 1) / max(1, len(rows) - 1)
    diagonal = np.zeros_like(gold)
    diagonal[np.arange(len(gold)), keys[np.floor(along + 0.5).astype(int)[targets]]] = True
    for direction, back in ((READING, 0), (WRITING, 1)):
        if rows[0] < back:
            continue  # nothing is read before the first word
        names, beside = [(ALIGNED, direction)] * len(gold), int(keys[0] - rows[0]) + back
        yield Questions(names, rows[targets] - back, gold, candidates, diagonal, beside)


class AlignedFiles(Files):
    """Reads alignments, of which one may be in two or three files; see `Reader`.

    Of parallel files the first one, the source, gives its name to the documents. first_word: what
    the first word is called, 0 or 1.
    """

    forms = FORMS - {"conllu"}

    def __init__(self, names: Sequence[str], first_word: int = 0) -> None:
        super().__init__(names)
        self._first_word = first_word
        self._together: dict[str, list[str]] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._names, self._first_word)

    @property
    def what(self) -> dict[str, Any]:
        """See Files."""
        return {**super().what, "first_word": self._first_word}

    def files(self) -> list[str]:
        """The files, of parallel ones the first."""
        return list(self._groups)

    def inputs(self) -> list[str]:
        """See Files."""
        return [file for group in self._groups.values() for file in group]

    def items(self, opened: Opened) -> Iterator[Document | Problem]:
        """See Files."""
        form = opened.form(None)
        if form != "txt":
            yield from of_records(records_of(opened, form), opened.name, self._first_word)
            return
        with ExitStack() as stack:
            names = self._groups[opened.name]
            others = [stack.enter_context(Opened(name)) for name in names[1:]]
            lines = [lines_of(one.stream()) for one in (opened, *others)]
            yield from of_lines(_beside_each_other(names, lines), opened.name, self._first_word)

    @property
    def _groups(self) -> dict[str, list[str]]:
        """The files that are read together, by the first of them; RequestError."""
        if self._together is None:
            self._together = dict(_grouped(super().files()))
        return self._together


def _beside_each_other(
    names: Sequence[str], lines: Sequence[Iterator[str | RequestError]]
) -> Iterator[Sequence[str | RequestError]]:
    """The lines of parallel files; after the end of one only that another has more."""
    for parts in zip_longest(*lines):
        if None not in parts:
            yield parts
        elif any(isinstance(part, RequestError) or (part or "").strip() for part in parts):
            ended = listed([name for name, part in zip(names, parts, strict=True) if part is None])
            told = f"the files have different numbers of lines: this one is not in {ended}"
            yield [RequestError(told, "check that those before it belong together")]
            return


def _grouped(files: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Files that stand alone; and those of sources and targets, up to one of alignments."""
    waiting: list[str] = []
    for file in files:
        beside = _beside(file)
        waiting.append(file)
        if beside == "text":
            continue
        if (len(waiting) > 1) != (beside == "links") or len(waiting) > len(NEEDED):
            break
        yield waiting[0], waiting
        waiting = []
    if waiting:
        raise RequestError(
            f"{listed(waiting)} {'is' if len(waiting) == 1 else 'are'} no texts and alignments "
            "that belong together",
            f"give lines of source {BETWEEN} target {BETWEEN} alignment, or a file of sources and "
            f"one of targets (or one with {BETWEEN} between) and after them their alignments",
        )


def _beside(file: str) -> str:
    """What a file's first line shows: "links", "text" whose links are in another, or all in one."""
    whole = "all"
    if file == STDIN or (os.path.exists(file) and not os.path.isfile(file)):
        return whole  # what is read of a pipe is gone
    try:
        with Opened(file) as opened:
            if opened.form(None) != "txt":
                return whole
            lines = (line for line in lines_of(opened.stream()) if isinstance(line, str))
            first = next((line for line in lines if line.strip()), "")
    except (AttnvizError, OSError, EOFError):  # told when it is read
        return whole
    if first.count(BETWEEN) >= len(NEEDED) - 1:
        return whole
    return "links" if looks_aligned(first) else "text"


def asked(
    names: Sequence[str], measure: MeasureName, first_word: int = 0
) -> tuple[AlignmentWork, AlignedFiles]:
    """See `probing.asked`."""
    return AlignmentWork(measure), AlignedFiles(names, first_word)
