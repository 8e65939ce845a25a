"""What single modules of a layer are: a norm, a matrix, or the end of a feed-forward network.

Each is known by what it makes of what enters it, to rounding.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import permutations, product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attnviz.attention.sublayers import FeedForward, Norm, NormKind
from attnviz.encoder.devices import as_numpy
from attnviz.encoder.torch_engine import FUNCTIONS
from attnviz.transformers_backend.layer_run import Invocation

EPSILONS = ("eps", "variance_epsilon", "norm_eps", "epsilon")
KINDS: tuple[NormKind, ...] = ("layer norm", "RMS norm", "gain")
LINEAR = (nn.Linear, Conv1D)
_Matrix = tuple[np.ndarray, np.ndarray | None]
_Wide = tuple[np.ndarray, _Matrix]  # what a matrix makes, and the matrix
_Function = Callable[[np.ndarray], np.ndarray]


def off(made: np.ndarray, seen: np.ndarray | None) -> float:
    """How far numbers are from those seen, relative to the largest of each row."""
    if seen is None or made.shape != seen.shape:
        return float("inf")
    largest = np.abs(seen).max(axis=1, keepdims=True)
    apart = np.abs(made - seen) / np.where(largest == 0, 1, largest)
    return float(apart.max()) if np.isfinite(apart).all() else float("inf")


def same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether two modules saw the very same numbers."""
    return one is not None and other is not None and np.array_equal(one, other)


def matrix_of(module: Any) -> _Matrix:
    """A linear layer's matrix, (in, out), and its bias."""
    weight = as_numpy(module.weight.detach())
    bias = None if module.bias is None else as_numpy(module.bias.detach())
    return (weight if isinstance(module, Conv1D) else weight.T), bias


def norm_of(one: Invocation, tolerance: float) -> Norm | None:
    """A module as the norm that gives what it made; None for another module."""
    u, y, module = one.given, one.made, one.module
    if u is None or y is None or u.shape != y.shape or same(u, y):
        return None
    if any(module.children()) or isinstance(module, LINEAR):
        return None
    weight, bias = (_vector(getattr(module, name, None)) for name in ("weight", "bias"))
    if weight is not None and weight.shape != u.shape[1:]:
        return None
    gains: list[np.ndarray | float] = [1.0] if weight is None else [weight, 1 + weight]
    eps = [getattr(module, name) for name in EPSILONS if hasattr(module, name)]
    best, found = tolerance, None
    for kind, small, gain in product(KINDS, [*eps, 1e-5, 1e-6, 1e-12], gains):
        if kind != "gain" or weight is not None:
            norm = Norm(kind, float(small), gain, 0.0 if bias is None else bias)
            apart = off(norm(u), y)
            if apart < best:
                best, found = apart, norm
    return found


def network_of(
    outer: Invocation, inside: Sequence[Invocation], tolerance: float
) -> tuple[FeedForward, np.ndarray] | None:
    """The feed-forward network that ends in a matrix, and what it reads: the matrices and the
    function that give what enters the last one. None if there are none inside.
    """
    inner, (W_2, b_2) = outer.given, matrix_of(outer.module)
    if inner is None:
        return None
    found = None
    known = [(name, partial(_applied, function)) for name, function in FUNCTIONS.items()]
    for functions in (known, _own_functions(outer, inside)):
        best = tolerance
        for read, wide, gate in () if found else _first_matrices(outer, inside):
            for name, function in functions:
                made = function((gate or wide)[0]) * (1 if gate is None else wide[0])
                apart = off(made, inner)
                if apart < best:
                    (W_1, b_1), (W_G, b_G) = wide[1], (None, None) if gate is None else gate[1]
                    network = FeedForward(W_1, W_2, b_1, b_2, name, function, W_G, b_G)
                    best, found = apart, (network, read)
    if found is None:
        return None
    network, read = found
    rounded = network.outer(network.inner(read))
    return found if off(rounded, outer.made) <= tolerance else None


def _first_matrices(
    outer: Invocation, inside: Sequence[Invocation]
) -> Iterator[tuple[np.ndarray, _Wide, _Wide | None]]:
    """What may be read, and what W_1 and perhaps a gate make of it, with their matrices: of one
    matrix, its halves, or two matrices.
    """
    d_ff = 0 if outer.given is None else outer.given.shape[1]
    width = None if outer.made is None else outer.made.shape
    alone: list[tuple[np.ndarray, _Wide]] = []
    for one in inside:
        read, made = one.given, one.made
        if not isinstance(one.module, LINEAR) or one.end > outer.begin or made is None:
            continue
        if read is None or read.shape != width or made.shape[1] not in (d_ff, 2 * d_ff):
            continue
        weight, bias = matrix_of(one.module)
        if made.shape[1] == d_ff:
            alone.append((read, (made, (weight, bias))))
            yield read, alone[-1][1], None
            continue
        for halves in _halves(d_ff):
            wide, gate = (
                (made[:, half], (weight[:, half], None if bias is None else bias[half]))
                for half in halves
            )
            yield read, wide, gate
    for (read, wide), (other, gate) in permutations(alone, 2):
        if same(read, other):
            yield read, wide, gate


def _halves(d_ff: int) -> tuple[tuple[slice, slice], ...]:
    """Where W_1 and the gate may be in one matrix: one after the other, or in turn."""
    first, last = slice(d_ff), slice(d_ff, None)
    even, odd = slice(0, None, 2), slice(1, None, 2)
    return (last, first), (first, last), (odd, even), (even, odd)


def _own_functions(outer: Invocation, inside: Sequence[Invocation]) -> list[tuple[str, _Function]]:
    """The layer's own modules that give what enters its last matrix."""
    return [
        (type(one.module).__name__, partial(_applied, one.module))
        for one in inside
        if not (any(one.module.children()) or isinstance(one.module, LINEAR))
        and one.end < outer.begin
        and same(one.made, outer.given)
    ]


def _applied(function: Callable[[Tensor], Tensor], values: np.ndarray) -> np.ndarray:
    """An activation of torch, of any numbers."""
    parameter = next(function.parameters(), None) if isinstance(function, nn.Module) else None
    vectors = torch.from_numpy(values)
    with torch.no_grad():
        if parameter is not None:
            vectors = vectors.to(parameter)
        result: np.ndarray = function(vectors).to("cpu", torch.float64).numpy()
    return result


def _vector(parameter: Any) -> np.ndarray | None:
    if not isinstance(parameter, Tensor):
        return None
    return as_numpy(parameter.detach()).astype(np.float64).ravel()
