"""The matrices behind an inspection, from where the model's weights lie, mostly without torch.

An inspection has what W_Q, W_K and W_V made, and not the matrices themselves: one layer's are read,
or drawn again, when somebody asks for them, and held to what was recorded.
"""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attnviz.attention.layer import LayerRecord, Projections
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.models import PAPER, find_model
from attnviz.models.families import FAMILIES
from attnviz.models.files import is_pickle
from attnviz.models.stored import draw_matrix, read_tensors, rounded, tensor_names

MATRICES = ("W_Q", "W_K", "W_V", "W_O")

_Read = Callable[[Sequence[str]], dict[str, np.ndarray]]

TOLERANCES = {"float32": 1e-4, "float16": 5e-3, "bfloat16": 2e-2}
"""How far a recomputed number may be from the recorded one, as a part of the largest of them, by
what the model computed in."""


def projections_of(inspection: Inspection, layer: int) -> Projections:
    """A layer's matrices and biases, in float32, which made the queries, keys and values recorded.

    Raises AttnvizError where the model's files are not there, are damaged, or made other numbers
    than those of this inspection; IndexError for a layer that is not there.
    """
    number = range(inspection.model.num_layers)[layer]
    projections = read_projections(inspection.model, number)
    tolerance = TOLERANCES[inspection.model.dtype]
    if not _made(projections, inspection.layer(number), tolerance):
        raise _other_files(inspection.model)
    return projections


def read_projections(model: ModelFacts, layer: int) -> Projections:
    """W_Q, W_K, W_V and W_O of a layer, counted from 0, with their biases, in float32.

    They are rounded to the numbers that the model computed in. Nothing else is read of a published
    model's file. Raises AttnvizError where the model's files are not there, are damaged, or do not
    fit the facts.
    """
    if model.family == PAPER:
        return _drawn(model, layer)
    if model.family not in FAMILIES:
        raise AttnvizError(
            f"nobody knows what the matrices of a {model.family} model are called",
            f"known are the names of {', '.join([*FAMILIES, PAPER])}",
        )
    try:
        path = find_model(model.name).weights
    except AttnvizError as error:  # the request is fine, whatever became of the files
        elsewhere = (
            f'go where "{model.name}" was found, or look at the sentence anew, with --model and a '
            "model that is here"
        )
        raise AttnvizError(
            f"the model's own files are needed for its matrices, and {error.message}",
            elsewhere if isinstance(error, RequestError) else error.hint,
        ) from error
    return _stored(model, layer, path)


def _drawn(model: ModelFacts, layer: int) -> Projections:
    """The untrained model's, from its seed, by the names that the encoder has for them."""
    drawn: dict[str, Any] = {}
    for matrix in MATRICES:
        out = np.empty((model.d_model, model.d_model), np.float32)
        draw_matrix(out, model.seed or 0, f"layers.{layer}.attention.{matrix}")
        drawn[matrix] = rounded(out, model.dtype).T
    return Projections(**drawn)


def _stored(model: ModelFacts, layer: int, path: Path) -> Projections:
    """A published model's, whose file holds them the other way round, (out, in)."""
    found, read = _reader(path)
    names = FAMILIES[model.family].names.resolve(found, model.num_layers)
    try:
        weights = {m: names[f"layers.{layer}.attention.{m}.weight"] for m in MATRICES}
        biases = {f"b{m[1:]}": names[f"layers.{layer}.attention.{m}.bias"] for m in MATRICES}
    except KeyError as error:
        raise _other_files(model) from error
    stored = read([*weights.values(), *biases.values()])
    tensors = {name: rounded(tensor, model.dtype) for name, tensor in stored.items()}
    shapes = {tensors[name].shape for name in weights.values()}
    if shapes != {(model.d_model, model.d_model)}:
        raise _other_files(model)
    parts: dict[str, Any] = {matrix: tensors[name].T for matrix, name in weights.items()}
    return Projections(**parts | {bias: tensors[name] for bias, name in biases.items()})


def _reader(path: Path) -> tuple[Collection[str], _Read]:
    """The names of a file's tensors, and what reads some of them; all of a pickle, with torch."""
    if not is_pickle(path):
        return tensor_names(path), partial(read_tensors, path)
    from attnviz.encoder.checkpoint import read_pickle

    held = read_pickle(path)
    return held.keys(), lambda names: {name: held[name].float().numpy() for name in names}


def _made(projections: Projections, record: LayerRecord, tolerance: float) -> bool:
    """Whether the queries, keys and values recorded are x times these matrices."""
    inputs = record.inputs()
    for matrix, bias, source, recorded in (
        (projections.W_Q, projections.b_Q, inputs.x, inputs.q),
        (projections.W_K, projections.b_K, inputs.key_value_states, inputs.k),
        (projections.W_V, projections.b_V, inputs.key_value_states, inputs.v),
    ):
        made = source @ matrix + (0 if bias is None else bias)
        joined = np.swapaxes(recorded, 0, 1).reshape(made.shape)
        # a difference that is not a number is none that will do
        if not np.abs(made - joined).max() <= tolerance * np.abs(joined).max():
            return False
    return True


def _other_files(model: ModelFacts) -> AttnvizError:
    return AttnvizError(
        f"the files of the model {model.name} are not those that this inspection was made with",
        "look at the sentence anew",
    )
