"""Fold a corpus: each text is run, what is asked adds it up, and nothing else is kept of it."""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np

from attnviz.attention.measures import MeasureName
from attnviz.attention.request import RecordRequest
from attnviz.attention.shapes import Bool
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.resampling import times_of
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Block, Inspection, ModelFacts, View
from attnviz.model.model import Model
from attnviz.text.tokens import Tokens

TOLD = 20
"""Of how many problems the text is kept; the others are counted."""

FOLDED_AT_ONCE = 1024
"""Texts after which a part of the work is done: its sums join those of the parts before."""

KEPT_WEIGHTS = 1 << 22
"""The most weights of a text that stay in memory for all that look at them (16 MiB)."""

SPARING = RecordRequest(whole=False, sparing=True)


class Seen:
    """One text, or one window of a long one, and its attention."""

    def __init__(self, document: Document, inspection: Inspection, measure: MeasureName) -> None:
        self.document, self.inspection = document, inspection
        self.view = View(inspection, "word", True, measure)
        self._blocks: list[Block] | None = None

    @property
    def tokens(self) -> Tokens:
        """The text that looks; see `inspection.key_tokens` for what is looked at."""
        return self.inspection.tokens

    @cached_property
    def times(self) -> np.ndarray:
        """How often its document is drawn into each resample: (RESAMPLES,)."""
        return times_of(self.document.key)

    @property
    def share(self) -> float:
        """Its part of its document: 1, or 1 of so many windows."""
        part = self.inspection.part
        return 1.0 if part is None else 1 / part.count

    @cached_property
    def visible(self) -> Bool[np.ndarray, "query key"] | None:
        """Which keys each query may look at in some layer, by the attention masks; None if all."""
        found: np.ndarray | None = None
        for layer in self.view.context.recorded:
            mask = self.view.visible(layer)
            if mask is None:
                return None
            found = mask if found is None else found | mask
        return found

    def blocks(self) -> Iterable[Block]:
        """The rows of all recorded heads, in the order of `view.all_heads()`.

        Short texts have one block of all heads; long ones several, at last of some rows of a head.
        """
        if self._blocks is not None:
            return self._blocks
        heads = self.view.all_heads()
        blocks = self.view.blocks(heads)
        if len(heads) * len(self.view.tokens) * len(self.view.keys) > KEPT_WEIGHTS:
            return blocks
        self._blocks = list(blocks)
        return self._blocks


class Accumulator(Protocol):
    """What is added up over a corpus; any split and any order gives the same."""

    def add(self, seen: Seen) -> None:
        """Add a text."""

    def merge(self, other: Self) -> None:
        """Add what another has added up."""

    def state(self) -> dict[str, Any]:
        """All that it knows: numpy arrays, and values that JSON has."""

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave; KeyError or ValueError if it is another's."""


class Work(Protocol):
    """What is asked of a corpus; it is pickled, and sent to workers."""

    @property
    def measure(self) -> MeasureName:
        """The measure that is looked at."""

    @property
    def what(self) -> dict[str, Any]:
        """What is asked, in JSON: a run that is resumed must ask the same."""

    def accumulator(self, facts: ModelFacts) -> Accumulator:
        """A new one, which has seen nothing."""

    def tokens(self, model: Model, document: Document) -> list[Tokens]:
        """What is run of a document: the text, or its windows; AttnvizError leaves it out."""


def whole_or_windows(model: Model, document: Document, stride: int | None = None) -> list[Tokens]:
    """What is run of a document as it is: its text, or windows of one that is too long.

    Windows lie next to each other, or `stride` pieces apart; of two texts there are none. A
    decoder is fed the second. AttnvizError if it cannot be cut.
    """
    if document.pair is not None:
        both = model.translated if model.decodes else model.tokenize
        try:
            return [both(document.text, document.pair)]
        except RequestError as error:  # whose hint is for commands of one text
            raise RequestError(error.message) from error
    if stride is None:
        return model.windows_at(document.text, ())
    return model.windows(document.text, stride)


@dataclass(frozen=True)
class Tally:
    """How much was read: documents, windows (texts that were run), pieces and words.

    `left_out`: documents that could not be read or run; `problems`: the first of them.
    """

    documents: int = 0
    windows: int = 0
    pieces: int = 0
    words: int = 0
    left_out: int = 0
    problems: tuple[Problem, ...] = ()

    def plus(self, other: "Tally") -> "Tally":
        """Both together."""
        names = ("documents", "windows", "pieces", "words", "left_out")
        sums = {name: getattr(self, name) + getattr(other, name) for name in names}
        return Tally(**sums, problems=(self.problems + other.problems)[:TOLD])

    def without(self, problem: Problem) -> "Tally":
        """With one more document left out."""
        return self.plus(Tally(left_out=1, problems=(problem,)))


