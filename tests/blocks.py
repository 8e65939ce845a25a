"""What the blocks of a view hold, head by head, for tests."""

from collections.abc import Iterable, Iterator

import numpy as np

from attnviz.inspection import Block, HeadId, View


def weights_of(view: View, heads: Iterable[HeadId]) -> Iterator[tuple[HeadId, np.ndarray]]:
    """Each head with its weights, (query, key)."""
    for block in map(view.block, heads):
        yield block.heads[0], block.weights[0]


def parts_of(view: View, head: HeadId) -> list[tuple[slice, np.ndarray]]:
    """A head's rows as its blocks have them: which, and their weights, (query, key)."""
    return [(block.rows, block.weights[0]) for block in view.blocks([head])]


def stacks_of(view: View, heads: Iterable[HeadId]) -> Iterator[Block]:
    """The blocks of the heads, those of one head's parts put together."""
    parts: list[Block] = []
    for block in view.blocks(heads):
        parts.append(block)
        if block.rows.stop == len(view.tokens):
            yield Block.concat(parts)
            parts = []
