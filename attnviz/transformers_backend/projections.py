"""Which of a module's matrices make queries, keys and values of x: found by what they make of it.

Nothing here knows an architecture. A matrix is W_Q if x times it is q, as it was recorded; or if it
is so once a norm of the module's own was applied to it, or but for a rotation, which leaves every
vector its length (Su et al. 2021, "RoFormer"). Where none is, nothing is claimed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from attnviz.attention.layer import Between, Inputs, LayerRecord, Projections
from attnviz.encoder.devices import as_numpy
from attnviz.errors import AttnvizError

TOLERANCES = {"float32": 1e-4, "float16": 1e-2, "bfloat16": 3e-2}
"""How far a recomputed number may be from the recorded one, as a part of the largest of them."""

ROWS = 32
"""Tokens of a long text that matrices are tried on."""

PARTS = (("q",), ("k",), ("v",), ("q", "k", "v"), ("k", "v"))
"""What one matrix may make, in this order."""

ROTATED = "rotated by its position"
NORMALISED = "normalised"


class _UnknownError(Exception):
    """None of the matrices makes what was recorded."""


@dataclass(frozen=True)
class _Part:
    """Some columns of a matrix: those that make the queries, the keys or the values."""

    matrix: "_Matrix"
    columns: np.ndarray

    @property
    def weight(self) -> np.ndarray:
        return self.matrix.weight[:, self.columns]

    @property
    def bias(self) -> np.ndarray | None:
        return None if self.matrix.bias is None else self.matrix.bias[self.columns]


class _Matrix:
    """A module's matrix, (in, out), with what it makes of some tokens' vectors."""

    def __init__(self, module: Any, rows: np.ndarray) -> None:
        weight = as_numpy(module.weight)
        self.weight = weight if isinstance(module, Conv1D) else weight.T
        self.bias = None if module.bias is None else as_numpy(module.bias)
        self._rows = rows

    @cached_property
    def made(self) -> np.ndarray:
        """(row, out)."""
        made: np.ndarray = self._rows @ self.weight
        return made if self.bias is None else made + self.bias


@dataclass(frozen=True)
class _Target:
    """What was recorded of some tokens, (row, head, d), and how far from it is near."""

    vectors: np.ndarray
    tolerance: float

    def near(self, made: np.ndarray) -> bool:
        """Whether these are the same numbers."""
        return self._near(made, self.vectors)

    def rotated(self, made: np.ndarray) -> bool:
        """Whether every vector is as long as the one recorded."""
        return self._near(np.linalg.norm(made, axis=-1), np.linalg.norm(self.vectors, axis=-1))

    def _near(self, made: np.ndarray, recorded: np.ndarray) -> bool:
        return bool(np.abs(made - recorded).max() <= self.tolerance * np.abs(recorded).max())


def find_projections(
    modules: Sequence[nn.Module],
    outputs: Sequence[nn.Module | None],
    record: LayerRecord,
    dtype: str,
) -> Projections:
    """The matrices that a layer's attention was made with, in float32.

    `modules`: those that may be the layer's, the likeliest first, and the W_O of each; `dtype`:
    what the model computes in. AttnvizError if none makes what was recorded.
    """
    inputs, tolerance = record.inputs(), TOLERANCES[dtype]
    for module, output in zip(modules, outputs, strict=True):
        try:
            q, k, v = _Search(module, output, inputs, tolerance).found()
        except _UnknownError:
            continue
        if output is None:
            raise AttnvizError(
                "explain ends with W_O, and this model does more to z before it is mixed than "
                "multiply it by a matrix",
                "attnviz run shows its weights",
            )
        mixing = _Matrix(output, np.empty(0))
        (W_Q, q_step), (W_K, k_step), (W_V, v_step) = q, k, v
        return Projections(
            W_Q.weight,
            W_K.weight,
            W_V.weight,
            mixing.weight,
            W_Q.bias,
            W_K.bias,
            W_V.bias,
            mixing.bias,
            between=Between(q_step, k_step, v_step),
            direct=False,
        )
    raise AttnvizError(
        "explain follows models whose queries, keys and values are x times a matrix, normalised or "
        "rotated at most, and this model makes them in another way",
        "attnviz run shows its weights",
    )


_Found = tuple[_Part, str | None]
"""A part of a matrix, and what is done to what it makes; None where that is nothing."""


class _Search:
    """One module's matrices, tried on some tokens of a record."""

    def __init__(
        self, module: nn.Module, output: nn.Module | None, inputs: Inputs, tolerance: float
    ) -> None:
        self._module = module
        own = [m for m in module.modules() if isinstance(m, nn.Linear | Conv1D) and m is not output]
        self._recorded = {"q": inputs.q, "k": inputs.k, "v": inputs.v}
        self._rows = {"q": _some(len(inputs.x)), "k": _some(len(inputs.key_value_states))}
        sources = {"q": inputs.x, "k": inputs.key_value_states}
        self._matrices = {
            name: [_Matrix(m, source[self._rows[name]]) for m in own if _takes(m, source)]
            for name, source in sources.items()
        }
        self._tolerance = tolerance

    def found(self) -> tuple[_Found, _Found, _Found]:
        """What makes q, k and v; _UnknownError where nothing does."""
        return self._part("q"), self._part("k"), self._part("v")

    def _part(self, name: str) -> _Found:
        """The matrix whose products are what was recorded; else one but for a step between."""
        source = "q" if name == "q" else "k"
        vectors = self._recorded[name][:, self._rows[source]].swapaxes(0, 1)
        target = _Target(vectors, self._tolerance)
        parts = [
            _Part(matrix, columns)
            for matrix in self._matrices[source]
            for columns in self._columns(name, matrix.weight.shape[1])
        ]
        products = [part.matrix.made[:, part.columns].reshape(vectors.shape) for part in parts]
        for part, made in zip(parts, products, strict=True):
            if target.near(made):
                return part, None
        for part, made in zip(parts, products, strict=True):
            step = _step(made, target, self._module)
            if step:
                return part, step
        raise _UnknownError(name)

    def _columns(self, name: str, width: int) -> Iterator[np.ndarray]:
        """The columns that may be the part of this name in a matrix that makes several."""
        sizes = {part: vectors.shape[::2] for part, vectors in self._recorded.items()}
        for parts in PARTS:
            if name not in parts or width != sum(np.prod(sizes[part]) for part in parts):
                continue
            # all of one behind all of another, or head by head, each group with its own k and v
            for groups in dict.fromkeys((1, min(sizes[part][0] for part in parts))):
                ends = np.cumsum([np.prod(sizes[part]) // groups for part in parts])
                columns = np.split(np.arange(width).reshape(groups, -1), ends[:-1], axis=1)
                yield columns[parts.index(name)].ravel()


def _step(made: np.ndarray, target: _Target, module: nn.Module) -> str | None:
    """What leads from x times a matrix to what was recorded, in words; None if nothing known."""
    for vectors, told in [(made, ""), *((v, NORMALISED) for v in _normed(module, made))]:
        if told and target.near(vectors):
            return told
        if target.rotated(vectors):
            return " and ".join(filter(None, (told, ROTATED)))
    # a rotation may also lengthen all vectors alike, as some do for long texts
    lengths = [np.linalg.norm(vectors) for vectors in (target.vectors, made)]
    factor = float(lengths[0] / lengths[1]) if lengths[1] else 0.0
    if target.near(factor * made):
        return f"times {factor:.4g}"
    return f"{ROTATED}, times {factor:.4g}" if target.rotated(factor * made) else None


def _normed(module: nn.Module, made: np.ndarray) -> Iterator[np.ndarray]:
    """What the module's own norms make of vectors, (row, head, d), each head's or all together."""
    like = next(module.parameters())
    vectors = torch.from_numpy(made)[None].to(like)
    arranged = [(vectors, vectors), (vectors.flatten(2), vectors)]
    arranged.append((vectors.transpose(1, 2), vectors))
    norms = [m for m in module.children() if not isinstance(m, nn.Linear | Conv1D | nn.Dropout)]
    for norm, (given, _) in product(norms, arranged):
        out = _applied(norm, given)
        if out is not None:
            back = out.transpose(1, 2) if given.ndim == 4 and given is not vectors else out
            yield as_numpy(back.reshape(vectors.shape)[0])


def _applied(norm: nn.Module, given: Tensor) -> Tensor | None:
    """What a module makes of vectors; None where it makes something else, or nothing."""
    try:
        with torch.inference_mode():
            out = norm(given)
    except Exception:  # whatever a module does with vectors that are not meant for it
        return None
    return out if isinstance(out, Tensor) and out.shape == given.shape else None


def _takes(module: nn.Linear | Conv1D, source: np.ndarray) -> bool:
    width = module.nx if isinstance(module, Conv1D) else module.in_features
    return bool(width == source.shape[1])


def _some(length: int) -> np.ndarray:
    return np.unique(np.linspace(0, length - 1, ROWS).round().astype(int))
