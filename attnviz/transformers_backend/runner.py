"""Sentences through a model that transformers runs."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from attnviz.attention.layer import LayerRecord, Projections
from attnviz.attention.request import RecordRequest
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection
from attnviz.text.tokens import Tokens
from attnviz.transformers_backend.batch import Feed
from attnviz.transformers_backend.facts import (
    facts_of,
    max_positions,
    num_token_types,
    numbers_per_token,
)
from attnviz.transformers_backend.recordable import RecordableModel

WRITTEN_AT_MOST = 128
"""How many tokens a decoder writes at most, where it is not told what to be fed."""

Results = list[Inspection | AttnvizError]


class TargetTokenizer(Protocol):
    """What cuts and reads the text that a decoder is fed."""

    def encode_target(self, text: str, start: int | None = None, truncate: bool = False) -> Tokens:
        """What a decoder is fed while it writes this text, beginning with the id `start`."""

    def reading(self, ids: Sequence[int]) -> Tokens:
        """Ids that a decoder was fed, as the text that they stand for."""


class TransformersRunner:
    """A model that transformers runs; see `Runner` in attnviz/model/runner.py.

    A decoder's rows are the tokens that it is fed, its start token first: row i is the step that
    writes token i + 1. They are those of `target`, or else what it writes itself. `left_over`:
    tensors of its files that it does not have.

    Raises RequestError for a target that cannot be cut, AttnvizError for a model whose layers
    cannot be told as ModelFacts.
    """

    alone = True

    def __init__(
        self,
        name: str,
        opened: RecordableModel,
        tokenizer: TargetTokenizer,
        target: str | None = None,
    ) -> None:
        self.facts = facts_of(name, opened)
        self.vocab_size: int = opened.config.get_text_config().vocab_size
        self.num_token_types = num_token_types(opened)
        self.numbers_per_token = numbers_per_token(opened.trial)
        self.left_over = opened.left_over
        self._opened = opened
        self._tokenizer = tokenizer
        self._target = None if target is None else self._cut(target)

    def run(self, batch: Sequence[Tokens], recording: RecordRequest) -> Results:
        """As in `Runner`."""
        types = [tokens.type_ids for tokens in batch] if self.num_token_types else None
        try:
            fed = [self._fed(tokens) for tokens in batch] if self._opened.decodes else None
            feed = Feed(
                [tokens.ids for tokens in batch],
                types,
                None if fed is None else [tokens.ids for tokens in fed],
            )
            longest = max(map(max, feed.lengths(self._opened.kind)))
            records = self._opened.record(feed, recording.of(longest * self.numbers_per_token))
        except AttnvizError as error:
            return [error] * len(batch)
        return [self._built(*parts) for parts in zip(batch, fed or batch, records, strict=True)]

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """As in `Runner`."""
        number = range(self.facts.num_layers)[layer]
        return self._opened.projections(number, inspection.layer(number))

    def _built(
        self, source: Tokens, queries: Tokens, layers: list[LayerRecord | None]
    ) -> Inspection | AttnvizError:
        kind = self._opened.kind
        keys = source if kind == "cross" else None
        if source.part is not None and keys is None:  # what a decoder is fed beside a window
            queries = replace(queries, part=source.part)
        try:
            return Inspection(queries, self.facts, tuple(layers), keys, kind)
        except AttnvizError as error:
            return error

    def _fed(self, source: Tokens) -> Tokens:
        """What the decoder is fed beside this text."""
        if self._target is not None:
            return self._target
        most = min(WRITTEN_AT_MOST, max_positions(self._opened) or WRITTEN_AT_MOST)
        return self._tokenizer.reading(self._opened.write(source.ids, most))

    def _cut(self, target: str) -> Tokens:
        tokens = self._tokenizer.encode_target(target, self._opened.start)
        if max(tokens.ids) >= self.vocab_size:
            raise AttnvizError(
                f"the tokenizer gave id {max(tokens.ids)}, and the model has {self.vocab_size}",
                "check that the tokenizer and the weights belong together",
            )
        return tokens
