"""Run sentences through our own encoder, as it is or with some heads ablated."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from attnviz.attention.layer import LayerRecord, Projections
from attnviz.attention.order import descending, largest
from attnviz.attention.request import RecordRequest
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts
from attnviz.inspection.ablated import Ablated, Guess, MaskPrediction, Replacement
from attnviz.model.matrices import projections_of
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Tokens

if TYPE_CHECKING:
    from attnviz.encoder.encoder import Encoder
    from attnviz.encoder.masked_lm import MaskedLm

Results = list[Inspection | AttnvizError]

MASKS = ("[MASK]", "<mask>")  # in BERT's and in RoBERTa's vocabulary
GUESSES = 5  # predictions for each mask token


def not_ablatable(model: ModelFacts) -> RequestError:
    """The error for ablating heads of a model that our own encoder does not run."""
    return RequestError(
        f"attnviz can only ablate heads of encoders that it runs itself, and {model.name} "
        f"({model.family}) runs through transformers here",
        "attnviz models lists those families; for a model with a decoder, use its encoder",
    )


class NativeRunner:
    """Implements `Runner` with our own encoder, and its masked-LM head if the model has one."""

    def __init__(
        self, facts: ModelFacts, encoder: "Encoder", masked_lm: "MaskedLm | None" = None
    ) -> None:
        self.facts = facts
        self.encoder = encoder
        self.masked_lm = masked_lm
        self.vocab_size = encoder.config.vocab_size
        self.num_token_types = encoder.config.num_token_types
        self.alone = encoder.on_gpu
        self.numbers_per_token = 5 * facts.num_layers * facts.d_model  # x, q, k, v and z

    def run(self, batch: Sequence[Tokens], recording: RecordRequest) -> Results:
        """See `Runner`."""
        from attnviz.encoder.record import record

        longest = max(map(len, batch))
        request = recording.of(longest * self.numbers_per_token)
        ids, types = [s.ids for s in batch], [s.type_ids for s in batch]
        try:
            layers_of = record(self.encoder, ids, types, request)
        except AttnvizError as error:
            return [error] * len(batch)
        return [self._inspection(*parts) for parts in zip(batch, layers_of, strict=True)]

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """See `Runner`. Reads them from the model's files."""
        return projections_of(inspection, layer)

    def ablate(
        self,
        tokens: Tokens,
        heads: Sequence[HeadId],
        replacement: Replacement,
        tokenizer: Tokenizer,
    ) -> Ablated:
        """See `Model.ablate`; the tokenizer names what a masked-LM head predicts."""
        if not heads:
            raise RequestError("no head is named to ablate", "name at least one")
        layers, numbers = range(self.facts.num_layers), range(self.facts.num_heads)
        for head in heads:
            if head.layer not in layers or head.head not in numbers:
                raise RequestError(f"there is no head {head} to ablate", f"{self.facts}")
        from attnviz.encoder.ablate import AblatedRuns

        runs = AblatedRuns(self.encoder, tokens.ids, tokens.type_ids)
        places = [(head.layer, head.place) for head in heads]
        [ablated] = runs.without([places], replacement == "mean")
        states = runs.states, ablated
        has_head = self.masked_lm is not None
        masks = tuple(self._predictions(tokens, *states, tokenizer)) if has_head else None
        return Ablated(tokens, self.facts, tuple(heads), replacement, *states, masks=masks)

    def ablate_each(
        self, tokens: Tokens, replacement: Replacement, pieces: slice
    ) -> Iterator[Ablated]:
        """See `Model.ablate_each`."""
        from attnviz.encoder.ablate import AblatedRuns

        layers, numbers = range(self.facts.num_layers), range(self.facts.num_heads)
        heads = [HeadId(layer, head) for layer in layers for head in numbers]
        runs = AblatedRuns(self.encoder, tokens.ids, tokens.type_ids)
        plain, first = runs.states[pieces], pieces.indices(len(tokens))[0]
        places = [[(head.layer, head.place)] for head in heads]
        alone = runs.without(places, replacement == "mean", pieces)
        for head, ablated in zip(heads, alone, strict=True):
            states = plain, ablated
            yield Ablated(tokens, self.facts, (head,), replacement, *states, first=first)

    def _inspection(
        self, tokens: Tokens, layers: list[LayerRecord | None]
    ) -> Inspection | AttnvizError:
        try:
            return Inspection(tokens, self.facts, tuple(layers))
        except AttnvizError as error:
            return error

    def _predictions(
        self, tokens: Tokens, plain: np.ndarray, ablated: np.ndarray, tokenizer: Tokenizer
    ) -> Iterator[MaskPrediction]:
        places = [place for place, entry in enumerate(tokens.vocabulary) if entry in MASKS]
        if self.masked_lm is None or not places:
            return

        def guesses(probabilities: np.ndarray) -> tuple[Guess, ...]:
            best = descending(probabilities, GUESSES)
            return tuple(Guess(tokenizer.entry(int(i)), float(probabilities[i])) for i in best)

        both = [self.masked_lm.probabilities(states[places]) for states in (plain, ablated)]
        for place, before, after in zip(places, *both, strict=True):
            best = int(largest(before))
            kept = Guess(tokenizer.entry(best), float(after[best]))
            yield MaskPrediction(place, guesses(before), guesses(after), kept)
