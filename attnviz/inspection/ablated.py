"""A sentence's final hidden states with and without some heads; numpy only."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from attnviz.inspection import HeadId, ModelFacts
from attnviz.text.tokens import Tokens

# For an ablated head's z at every position: zeros, or its mean over positions in the plain run.
Replacement = Literal["zero", "mean"]


@dataclass(frozen=True)
class Guess:
    """An entry of the vocabulary, and how likely a masked-LM head finds it."""

    token: str
    probability: float


@dataclass(frozen=True)
class MaskPrediction:
    """Predictions at a `[MASK]`, with the heads (before) and without, likeliest first."""

    piece: int  # its place among the pieces
    before: tuple[Guess, ...]
    after: tuple[Guess, ...]
    kept: Guess  # what was most likely before, with its probability after


@dataclass(frozen=True, eq=False, repr=False)
class Ablated:
    """A sentence's final hidden states, as the model gives them and without some of its heads."""

    tokens: Tokens
    model: ModelFacts
    heads: tuple[HeadId, ...]
    replacement: Replacement
    plain: np.ndarray  # (piece, d_model), float32
    ablated: np.ndarray  # likewise
    first: int = 0  # the first piece whose states were asked for
    # at each `[MASK]`; None without a masked-LM head, or if not asked
    masks: tuple[MaskPrediction, ...] | None = None
