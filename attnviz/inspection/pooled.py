"""A text's one vector, and what of it comes from each piece; numpy only."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attnviz.inspection.context import ModelFacts, counted
from attnviz.text.tokens import Tokens

MODES = {
    "mean": "mean",
    "cls": "first token",
    "max": "maximum",
    "mean_sqrt_len_tokens": "sum over the root of the length",
    "weightedmean": "mean weighted by position",
    "lasttoken": "last token",
}
"""The modes of sentence-transformers, by its names, and what each takes of the final states."""


@dataclass(frozen=True)
class PoolingFacts:
    """How a checkpoint makes one vector of a text: from its own files, or assumed.

    `source`: the file that says so; None if it is assumed. `whole`: why the cosine of two texts is
    no sum over pairs of words; None if it is one.
    """

    modes: tuple[str, ...] = ("mean",)
    dense: int = 0  # how many matrices follow
    normalized: bool = False
    source: str | None = None
    whole: str | None = None

    def __str__(self) -> str:
        dense = [counted(self.dense, "dense layer")] if self.dense else []
        steps = [" and ".join(MODES[mode] for mode in self.modes), *dense]
        steps += ["normalized"] if self.normalized else []
        return f"{', '.join(steps)} ({'assumed' if self.source is None else self.source})"

    def data(self) -> dict[str, Any]:
        """The facts as JSON has them."""
        facts = {"modes": self.modes, "dense": self.dense, "normalized": self.normalized}
        return facts | {"source": self.source, "whole": self.whole}


@dataclass(frozen=True, eq=False, repr=False)
class Pooled:
    """A text's vector, as its model's pooling makes it of the final states.

    vector: (d,). parts: (piece, d), which sum to the vector before it is normalized; None if
    `facts.whole` says why there are none. Both in float64.
    """

    tokens: Tokens
    model: ModelFacts
    facts: PoolingFacts
    vector: np.ndarray
    parts: np.ndarray | None
