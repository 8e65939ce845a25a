"""Heads computed together, and pieces joined to words, give what head by head would give."""

import numpy as np
import pytest
from blocks import stacks_of
from handmade import merged
from hypothesis import given
from hypothesis import strategies as st

from attnviz.inspection import HeadId, Inspection, frame
from attnviz.inspection import view as rooms
from attnviz.inspection.frame import merge_keys, merge_masks

SOME_HEADS = [HeadId(5, 11), HeadId(3, 1), HeadId(3, 0), HeadId(0, 7), HeadId(3, 1)]


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("at_once", [1, 2 * 17**2, 1 << 20])
def test_stacks_hold_the_heads_in_the_order_asked_for(
    animal: Inspection, special: bool, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "WEIGHTS_AT_ONCE", at_once)
    view = animal.view(special=special)
    stacks = list(stacks_of(view, SOME_HEADS))
    assert [head for stack in stacks for head in stack.heads] == SOME_HEADS
    assert len(stacks) == {1: 5, 2 * 17**2: 3, 1 << 20: 1}[at_once]
    for stack in stacks:
        for number, head in enumerate(stack.heads):
            np.testing.assert_allclose(stack.weights[number], view.weights(*head), atol=5e-7)
            if stack.dropped is not None:
                np.testing.assert_allclose(stack.dropped[number], view.dropped(*head), atol=5e-7)
        assert (stack.dropped is None) == special


def test_what_is_dropped_is_what_special_tokens_had(animal: Inspection) -> None:
    words = animal.view()
    special = [token.index for token in words.tokens if token.special]
    others = [token.index for token in words.tokens if not token.special]
    for head in SOME_HEADS:
        weights = words.weights(*head)
        dropped = animal.view(special=False).dropped(*head)
        assert dropped.min() >= 0
        np.testing.assert_allclose(dropped, weights[others][:, special].sum(-1), atol=5e-7)
        np.testing.assert_allclose(dropped, 1 - weights[others][:, others].sum(-1), atol=1e-6)
        assert not words.dropped(*head).any()


@given(lengths=st.lists(st.integers(1, 4), min_size=1, max_size=7), seed=st.integers(0, 99))
def test_merging_sums_keys_and_averages_queries(lengths: list[int], seed: int) -> None:
    pieces = sum(lengths)
    weights = np.random.default_rng(seed).random((2, 3, pieces, pieces))
    belongs = np.repeat(np.eye(len(lengths)), lengths, axis=0)
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    expected = (belongs / lengths).T @ weights @ belongs
    np.testing.assert_allclose(merged(weights, starts), expected, atol=1e-12)


@given(
    queries=st.lists(st.integers(1, 4), min_size=1, max_size=7),
    keys=st.lists(st.integers(1, 4), min_size=1, max_size=7),
    seed=st.integers(0, 99),
    long_row=st.sampled_from([0, 1000]),
)
def test_a_word_may_look_where_any_of_its_pieces_may(
    queries: list[int], keys: list[int], seed: int, long_row: int
) -> None:
    seen = np.random.default_rng(seed).random((2, sum(queries), sum(keys))) < 0.2
    rows, columns = (np.cumsum([0, *lengths[:-1]]).tolist() for lengths in (queries, keys))
    expected = np.logical_or.reduceat(seen, rows, axis=-2)
    expected = np.logical_or.reduceat(expected, columns, axis=-1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frame, "LONG_ROW", long_row)
        found = merge_masks(seen, rows, columns)
    assert found.dtype == bool
    np.testing.assert_array_equal(found, expected)


@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=20), seed=st.integers(0, 99))
def test_long_rows_are_summed_to_the_same_numbers(lengths: list[int], seed: int) -> None:
    weights = np.random.default_rng(seed).random((2, 3, sum(lengths)), dtype=np.float32)
    starts = np.cumsum([0, *lengths[:-1]]).tolist()
    expected = merge_keys(weights, starts)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frame, "LONG_ROW", 0)
        np.testing.assert_array_equal(merge_keys(weights, starts), expected)
