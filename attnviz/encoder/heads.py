"""The dense layers with which a published classifier makes scores of our encoder's final states."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from attnviz.encoder.checkpoint import BELONG_TOGETHER, Tensors, tensors_in
from attnviz.encoder.engine import Engine
from attnviz.encoder.parts import Linear, Weights
from attnviz.errors import AttnvizError
from attnviz.models.files import is_finite
from attnviz.models.heads import Step


class DenseHead:
    """Dense layers, each perhaps with a function after it."""

    def __init__(self, steps: Sequence[Step], weights: Weights) -> None:
        self.engine = weights.engine
        self._layers = [(Linear(weights, step.module), step.activation) for step in steps]

    def scores(self, states: np.ndarray) -> np.ndarray:
        """A score for each label: (token, d_model) -> (token, label)."""
        with self.engine.running():
            x = self.engine.array(states)
            for layer, function in self._layers:
                x = layer(x)
                x = x if function is None else self.engine.activation(function, x)
            return self.engine.numpy(x)


def read_head(
    steps_in: Callable[[Collection[str]], Sequence[Step]], path: Path, d_model: int, engine: Engine
) -> DenseHead | None:
    """The head in a checkpoint's file, whose tensors have the steps; None if there are none.

    AttnvizError for shapes that do not fit together, and numbers that are not finite.
    """
    present = tensors_in(path)
    steps = steps_in(present)
    if not steps:
        return None
    names = [f"{step.module}.{leaf}" for step in steps for leaf in ("weight", "bias")]
    found = {name: present[name] for name in names if name in present}
    _check(found, [f"{step.module}.weight" for step in steps], d_model, path)
    return DenseHead(steps, Weights(engine, engine.put(found)))


def _check(found: Tensors, weights: Sequence[str], width: int, path: Path) -> None:
    for name, array in found.items():
        if array.dtype.kind != "f" or not is_finite(array):
            raise AttnvizError(f"{path} holds numbers that are not finite, in {name}")
    for name in weights:
        shape, bias = found[name].shape, found.get(f"{name.removesuffix('.weight')}.bias")
        if len(shape) != 2 or shape[1] != width or (bias is not None and bias.shape != shape[:1]):
            raise AttnvizError(
                f"{name} has shape {shape}, and takes vectors of {width} numbers", BELONG_TOGETHER
            )
        width = shape[0]
