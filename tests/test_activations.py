"""The activations in numpy, float32 and float64, held to torch's over the whole range."""

import math

import numpy as np
import pytest
import torch

from attnviz.attention.activations import BLOCK, FUNCTIONS, below
from attnviz.encoder.torch_engine import FUNCTIONS as OF_TORCH

SIZES = np.concatenate([[0], np.linspace(1e-3, 30, 20_001), np.geomspace(1e-45, 1e38, 5_000)])
NUMBERS = np.concatenate([-SIZES[::-1], SIZES]).astype(np.float32)

SHARES = {"sigmoid", "laplace", "tanh", "sqrtsoftplus"}
"""Those that are not near 0 where their number is."""


def test_both_engines_have_the_same() -> None:
    assert FUNCTIONS.keys() == OF_TORCH.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("dtype", "within"), [("float32", 1e-6), ("float64", 1e-12)])
def test_numbers_of_any_size(name: str, dtype: str, within: float) -> None:
    numbers = NUMBERS.astype(dtype)
    expected = OF_TORCH[name](torch.from_numpy(NUMBERS.astype(np.float64))).numpy()
    if dtype == "float32":
        expected = np.where(np.abs(expected) > np.finfo(dtype).max, np.inf, expected)
    found = FUNCTIONS[name](numbers)
    assert found.dtype == dtype
    # of a share near 0, only so much is left of its distance to 1
    allowed = within * np.abs(expected) + np.finfo(np.float32).smallest_subnormal
    allowed += within / 5 * (1 if name in SHARES else np.minimum(np.abs(numbers), 1))
    if dtype == "float64" and name in ("mish", "sqrtsoftplus"):  # torch takes e^20 for infinite
        allowed += 1e-9 * np.abs(expected)
    same = found == expected  # infinite too
    with np.errstate(invalid="ignore"):
        off = np.where(same, 0, np.abs(found - expected)) / allowed
    assert off.max() <= 1, (name, numbers[off.argmax()], found[off.argmax()])


def test_large_arrays_come_in_blocks() -> None:
    numbers = np.random.default_rng(0).standard_normal((3, 2 * BLOCK // 3 + 5)).astype(np.float32)
    found = FUNCTIONS["gelu"](numbers.T)
    assert found.shape == numbers.T.shape
    for row, expected in zip(found.T, numbers, strict=True):
        np.testing.assert_array_equal(row, FUNCTIONS["gelu"](expected))


def test_the_share_below() -> None:
    """The fit is as near as it says, and computed in float32 only rounding is added."""
    exact = np.array([(1 + math.erf(u / math.sqrt(2))) / 2 for u in NUMBERS.tolist()])
    np.testing.assert_allclose(below(NUMBERS.astype(np.float64)), exact, rtol=0, atol=1e-15)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(below(NUMBERS), exact, rtol=0, atol=1.5e-7)
    quad = np.arange(-8, 8, 1e-3).astype(np.longdouble)  # without float32's rounding
    if quad.dtype != np.float64:
        share = [math.erfc(-float(u) / math.sqrt(2)) / 2 for u in quad]
        np.testing.assert_allclose(below(quad).astype(float), share, rtol=0, atol=3.1e-8)


def test_numbers_that_are_none_stay_so() -> None:
    none = np.array([np.nan], np.float32)
    for function in FUNCTIONS.values():
        assert np.isnan(function(none)).all()
