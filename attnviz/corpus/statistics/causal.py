"""What heads of causal models do between pieces: previous token, duplicate token, induction.

The scores of Olsson et al. 2022, "In-context Learning and Induction Heads", on the corpus's own
text: an induction head looks at the token that came after the same token before.
"""

from typing import Any

import numpy as np

from attnviz.attention.shapes import Bool
from attnviz.corpus.fold import Seen
from attnviz.corpus.resampling import Means
from attnviz.inspection import View, row_shares

SCORES = ("previous_token", "duplicate_token", "induction")


class CausalScores:
    """Each head's scores, of rows that have such a key; nothing for models that are not causal."""

    def __init__(self, num_layers: int, num_heads: int) -> None:
        self._shape = len(SCORES), num_layers * num_heads
        self.means = Means(self._shape, (len(SCORES), 1))

    def add(self, seen: Seen) -> None:
        """Add a text."""
        if not is_causal(seen.view):
            return
        inspection, view = seen.inspection, seen.view
        keys = _keys(np.array(inspection.tokens.ids), _special(seen))
        pieces = View(inspection, "piece", True, view.measure)
        sums = np.zeros(self._shape)
        for block in pieces.blocks(pieces.all_heads()):
            weights = block.weights if view.context.measured.shares else row_shares(block.weights)
            masks = keys[:, block.rows].reshape(len(SCORES), -1).astype(np.float32)
            numbers = [head.layer * view.context.num_heads + head.place for head in block.heads]
            sums[:, numbers] += masks @ weights.reshape(len(weights), -1).T
        counts = keys.any(axis=2).sum(axis=1)[:, None]
        self.means.add(seen.times, sums, counts, seen.share)

    def merge(self, other: "CausalScores") -> None:
        """Add what another has seen."""
        self.means.merge(other.means)

    def state(self) -> dict[str, Any]:
        """All its numbers."""
        return self.means.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` gave."""
        self.means.restore(state)


def is_causal(view: View) -> bool:
    """Whether no token may look at one after it, in any layer."""
    if view.context.is_cross_attention or len(view.inspection.tokens) < 2:
        return False
    reaches = view.context.reaches.values()
    return all(reach is not None and reach.after == 0 for reach in reaches)


def _special(seen: Seen) -> np.ndarray:
    return np.array([span is None for span in seen.tokens.spans])


def _keys(ids: np.ndarray, special: np.ndarray) -> Bool[np.ndarray, "score query key"]:
    """The keys that each score counts, for each query; special tokens count nowhere."""
    places = np.arange(len(ids))
    apart = places[:, None] - places
    plain = ~special[:, None] & ~special
    same = (ids[:, None] == ids) & (apart > 0) & plain
    after = np.zeros_like(same)
    after[:, 1:] = same[:, :-1]  # the token after one that is the same
    return np.stack([(apart == 1) & plain, same, after & (apart > 0) & plain])
