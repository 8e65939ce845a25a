"""Numbers that were computed twice, which one processor may round in two ways."""

from typing import Any

import numpy as np


def assert_numbers(found: Any, expected: Any) -> None:
    """The numbers are the same to float32's rounding: products are summed up in any order."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def assert_written_as_float32(numbers: Any) -> None:
    """The numbers, read from a file, are float32 to the last digit, and have no digit more."""
    read = [float(number) for number in np.ravel(numbers)]
    assert read == [float(str(np.float32(number))) for number in read]
