"""A model that is loaded, with its tokenizer: sentences in, inspections out."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attnviz.attention.layer import Projections
from attnviz.attention.request import WHOLE, RecordRequest
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection
from attnviz.inspection.ablated import Ablated, Replacement
from attnviz.model.ablating import Ablating, not_ablated
from attnviz.model.batches import BATCH_TOKENS, Begun, batches_of, in_order, windows
from attnviz.model.native import NativeRunner
from attnviz.model.runner import Runner
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Tokens

if TYPE_CHECKING:
    from attnviz.encoder.devices import Begin

WINDOW_BYTES = 96 * 1024 * 1024
"""Memory that sentences' vectors take that run together; two windows are held at most."""


class Model:
    """A model with its tokenizer, ready to inspect sentences.

    `notes` are sentences that whoever loads the model should read, such as what its file held
    beside the encoder, or that numbers are not float32's.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        runner: Runner,
        notes: tuple[str, ...] = (),
    ) -> None:
        self.facts = runner.facts
        self.tokenizer = tokenizer
        self.notes = notes
        self._runner = runner

    def tokenize(self, text: str, pair: str | None = None, truncate: bool = False) -> Tokens:
        """Cut a sentence, or a pair, as this model does; RequestError as in Tokenizer.encode."""
        runner = self._runner
        told_apart = runner.num_token_types > 1 or self.tokenizer.separates_pairs
        if pair is not None and not told_apart:
            raise RequestError(
                f"the model {self.facts.name} does not know pairs of sentences", "leave out --pair"
            )
        return self._checked(self.tokenizer.encode(text, pair, truncate))

    def windows(self, text: str, stride: int) -> list[Tokens]:
        """Cut a text that is too long into windows that overlap; see Tokenizer.windows.

        A text that fits is one, without a `part`.
        """
        windows = self.tokenizer.windows(text, stride)
        for tokens in windows:
            self._checked(tokens)
        return windows

    def _checked(self, tokens: Tokens) -> Tokens:
        """The tokens, if the model has vectors for all of them; else AttnvizError."""
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
        text: str,
        pair: str | None = None,
        truncate: bool = False,
        recording: RecordRequest = WHOLE,
    ) -> Inspection:
        """Run one sentence, or a pair, and keep what its layers' attention worked with."""
        return next(self.inspect_tokens([self.tokenize(text, pair, truncate)], recording))

    def inspect_tokens(
        self, sentences: Sequence[Tokens], recording: RecordRequest = WHOLE
    ) -> Iterator[Inspection]:
        """Run tokenized sentences in batches of like length, and give them back in their order.

        The numbers do not depend on what else is in the batch, to 1e-5.
        """
        for _, inspection in self.inspect_stream(enumerate(sentences), recording):
            if isinstance(inspection, AttnvizError):
                raise inspection
            yield inspection

    def inspect_stream(
        self, sentences: Iterable[tuple[int, Tokens] | None], recording: RecordRequest = WHOLE
    ) -> Iterator[tuple[int, Inspection | AttnvizError]]:
        """Run numbered sentences as they come, and give back each number with what became of it.

        As many sentences as WINDOW_BYTES allow run together, while those before them are being
        used. None among them says that no more have come so far: then what is there is given out
        before the next is waited for.
        """
        from attnviz.encoder.devices import workers

        bytes_per_token = 4 * self._runner.numbers_per_token
        begun: deque[Begun] = deque()
        with workers(self._runner.alone) as begin:
            for window in windows(sentences, WINDOW_BYTES // bytes_per_token):
                if window:
                    begun.append(self._begin(begin, window, recording))
                while len(begun) > (1 if window else 0):
                    yield from in_order(begun.popleft())

    def ablate(
        self, tokens: Tokens, heads: Sequence[HeadId], replacement: Replacement = "zero"
    ) -> Ablated:
        """Run a sentence as it is and without these heads, all of them together.

        At each `[MASK]`, a model with a masked-LM head also says what it predicts. RequestError for
        no head, or one that the model does not have, and for a model that is not read natively.
        """
        return self._ablating().ablate(tokens, heads, replacement)

    def ablate_each(
        self, tokens: Tokens, replacement: Replacement = "zero", pieces: slice = slice(None)
    ) -> Iterator[Ablated]:
        """The same for every head of the model alone, layer by layer, as batches.

        Only the states of `pieces` are computed and given: so a single word takes less time.
        """
        return self._ablating().ablate_each(tokens, replacement, pieces)

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """The matrices of a layer that made what this model left behind; see `Projections`.

        Raises AttnvizError where they made other numbers, or are not how the model makes them.
        """
        return self._runner.projections(inspection, layer)

    def _ablating(self) -> Ablating:
        if not isinstance(self._runner, NativeRunner):
            raise not_ablated(self.facts)
        return Ablating(self._runner, self.tokenizer)

    def _begin(
        self, begin: "Begin", window: Sequence[tuple[int, Tokens]], recording: RecordRequest
    ) -> Begun:
        by_length = sorted(window, key=lambda numbered: len(numbered[1]))
        batches = list(batches_of(by_length))
        all_threads = len(batches) == 1 and sum(len(tokens) for _, tokens in window) > BATCH_TOKENS
        return [
            (
                [index for index, _ in batch],
                begin(
                    all_threads,
                    partial(self._runner.run, [tokens for _, tokens in batch], recording),
                ),
            )
            for batch in batches
        ]
