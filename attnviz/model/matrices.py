"""Read the matrices behind an inspection from the model's files, mostly without torch."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from attnviz.attention.layer import Projections
from attnviz.errors import AttnvizError, RequestError
from attnviz.inspection import Inspection, ModelFacts
from attnviz.models import PAPER, find_model
from attnviz.models.families import FAMILIES
from attnviz.models.files import is_pickle
from attnviz.models.stored import draw_matrix, read_tensors, rounded, tensor_names

MATRICES = ("W_Q", "W_K", "W_V", "W_O")

TOLERANCES = {"float32": 1e-4, "float16": 5e-3, "bfloat16": 2e-2}
"""How far a recomputed number may be from the recorded one, relative to the largest of them."""


def projections_of(inspection: Inspection, layer: int) -> Projections:
    """A layer's matrices and biases, in float32, checked against what was recorded.

    Raises AttnvizError if the model's files are missing, damaged, or give other numbers than those
    recorded; IndexError for a layer that does not exist.
    """
    number = range(inspection.model.num_layers)[layer]
    projections = read_projections(inspection.model, number)
    inputs, tolerance = inspection.layer(number).inputs(), TOLERANCES[inspection.model.dtype]
    for matrix, bias, source, recorded in (
        (projections.W_Q, projections.b_Q, inputs.x, inputs.q),
        (projections.W_K, projections.b_K, inputs.key_value_states, inputs.k),
        (projections.W_V, projections.b_V, inputs.key_value_states, inputs.v),
    ):
        product = source @ matrix + (0 if bias is None else bias)
        expected = np.swapaxes(recorded, 0, 1).reshape(product.shape)
        # NaN differs too
        if not np.abs(product - expected).max() <= tolerance * np.abs(expected).max():
            raise _other_files(inspection.model)
    return projections


def read_projections(model: ModelFacts, layer: int) -> Projections:
    """A layer's matrices and biases, in float32, rounded to the dtype that the model computed in.

    Raises AttnvizError if the model's files are missing, damaged, or do not fit the facts.
    """
    if model.family == PAPER:
        return _drawn(model, layer)
    if model.family not in FAMILIES:
        raise AttnvizError(
            f"attnviz does not know the names of the matrices of a {model.family} model",
            f"it knows those of {', '.join([*FAMILIES, PAPER])}",
        )
    try:
        path = find_model(model.name).weights
    except AttnvizError as error:  # never a RequestError: the request is right
        elsewhere = (
            f'run this where "{model.name}" was found, or inspect the sentence again with --model '
            "and a model that is here"
        )
        raise AttnvizError(
            f"the model's own files are needed for its matrices, and {error.message}",
            elsewhere if isinstance(error, RequestError) else error.hint,
        ) from error
    return _stored(model, layer, path)


def _drawn(model: ModelFacts, layer: int) -> Projections:
    """The untrained model's matrices, drawn from its seed."""
    drawn: dict[str, Any] = {}
    for matrix in MATRICES:
        out = np.empty((model.d_model, model.d_model), np.float32)
        draw_matrix(out, model.seed or 0, f"layers.{layer}.attention.{matrix}")
        drawn[matrix] = rounded(out, model.dtype).T
    return Projections(**drawn)


def _stored(model: ModelFacts, layer: int, path: Path) -> Projections:
    """A published model's matrices, which its file holds transposed, (out, in)."""
    present, read = _reader(path)
    names = FAMILIES[model.family].names.resolve(present, model.num_layers)
    try:
        weights = {m: names[f"layers.{layer}.attention.{m}.weight"] for m in MATRICES}
        biases = {f"b{m[1:]}": names[f"layers.{layer}.attention.{m}.bias"] for m in MATRICES}
    except KeyError as error:
        raise _other_files(model) from error
    stored = read([*weights.values(), *biases.values()])
    tensors = {name: rounded(tensor, model.dtype) for name, tensor in stored.items()}
    if {tensors[name].shape for name in weights.values()} != {(model.d_model, model.d_model)}:
        raise _other_files(model)
    parts: dict[str, Any] = {matrix: tensors[name].T for matrix, name in weights.items()}
    return Projections(**parts | {bias: tensors[name] for bias, name in biases.items()})


def _reader(
    path: Path,
) -> tuple[Collection[str], Callable[[Sequence[str]], dict[str, np.ndarray]]]:
    """The names of a file's tensors, and a function that reads some; a pickle needs torch."""
    if not is_pickle(path):
        return tensor_names(path), partial(read_tensors, path)
    from attnviz.encoder.checkpoint import read_pickle

    tensors = read_pickle(path)
    return tensors.keys(), lambda names: {name: tensors[name].float().numpy() for name in names}


def _other_files(model: ModelFacts) -> AttnvizError:
    return AttnvizError(
        f"the files of the model {model.name} are not those of this inspection",
        "inspect the sentence again",
    )
