"""How much attention do special tokens take?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from attnviz.inspection import Block, HeadId, View


@dataclass(frozen=True, eq=False)
class Received:
    """Who looks at one key in some heads, and what special tokens took in the same heads.

    weights: (head, query). `dropped` is the mean share of all queries' attention that went to the
    special tokens left out, None where they are not.
    """

    weights: np.ndarray
    dropped: float | None


def received(view: View, key: int, heads: Sequence[HeadId]) -> Received:
    """Who looks at the key at index `key`, in the heads given; each head is computed once."""

    def looked(_: list[HeadId], blocks: Iterator[Block]) -> tuple[np.ndarray, np.ndarray | None]:
        columns, shares = [], []
        for stack in blocks:
            columns.append(stack.weights[..., key].copy())  # lets go of the weights
            if stack.dropped is not None:
                shares.append(stack.dropped)
        dropped = np.concatenate(shares, axis=1) if shares else None
        return np.concatenate(columns, axis=1), dropped

    columns, shares = zip(*view.over(heads, looked), strict=True)
    found = [share for share in shares if share is not None]
    dropped = float(np.concatenate(found).mean()) if found else None
    return Received(np.concatenate(columns), dropped)


def special_share(view: View, query: int, heads: Sequence[HeadId]) -> float | None:
    """The mean share of the query's attention that special tokens take in the heads given.

    It is the same whether the view leaves them out or not. None where there are no special tokens.
    """
    if not any(token.special for token in view.inspection.key_tokens.pieces):
        return None
    special = dict(zip(view.all_heads(), view.row(query).special, strict=True))
    return float(np.mean([special[head] for head in heads]))
