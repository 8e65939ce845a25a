"""A loaded model with its tokenizer: text in, inspections out."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

import numpy as np

from attnviz.attention.layer import Projections
from attnviz.attention.request import WHOLE, RecordRequest
from attnviz.errors import AttnvizError, RequestError
from attnviz.files import look_ahead
from attnviz.inspection import HeadId, Inspection, ModelFacts
from attnviz.inspection.ablated import Ablated, Ablating, Replacement
from attnviz.inspection.pooled import Pooled
from attnviz.model.batches import BATCH_TOKENS, Numbered, batches_of, windows
from attnviz.model.native import NativeRunner, Results
from attnviz.models.files import ModelFiles
from attnviz.models.pooling import Pooling, read_pooling
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Tokens, Translated, Typed
from attnviz.text.windows import windows_at

if TYPE_CHECKING:
    from attnviz.attention.edits import Edit
    from attnviz.attention.sublayers import Embedded, Sublayers
    from attnviz.inspection.edited import Output
    from attnviz.model.edits import EditableText
    from attnviz.threads import Begin

# memory for the recorded vectors of one window of sentences; at most two are in memory
WINDOW_BYTES = 96 * 1024 * 1024

BYTES_A_TOKEN = 5
"""About so many bytes of a text make a token."""

FOLDED_TOKENS = 1 << 14
"""The tokens in a window whose inspections are used at once, and not kept: many, so that batches
are of sentences of like length."""

Result = TypeVar("Result")
Window = list[tuple[list[int], Future[list[Result]]]]
"""Batches that were started: the numbers of their sentences, and their future results."""


class Runner(Protocol):
    """A loaded model without its tokenizer; `facts` describe the part that is recorded."""

    facts: ModelFacts
    vocab_size: int
    num_token_types: int
    feeds_types: bool  # to the model, where the tokenizer gives them; without, all are of type 0
    numbers_per_token: int  # float32 numbers that a full recording keeps
    decodes: bool  # a decoder, with a text of its own, is shown next to an encoder

    @property
    def alone(self) -> bool:
        """Whether batches run one after another, as on a GPU."""

    def run(self, batch: Sequence[Tokens], recording: RecordRequest) -> Results:
        """Run sentences together; return an inspection or an error for each, in order."""

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """The layer's matrices; AttnvizError if they do not give the recorded numbers."""

    def states(self, tokens: Tokens) -> np.ndarray:
        """The final states of a sentence's pieces, (piece, d_model), float32."""

    def sublayers(
        self, inspection: Inspection, layers: Sequence[int], pieces: Sequence[int]
    ) -> "list[Sublayers | AttnvizError]":
        """Layers' parts, and what they do to some pieces; an error for each that none fit."""

    def embedded(self, inspection: Inspection, pieces: Sequence[int]) -> "Embedded":
        """What enters the first layer for some pieces, as a sum."""


@runtime_checkable
class Feeding(Protocol):
    """A runner of a model whose decoder is fed a target beside the source."""

    def fed(self, target: Typed) -> Tokens:
        """What the decoder is fed for a target; RequestError for one that cannot be tokenized."""

    def translated(self, source: Tokens) -> Translated:
        """A source with the target that came with the model, or else what the model writes."""


