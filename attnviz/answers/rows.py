"""Some queries' rows of one head, so many at a time, however many are computed together."""

from collections.abc import Iterator

import numpy as np

from attnviz.inspection import Block


def rows_of(
    queries: np.ndarray, blocks: Iterator[Block], place: int, at_once: int
) -> Iterator[Block]:
    """The rows of some queries, ascending, of the head at `place` in the blocks that have its rows.

    `at_once` of them come together, and fewer at the end.
    """
    held: list[Block] = []
    left = len(queries)
    while left:
        wanted = min(at_once, left)
        while sum(block.weights.shape[1] for block in held) < wanted:
            block = next(blocks)
            first, end = np.searchsorted(queries, (block.rows.start, block.rows.stop))
            held.append(block.head(place).take(queries[first:end] - block.rows.start))
        joined = Block.concat(held)
        yield joined.take(np.arange(wanted))
        held = [joined.take(np.arange(wanted, joined.weights.shape[1]))]
        left -= wanted
