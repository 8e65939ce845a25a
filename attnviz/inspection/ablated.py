"""What ablated heads leave behind: a sentence's final hidden states with and without them.

numpy only; `attnviz.model` makes them, `attnviz.answers.ablation` asks how far words moved.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from attnviz.inspection import HeadId, ModelFacts
from attnviz.text.tokens import Tokens

Replacement = Literal["zero", "mean"]
"""What stands in for an ablated head's output z at every position: zeros, or the mean of that
head's z over the sentence's positions, as it was before anything was ablated."""


@dataclass(frozen=True)
class Guess:
    """An entry of the vocabulary, and how likely a masked-LM head finds it."""

    token: str
    probability: float


@dataclass(frozen=True)
class MaskPrediction:
    """What the model predicts at a `[MASK]`, with the heads (before) and without them (after).

    `piece` is its place among the pieces. Both lists are most likely first; `kept` is what was most
    likely before, with its probability after.
    """

    piece: int
    before: tuple[Guess, ...]
    after: tuple[Guess, ...]
    kept: Guess


@dataclass(frozen=True, eq=False, repr=False)
class Ablated:
    """A sentence's final hidden states, as the model gives them and without some of its heads.

    plain, ablated: (piece, d_model), float32, of the pieces from `first` on, all of them unless
    only some were asked for. `masks` tells the predictions at each `[MASK]`; None where the model
    has no masked-LM head, or was not asked.
    """

    tokens: Tokens
    model: ModelFacts
    heads: tuple[HeadId, ...]
    replacement: Replacement
    plain: np.ndarray
    ablated: np.ndarray
    first: int = 0
    masks: tuple[MaskPrediction, ...] | None = None