class Model:
    """A model with its tokenizer, ready to inspect sentences; `notes` on it are for the user."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        runner: Runner,
        notes: tuple[str, ...] = (),
        files: ModelFiles | None = None,
    ) -> None:
        self.facts = runner.facts
        self.tokenizer = tokenizer
        self.notes = (*notes, *tokenizer.notes)
        self.files = files
        self.decodes = runner.decodes
        self._runner = runner

    def tokenize(self, text: Typed, pair: Typed | None = None, truncate: bool = False) -> Tokens:
        """Tokenize a sentence, or a pair, or their words; RequestError as in `Tokenizer.encode`."""
        num_types, cutter = self._runner.num_token_types, self.tokenizer
        takes_pairs = (num_types > 1 and cutter.gives_types) or cutter.separates_pairs
        if pair is not None and not takes_pairs:
            raise RequestError(
                f"the model {self.facts.name} does not take pairs of sentences", "leave out --pair"
            )
        tokens = cutter.encode(text, pair, truncate)
        if num_types == 1:  # as of a RoBERTa with BERT's tokenizer
            tokens = replace(tokens, type_ids=(0,) * len(tokens))
        return self._checked(tokens)

    def translated(self, text: Typed, target: Typed) -> Translated:
        """Tokenize a source and a target of its own, or their words.

        RequestError as in `Tokenizer.encode`, and if no decoder beside an encoder is shown.
        """
        runner = self._runner
        if not (self.decodes and isinstance(runner, Feeding)):
            raise RequestError(
                f"{self.facts.name} shows no decoder beside an encoder, to which a target is fed",
                "take a model with both, such as T5 or BART, and --attention cross",
            )
        return Translated.of(self.tokenize(text), runner.fed(target))

    def note_on(self, tokens: Tokens) -> str | None:
        """What the user should know of a pair that the model is fed without token types."""
        num_types, gives = self._runner.num_token_types, self.tokenizer.gives_types
        if tokens.pair is None or not num_types or gives == (num_types > 1):
            return None
        why = "the model knows one" if gives else "its tokenizer gives none"
        return f"both sentences of a pair have token type 0: {why}"

    def windows(self, text: Typed, stride: int) -> list[Tokens]:
        """Cut a long text into overlapping windows; see `Tokenizer.windows`."""
        return list(map(self._checked, self.tokenizer.windows(text, stride)))

    def windows_at(
        self, text: Typed, starts: Sequence[int], at_once: int | None = None
    ) -> list[Tokens]:
        """Cut a text into windows of whole sentences, which do not overlap; see `windows_at`."""
        whole = self.tokenizer.whole(text)
        most = self.tokenizer.max_length or len(whole)
        return list(map(self._checked, windows_at(whole, most, starts, at_once)))

    def _checked(self, tokens: Tokens) -> Tokens:
        """The tokens; AttnvizError if the model has no embedding for one of them."""
        runner = self._runner
        tables = [("id", tokens.ids, runner.vocab_size)]
        if runner.num_token_types:
            tables.append(("token type", tokens.type_ids, runner.num_token_types))
        for what, numbers, size in tables:
            if max(numbers) >= size:
                raise AttnvizError(
                    f"the tokenizer gave {what} {max(numbers)}, and the model has {size}",
                    "check that tokenizer.json and model.safetensors belong together",
                )
        return tokens

    def inspect(
        self,
        text: Typed,
        pair: Typed | None = None,
        truncate: bool = False,
        recording: RecordRequest = WHOLE,
    ) -> Inspection:
        """Run one sentence, or a pair, and record its attention."""
        return next(self.inspect_tokens([self.tokenize(text, pair, truncate)], recording))

    def inspect_tokens(
        self, sentences: Sequence[Tokens], recording: RecordRequest = WHOLE
    ) -> Iterator[Inspection]:
        """Run sentences in batches, which change no number by more than 1e-5; yield in order."""
        for _, inspection in self.inspect_stream(enumerate(sentences), recording):
            if isinstance(inspection, AttnvizError):
                raise inspection
            yield inspection

    def inspect_stream(
        self, sentences: Iterable[Numbered | None], recording: RecordRequest = WHOLE
    ) -> Iterator[tuple[int, Inspection | AttnvizError]]:
        """Run numbered sentences as they arrive; yield each number with its result.

        None means that the next sentence may take a while: results so far are yielded first.
        """
        bytes_per_token = 4 * self._runner.numbers_per_token
        yield from self._stream(
            windows(sentences, WINDOW_BYTES // bytes_per_token), _as_it_is, recording, _in_order
        )

    def each(
        self,
        sentences: Iterable[Numbered | None],
        use: Callable[[int, Inspection | AttnvizError], Result],
        recording: RecordRequest = WHOLE,
    ) -> Generator[tuple[int, Result], None, None]:
        """Run numbered sentences, and use each on the thread that ran it: what `use` gives.

        Inspections are not kept; results come in the order in which sentences are run. Once it is
        closed, what is not begun is not run.
        """
        yield from self._stream(windows(sentences, FOLDED_TOKENS), use, recording, _as_run)

    def _stream(
        self,
        cut: Iterable[list[Numbered]],
        use: Callable[[int, Inspection | AttnvizError], Result],
        recording: RecordRequest,
        told: "Callable[[Window[Result]], Iterator[tuple[int, Result]]]",
    ) -> Iterator[tuple[int, Result]]:
        from attnviz.threads import workers

        with workers(self._runner.alone) as begin:
            started = (self._begin(begin, window, recording, use) for window in cut)
            # one window runs while the results of the one before are used; an empty one pushes the
            # one before it out, so that no result waits for input
            for batches in look_ahead(started, 1):
                yield from told(batches)

    def expect(self, size: int) -> None:
        """Sentences of so many bytes in all are to come, which tells whether to import torch."""
        if isinstance(self._runner, NativeRunner):
            self._runner.encoders.expected = size // BYTES_A_TOKEN

    @property
    def heads(self) -> list[HeadId]:
        """All heads that are shown, layer by layer."""
        facts = self.facts
        return [HeadId(*place) for place in np.ndindex(facts.num_layers, facts.num_heads)]

    def ablate(
        self,
        text: Tokens | Inspection,
        heads: Sequence[HeadId],
        how: Ablating | Replacement = "zero",
    ) -> Ablated:
        """Run a sentence as it is, and once without these heads; predict each `[MASK]` if it can.

        Raises RequestError if no head is named, or the model lacks one; AttnvizError if it gives
        weights alone.
        """
        how = how if isinstance(how, Ablating) else Ablating(how)
        runs, runner = self.editable(text), self._runner
        [output] = runs.edited([list(map(how.edit, heads))])
        tokens, states, masks = runs.tokens, (runs.plain.states, output.states), None
        if isinstance(runner, NativeRunner):
            masks = runner.predictions(tokens, states, self.tokenizer)
        return Ablated(tokens, self.facts, tuple(heads), how, *states, masks=masks)

    def ablate_each(
        self,
        text: Tokens | Inspection,
        how: Ablating | Replacement = "zero",
        pieces: slice = slice(None),
    ) -> Iterator[Ablated]:
        """Run a sentence without each head in turn, layer by layer; give the states of `pieces`."""
        how = how if isinstance(how, Ablating) else Ablating(how)
        facts, heads = self.facts, self.heads
        runs = self.editable(text, 1 + len(heads) / 2)  # each begins at its head's layer
        plain, first = runs.plain.states[pieces], pieces.indices(len(runs.plain.states))[0]
        edits = [[how.edit(head)] for head in heads]
        for head, output in zip(heads, runs.edited(edits, pieces), strict=True):
            states = plain, output.states
            yield Ablated(runs.tokens, facts, (head,), how, *states, first=first)

    def run_with(self, text: Tokens | Inspection, edits: "Sequence[Edit]") -> "Output":
        """The final states of a sentence, (piece, d_model), with these edits made together.

        Errors as in `editable`; RequestError for a head that is not there, or shares what is edited
        with others.
        """
        return next(self.editable(text).edited([edits]))

    def editable(
        self,
        text: Tokens | Inspection,
        runs: float = 2,
        head: object = None,
        places: Sequence[int] = (),
    ) -> "EditableText":
        """A text that is run once now, and can be run again with edits; about `runs` times in all.

        head: the checkpoint's, from `head_of`, if its scores at `places` are asked for. A decoder
        beside the encoder is fed the target of a `Translated` text, or what the model writes.
        AttnvizError for a model that gives weights alone, and an inspection without its source.
        """
        from attnviz.model.edits import editable, fed

        tokens = text if isinstance(text, Tokens) else fed(text, self.decodes)
        if self.decodes and isinstance(self._runner, Feeding):
            tokens = self._runner.translated(tokens)
        whole = RecordRequest(sparing=True)

        def record() -> Inspection:
            return next(self.inspect_tokens([tokens], whole))

        return editable(self._runner, tokens, record, runs, head, places)

    @cached_property
    def pooling(self) -> Pooling:
        """How the checkpoint makes one vector of a text; AttnvizError as in `read_pooling`."""
        return read_pooling(self.files)

    def states(self, tokens: Tokens) -> np.ndarray:
        """The final states of a sentence's pieces, as the last layer gives them: (piece, d_model).

        AttnvizError if they are not finite, or the model gives none.
        """
        return self._runner.states(tokens)

    def pooled(self, tokens: Tokens, states: np.ndarray | None = None) -> Pooled:
        """A sentence's one vector, of these final states or its own, and what each piece gives."""
        states = self.states(tokens) if states is None else states
        vector, parts = self.pooling.pooled(states)
        return Pooled(tokens, self.facts, self.pooling.facts, vector, parts)

    def pooled_each(
        self, sentences: tuple[Tokens, Tokens], replacement: Replacement = "zero"
    ) -> Iterator[tuple[HeadId, Pooled, Pooled]]:
        """Both sentences' vectors without each head in turn, layer by layer."""
        runs = (self.ablate_each(tokens, replacement) for tokens in sentences)
        for a, b in zip(*runs, strict=True):
            yield a.heads[0], *(self.pooled(run.tokens, run.ablated) for run in (a, b))

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """A layer's matrices; AttnvizError if they do not give the recorded numbers."""
        return self._runner.projections(inspection, layer)

    def sublayers(
        self, inspection: Inspection, layers: Sequence[int], pieces: Sequence[int]
    ) -> "list[Sublayers | AttnvizError]":
        """Layers' parts, and what they do to some pieces; an error for each that none fit."""
        return self._runner.sublayers(inspection, layers, pieces)

    def embedded(self, inspection: Inspection, pieces: Sequence[int]) -> "Embedded":
        """What enters the first layer for some pieces, as a sum: token, position, type."""
        return self._runner.embedded(inspection, pieces)

    def _begin(
        self,
        begin: "Begin",
        window: Sequence[Numbered],
        recording: RecordRequest,
        use: Callable[[int, Inspection | AttnvizError], Result],
    ) -> Window[Result]:
        batches = list(batches_of(sorted(window, key=lambda numbered: len(numbered[1]))))
        # one long batch gets all of torch's threads
        all_threads = len(batches) == 1 and sum(len(tokens) for _, tokens in window) > BATCH_TOKENS
        started: Window[Result] = []
        for batch in batches:
            work = partial(self._run, batch, recording, use)
            started.append(([index for index, _ in batch], begin(all_threads, work)))
        return started

    def _run(
        self,
        batch: Sequence[Numbered],
        recording: RecordRequest,
        use: Callable[[int, Inspection | AttnvizError], Result],
    ) -> list[Result]:
        """Run a batch, and use each inspection as soon as it is there."""
        results = self._runner.run([tokens for _, tokens in batch], recording)
        results.reverse()  # each can be freed once it was used
        return [use(index, results.pop()) for index, _ in batch]


def _as_it_is(_: int, inspection: Inspection | AttnvizError) -> Inspection | AttnvizError:
    return inspection


def _in_order(window: Window[Result]) -> Iterator[tuple[int, Result]]:
    """Wait for a window's results, and yield them in the order of its sentences."""
    results = {
        index: result
        for indices, batch in window
        for index, result in zip(indices, batch.result(), strict=True)
    }
    window.clear()  # so that each result can be freed once it was used
    for index in sorted(results):
        yield index, results.pop(index)


def _as_run(window: Window[Result]) -> Iterator[tuple[int, Result]]:
    """Wait for one batch after the other, and yield its results."""
    while window:
        indices, batch = window.pop(0)
        yield from zip(indices, batch.result(), strict=True)
