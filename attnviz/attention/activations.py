"""The activations of feed-forward networks, in numpy, for float32 and float64."""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

Formula = Callable[[np.ndarray], np.ndarray]

BLOCK = 1 << 14  # numbers; a block and what is computed of it stay in a processor's cache


class Function(Protocol):
    """An activation."""

    def __call__(self, u: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The function of each number, in a new array or in `out`, which may be u itself."""


LOG_ODDS = (
    1.5957699, 7.2666169e-2, -6.5189958e-5, -1.1061238e-4, 7.9294881e-6, -2.6452662e-7,
    3.5123396e-9,
)  # fmt: skip
"""ln(P / (1 - P)) = u (c_0 + c_1 u^2 + c_2 u^4 ...), with P the normal distribution's `below`.

Fitted by reweighted least squares: P is at most 3.1e-8 off, half a last place of a float32 at 1/2.
"""

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def below(u: np.ndarray) -> np.ndarray:
    """How likely a normal number is below u: (1 + erf(u / sqrt 2)) / 2."""
    if u.dtype == np.float64:
        exact: np.ndarray = _erfc(u / -math.sqrt(2)) / 2
        return exact
    square = u * u
    odds = square * -LOG_ODDS[-1]
    for factor in LOG_ODDS[-2:0:-1]:
        odds -= factor
        odds *= square
    odds -= LOG_ODDS[0]
    odds *= u
    np.exp(odds, out=odds)
    odds += 1
    share: np.ndarray = np.reciprocal(odds, out=odds)
    return share


def _sigmoid(u: np.ndarray) -> np.ndarray:
    share: np.ndarray = 1 / (1 + np.exp(-u))
    return share


def _in_blocks(formula: Formula) -> Function:
    """The function, a block at a time; numbers too large for the formula are no reason to warn."""

    def function(u: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        out = np.empty(u.shape, u.dtype) if out is None else out
        numbers, results = u.reshape(-1), out.reshape(-1)
        with np.errstate(all="ignore"):
            for start in range(0, u.size, BLOCK):
                block = slice(start, start + BLOCK)
                results[block] = formula(numbers[block])
        return out

    return function


_FORMULAS: dict[str, Formula] = {
    "relu": lambda u: np.maximum(u, 0),
    "gelu": lambda u: u * below(u),
    "gelu_tanh": lambda u: (
        u * (0.5 + np.tanh(math.sqrt(2 / math.pi) * (u + 0.044715 * u * u * u)) / 2)
    ),
    "silu": lambda u: u * _sigmoid(u),
    "gelu_10": lambda u: np.clip(u * below(u), -10, 10),
    "quick_gelu": lambda u: u * _sigmoid(1.702 * u),
    "mish": lambda u: u * np.tanh(np.logaddexp(0, u)),
    "relu2": lambda u: np.maximum(u, 0) ** 2,
    "relu6": lambda u: np.clip(u, 0, 6),
    "hardswish": lambda u: u * (np.clip(u + 3, 0, 6) / 6),
    "leaky_relu": lambda u: np.where(u > 0, u, 0.01 * u),
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "laplace": lambda u: below((u - 0.707107) / 0.282095),
    "sqrtsoftplus": lambda u: np.sqrt(np.logaddexp(0, u)),
    "identity": lambda u: u,
}

FUNCTIONS = {name: _in_blocks(formula) for name, formula in _FORMULAS.items()}
"""The activations of our own encoder, by their names in `models.config.ACTIVATIONS`."""
