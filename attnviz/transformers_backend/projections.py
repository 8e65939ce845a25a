"""Find a layer's W_Q, W_K and W_V: x times it is what was recorded, but for a norm or a rotation.

A rotation keeps the length of each vector (Su et al. 2021, "RoFormer").
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attnviz.attention.layer import Between, Inputs, LayerRecord, Projections
from attnviz.attention.sublayers import HeadNorm, NormedProjections
from attnviz.encoder.devices import as_numpy
from attnviz.errors import AttnvizError, lacks_memory
from attnviz.transformers_backend.layer_parts import norm_of
from attnviz.transformers_backend.layer_run import Invocation, Rows

TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}  # relative to the largest number
TRIED_ROWS = 32  # the most tokens on which a matrix is tried
JOINT = (("q",), ("k",), ("v",), ("q", "k", "v"), ("k", "v"))  # what one matrix may give, in order
ROTATED = "rotated by its position"
NORMALISED = "normalised"


class _Matrix:
    """A linear layer's matrix, (in, out), and what it gives for some tokens."""

    def __init__(self, module: Any, rows: np.ndarray) -> None:
        weight = as_numpy(module.weight.detach())
        self.weight = weight if isinstance(module, Conv1D) else weight.T
        self.bias = None if module.bias is None else as_numpy(module.bias.detach())
        self._rows = rows

    @cached_property
    def product(self) -> np.ndarray:
        """(row, out)."""
        product: np.ndarray = self._rows @ self.weight
        return product if self.bias is None else product + self.bias


class _Part(NamedTuple):
    """What gives the queries, the keys or the values, the step after it in words, if any, and the
    norm in that step, if it is known.
    """

    weight: np.ndarray
    bias: np.ndarray | None
    step: str | None
    norm: HeadNorm | None


@dataclass(frozen=True)
class _Target:
    """Recorded vectors of some tokens, (row, head, d), and a relative tolerance."""

    vectors: np.ndarray
    tolerance: float

    def equals(self, vectors: np.ndarray) -> bool:
        """Whether these are the recorded vectors."""
        return self._near(vectors, self.vectors)

    def is_rotation_of(self, vectors: np.ndarray) -> bool:
        """Whether these have the lengths of the recorded vectors."""
        return self._near(np.linalg.norm(vectors, axis=-1), np.linalg.norm(self.vectors, axis=-1))

    def _near(self, numbers: np.ndarray, recorded: np.ndarray) -> bool:
        return bool(np.abs(numbers - recorded).max() <= self.tolerance * np.abs(recorded).max())


def find_projections(
    modules: Sequence[nn.Module],
    outputs: Sequence[nn.Module | None],
    record: LayerRecord,
    dtype: str,
) -> Projections:
    """A layer's matrices, in float32; AttnvizError if none fit. `modules`: likeliest first."""
    inputs, tolerance = record.inputs(), TOLERANCES.get(dtype, TOLERANCES["float32"])
    for module, output in zip(modules, outputs, strict=True):
        search = _Search(module, output, inputs, tolerance)
        q, k, v = map(search.part, ("q", "k", "v"))
        if q is None or k is None or v is None:
            continue
        if output is None:
            raise AttnvizError(
                "explain ends with W_O, and this model does more to z than multiply it by a matrix",
                "attnviz run shows its weights",
            )
        W_O = _Matrix(output, np.empty(0))
        biases, between = (q.bias, k.bias, v.bias, W_O.bias), Between(q.step, k.step, v.step)
        matrices, norms = (q.weight, k.weight, v.weight, W_O.weight), (q.norm, k.norm)
        return NormedProjections(
            *matrices, *biases, between=between, direct=False, q_norm=norms[0], k_norm=norms[1]
        )
    raise AttnvizError(
        "explain needs queries, keys and values that are x times a matrix, at most normalised or "
        "rotated, and this model computes them in another way",
        "attnviz run shows its weights",
    )


