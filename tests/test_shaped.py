"""Arrays are checked to have the shapes that their annotations name, while tests run."""

import subprocess
import sys

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from attnviz.attention.layer import LayerRecord, Projections, softmax

SCORES = np.zeros((2, 3, 5), np.float32)


def test_what_fits_is_let_through() -> None:
    assert softmax(SCORES.copy()).shape == (2, 3, 5)
    assert softmax(SCORES.copy(), np.zeros(2, np.float32)).shape == (2, 3, 5)


@pytest.mark.parametrize(
    ("scores", "sinks"),
    [
        (SCORES[0], None),  # an axis is missing
        (SCORES.astype(int), None),  # the numbers are of another kind
        (SCORES, np.zeros(3, np.float32)),  # a sink for each query, not for each head
        (SCORES.tolist(), None),
        (None, None),
    ],
)
def test_what_does_not_fit_is_refused(scores: np.ndarray, sinks: np.ndarray | None) -> None:
    with pytest.raises(TypeCheckError, match="softmax"):
        softmax(scores, sinks)


def test_fields_are_checked_beside_each_other() -> None:
    square, wide = np.zeros((4, 4), np.float32), np.zeros((4, 6), np.float32)
    Projections(square, square, square, square, b_Q=square[0])
    with pytest.raises(TypeCheckError, match="b_Q"):
        Projections(square, square, square, square, b_Q=wide[0])


def test_results_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = LayerRecord(recorded_weights=np.ones((2, 3, 1), np.float32))
    assert layer.weights(0).shape == (2, 3, 1)
    object.__setattr__(layer, "recorded_weights", np.ones((2, 3, 1, 1), np.float32))
    with pytest.raises(TypeCheckError, match="weights"):
        layer.weights(0)


def test_nobody_else_pays_for_it() -> None:
    code = (
        "import sys, numpy\nfrom typing import get_type_hints\n"
        "from attnviz.attention.layer import softmax\n"
        "print('jaxtyping' in sys.modules, get_type_hints(softmax)['return'] is numpy.ndarray)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True\n"
