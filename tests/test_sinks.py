"""Models with sinks, to which a part of every row goes (gpt-oss), worked out by hand."""

import numpy as np
import pytest
from handmade import inspection_of, tokens_of

from attnviz.answers.align import aligned
from attnviz.answers.compare import compare, jensen_shannon
from attnviz.answers.overview import overview
from attnviz.inspection import View

WEIGHTS = np.array(
    [
        [0.1, 0.1, 0.1, 0.1],
        [0.125, 0.125, 0.125, 0.125],
        [0.25, 0.25, 0.0, 0.0],
        [0.2, 0.2, 0.2, 0.2],
    ]
)
"""[CLS] a b [SEP]: a and b give a half of their attention to the sink."""


def view_of(weights: np.ndarray = WEIGHTS, special: bool = True) -> View:
    return inspection_of(tokens_of(["a", "b"]), weights[None, None]).view(special=special)


def test_what_is_missing_went_to_the_sink() -> None:
    view = view_of()
    np.testing.assert_allclose(view.weights(0, 0), WEIGHTS, atol=1e-6)
    np.testing.assert_allclose(view.sink(0, 0), [0.6, 0.5, 0.5, 0.2], atol=1e-6)
    np.testing.assert_array_equal(view.dropped(0, 0), [0, 0, 0, 0])
    plain = inspection_of(tokens_of(["a"]), np.full((1, 1, 3, 3), 1 / 3)).view()
    np.testing.assert_array_equal(plain.sink(0, 0), [0, 0, 0])


def test_special_tokens_left_out_leave_the_sink_its_part() -> None:
    view = view_of(special=False)
    # a: 1/8 to each special token; of the 3/4 left, 1/8 to a and to b, and 1/2 to the sink
    np.testing.assert_allclose(view.dropped(0, 0), [1 / 4, 1 / 4], atol=1e-6)
    np.testing.assert_allclose(view.weights(0, 0), [[1 / 6, 1 / 6], [1 / 3, 0]], atol=1e-6)
    np.testing.assert_allclose(view.sink(0, 0), [2 / 3, 2 / 3], atol=1e-6)


@pytest.mark.parametrize("special", [True, False])
def test_beside_a_query_s_row(special: bool) -> None:
    """Of the whole row, whether special tokens are shown or not."""
    view = view_of(special=special)
    row = view.row(2 if special else 1)
    assert row.special[0] == pytest.approx(0.25)
    assert row.sink is not None
    assert row.sink[0] == pytest.approx(0.5)


def test_the_sink_is_one_place_more_to_look_at() -> None:
    head = overview(view_of()).heads[0]
    # a: four eighths and a half; b: two quarters and a half
    assert head.entropy == pytest.approx(((4 * 3 / 8 + 1 / 2) + 1.5) / 2, abs=1e-5)
    assert head.spread == pytest.approx(1.75 / np.log2(5), abs=1e-5)
    assert head.sink == pytest.approx(0.5)
    assert head.shares.special == pytest.approx((1 / 4 + 1 / 4) / 2 + 1 / 2, abs=1e-6)
    assert head.kind == "first/special"
    plain = inspection_of(tokens_of(["a"]), np.full((1, 1, 3, 3), 1 / 3)).view()
    assert overview(plain).heads[0].sink is None


def test_a_head_that_gives_everything_to_the_sink() -> None:
    weights = np.full((4, 4), 1e-9)
    head = overview(view_of(weights)).heads[0]
    assert (head.kind, round(head.entropy, 4)) == ("first/special", 0)
    gone = view_of(weights, special=False)
    np.testing.assert_allclose(gone.weights(0, 0), 0, atol=1e-6)
    np.testing.assert_allclose(gone.sink(0, 0), 1, atol=1e-6)
    np.testing.assert_allclose(gone.dropped(0, 0), 0, atol=1e-6)


def test_norms_have_no_sink() -> None:
    """A sink has no value: nothing of it arrives."""
    inspection = inspection_of(
        tokens_of(["a", "b"]), WEIGHTS[None, None], value_norms=np.full((1, 1, 4), 2)
    )
    view = inspection.view(measure="norm")
    np.testing.assert_allclose(view.weights(0, 0), 2 * WEIGHTS, atol=1e-5)
    np.testing.assert_array_equal(view.sink(0, 0), [0, 0, 0, 0])
    assert view.row(1).sink is None
    assert next(view.blocks(view.all_heads())).sink is None
    # of what arrives, a half is special tokens', whatever the sink had
    np.testing.assert_allclose(
        inspection.view(special=False, measure="norm").dropped(0, 0), [0.5, 0.5], atol=1e-6
    )


def test_the_measure_says_so() -> None:
    measured = view_of().context.measured
    assert measured.formula == "softmax([q kᵀ / √d_k, sink])"
    assert (
        measured.description == "softmax([q kᵀ / √d_k, sink]); rows sum to 1 with the sink's share"
    )
    assert str(measured).endswith("rows sum to 1 with the sink's share")


def test_what_a_sink_takes_is_a_change_too() -> None:
    """b gives the sink a half in A, and nothing in B, where it gives twice as much to the same."""
    weights = WEIGHTS.copy()
    weights[2] = [0.5, 0.5, 0, 0]
    a, b = view_of(), view_of(weights)
    [change] = compare(aligned(a, b), query=2).heads
    half = np.array([0.25, 0.25, 0.5]), np.array([0.5, 0.5, 0])
    assert change.distance == pytest.approx(float(jensen_shannon(*half)), abs=1e-5)
    assert change.rest is not None
    assert (change.rest.a, change.rest.b) == pytest.approx((0.5, 0), abs=1e-6)
    [every] = compare(aligned(a, b)).heads
    assert every.distances is not None
    assert np.nan_to_num(every.distances) == pytest.approx([0, 0, change.distance, 0], abs=1e-3)
    assert every.rest is not None
    assert (every.rest.a, every.rest.b) == pytest.approx((0.5, 0.25), abs=1e-6)


def test_a_sink_beside_a_model_without() -> None:
    weights = np.full((4, 4), 0.25)
    plain = inspection_of(tokens_of(["a", "b"]), weights[None, None]).view()
    [change] = compare(aligned(view_of(), plain), query=1).heads
    assert change.rest is not None
    assert (change.rest.a, change.rest.b) == pytest.approx((0.5, 0), abs=1e-6)
