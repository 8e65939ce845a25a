"""Pictures of long inputs: blocks of tokens, each shown by the largest of its numbers."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnviz.answers.masks import Pool, steps_within


@given(
    shape=st.tuples(st.integers(1, 2), st.integers(1, 17), st.integers(1, 13)),
    steps=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    cuts=st.sets(st.integers(1, 16)),
)
def test_rows_in_any_parts_give_each_blocks_largest(
    shape: tuple[int, int, int], steps: tuple[int, int], cuts: set[int]
) -> None:
    heads, down, across = shape
    weights = np.random.default_rng(3).random(shape, dtype=np.float32)
    pool = Pool(shape, steps)
    edges = [0, *sorted(cut for cut in cuts if cut < down), down]
    for first, end in pairwise(edges):
        pool.add(slice(first, end), weights[:, first:end])
    for head in range(heads):
        for row in range(-(-down // steps[0])):
            for column in range(-(-across // steps[1])):
                rows = slice(row * steps[0], (row + 1) * steps[0])
                columns = slice(column * steps[1], (column + 1) * steps[1])
                block = weights[head, rows, columns]
                assert pool.numbers[head, row, column] == block.max()
    assert pool.numbers.shape == (heads, -(-down // steps[0]), -(-across // steps[1]))


@pytest.mark.parametrize(
    ("shape", "blocks"), [((509, 509), (64, 64)), ((64, 64), (64, 64)), ((3, 130), (3, 44))]
)
def test_a_pool_within_a_size(shape: tuple[int, int], blocks: tuple[int, int]) -> None:
    assert Pool(shape, steps_within(shape, 64)).numbers.shape == blocks


def test_one_token_a_block_is_the_matrix_itself() -> None:
    weights = np.random.default_rng(4).random((4, 5), dtype=np.float32)
    pool = Pool((4, 5), (1, 1))
    pool.add(slice(0, 4), weights)
    np.testing.assert_array_equal(pool.numbers, weights)
