"""The measure's formula, as a model's own attention has it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from handmade import inspection_of, tokens_of
from rounding import assert_numbers

from attnviz.attention.layer import LayerRecord
from attnviz.attention.measures import MEASURES, MeasureName
from attnviz.errors import AttnvizError
from attnviz.inspection import Inspection, View

LENGTH = 4
FINITE = np.linspace(-1, 1, LENGTH * LENGTH, dtype=np.float32).reshape(1, LENGTH, LENGTH)
MASK = np.triu(np.full((LENGTH, LENGTH), -np.inf, np.float32), k=1)[None]

PLAIN = inspection_of(
    tokens_of(["a", "b"]),
    np.full((2, 2, LENGTH, LENGTH), 0.25),
    value_norms=np.ones((2, 2, LENGTH)),
)


def with_layers(change: Callable[[int], dict[str, Any]]) -> Inspection:
    layers = [replace(PLAIN.layer(number), **change(number)) for number in range(2)]
    return replace(PLAIN, layers=tuple(layers))


def test_plain_attention_has_the_papers_formula() -> None:
    for name, measure in MEASURES.items():
        assert PLAIN.view(measure=name).context.measured == measure


@pytest.mark.parametrize(
    ("changes", "formula"),
    [
        ({"bias": FINITE}, "softmax(q kᵀ / √d_k + bias)"),
        ({"bias": np.where(MASK < 0, MASK, FINITE)}, "softmax(q kᵀ / √d_k + bias)"),
        ({"bias": MASK}, "softmax(q kᵀ / √d_k)"),  # which masks, and adds nothing
        ({"distance_bias": np.ones((1, 7), np.float32)}, "softmax(q kᵀ / √d_k + bias)"),
        ({"softcap": 50.0}, "softmax(50 · tanh(q kᵀ / √d_k / 50))"),
        ({"softcap": 50.0, "bias": FINITE}, "softmax(50 · tanh(q kᵀ / √d_k / 50) + bias)"),
        ({"sinks": np.zeros(2, np.float32)}, "softmax([q kᵀ / √d_k, sink])"),
        ({"scale": 1.0}, "softmax(q kᵀ)"),  # T5
        ({"scale": 0.0625, "softcap": 30.5}, "softmax(30.5 · tanh(0.0625 · q kᵀ / 30.5))"),
    ],
)
def test_what_is_beside_the_products(changes: dict[str, Any], formula: str) -> None:
    inspection = with_layers(lambda _: changes)
    assert inspection.view().context.measured.formula == formula
    norm = inspection.view(measure="norm").context.measured.formula
    assert norm == f"‖α v W_O‖ with α = {formula}"
    for measure in ("rollout", "flow"):
        view = inspection.view(measure=measure)
        assert view.context.measured.formula == MEASURES[view.measure].formula


def test_what_some_layers_have_is_named() -> None:
    first = with_layers(lambda number: {} if number else {"bias": FINITE})
    assert first.view().context.measured.formula == "softmax(q kᵀ / √d_k + bias)"
    caps = with_layers(lambda number: {"softcap": 10.0 + number})
    assert caps.view().context.measured.formula == "softmax(cap · tanh(q kᵀ / √d_k / cap))"
    scales = with_layers(lambda number: {"scale": 0.5 / (number + 1)})
    assert scales.view().context.measured.formula == "softmax(scale · q kᵀ)"
    partly = replace(scales, layers=(None, scales.layers[1]))
    assert partly.view().context.measured.formula == "softmax(0.25 · q kᵀ)"


def test_rows_with_a_sink_sum_to_1_with_it() -> None:
    inspection = with_layers(lambda _: {"sinks": np.zeros(2, np.float32)})
    said = "rows sum to 1 with the sink's share"
    assert inspection.view().context.measured.caveat == said
    assert inspection.view(measure="rollout").context.measured.caveat == said
    assert inspection.view(measure="norm").context.measured.caveat == "rows are not distributions"
    assert PLAIN.view().context.measured.caveat == ""


def given_view(measure: MeasureName = "weights") -> View:
    layers = tuple(LayerRecord(recorded_weights=PLAIN.layer(n).weights(n)) for n in range(2))
    return replace(PLAIN, layers=layers).view(measure=measure)


def test_weights_that_are_given_have_no_formula_of_ours() -> None:
    assert given_view().context.measured.description == "as the model's own code computes them"
    assert_numbers(given_view().weights(1, 1), PLAIN.view().weights(1, 1))


def test_norms_of_weights_that_are_given_are_refused() -> None:
    with pytest.raises(AttnvizError, match="gives its attention weights alone, without queries"):
        given_view("norm").weights(0)
    lacking = with_layers(lambda _: {"value_norms": None})
    with pytest.raises(AttnvizError, match="does not have them"):
        lacking.view(measure="norm").weights(0)
    rolled = PLAIN.view(measure="rollout").weights(1)
    np.testing.assert_allclose(given_view("rollout").weights(1), rolled)
