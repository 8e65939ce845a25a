"""Fold a corpus: each text is run, what is asked adds it up, and nothing else is kept of it."""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from attnviz.attention.measures import MeasureName
from attnviz.attention.request import RecordRequest
from attnviz.attention.shapes import Bool
from attnviz.corpus.document import Document, Problem
from attnviz.corpus.pace import Rhythm, Stop
from attnviz.corpus.place import Passed, Place
from attnviz.corpus.resampling import times_of
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Block, Inspection, ModelFacts, View
from attnviz.model.model import Model
from attnviz.text.tokens import Tokens

TOLD = 20
"""Of how many problems the text is kept; the others are counted."""

WAITED = 0.5
"""Seconds at most until a thread has added up its text, and what it has can be joined."""

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
        """What is asked, in JSON: a run that is resumed must ask the same.

        `question`: the command, with the option that says what kind.
        """

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
    """What was added up, of how much, and how far that is."""

    accumulator: Accumulator
    tally: Tally = field(default_factory=Tally)
    place: Place = field(default_factory=Place)


Progress = Callable[[Tally], None]
"""Called with what was read so far."""

Keep = Callable[[Folded], None]
"""Called now and then with all so far."""


def fold(
    work: Work,
    documents: Iterable[Document | Problem],
    model: Model,
    start: Folded | None = None,
    keep: Keep | None = None,
    progress: Progress | None = None,
    stop: Stop | None = None,
) -> Folded:
    """Run each document and add it up, on this machine's processors; what is kept does not grow.

    `start`: what was folded before. A document that cannot be run is a Problem in the tally. Once
    `stop` is asked, what runs is added up, and what was read beside that is left (`Place`).
    """
    stop, rhythm = stop or Stop(), Rhythm()
    folding = _Folding(work, model, start, keep is not None)
    stream = folding.numbered(stop.until(documents))
    with _little_to_collect(), closing(model.each(stream, folding.use, SPARING)) as each:
        for _, tally in each:
            folding.told = folding.told.plus(tally)
            if progress is not None:
                progress(folding.told)
            if stop.asked:
                break
            if keep is not None and rhythm.due:
                with rhythm.keeping():
                    keep(folding.joined())
    folded = folding.joined()
    if progress is not None:
        progress(folded.tally)
    if keep is not None:
        keep(folded)
    return folded


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


class _Text(NamedTuple):
    """One that is run: of which document, the number of its window, and of how many."""

    document: Document
    window: int
    windows: int


@dataclass(eq=False)
class _Part:
    """What one thread after another has added up since parts were joined the last time.

    `numbers`: the texts in it, where it matters which.
    """

    accumulator: Accumulator
    round: int
    tally: Tally = field(default_factory=Tally)
    numbers: list[int] = field(default_factory=list)


class _Folding:
    """A fold under way: parts that threads add to, and what they come to once they are joined.

    A thread takes a part for each text, so that all others can be joined at any time. `keeps`: it
    matters which texts are folded.
    """

    def __init__(self, work: Work, model: Model, start: Folded | None, keeps: bool) -> None:
        self._work, self._model, self._keeps = work, model, keeps
        self._folded = start or Folded(work.accumulator(model.facts))
        self._left = self._folded.place.windows
        self._passed = Passed(self._folded.place)
        self.told = self._folded.tally  # also of what is not joined yet
        self._texts: dict[int, _Text] = {}  # those that were read and not joined yet
        self._read = Tally()  # what reading itself has to tell
        self._idle: list[_Part] = []
        self._ready: list[_Part] = []  # to be joined, and not added to
        self._taken: list[_Part] = []
        self._round = 0
        self._lock = threading.Condition()

    def numbered(self, documents: Iterable[Document | Problem]) -> Iterator[tuple[int, Tokens]]:
        """The texts to run, each with a number of its own."""
        number = 0  # of texts; a long document has several
        for document in documents:
            windows: set[int] | None = None
            if isinstance(document, Document):
                windows = self._left.pop((document.source, document.number), None)
            if windows is None:  # one that is left was counted already
                self._passed.add(document)
            if isinstance(document, Problem):
                self._tell(Tally().without(document))
                continue
            try:
                texts = self._work.tokens(self._model, document)
            except AttnvizError as error:
                problem = Problem(document.source, document.line, str(error))
                self._tell(Tally().without(problem))
                continue
            if not texts:
                self._tell(Tally(documents=1))
            wanted = [
                (number + window, _Text(document, window, len(texts)), tokens)
                for window, tokens in enumerate(texts)
                if windows is None or window in windows
            ]
            number += len(texts)
            with self._lock:  # all at once: what was read and not folded is left
                self._texts |= {own: text for own, text, _ in wanted}
            yield from ((own, tokens) for own, _, tokens in wanted)

    def use(self, number: int, result: Inspection | AttnvizError) -> Tally:
        """Add one text up, on whichever thread ran it."""
        with self._lock:
            text = self._texts[number]
            idle = self._idle
            new = None if idle else _Part(self._work.accumulator(self._model.facts), self._round)
            part = new or idle.pop()
            self._taken.append(part)
        tally = self._added(text, result, part.accumulator)
        part.tally = part.tally.plus(tally)
        with self._lock:
            if self._keeps:
                part.numbers.append(number)
            else:
                del self._texts[number]
            self._taken.remove(part)
            (self._idle if part.round == self._round else self._ready).append(part)
            self._lock.notify()
        return tally

    def joined(self) -> Folded:
        """All that is folded, but for parts that a thread still has after a while."""
        with self._lock:
            self._ready, self._idle = self._ready + self._idle, []
            self._round += 1
            self._lock.wait_for(
                lambda: all(part.round == self._round for part in self._taken), WAITED
            )
            parts, self._ready = self._ready, []
            for part in parts:
                for number in part.numbers:
                    del self._texts[number]
            left = [
                (text.document.source, text.document.number, text.window)
                for text in self._texts.values()
            ]
        left += [(*key, window) for key, windows in self._left.items() for window in windows]
        folded = self._folded
        folded.tally = folded.tally.plus(self._read)
        self._read = Tally()
        for part in parts:
            folded.accumulator.merge(part.accumulator)
            folded.tally = folded.tally.plus(part.tally)
        folded.place = self._passed.place(left)
        return folded

    def _added(
        self, text: _Text, result: Inspection | AttnvizError, accumulator: Accumulator
    ) -> Tally:
        """What a text adds to the tally, once it is in the accumulator."""
        document = text.document
        first = int(text.window == 0)  # a long document counts once
        if isinstance(result, AttnvizError):
            lost = int(text.windows == 1)  # of a long document, other windows count
            problem = Problem(document.source, document.line, str(result))
            return Tally(documents=first - lost, left_out=lost, problems=(problem,))
        seen = Seen(document, result, self._work.measure)
        accumulator.add(seen)
        pieces, words = len(result.tokens), sum(not word.special for word in seen.view.tokens)
        return Tally(documents=first, windows=1, pieces=pieces, words=words)

    def _tell(self, tally: Tally) -> None:
        self._read = self._read.plus(tally)
        self.told = self.told.plus(tally)
