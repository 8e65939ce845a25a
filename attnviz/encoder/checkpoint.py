"""Published weights for our encoder: every name, shape and number is checked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from attnviz.encoder.encoder import Encoder
from attnviz.encoder.engine import Array, Engine
from attnviz.encoder.parts import (
    WORD_VECTORS,
    LayerNorm,
    Linear,
    Shapes,
    Weights,
    encoder_shapes,
    masked_lm_shapes,
)
from attnviz.errors import AttnvizError, listed
from attnviz.models.config import (
    ACTIVATIONS,
    EncoderConfig,
    ModelType,
    model_type,
    spread,
)
from attnviz.models.families import Embeddings, Family, HeadNames, read_config
from attnviz.models.files import (
    check_finite,
    dtype_of,
    is_finite,
    is_pickle,
    mapped_tensors,
)

BELONG_TOGETHER = "check that config.json and the weights belong together"
POSITIONS = "embeddings.position.weight"

Tensors = Mapping[str, Any]  # an array, or a `models.tables.Table`


class MaskedLm:
    """A dense layer, its activation and a layer norm; then a score for each vocabulary entry."""

    def __init__(self, config: EncoderConfig, weights: Weights) -> None:
        self.engine, self.activation = weights.engine, ACTIVATIONS[config.activation]
        self.dense, self.decoder = Linear(weights, "dense"), Linear(weights, "decoder")
        self.norm = LayerNorm(weights, "norm", config.norm_eps)

    def __call__(self, states: Array) -> Array:
        """Final states, (..., d_model), to scores of all entries, (..., vocab_size)."""
        dense = self.engine.activation(self.activation, self.dense(states))
        return self.decoder(self.norm(dense))

    def scores(self, states: np.ndarray) -> np.ndarray:
        """The score of each entry: (token, d_model) -> (token, vocab_size)."""
        with self.engine.running():
            return self.engine.numpy(self(self.engine.array(states)))


@dataclass(frozen=True)
class Checkpoint:
    """A model's weights by our names, checked, and what they are the weights of.

    left_over: the file's tensors that belong to another part, without what every such file may
    have, such as a pooler. masked_lm: the head's shape and weights, without those of a decoder that
    uses the word vectors; None if the file has no complete one.
    """

    family: str
    config: EncoderConfig
    embeddings: Embeddings
    weights: Tensors
    left_over: tuple[str, ...] = ()
    masked_lm: tuple[EncoderConfig, Tensors] | None = None

    def encoder(self, engine: Engine) -> Encoder:
        """The encoder, computing with an engine; AttnvizError as in `Engine.put`."""
        return Encoder(self.config, self.embeddings, Weights(engine, engine.put(self.weights)))

    def head(self, encoder: Encoder) -> MaskedLm | None:
        """The masked-LM head beside an encoder made of this; AttnvizError as in `Engine.put`."""
        if self.masked_lm is None:
            return None
        (config, weights), engine = self.masked_lm, encoder.engine
        arrays = engine.put(weights)
        if "decoder.weight" not in arrays:
            arrays["decoder.weight"] = engine.whole(encoder.weights.arrays[WORD_VECTORS])
        return MaskedLm(config, Weights(engine, arrays))


def load_checkpoint(
    config: ModelType | Path,
    weights_path: Path,
    verified: bool = False,
    seed: int | None = None,
) -> Checkpoint:
    """A published model's weights, mapped from the file.

    `weights_path`: a file, a pickle too, or the index of parts. `verified`: its hash was checked.
    `seed`: weights are drawn from it, in place of those in the file, and there is no head.
    AttnvizError for what is unknown, damaged or not as expected.
    """
    kind = model_type(config) if isinstance(config, Path) else config
    family, shape = read_config(kind)
    found = tensors_in(weights_path)
    # each layer has tensors; looking for those of a thousand layers in vain would take seconds
    if shape.num_layers > len(found):
        raise AttnvizError(
            f"config.json calls for {shape.num_layers} layers, "
            f"and {weights_path} holds {len(found)} tensors in all",
            BELONG_TOGETHER,
        )
    resolved = family.names.resolve(found, shape.num_layers)
    stored_positions = family.embeddings == "halved sinusoidal" and POSITIONS in resolved
    shapes = encoder_shapes(shape, family.embeddings, stored_positions)
    names = _names(shapes, resolved, family, shape.num_layers, found)
    held = {ours: found[theirs] for ours, theirs in names.items()}
    _check_tensors(weights_path, shapes, held, names)
    if not verified:
        check_finite(weights_path, held)
    if seed is not None:
        held |= dict(_drawn(shapes, family.embeddings, seed, spread(kind.content)))
    left_over = sorted(found.keys() - names.values())
    others = tuple(name for name in left_over if not family.names.is_unused(name))
    masked_lm = None
    if seed is None and family.head is not None:
        head = replace(shape, activation=family.head_activation or shape.activation)
        masked_lm = _masked_lm(head, family.head, found, held[WORD_VECTORS])
    return Checkpoint(family.name, shape, family.embeddings, held, others, masked_lm)


def tensors_in(path: Path) -> Tensors:
    """All tensors of a file of weights, or of the index of parts; AttnvizError if it is damaged."""
    if not is_pickle(path):
        return mapped_tensors(path)
    from attnviz.encoder.pickles import pickled_arrays

    return pickled_arrays(path)


def _drawn(
    shapes: Shapes, embeddings: Embeddings, seed: int, spread: float
) -> Iterator[tuple[str, np.ndarray]]:
    """What a model has before training.

    Marian's positions, in a table of the file, are sinusoids before training too, and stay.
    """
    from attnviz.models.tables import untrained

    for name, shape in shapes.items():
        if embeddings != "halved sinusoidal" or name != POSITIONS:
            yield name, untrained(name, shape, seed, spread)


def _names(
    shapes: Shapes, resolved: Mapping[str, str], family: Family, num_layers: int, found: Tensors
) -> dict[str, str]:
    """The encoder's tensors, {ours: published}; AttnvizError unless the file has just these."""
    model = f"{family.name} with {num_layers} layers"
    names = {ours: resolved[ours] for ours in shapes if ours in resolved}
    if not names:
        raise AttnvizError(
            f"the weights hold none of the tensors of a {model}, but {listed(sorted(found))}",
            BELONG_TOGETHER,
        )
    prefix, published = family.names.prefix(found, num_layers), family.names.published(num_layers)
    missing = [prefix + published[ours] for ours in shapes if ours not in names]
    if missing:
        raise AttnvizError(f"the weights lack {listed(missing)} of a {model}", BELONG_TOGETHER)
    inside = tuple(prefix + part for part in family.names.inside)
    unread = [
        name
        for name in sorted(found.keys() - names.values())
        if name.startswith(inside) and not family.names.is_unused(name)
    ]
    if unread:
        raise AttnvizError(
            f"the weights hold {listed(unread)}, which a {model} does not have",
            BELONG_TOGETHER,
        )
    return names


