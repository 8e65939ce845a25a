"""The one place where a text becomes an Inspection: find the model, tokenize, batch, run.

torch is imported when a model is loaded, not before.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attnviz.ablated import Ablated, Guess, MaskPrediction, Replacement
from attnviz.attention import LayerRecord
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import HeadId, Inspection, ModelFacts
from attnviz.models import DEFAULT, PAPER, default_tokenizer, find_model
from attnviz.models.facts import model_facts
from attnviz.tokens import Tokenizer, Tokens
from attnviz.weights.shape import PAPER_SEED, paper_config

if TYPE_CHECKING:
    from attnviz.encoder.encoder import Encoder
    from attnviz.encoder.masked_lm import MaskedLm
    from attnviz.encoder.record import LayerArrays
    from attnviz.encoder.workers import Begin

BATCH_TOKENS = 512
"""How many tokens, padding included, run through the encoder together at most.

Enough for matrix products at full speed, and few enough that they stay in the processor's cache and
that sentences of like length come together.
"""

WINDOW_BYTES = 96 * 1024 * 1024
"""Memory that sentences' vectors take that run together; two windows are held at most."""

MASKS = ("[MASK]", "<mask>")
"""What BERT's and RoBERTa's vocabularies call the token in whose place a word is predicted."""

PICKLE_NOTES: tuple[str, ...] = (
    "its weights are a pickle, which could hold code; they were read as tensors alone, "
    "and nothing in it was run",
)
"""What is said of a model without safetensors."""

GUESSES = 5
"""How many predictions are told at a `[MASK]`."""


