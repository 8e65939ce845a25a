"""Run sentences through our own encoder, as it is or with some heads ablated; and its matrices."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnviz.attention.layer import Projections
from attnviz.attention.order import descending, largest
from attnviz.attention.request import RecordRequest
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.inspection.ablated import Guess, MaskPrediction
from attnviz.inspection.predicted import softmax
from attnviz.models import PAPER, ModelFiles, find_model
from attnviz.models.config import (
    ACTIVATIONS,
    MOST_PARAMETERS,
    EncoderConfig,
    model_type,
    paper_config,
    spread,
)
from attnviz.models.families import FAMILIES, read_config
from attnviz.text.tokenizer import Tokenizer
from attnviz.text.tokens import Tokens

if TYPE_CHECKING:
    from attnviz.attention.sublayers import (
        Adding,
        Embedded,
        FeedForward,
        SublayerName,
        Sublayers,
    )
    from attnviz.encoder.choice import Encoders
    from attnviz.encoder.edits import EditedRuns

Results = list[Inspection | AttnvizError]

GUESSES = 5  # predictions for each mask token


class NativeRunner:
    """Implements `Runner` with our own encoder, and its masked-LM head if the model has one."""

    decodes = False

    def __init__(self, facts: ModelFacts, encoders: "Encoders") -> None:
        self.facts = facts
        self.encoders = encoders
        self.vocab_size = encoders.config.vocab_size
        self.num_token_types = encoders.config.num_token_types
        self.feeds_types = self.num_token_types > 0
        self.numbers_per_token = 5 * facts.num_layers * facts.d_model  # x, q, k, v and z

    @property
    def alone(self) -> bool:
        """See `Runner`."""
        return self.encoders.alone

    @property
    def has_masked_lm(self) -> bool:
        """Whether the checkpoint has a complete masked-LM head."""
        return self.encoders.checkpoint.masked_lm is not None

    def run(self, batch: Sequence[Tokens], recording: RecordRequest) -> Results:
        """See `Runner`."""
        from attnviz.encoder.record import record

        longest = max(map(len, batch))
        request = recording.of(longest * self.numbers_per_token)
        ids, types = [s.ids for s in batch], [s.type_ids for s in batch]
        try:
            layers_of = record(self.encoders.of([longest] * len(batch)), ids, types, request)
        except AttnvizError as error:
            return [error] * len(batch)
        results: Results = []
        for tokens, layers in zip(batch, layers_of, strict=True):
            try:
                results.append(Inspection(tokens, self.facts, tuple(layers)))
            except AttnvizError as error:
                results.append(error)
        return results

    def projections(self, inspection: Inspection, layer: int) -> Projections:
        """See `Runner`. Reads them from the model's files."""
        return projections_of(inspection, layer)

    def states(self, tokens: Tokens) -> np.ndarray:
        """See `Runner`."""
        return self.edited_runs(tokens, 1).states

    def edited_runs(self, tokens: Tokens, runs: float) -> "EditedRuns":
        """The sentence, run once; it will be run about so many times in all."""
        from attnviz.encoder.edits import EditedRuns

        encoder = self.encoders.of([len(tokens)], runs)
        return EditedRuns(encoder, tokens.ids, tokens.type_ids)

    def sublayers(
        self, inspection: Inspection, layers: Sequence[int], pieces: Sequence[int]
    ) -> "list[Sublayers | AttnvizError]":
        """See `Runner`. Reads them from the model's files, and runs the text for their output."""
        from attnviz.encoder.record import output_of

        tokens = inspection.tokens
        encoder = self.encoders.of([len(tokens)])
        outputs = (output_of(encoder, tokens.ids, tokens.type_ids, layer) for layer in layers)
        return [
            sublayers_of(inspection, layer, pieces, output)
            for layer, output in zip(layers, outputs, strict=True)
        ]

    def embedded(self, inspection: Inspection, pieces: Sequence[int]) -> "Embedded":
        """See `Runner`."""
        from attnviz.encoder.record import embedded

        tokens = inspection.tokens
        encoder = self.encoders.of([len(tokens)])
        return embedded(encoder, tokens.ids, tokens.type_ids, pieces)

    def predictions(
        self, tokens: Tokens, states: Sequence[np.ndarray], tokenizer: Tokenizer
    ) -> tuple[MaskPrediction, ...] | None:
        """What the masked-LM head says at each mask, of a text's final states before and after.

        None if the checkpoint has no such head; the tokenizer names what is predicted.
        """
        if not self.has_masked_lm:
            return None
        places = [place for place, number in enumerate(tokens.ids) if number == tokenizer.mask_id]
        head = self.encoders.head if places else None
        if head is None:
            return ()

        def guesses(probabilities: np.ndarray) -> tuple[Guess, ...]:
            best = descending(probabilities, GUESSES)
            return tuple(Guess(tokenizer.entry(int(i)), float(probabilities[i])) for i in best)

        both = [list(map(softmax, head.scores(one[places]))) for one in states]
        found = []
        for place, before, after in zip(places, *both, strict=True):
            best = int(largest(before))
            kept = Guess(tokenizer.entry(best), float(after[best]))
            found.append(MaskPrediction(place, guesses(before), guesses(after), kept))
        return tuple(found)


