"""Run sentences through a model that transformers runs."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np

from attnviz.attention.layer import Projections
from attnviz.attention.request import RecordRequest
from attnviz.attention.sublayers import Embedded, Sublayers
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Tokens, Translated, Typed
from attnviz.transformers_backend import describe
from attnviz.transformers_backend.embedded import find_embedded
from attnviz.transformers_backend.record import MAX_WRITTEN, Batch
from attnviz.transformers_backend.recordable import RecordableModel

if TYPE_CHECKING:
    from attnviz.transformers_backend.edits import EditedRuns
    from attnviz.transformers_backend.heads import TransformersHead

Results = list[Inspection | AttnvizError]


class TransformersRunner:
    """A `Runner` with a model of transformers; RequestError for a target that cannot be tokenized.

    A decoder is fed `target`, or its own output, after its start token: row i writes token i + 1.
    """

    alone = True

    def __init__(
        self, name: str, model: RecordableModel, tokenizer: Tokenizer, target: Typed | None = None
    ) -> None:
        self.facts = describe.facts_of(name, model)
        self.vocab_size = describe.vocab_size(model)
        self.num_token_types = describe.num_token_types(model)
        self.feeds_types = tokenizer.gives_types and describe.takes_types(model)
        self.numbers_per_token = model.trial.numbers_per_token
        self.decodes = model.decodes
        self.model = model
        self._tokenizer = tokenizer
        self.given = None if target is None else self.fed(target)  # for the decoder

    def fed(self, target: Typed) -> Tokens:
        """See `Feeding`."""
        start = self.model.setting("decoder_start_token_id")
        tokens = self._tokenizer.encode_target(target, start)
        size = describe.vocab_size(self.model, "decoder")
        wrong = [number for number in tokens.ids if number not in range(size)]
        if wrong:
            raise AttnvizError(
                f"the tokenizer gave id {wrong[0]}, and the model has {size}",
                "check that the tokenizer and the weights belong together",
            )
        return tokens

    def translated(self, source: Tokens) -> Translated:
        """See `Feeding`."""
        if isinstance(source, Translated) and source.target is not None:
            return source
        return Translated.of(source, self._target_of(source))

    def run(self, batch: Sequence[Tokens], recording: RecordRequest) -> Results:
        """See `Runner`."""
        if len(batch) > 1 and not self.model.shares(max(map(len, batch))):
            return [result for tokens in batch for result in self.run([tokens], recording)]
        types = [tokens.type_ids for tokens in batch] if self.feeds_types else None
        try:
            targets = [self._target_of(tokens) for tokens in batch] if self.model.decodes else None
            fed = None if targets is None else [tokens.ids for tokens in targets]
            ids = Batch([tokens.ids for tokens in batch], types, fed)
            longest = max(map(max, ids.lengths(self.model.kind)))
            records = self.model.record(ids, recording.of(longest * self.numbers_per_token))
        except AttnvizError as error:
            return [error] * len(batch)
        results: Results = []
        kind = self.model.kind
        for source, queries, layers in zip(batch, targets or batch, records, strict=True):
            alone = source.source if isinstance(source, Translated) else source
            keys = alone if kind == "cross" else None
            if source.part is not None and keys is None:  # a decoder's text, next to a window
                queries = replace(queries, part=source.part)
            try:
                read = alone if targets is not None else None
                results.append(Inspection(queries, self.facts, tuple(layers), keys, kind, read))
            except AttnvizError as error:
                results.append(error)
        return results

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """See `Runner`."""
        number = range(self.facts.num_layers)[layer]
        return self.model.projections(number, inspection.layer(number))

    def states(self, tokens: Tokens) -> np.ndarray:
        """See `Runner`. AttnvizError where a decoder beside an encoder is shown."""
        types = [tokens.type_ids] if self.feeds_types else None
        return self.model.states(Batch([tokens.ids], types))

    def sublayers(
        self, inspection: Inspection, layers: Sequence[int], pieces: Sequence[int]
    ) -> list[Sublayers | AttnvizError]:
        """See `Runner`."""
        if self.model.kind == "decoder" and self.model.decodes:
            raise AttnvizError(
                "a decoder's layer reads the encoder's text too, which is not kept with the "
                "decoder's own attention",
                "--attention cross shows its layers",
            )
        return self.model.sublayers(layers, self._batch(inspection), pieces)

    def embedded(self, inspection: Inspection, pieces: Sequence[int]) -> Embedded:
        """See `Runner`. Found in a run, as the layers' parts are."""
        find = partial(find_embedded, model=self.model.model)
        [found] = self.model.sublayers([0], self._batch(inspection), pieces, find)
        if isinstance(found, AttnvizError):
            raise found
        return cast(Embedded, found)

    def _batch(self, inspection: Inspection) -> Batch:
        """The inspection's text, to be run again."""
        source = inspection.key_tokens
        types = [source.type_ids] if self.feeds_types else None
        targets = [inspection.tokens.ids] if self.model.decodes else None
        return Batch([source.ids], types, targets)

    def edited_runs(
        self,
        tokens: Tokens,
        head: "TransformersHead | None" = None,
        places: Sequence[int] = (),
    ) -> "EditedRuns":
        """A text that ran once, and can be run again with edits; see `EditedRuns`.

        Heads of a whole text make their decoder's input of it themselves.
        """
        from attnviz.transformers_backend.edits import EditedRuns

        types = [tokens.type_ids] if self.feeds_types else None
        decodes = self.model.decodes or (head is not None and head.facts.kind == "seq2seq-lm")
        targets = [self._target_of(tokens).ids] if decodes else None
        return EditedRuns(self.model, Batch([tokens.ids], types, targets), head, places)

    def _target_of(self, source: Tokens) -> Tokens:
        """What the decoder is fed for this text."""
        if isinstance(source, Translated) and source.target is not None:
            return source.target
        if self.given is not None:
            return self.given
        most = min(MAX_WRITTEN, describe.max_positions(self.model) or MAX_WRITTEN)
        return self._tokenizer.reading(self.model.write(source.ids, most))