class Model:
    """An encoder with its tokenizer, ready to inspect sentences.

    `notes` are sentences that whoever loads the model should read, such as what its file held
    beside the encoder.
    """

    def __init__(
        self,
        facts: ModelFacts,
        tokenizer: Tokenizer,
        encoder: "Encoder",
        notes: tuple[str, ...] = (),
        masked_lm: "MaskedLm | None" = None,
    ) -> None:
        self.facts = facts
        self.tokenizer = tokenizer
        self.notes = notes
        self._encoder = encoder
        self._masked_lm = masked_lm

    def tokenize(self, text: str, pair: str | None = None, truncate: bool = False) -> Tokens:
        """Cut a sentence, or a pair, as this model does; RequestError as in Tokenizer.encode."""
        config = self._encoder.config
        told_apart = config.num_token_types > 1 or self.tokenizer.separates_pairs
        if pair is not None and not told_apart:
            raise RequestError(
                f"the model {self.facts.name} does not know pairs of sentences", "leave out --pair"
            )
        tokens = self.tokenizer.encode(text, pair, truncate)
        tables = [("id", tokens.ids, config.vocab_size)]
        if config.num_token_types:
            tables.append(("token type", tokens.type_ids, config.num_token_types))
        for what, numbers, size in tables:
            if max(numbers) >= size:
                raise AttnvizError(
                    f"the tokenizer gave {what} {max(numbers)}, and the model has {size}",
                    "check that tokenizer.json and model.safetensors belong together",
                )
        return tokens

    def inspect(self, text: str, pair: str | None = None, truncate: bool = False) -> Inspection:
        """Run one sentence, or a pair, and keep what every layer's attention worked with."""
        return next(self.inspect_tokens([self.tokenize(text, pair, truncate)]))

    def inspect_tokens(self, sentences: Sequence[Tokens]) -> Iterator[Inspection]:
        """Run tokenized sentences in batches of like length, and give them back in their order.

        The numbers do not depend on what else is in the batch, to 1e-5.
        """
        for _, inspection in self.inspect_stream(enumerate(sentences)):
            if isinstance(inspection, AttnvizError):
                raise inspection
            yield inspection

    def inspect_stream(
        self, sentences: Iterable[tuple[int, Tokens] | None]
    ) -> Iterator[tuple[int, Inspection | AttnvizError]]:
        """Run numbered sentences as they come, and give back each number with what became of it.

        As many sentences as WINDOW_BYTES allow run together, while those before them are being
        used. None among them says that no more have come so far: then what is there is given out
        before the next is waited for.
        """
        from attnviz.encoder.workers import workers

        vectors = 5 * self.facts.num_layers  # x, q, k, v, z of each layer
        bytes_per_token = 4 * vectors * self.facts.d_model
        begun: deque[_Window] = deque()
        with workers() as begin:
            for window in _windows(sentences, WINDOW_BYTES // bytes_per_token):
                if window:
                    begun.append(self._begin(begin, window))
                while len(begun) > (1 if window else 0):
                    yield from _in_order(begun.popleft())

    def ablate(
        self, tokens: Tokens, heads: Sequence[HeadId], replacement: Replacement = "zero"
    ) -> Ablated:
        """Run a sentence as it is and without these heads, all of them together.

        At each `[MASK]`, a model with a masked-LM head also says what it predicts. RequestError for
        no head, or one that the model does not have.
        """
        self._check_heads(heads)
        from attnviz.encoder.ablate import AblatedRuns

        runs = AblatedRuns(self._encoder, tokens.ids, tokens.type_ids)
        [ablated] = runs.without([_places(heads)], replacement == "mean")
        states = runs.states.numpy(), ablated.numpy()
        masks = None if self._masked_lm is None else tuple(self._predictions(tokens, *states))
        return Ablated(tokens, self.facts, tuple(heads), replacement, *states, masks=masks)

    def ablate_each(
        self, tokens: Tokens, replacement: Replacement = "zero", pieces: slice = slice(None)
    ) -> Iterator[Ablated]:
        """The same for every head of the model alone, layer by layer, as batches.

        Only the states of `pieces` are computed and given: so a single word takes less time.
        """
        from attnviz.encoder.ablate import AblatedRuns

        layers, numbers = range(self.facts.num_layers), range(self.facts.num_heads)
        heads = [HeadId(layer, head) for layer in layers for head in numbers]
        runs = AblatedRuns(self._encoder, tokens.ids, tokens.type_ids)
        plain, first = runs.states[pieces].numpy(), pieces.indices(len(tokens))[0]
        alone = runs.without([_places([head]) for head in heads], replacement == "mean", pieces)
        for head, ablated in zip(heads, alone, strict=True):
            states = plain, ablated.numpy()
            yield Ablated(tokens, self.facts, (head,), replacement, *states, first=first)

    def _check_heads(self, heads: Sequence[HeadId]) -> None:
        if not heads:
            raise RequestError("no head is named to be ablated", "name at least one")
        for head in heads:
            if head.layer not in range(self.facts.num_layers) or head.head not in range(
                self.facts.num_heads
            ):
                raise RequestError(f"there is no head {head} to ablate", f"{self.facts}")

    def _predictions(
        self, tokens: Tokens, plain: np.ndarray, ablated: np.ndarray
    ) -> Iterator[MaskPrediction]:
        masks = [place for place, entry in enumerate(tokens.vocabulary) if entry in MASKS]
        if self._masked_lm is None or not masks:
            return
        both = [self._masked_lm.probabilities(states[masks]) for states in (plain, ablated)]
        for place, before, after in zip(masks, *both, strict=True):
            best = int(before.argmax())
            yield MaskPrediction(
                piece=place,
                before=self._guesses(before),
                after=self._guesses(after),
                kept=Guess(self.tokenizer.entry(best), float(after[best])),
            )

    def _guesses(self, probabilities: np.ndarray) -> tuple[Guess, ...]:
        order = np.argsort(-probabilities, kind="stable")[:GUESSES]
        return tuple(Guess(self.tokenizer.entry(int(i)), float(probabilities[i])) for i in order)

    def _begin(self, begin: "Begin", window: Sequence[tuple[int, Tokens]]) -> "_Window":
        by_length = sorted(window, key=lambda numbered: len(numbered[1]))
        batches = list(_batches(by_length))
        all_threads = len(batches) == 1 and sum(len(tokens) for _, tokens in window) > BATCH_TOKENS
        return [
            (
                [index for index, _ in batch],
                begin(all_threads, partial(self._run, [tokens for _, tokens in batch])),
            )
            for batch in batches
        ]

    def _run(self, batch: Sequence[Tokens]) -> "_Results":
        from attnviz.encoder.record import record

        try:
            layers_of = record(self._encoder, [s.ids for s in batch], [s.type_ids for s in batch])
        except AttnvizError as error:
            return [error] * len(batch)
        return [self._built(*parts) for parts in zip(batch, layers_of, strict=True)]

    def _built(self, tokens: Tokens, layers: "list[LayerArrays]") -> Inspection | AttnvizError:
        scale = self.facts.d_k**-0.5
        records = tuple(LayerRecord(**arrays._asdict(), scale=scale) for arrays in layers)
        try:
            return Inspection(tokens, self.facts, records)
        except AttnvizError as error:
            return error


def _places(heads: Sequence[HeadId]) -> list[tuple[int, int]]:
    return [(head.layer, head.place) for head in heads]


_Results = list[Inspection | AttnvizError]

_Window = list[tuple[list[int], Future[_Results]]]
"""Batches that were begun: their sentences' numbers, and what they will become."""


def _windows(
    sentences: Iterable[tuple[int, Tokens] | None], most_tokens: int
) -> Iterator[list[tuple[int, Tokens]]]:
    """Sentences that run together; an empty window before more are waited for, and at the end."""
    window: list[tuple[int, Tokens]] = []
    size = 0
    for numbered in sentences:
        if numbered is not None:
            window.append(numbered)
            size += len(numbered[1])
        if window and (numbered is None or size >= most_tokens):
            yield window
            window, size = [], 0
        if numbered is None:
            yield []
    if window:
        yield window
    yield []


def _in_order(window: _Window) -> Iterator[tuple[int, Inspection | AttnvizError]]:
    """A window's inspections, once they are there, in the order of its sentences."""
    results = {
        index: result
        for indices, batch in window
        for index, result in zip(indices, batch.result(), strict=True)
    }
    window.clear()  # so that each is let go of once it has been used
    for index in sorted(results):
        yield index, results.pop(index)


def _batches(by_length: Sequence[tuple[int, Tokens]]) -> Iterator[list[tuple[int, Tokens]]]:
    """Cut sentences, ascending in length, into runs of at most BATCH_TOKENS once padded."""
    batch: list[tuple[int, Tokens]] = []
    for numbered in by_length:
        if batch and len(numbered[1]) * (len(batch) + 1) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(numbered)
    if batch:
        yield batch


def load_model(
    name: str = DEFAULT,
    *,
    num_layers: int | None = None,
    num_heads: int | None = None,
    d_model: int | None = None,
    d_ff: int | None = None,
    seed: int | None = None,
) -> Model:
    """Load `minilm` (the default), `paper`, a folder, or a hub name.

    The numbers shape `paper`, the article's untrained Transformer, and go with it alone. Raises
    RequestError for a name or shape that makes no sense, AttnvizError for files that are damaged.
    """
    given = {
        "num_layers": num_layers,
        "num_heads": num_heads,
        "d_model": d_model,
        "d_ff": d_ff,
        "seed": seed,
    }
    shape = {key: value for key, value in given.items() if value is not None}
    if name == PAPER:
        return _load_paper({"seed": PAPER_SEED, **shape})
    if shape:
        options = ", ".join("--" + key.replace("_", "-") for key in shape)
        raise RequestError(
            f"{options} shapes the untrained model, and {name} has its own shape",
            f"use it with --model {PAPER}",
        )
    files = find_model(name)
    from attnviz.encoder.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(files.config, files.weights, files.verified)
    config = checkpoint.encoder.config
    notes = PICKLE_NOTES if files.pickled else ()
    notes += _left_over_note(checkpoint.left_over)
    facts = model_facts(name, checkpoint.family, config)
    tokenizer = Tokenizer.from_file(files.tokenizer, config.max_positions)
    return Model(facts, tokenizer, checkpoint.encoder, notes, checkpoint.masked_lm)


def load_model_of(inspection: Inspection, load: Callable[..., Model] | None = None) -> Model:
    """Load the model that an inspection came from, by its name and, if untrained, by its shape.

    `load` is `load_model`, or what stands in for it. Raises AttnvizError if the model cannot be had
    any more, or cuts the sentence into other pieces.
    """
    facts, tokens = inspection.model, inspection.tokens
    shape = () if facts.trained else ("num_layers", "num_heads", "d_model", "d_ff", "seed")
    try:
        model = (load or load_model)(facts.name, **{name: getattr(facts, name) for name in shape})
    except AttnvizError as error:
        raise AttnvizError(
            f"the model that the sentence was looked at in cannot be had: {error.message}",
            error.hint,
        ) from error
    again = model.tokenize(tokens.text, tokens.pair, truncate=True)
    if model.facts != facts or again.ids != tokens.ids:
        raise AttnvizError(
            f"the model {facts.name} is not the one that the sentence was looked at in",
            "look at the sentence anew: give it as TEXT",
        )
    return model


def _load_paper(shape: dict[str, int]) -> Model:
    tokenizer = Tokenizer.from_file(default_tokenizer(), add_special_tokens=False)
    from attnviz.encoder.paper import paper_encoder

    seed = shape.pop("seed")
    config = paper_config(tokenizer.vocabulary_size, **shape)
    encoder = paper_encoder(config, seed)
    return Model(model_facts(PAPER, PAPER, config, seed), tokenizer, encoder)


def _left_over_note(left_over: tuple[str, ...]) -> tuple[str, ...]:
    if not left_over:
        return ()
    parts = sorted(set(map(_part_of, left_over)))
    return (f"not part of the encoder, and not read: {', '.join(parts)}",)


def _part_of(name: str) -> str:
    """What a tensor belongs to: its name, up to a layer's number if there is one."""
    parts = name.split(".")[:-1]
    end = next((place for place, part in enumerate(parts) if part.isdigit()), len(parts))
    return ".".join(parts[:end]) or name
