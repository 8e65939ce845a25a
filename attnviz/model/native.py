"""Sentences through our own encoder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attnviz.attention.layer import LayerRecord, Projections
from attnviz.attention.request import RecordRequest
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.model.matrices import projections_of
from attnviz.model.runner import Results
from attnviz.text.tokens import Tokens

if TYPE_CHECKING:
    from attnviz.encoder.encoder import Encoder
    from attnviz.encoder.masked_lm import MaskedLm


class NativeRunner:
    """An encoder of ours; see `Runner`. `masked_lm` is None where the model has no such head."""

    def __init__(
        self, facts: ModelFacts, encoder: "Encoder", masked_lm: "MaskedLm | None" = None
    ) -> None:
        self.facts = facts
        self.encoder = encoder
        self.masked_lm = masked_lm
        self.vocab_size = encoder.config.vocab_size
        self.num_token_types = encoder.config.num_token_types
        self.alone = encoder.on_gpu
        vectors = 5 * facts.num_layers  # x, q, k, v, z of each layer
        self.numbers_per_token = vectors * facts.d_model

    def run(self, batch: Sequence[Tokens], recording: RecordRequest) -> Results:
        """As in `Runner`."""
        from attnviz.encoder.record import record

        longest = max(map(len, batch))
        wanted = recording.of(longest * self.numbers_per_token)
        ids, types = [s.ids for s in batch], [s.type_ids for s in batch]
        try:
            layers_of = record(self.encoder, ids, types, wanted)
        except AttnvizError as error:
            return [error] * len(batch)
        return [self._built(*parts) for parts in zip(batch, layers_of, strict=True)]

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """As in `Runner`; they are read from the model's files."""
        return projections_of(inspection, layer)

    def _built(self, tokens: Tokens, layers: list[LayerRecord | None]) -> Inspection | AttnvizError:
        try:
            return Inspection(tokens, self.facts, tuple(layers))
        except AttnvizError as error:
            return error
