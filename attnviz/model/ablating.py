"""A sentence run again without some of its heads, in our own encoder."""

from collections.abc import Iterator, Sequence

import numpy as np

from attnviz.attention.order import descending, largest
from attnviz.errors import RequestError
from attnviz.inspection import HeadId, ModelFacts
from attnviz.inspection.ablated import Ablated, Guess, MaskPrediction, Replacement
from attnviz.model.native import NativeRunner
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Tokens

MASKS = ("[MASK]", "<mask>")
"""What BERT's and RoBERTa's vocabularies call the token in whose place a word is predicted."""

GUESSES = 5
"""How many predictions are told at a `[MASK]`."""


def not_ablated(model: ModelFacts) -> RequestError:
    """What to say where somebody wants to ablate heads of a model that is not ours to run."""
    return RequestError(
        f"heads can be ablated in encoders that attnviz runs itself, and what was asked for of "
        f"{model.name} ({model.family}) runs through transformers",
        "attnviz models says which families those are; of one with a decoder, take its encoder",
    )


class Ablating:
    """An encoder that can be run without some of its heads."""

    def __init__(self, runner: NativeRunner, tokenizer: Tokenizer) -> None:
        self._runner = runner
        self._tokenizer = tokenizer

    def ablate(
        self, tokens: Tokens, heads: Sequence[HeadId], replacement: Replacement = "zero"
    ) -> Ablated:
        """Run a sentence as it is and without these heads, all of them together.

        At each `[MASK]`, a model with a masked-LM head also says what it predicts. RequestError for
        no head, or one that the model does not have.
        """
        self._check_heads(heads)
        from attnviz.encoder.ablate import AblatedRuns

        runs = AblatedRuns(self._runner.encoder, tokens.ids, tokens.type_ids)
        [ablated] = runs.without([_places(heads)], replacement == "mean")
        states = runs.states, ablated
        masks = (
            None if self._runner.masked_lm is None else tuple(self._predictions(tokens, *states))
        )
        return Ablated(tokens, self._runner.facts, tuple(heads), replacement, *states, masks=masks)

    def ablate_each(
        self, tokens: Tokens, replacement: Replacement = "zero", pieces: slice = slice(None)
    ) -> Iterator[Ablated]:
        """The same for every head of the model alone, layer by layer, as batches.

        Only the states of `pieces` are computed and given: so a single word takes less time.
        """
        from attnviz.encoder.ablate import AblatedRuns

        layers, numbers = range(self._runner.facts.num_layers), range(self._runner.facts.num_heads)
        heads = [HeadId(layer, head) for layer in layers for head in numbers]
        runs = AblatedRuns(self._runner.encoder, tokens.ids, tokens.type_ids)
        plain, first = runs.states[pieces], pieces.indices(len(tokens))[0]
        alone = runs.without([_places([head]) for head in heads], replacement == "mean", pieces)
        for head, ablated in zip(heads, alone, strict=True):
            states = plain, ablated
            yield Ablated(tokens, self._runner.facts, (head,), replacement, *states, first=first)

    def _check_heads(self, heads: Sequence[HeadId]) -> None:
        if not heads:
            raise RequestError("no head is named to be ablated", "name at least one")
        for head in heads:
            if head.layer not in range(self._runner.facts.num_layers) or head.head not in range(
                self._runner.facts.num_heads
            ):
                raise RequestError(f"there is no head {head} to ablate", f"{self._runner.facts}")

    def _predictions(
        self, tokens: Tokens, plain: np.ndarray, ablated: np.ndarray
    ) -> Iterator[MaskPrediction]:
        masks = [place for place, entry in enumerate(tokens.vocabulary) if entry in MASKS]
        if self._runner.masked_lm is None or not masks:
            return
        both = [self._runner.masked_lm.probabilities(states[masks]) for states in (plain, ablated)]
        for place, before, after in zip(masks, *both, strict=True):
            best = int(largest(before))
            yield MaskPrediction(
                piece=place,
                before=self._guesses(before),
                after=self._guesses(after),
                kept=Guess(self._tokenizer.entry(best), float(after[best])),
            )

    def _guesses(self, probabilities: np.ndarray) -> tuple[Guess, ...]:
        order = descending(probabilities, GUESSES)
        return tuple(Guess(self._tokenizer.entry(int(i)), float(probabilities[i])) for i in order)


def _places(heads: Sequence[HeadId]) -> list[tuple[int, int]]:
    return [(head.layer, head.place) for head in heads]
