"""Find what enters a model's first layer as a sum: of what its embedding modules gave, in a run."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from torch import nn

from attnviz.attention.sublayers import Embedded, Norm
from attnviz.transformers_backend.layer_parts import LINEAR, matrix_of, norm_of, same
from attnviz.transformers_backend.layer_run import Invocation, LayerRun
from attnviz.transformers_backend.sublayers import TOLERANCES

UNSPLIT = "embeddings"
CALLED = {"position": ("pos", "wpe"), "type": ("type", "segment")}
"""What the names of modules have in them that embed a position, or a token's type."""


def find_embedded(run: LayerRun, dtype: str, model: Any) -> Embedded:
    """The parts of the first layer's x; in one, "embeddings", where they are not told apart."""
    names = {module: name for name, module in model.named_modules()}
    words = model.get_input_embeddings()
    inside = (one for one in run.around if run.calls_in(one) == 1)
    layer, x = next((one, one.entered) for one in inside if one.entered is not None)
    before = [one for one in run.invocations if one.end < layer.begin]
    tolerance = TOLERANCES.get(dtype, 1e-5)
    for matrix, normed in _matrices(before, x.tried):
        for norm, total in _norms(before, normed, tolerance):
            parts = _summed(before, total, tolerance, names, words)
            if parts:
                made = (None, None) if matrix is None else matrix_of(matrix.module)
                return Embedded(parts, norm, *made)
    return Embedded({UNSPLIT: x.asked})


def _matrices(
    before: list[Invocation], x: np.ndarray
) -> Iterator[tuple[Invocation | None, np.ndarray]]:
    """The matrix that gave x, and what entered it; or none, and x."""
    yield None, x
    for one in before:
        if isinstance(one.module, LINEAR) and same(one.made, x) and one.given is not None:
            yield one, one.given


def _norms(
    before: list[Invocation], made: np.ndarray, tolerance: float
) -> Iterator[tuple[Norm | None, np.ndarray]]:
    yield None, made
    for one in before:
        if same(one.made, made) and one.given is not None:
            norm = norm_of(one, tolerance)
            if norm is not None:
                yield norm, one.given


def _summed(
    before: list[Invocation],
    total: np.ndarray,
    tolerance: float,
    names: Mapping[nn.Module, str],
    words: object,
) -> dict[str, np.ndarray]:
    """The embeddings that sum to the total, each perhaps times a factor; none if they do not."""
    found = [
        one
        for one in before
        if one.entered is None
        and one.made is not None
        and one.made.shape == total.shape
        and not any(one.module.children())
    ]
    if not found:
        return {}
    columns = np.stack([one.made.ravel() for one in found if one.made is not None], axis=1)
    factors = np.linalg.lstsq(columns, total.ravel(), rcond=None)[0]
    factors[np.abs(factors - 1) < 1e-3] = 1
    factors[np.abs(factors) < 1e-3] = 0
    if not np.abs(columns @ factors - total.ravel()).max() <= tolerance * np.abs(total).max():
        return {}
    parts: dict[str, np.ndarray] = {}
    for one, factor in zip(found, factors, strict=True):
        if factor and one.left is not None:
            name = _named(one.module, names, words)
            vectors = np.float32(factor) * one.left.asked
            parts[name] = parts[name] + vectors if name in parts else vectors
    return parts


def _named(module: nn.Module, names: Mapping[nn.Module, str], words: object) -> str:
    if module is words:
        return "token"
    path = names.get(module, "").lower()
    return next(
        (kind for kind, called in CALLED.items() if any(word in path for word in called)), UNSPLIT
    )