def _check_tensors(path: Path, shapes: Shapes, held: Tensors, names: Mapping[str, str]) -> None:
    for ours, theirs in names.items():
        if held[ours].shape != shapes[ours]:
            raise AttnvizError(
                f"{theirs} has shape {held[ours].shape}, and config.json calls for {shapes[ours]}",
                BELONG_TOGETHER,
            )
        if held[ours].dtype.kind != "f":
            dtype = str(held[ours].dtype) if is_pickle(path) else dtype_of(path, theirs)
            raise AttnvizError(
                f"{theirs} holds {dtype} numbers, and should hold floating-point numbers",
                "use the model from before it was quantised",
            )


def _masked_lm(
    config: EncoderConfig, names: HeadNames, found: Tensors, word_vectors: np.ndarray
) -> tuple[EncoderConfig, Tensors] | None:
    """A head of this shape in a file's tensors; None unless it is complete, finite and fits.

    A decoder without a weight of its own uses the word vectors, (vocab_size, width).
    """
    resolved = names.resolve(found)
    if not resolved:
        return None
    held = {ours: found[theirs] for ours, theirs in resolved.items()}
    for name, shape in masked_lm_shapes(config).items():
        array = held.get(name, word_vectors)
        if array.shape != shape or array.dtype.kind != "f":
            return None
    return (config, held) if all(map(is_finite, held.values())) else None
