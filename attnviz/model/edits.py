"""Run a model's text again with edits of its heads, in our own encoder and through transformers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from attnviz.attention.edits import Edit, Find, Replaced
from attnviz.attention.layer import LayerRecord
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts
from attnviz.inspection.edited import Output
from attnviz.model.native import NativeRunner
from attnviz.text.tokens import Tokens, Translated

if TYPE_CHECKING:
    from attnviz.encoder.edits import EditedRuns

EVERY = slice(None)


class Engine(Protocol):
    """Makes edits, whose numbers `find` gives; the runs' first layers must ascend."""

    @property
    def plain(self) -> Output:
        """The run without edits."""

    def edited(
        self, runs: Sequence[Sequence[Edit]], find: Find, pieces: slice = EVERY
    ) -> Iterator[Output]:
        """See `Runs`."""


@dataclass(eq=False)
class EditableText:
    """Implements `Runs`: a text in a model, which ran once, and can be run again with edits."""

    facts: ModelFacts
    tokens: Tokens  # whose states are given
    engine: Engine
    record: Callable[[], Inspection]  # of the run without edits

    @property
    def plain(self) -> Output:
        """What the run without edits gave, of all pieces."""
        return self.engine.plain

    def edited(self, runs: Sequence[Sequence[Edit]], pieces: slice = EVERY) -> Iterator[Output]:
        """See `Runs`.

        RequestError for a run without edits, a head that the model lacks, one that shares the keys
        or values to edit, and rows that are not there.
        """
        first = [self._first(run) for run in runs]
        if any(edit.needs_record for run in runs for edit in run):
            _ = self.layers  # before other threads ask for them
        if first == sorted(first):
            yield from self.engine.edited(runs, self._found, pieces)
            return
        order = sorted(range(len(runs)), key=first.__getitem__)
        outputs = self.engine.edited([runs[number] for number in order], self._found, pieces)
        by_number = dict(zip(order, outputs, strict=True))
        yield from (by_number[number] for number in range(len(runs)))

    def _first(self, run: Sequence[Edit]) -> int:
        """The first layer that a run edits."""
        if not run:
            raise RequestError("no head is named to edit", "name at least one")
        facts = self.facts
        for edit in run:
            if not (0 <= edit.layer < facts.num_layers and 0 <= edit.head < facts.num_heads):
                head = HeadId(edit.layer, edit.head)
                raise RequestError(f"there is no head {head} to edit", f"{facts}")
        return min(edit.layer for edit in run)

    def _found(self, edit: Edit) -> Replaced:
        """An edit with its numbers."""
        record = self.layers[edit.layer] if edit.needs_record else None
        return edit.replaced(len(self.tokens), record)

    @cached_property
    def layers(self) -> tuple[LayerRecord | None, ...]:
        """The records of the run without edits."""
        return self.record().layers


@dataclass(eq=False)
class _Native:
    """Our own encoder's runs, with the scores that a head makes of final states."""

    runs: "EditedRuns"
    scores: Callable[[np.ndarray], np.ndarray] | None
    places: Sequence[int]

    @cached_property
    def plain(self) -> Output:
        """See `Engine`."""
        return self._output(self.runs.states, EVERY)

    def edited(
        self, runs: Sequence[Sequence[Edit]], find: Find, pieces: slice = EVERY
    ) -> Iterator[Output]:
        """See `Engine`."""
        scored = self.scores is not None
        for states in self.runs.edited(runs, find, EVERY if scored else pieces):
            yield self._output(states, pieces if scored else EVERY)

    def _output(self, states: np.ndarray, pieces: slice) -> Output:
        scores = None if self.scores is None else self.scores(states[list(self.places)])
        return Output(states[pieces], scores)


def editable(
    runner: Any,
    text: Tokens,
    record: Callable[[], Inspection],
    runs: float = 2,
    head: Any = None,
    places: Sequence[int] = (),
) -> EditableText:
    """A text that a runner runs once now, and about `runs` times in all; see `Model.editable`."""
    if isinstance(runner, NativeRunner):
        scorer = None if head is None else head.scorer.scores
        native = _Native(runner.edited_runs(text, runs), scorer, places)
        return EditableText(runner.facts, text, native, record)
    engine = runner.edited_runs(text, head, places)
    shown = text.target if isinstance(text, Translated) and runner.decodes else None
    return EditableText(runner.facts, shown or text, engine, record)


def fed(inspection: Inspection, decodes: bool) -> Tokens:
    """What the inspection's model was fed; AttnvizError if that is not known.

    decodes: whether a decoder, whose attention it is, runs beside an encoder.
    """
    source = inspection.source or inspection.keys
    if source is not None:
        return Translated.of(source, inspection.tokens)
    if decodes:
        raise AttnvizError(
            "a decoder reads the encoder's text too, which is not kept with the decoder's own "
            "attention",
            "give the text again, as TEXT",
        )
    return inspection.tokens