@dataclass
class Folded:
    """What was added up, and of how much."""

    accumulator: Accumulator
    tally: Tally = field(default_factory=Tally)


Progress = Callable[[Tally], None]
"""Called with what was read so far."""

Keep = Callable[[Folded, Document | None], None]
"""Called when a part is done, with all so far and the last document of it."""


def fold(
    work: Work,
    documents: Iterable[Document | Problem],
    model: Model,
    start: Folded | None = None,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> Folded:
    """Run each document and add it up, on this machine's processors, in constant memory.

    `start`: what was folded before. A document that cannot be run is a Problem in the tally.
    """
    folding = _Folding(work, model, start)
    stream = folding.numbered(documents)
    with _little_to_collect():
        for number, tally in model.each(stream, folding.use, SPARING):
            done = folding.count(number, tally)
            if progress is not None:
                progress(folding.told)
            if done and keep is not None:
                keep(folding.folded, folding.last)
    folding.finish()
    if progress is not None:
        progress(folding.told)
    if keep is not None:
        keep(folding.folded, folding.last)
    return folding.folded


@contextmanager
def _little_to_collect() -> Iterator[None]:
    """Inside, the garbage collector looks only at what is new: torch alone has 100,000s of objects,
    and each text makes enough new ones for it to look at all.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Folding:
    """A fold under way: parts of FOLDED_AT_ONCE documents, each with an accumulator a thread."""

    def __init__(self, work: Work, model: Model, start: Folded | None) -> None:
        self._work, self._model = work, model
        self.folded = start or Folded(work.accumulator(model.facts))
        self.last: Document | None = None
        self.told = self.folded.tally  # also of the part under way
        # by number of the text that is run; with its part, and its document's windows
        self._documents: dict[int, tuple[Document, int, int]] = {}
        self._parts: dict[tuple[int, int], Accumulator] = {}  # by part and thread
        self._tallies: dict[int, Tally] = {}
        self._problems: dict[int, list[Problem]] = {}
        self._lasts: dict[int, Document] = {}
        self._part = 0
        self._lock = threading.Lock()

    def numbered(self, documents: Iterable[Document | Problem]) -> Iterator[tuple[int, Tokens]]:
        """The texts to run, each with a number of its own."""
        number, count = 0, 0  # of texts; a long document has several
        for document in documents:
            part = count // FOLDED_AT_ONCE
            if isinstance(document, Problem):
                self._leave_out(part, document)
                continue
            count += 1
            self._lasts[part] = document
            try:
                texts = self._work.tokens(self._model, document)
            except AttnvizError as error:
                self._leave_out(part, Problem(document.source, document.line, str(error)))
                continue
            with self._lock:
                self._tallies[part] = self._tallies.get(part, Tally()).plus(Tally(documents=1))
            for tokens in texts:
                self._documents[number] = document, part, len(texts)
                yield number, tokens
                number += 1
            count += len(texts) - 1

    def use(self, number: int, result: Inspection | AttnvizError) -> Tally:
        """Add one text up, on whichever thread ran it."""
        document, part, windows = self._documents[number]
        if isinstance(result, AttnvizError):
            lost = int(windows == 1)  # of a long document, other windows count
            problem = Problem(document.source, document.line, str(result))
            return Tally(documents=-lost, left_out=lost, problems=(problem,))
        own = part, threading.get_ident()
        with self._lock:
            accumulator = self._parts.get(own)
            if accumulator is None:
                accumulator = self._parts[own] = self._work.accumulator(self._model.facts)
        seen = Seen(document, result, self._work.measure)
        accumulator.add(seen)
        pieces, words = len(result.tokens), sum(not word.special for word in seen.view.tokens)
        return Tally(windows=1, pieces=pieces, words=words)

    def count(self, number: int, tally: Tally) -> bool:
        """Count a text that was used, in order; whether a part is done with the one before it."""
        part = self._documents.pop(number)[1]
        done = part > self._part
        if done:
            self._join(part)
        with self._lock:
            self._tallies[part] = self._tallies.get(part, Tally()).plus(tally)
            self.told = self.folded.tally.plus(self._tallies[part])
        return done

    def finish(self) -> None:
        """Join what is left."""
        self._join(max([self._part, *self._tallies]) + 1)

    def _join(self, before: int) -> None:
        """Join all parts before this one."""
        self._part = before
        with self._lock:
            for own in sorted(own for own in self._parts if own[0] < before):
                self.folded.accumulator.merge(self._parts.pop(own))
            for part in sorted(part for part in self._tallies if part < before):
                self.folded.tally = self.folded.tally.plus(self._tallies.pop(part))
            for part in sorted(part for part in self._lasts if part < before):
                self.last = self._lasts.pop(part)
        self.told = self.folded.tally

    def _leave_out(self, part: int, problem: Problem) -> None:
        with self._lock:
            self._tallies[part] = self._tallies.get(part, Tally()).without(problem)