class _Search:
    """Tries one module's matrices on some tokens of a record."""

    def __init__(
        self, module: nn.Module, output: nn.Module | None, inputs: Inputs, tolerance: float
    ) -> None:
        self._module = module
        self._tolerance = tolerance
        self._recorded = {"q": inputs.q, "k": inputs.k, "v": inputs.v}
        linear = [
            m for m in module.modules() if isinstance(m, nn.Linear | Conv1D) and m is not output
        ]
        sources = {"q": inputs.x, "k": inputs.key_value_states}
        self._rows = {
            name: np.unique(np.linspace(0, len(source) - 1, TRIED_ROWS).round().astype(int))
            for name, source in sources.items()
        }
        self._matrices = {
            name: [_Matrix(m, source[self._rows[name]]) for m in linear if _takes(m, source)]
            for name, source in sources.items()
        }
        self._rows["v"], self._matrices["v"] = self._rows["k"], self._matrices["k"]

    def part(self, name: str) -> _Part | None:
        """What gives q, k or v; None if no matrix does."""
        vectors = self._recorded[name][:, self._rows[name]].swapaxes(0, 1)
        target = _Target(vectors, self._tolerance)
        candidates = [
            (matrix, columns, matrix.product[:, columns].reshape(vectors.shape))
            for matrix in self._matrices[name]
            for columns in self._columns(name, matrix.weight.shape[1])
        ]
        exact = [candidate for candidate in candidates if target.equals(candidate[2])]
        for matrix, columns, product in exact or candidates:
            step, norm = (None, None) if exact else _step(product, target, self._module)
            if exact or step:
                bias = None if matrix.bias is None else matrix.bias[columns]
                return _Part(matrix.weight[:, columns], bias, step, norm)
        return None

    def _columns(self, name: str, width: int) -> Iterator[np.ndarray]:
        """Columns that may give q, k or v in a matrix of this width, which may give all three."""
        sizes = {part: vectors.shape[::2] for part, vectors in self._recorded.items()}
        for parts in JOINT:
            if name not in parts or width != sum(np.prod(sizes[part]) for part in parts):
                continue
            # all of q, then all of k …, or head by head, where each group has its own k and v
            for groups in dict.fromkeys((1, min(sizes[part][0] for part in parts))):
                ends = np.cumsum([np.prod(sizes[part]) // groups for part in parts])
                columns = np.split(np.arange(width).reshape(groups, -1), ends[:-1], axis=1)
                yield columns[parts.index(name)].ravel()


def _step(
    product: np.ndarray, target: _Target, module: nn.Module
) -> tuple[str | None, HeadNorm | None]:
    """The step from x times a matrix to what was recorded, in words, and the norm in it; None if it
    is unknown.
    """
    if target.is_rotation_of(product):
        return ROTATED, None
    for tried in _normalised(module, product):
        if target.equals(tried.vectors):
            return NORMALISED, tried.norm(product, target.tolerance)
        if target.is_rotation_of(tried.vectors):
            return f"{NORMALISED} and {ROTATED}", tried.norm(product, target.tolerance)
    # a rotation may also scale all vectors alike, as some do for long texts
    length, before = (np.linalg.norm(vectors) for vectors in (target.vectors, product))
    factor = float(length / before) if before else 0.0
    if target.equals(factor * product):
        return f"times {factor:.4g}", None
    turned = target.is_rotation_of(factor * product)
    return f"{ROTATED}, times {factor:.4g}" if turned else None, None


class _Normalised(NamedTuple):
    """What a norm gave, (row, head, d): of each head, or of all `together`."""

    vectors: np.ndarray
    module: nn.Module
    together: bool

    def norm(self, given: np.ndarray, tolerance: float) -> HeadNorm | None:
        """The norm, if it is known, has no shift, and subtracts no mean of several heads."""
        shape = (len(given), -1) if self.together else (-1, given.shape[-1])
        entered, left = (
            vectors.reshape(shape).astype(np.float64) for vectors in (given, self.vectors)
        )
        rows = Rows(entered, entered), Rows(left, left)
        norm = norm_of(Invocation(self.module, 0, *rows), tolerance)
        if norm is None or np.any(norm.shift) or (self.together and norm.kind == "layer norm"):
            return None
        return HeadNorm(norm, self.together)


def _normalised(module: nn.Module, vectors: np.ndarray) -> Iterator[_Normalised]:
    """What the module's own norms give for vectors, (row, head, d): of each head, or of all."""
    rows = torch.from_numpy(vectors)[None].to(next(module.parameters()))
    norms = [m for m in module.children() if not isinstance(m, nn.Linear | Conv1D | nn.Dropout)]
    for norm in norms:
        for shaped in (rows, rows.flatten(2), rows.transpose(1, 2)):
            try:
                result = norm(shaped)
            except Exception as error:  # of any kind, for vectors that it is not made for
                if lacks_memory(error):
                    raise
                continue
            if isinstance(result, Tensor) and result.shape == shaped.shape:
                by_head = shaped.ndim == 4 and shaped is not rows
                back = result.transpose(1, 2) if by_head else result
                made = as_numpy(back.reshape(rows.shape)[0])
                yield _Normalised(made, norm, shaped.ndim == 3)


def _takes(module: nn.Linear | Conv1D, source: np.ndarray) -> bool:
    width = module.nx if isinstance(module, Conv1D) else module.in_features
    return bool(width == source.shape[1])
