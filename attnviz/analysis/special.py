"""How much attention do special tokens take?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from attnviz.inspection import Group, HeadId, View


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

    def looked(group: Group) -> tuple[np.ndarray, np.ndarray | None]:
        columns, shares = [], []
        for stack in group.stacks:
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
    if not any(token.special for token in view.inspection.tokens.pieces):
        return None
    places = tuple(np.array([(head.layer, head.place) for head in heads]).T)
    return float(special_shares(view, query)[places].mean())


def special_shares(view: View, query: int) -> np.ndarray:
    """What `special_share` is the mean of: each head's share, (layer, head); 0 without any."""
    whole = replace(view, special=True)
    special = [token.index for token in whole.tokens if token.special]
    kept = [token.index for token in whole.tokens if view.special or not token.special]
    rows = whole.query(kept[query])
    shares: np.ndarray = rows[..., special].sum(axis=-1) / rows.sum(axis=-1)
    return shares