MATRICES = ("W_Q", "W_K", "W_V", "W_O")

TOLERANCES = {"float32": 1e-4, "float16": 5e-3, "bfloat16": 2e-2}
"""How far a recomputed number may be from the recorded one, relative to the largest of them."""


def projections_of(inspection: Inspection, layer: int) -> Projections:
    """A layer's matrices and biases, in float32, checked against what was recorded.

    Raises AttnvizError if the model's files are missing, damaged, or give other numbers than those
    recorded; IndexError for a layer that does not exist.
    """
    number = range(inspection.model.num_layers)[layer]
    inputs, tolerance = inspection.layer(number).inputs(), TOLERANCES.get(inspection.model.dtype, 0)
    projections = read_projections(inspection.model, number)
    for matrix, bias, source, recorded in (
        (projections.W_Q, projections.b_Q, inputs.x, inputs.q),
        (projections.W_K, projections.b_K, inputs.key_value_states, inputs.k),
        (projections.W_V, projections.b_V, inputs.key_value_states, inputs.v),
    ):
        expected = np.swapaxes(recorded, 0, 1).reshape(len(recorded[0]), -1)
        if (source.shape[1], expected.shape[1]) != matrix.shape:
            raise _other_files(inspection.model)
        product = source @ matrix + (0 if bias is None else bias)
        # NaN differs too
        if not np.abs(product - expected).max() <= tolerance * np.abs(expected).max():
            raise _other_files(inspection.model)
    return projections


def read_projections(model: ModelFacts, layer: int) -> Projections:
    """A layer's matrices, in float32, rounded to the dtype of the computation."""
    place, width = f"layers.{layer}.attention", (model.d_model, model.d_model)
    found = _tensors(model, {f"{place}.{matrix}.weight": width for matrix in MATRICES})
    parts: dict[str, Any] = {
        (matrix if kind == "weight" else f"b{matrix[1:]}"): tensor.T
        for matrix in MATRICES
        for kind in ("weight", "bias")
        if (tensor := found.get(f"{place}.{matrix}.{kind}")) is not None
    }
    return Projections(**parts)


def read_sublayers(model: ModelFacts, layer: int) -> "tuple[tuple[Adding, Adding], FeedForward]":
    """A layer's norms and feed-forward network, each norm after a sum, as in the paper."""
    from attnviz.attention.activations import FUNCTIONS
    from attnviz.attention.sublayers import Adding, FeedForward, Norm

    config, place = _config(model), f"layers.{layer}"
    inner, outer = f"{place}.feed_forward.inner", f"{place}.feed_forward.outer"
    shapes: dict[str, tuple[int, ...]] = {f"{inner}.weight": (model.d_ff, model.d_model)}
    shapes |= {f"{outer}.weight": (model.d_model, model.d_ff)}
    norms = {name: f"{place}.{name}_norm" for name in ("attention", "feed_forward")}
    shapes |= {f"{norm}.weight": (model.d_model,) for norm in norms.values()}
    found = _tensors(model, shapes)

    def adding(name: "SublayerName") -> Adding:
        gain, shift = (found[f"{norms[name]}.{kind}"] for kind in ("weight", "bias"))
        return Adding(name, after=Norm("layer norm", config.norm_eps, gain, shift))

    activation = ACTIVATIONS[config.activation]
    network = FeedForward(
        found[f"{inner}.weight"].T,
        found[f"{outer}.weight"].T,
        found[f"{inner}.bias"],
        found[f"{outer}.bias"],
        activation,
        FUNCTIONS[activation],
    )
    return (adding("attention"), adding("feed_forward")), network


