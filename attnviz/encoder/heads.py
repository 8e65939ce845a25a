"""The dense layers with which a published classifier makes scores of our encoder's final states."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from attnviz.encoder.checkpoint import BELONG_TOGETHER, FLOATS, read_pickle
from attnviz.encoder.devices import Placement, as_numpy
from attnviz.encoder.encoder import FUNCTIONS
from attnviz.errors import AttnvizError
from attnviz.models.files import is_pickle, read_tensors, tensor_names
from attnviz.models.heads import Step


class DenseHead:
    """Dense layers, each perhaps with a function after it."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor | None, str | None]]) -> None:
        self._layers = layers

    def scores(self, states: np.ndarray) -> np.ndarray:
        """A score for each label: (token, d_model) -> (token, label)."""
        with torch.inference_mode():
            x = torch.from_numpy(states).to(self._layers[0][0])
            for weight, bias, function in self._layers:
                x = F.linear(x, weight, bias)
                x = x if function is None else FUNCTIONS[function](x)
            return as_numpy(x)


def read_head(
    steps_in: Callable[[Collection[str]], Sequence[Step]],
    path: Path,
    d_model: int,
    place: Placement,
) -> DenseHead | None:
    """The head in a checkpoint's file, whose tensors have the steps; None if there are none.

    AttnvizError for shapes that do not fit together, and numbers that are not finite.
    """
    pickle = read_pickle(path) if is_pickle(path) else None
    present: Collection[str] = tensor_names(path) if pickle is None else pickle.keys()
    steps = steps_in(present)
    if not steps:
        return None
    names = [f"{step.module}.{leaf}" for step in steps for leaf in ("weight", "bias")]
    wanted = [name for name in names if name in present]
    if pickle is None:
        found = {name: torch.from_numpy(one) for name, one in read_tensors(path, wanted).items()}
    else:
        found = {name: pickle[name] for name in wanted}
    _check(found, [f"{step.module}.weight" for step in steps], d_model, path)
    placed = place.put(found)
    return DenseHead(
        [
            (placed[f"{step.module}.weight"], placed.get(f"{step.module}.bias"), step.activation)
            for step in steps
        ]
    )


def _check(found: dict[str, Tensor], weights: Sequence[str], width: int, path: Path) -> None:
    for name, tensor in found.items():
        if tensor.dtype not in FLOATS or not torch.isfinite(tensor).all():
            raise AttnvizError(f"{path} holds numbers that are not finite, in {name}")
    for name in weights:
        shape, bias = found[name].shape, found.get(f"{name.removesuffix('.weight')}.bias")
        if len(shape) != 2 or shape[1] != width or (bias is not None and bias.shape != shape[:1]):
            raise AttnvizError(
                f"{name} has shape {tuple(shape)}, and takes vectors of {width} numbers",
                BELONG_TOGETHER,
            )
        width = shape[0]
