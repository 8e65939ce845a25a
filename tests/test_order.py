"""Orders do not depend on the last digits, which depend on the processor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from attnviz.attention.order import EQUAL, descending, exceeds, largest, tiers

NUMBERS = arrays(np.float32, st.integers(1, 40), elements=st.floats(0, 1, width=32))


def places(found: np.ndarray) -> list[int]:
    return [int(place) for place in found]


def test_the_largest_come_first() -> None:
    values = np.array([0.1, 0.5, 0.3, 0.5], np.float32)
    assert places(descending(values)) == [1, 3, 2, 0]
    assert places(descending(values, 2)) == [1, 3]
    assert places(descending(values, 0)) == []
    assert places(descending(values, 9)) == [1, 3, 2, 0]
    assert places(tiers(values)) == [2, 0, 1, 0]


@pytest.mark.parametrize("top", [None, 1, 2, 3])
def test_equal_but_for_rounding_is_ordered_by_place(top: int | None) -> None:
    """The third is the largest by one step of float32, and comes third all the same."""
    third = np.nextafter(np.float32(0.25), np.float32(1))
    values = np.array([0.25, 0.25, third, 0.25], np.float32)
    assert places(descending(values, top)) == [0, 1, 2, 3][:top]
    assert int(largest(values)) == 0
    assert not exceeds(values, values[:1]).any()


def test_numbers_that_differ_are_not_joined_by_those_between() -> None:
    """10,000 numbers, each a millionth above the one before: the largest are at the end."""
    values = np.linspace(1, 1.01, 10_001)
    assert places(descending(values, 5))[0] > 9_980
    assert tiers(values)[0] > 900


def test_differences_of_nothing_have_a_floor() -> None:
    values = np.array([1e-9, 3e-8, 0.5, 0.5 + 4e-6])
    assert places(descending(values)) == [2, 3, 1, 0]
    assert places(descending(values, floor=1e-6)) == [2, 3, 0, 1]
    assert places(descending(values, 3, floor=1e-6)) == [2, 3, 0]
    assert int(largest(values[:2], floor=1e-6)) == 0


def test_what_is_no_number_comes_last() -> None:
    values = np.array([np.nan, 0.2, -np.inf, np.nan, 0.7])
    assert places(descending(values)) == [4, 1, 2, 0, 3]
    assert places(descending(values, 4)) == [4, 1, 2, 0]
    assert int(largest(values)) == 4


def test_rows_are_looked_through_one_by_one() -> None:
    rows = np.array([[[0.1, 0.9], [0.5, 0.5]], [[np.nan, 0.1], [-1, -1]]])
    assert largest(rows).tolist() == [[1, 0], [1, 0]]
    assert exceeds(rows[0], rows[0, :, :1]).tolist() == [[False, True], [False, False]]


@given(NUMBERS, st.integers(0, 40))
def test_the_order_is_one_of_the_numbers(values: np.ndarray, top: int) -> None:
    """Each place once; a smaller number comes first only by rounding; the top is the start."""
    order = descending(values)
    assert sorted(places(order)) == list(range(len(values)))
    ranked = values[order].astype(float)
    assert (np.maximum.accumulate(ranked[::-1])[::-1] <= ranked * (1 + 2 * EQUAL)).all()
    assert places(descending(values, top)) == places(order[:top])
    assert int(largest(values)) == int(order[0])


@given(NUMBERS, st.integers(0, 1000))
def test_another_processors_rounding_changes_nothing_between_equals(
    values: np.ndarray, seed: int
) -> None:
    """Numbers with two digits, rounded anew in the seventh."""
    values = np.round(values, 2)
    noise = 1 + 1e-7 * np.random.default_rng(seed).standard_normal(len(values))
    assert places(descending(values * noise)) == places(descending(values.astype(float)))