def sublayers_of(
    inspection: Inspection, layer: int, pieces: Sequence[int], output: np.ndarray
) -> "Sublayers":
    """A layer's sublayers, from the model's files; output: the layer's own, (piece, d_model)."""
    from attnviz.attention.sublayers import Sublayers

    projections, rows = projections_of(inspection, layer), list(pieces)
    order, network = read_sublayers(inspection.model, layer)
    return Sublayers(
        tuple(pieces),
        order,
        projections.W_O,
        projections.b_O,
        network,
        inspection.layer(layer).inputs().x[rows],
        output[rows],
    )


def _config(model: ModelFacts) -> EncoderConfig:
    """The hyperparameters; AttnvizError for facts that are not those of the model's files."""
    if model.family == PAPER:
        config = paper_config(1, model.num_layers, model.num_heads, model.d_model, model.d_ff)
        if config.num_parameters <= MOST_PARAMETERS:
            return config
        raise _other_files(model)
    config = read_config(model_type(_files_of(model).config))[1]
    if (config.d_model, config.d_ff) != (model.d_model, model.d_ff):
        raise _other_files(model)
    return config


def _tensors(model: ModelFacts, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Weights by our names, with the shapes they should have, as files hold them: (out, in).

    With the biases beside them. In float32, rounded to the dtype of the computation.
    """
    if not model.trained:
        return dict(_drawn(model, shapes))
    from attnviz.encoder.checkpoint import tensors_in
    from attnviz.models.tables import rounded

    present = tensors_in(_files_of(model).weights)
    resolved = FAMILIES[model.family].names.resolve(present, model.num_layers)
    biases = {name.removesuffix("weight") + "bias": shape[:1] for name, shape in shapes.items()}
    wanted = {**shapes, **biases}
    try:
        names = {ours: resolved[ours] for ours in wanted}
    except KeyError as error:
        raise _other_files(model) from error
    tensors = {
        ours: rounded(np.asarray(present[theirs], np.float32), model.dtype)
        for ours, theirs in names.items()
    }
    if any(tensors[ours].shape != shape for ours, shape in wanted.items()):
        raise _other_files(model)
    return tensors


def _drawn(
    model: ModelFacts, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[str, np.ndarray]]:
    """An untrained model's, drawn from its seed."""
    from attnviz.models.tables import rounded, untrained

    paper, seed = model.family == PAPER, model.seed or 0
    width = None if paper else spread(model_type(_files_of(model).config).content)
    for name, shape in shapes.items():
        yield name, rounded(untrained(name, shape, seed, width), model.dtype)
        if not paper or "attention.W" not in name:
            bias = f"{name.removesuffix('weight')}bias"
            yield bias, untrained(bias, shape[:1], seed)


def _files_of(model: ModelFacts) -> ModelFiles:
    if model.family not in FAMILIES:
        raise AttnvizError(
            f"attnviz does not know the names of the matrices of a {model.family} model",
            f"it knows those of {', '.join([*FAMILIES, PAPER])}",
        )
    try:
        return find_model(model.name)
    except AttnvizError as error:  # never a RequestError: the request is right
        elsewhere = (
            f'run this where "{model.name}" was found, or inspect the sentence again with --model '
            "and a model that is here"
        )
        raise AttnvizError(
            f"the model's own files are needed for its matrices, and {error.message}",
            elsewhere if isinstance(error, RequestError) else error.hint,
        ) from error


def _other_files(model: ModelFacts) -> AttnvizError:
    return AttnvizError(
        f"the files of the model {model.name} are not those of this inspection",
        "inspect the sentence again",
    )
